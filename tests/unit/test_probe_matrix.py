"""Who hears whom, from what each chassis says, and what that means in words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trunkline.northbound.body import UnreadableError
from trunkline.probe.matrix import (
    Heard,
    Matrix,
    ProbedNetwork,
    State,
    Stray,
    first_beacons,
    heard,
    more_beacons,
)
from trunkline.probe.order import packed
from trunkline.probe.verdict import Verdict, verdicts

BLUE = ProbedNetwork("blue", 1, "physnet1", 101, 1500)
RED = ProbedNetwork("red", 2, "physnet1", 102, 1500)
FLAT = ProbedNetwork("office", 3, "physnet1", None, 1500)
NAMES = ("c1", "c2", "c3", "c4")
ID = {name: number for number, name in enumerate(NAMES, 1)}


def matrix(
    *networks: ProbedNetwork,
    lost: frozenset[tuple[int, str, str]] = frozenset(),
    strays: Mapping[str, tuple[Stray, ...]] | None = None,
    sizes: dict[tuple[str, str], int] | None = None,
    beacons: tuple[str, ...] = NAMES,
    gone: tuple[str, ...] = (),
) -> Matrix:
    """Return the matrix of four chassis of which all hear all, but *lost*: network key, sender, receiver."""

    def has_come(key: int, sender: str, receiver: str) -> bool:
        if sender == receiver or (key, sender, receiver) in lost:
            return False
        has_heard = (key, receiver, sender) not in lost
        return sender in beacons or (receiver in beacons and has_heard)

    return Matrix(
        networks,
        {each.key: NAMES for each in networks},
        {each.key: frozenset(beacons) for each in networks},
        {
            name: Heard(
                {
                    each.key: frozenset(ID[other] for other in NAMES if has_come(each.key, other, name))
                    for each in networks
                },
                (strays or {}).get(name, ()),
                {
                    each.key: {ID[to]: size for (sender, to), size in (sizes or {}).items() if sender == name}
                    for each in networks
                },
                is_flooded=False,
            )
            for name in NAMES
            if name not in gone
        },
        {number: name for name, number in ID.items()},
    )


def cut(key: int, *names: str, ways: str = "both") -> frozenset[tuple[int, str, str]]:
    """Return what is lost if *names* are cut off from the others, in one direction or in both."""
    pairs = [(one, other) for one in names for other in NAMES if other not in names]
    lost = [(key, one, other) for one, other in pairs] if ways != "in" else []
    return frozenset(lost + ([(key, other, one) for one, other in pairs] if ways != "out" else []))


def one(found: Matrix) -> Verdict:
    (verdict,) = verdicts(found)
    return verdict


@pytest.mark.parametrize("beacons", [NAMES, NAMES[:3], NAMES[:1]])
def test_where_all_hear_all_nothing_is_wrong(beacons: tuple[str, ...]) -> None:
    found = matrix(BLUE, RED, FLAT, beacons=beacons)
    assert verdicts(found) == []
    assert more_beacons(found) == {}
    assert {cell.state for cell in found.cells(BLUE)} == {State.OK}
    assert found.islands(BLUE) == [NAMES]


def test_a_chassis_that_hears_nothing_and_is_not_heard_lacks_the_vlan() -> None:
    found = one(matrix(BLUE, RED, lost=cut(1, "c4")))
    assert found.text == "c4 alone: hears nothing, is not heard; its red works"
    assert found.remedy == "allow VLAN 101 on the switch port of c4"


def test_if_no_other_network_of_the_chassis_works_it_may_be_its_cable() -> None:
    found = one(matrix(FLAT, lost=cut(3, "c4")))
    assert found.remedy == "look at the NIC and the switch port of c4: does it carry untagged frames?"


@pytest.mark.parametrize(
    ("ways", "text"), [("out", "c4 hears, is not heard"), ("in", "c4 is heard, hears nothing")]
)
def test_one_direction_is_told_from_the_other(ways: str, text: str) -> None:
    found = one(matrix(BLUE, lost=cut(1, "c4", ways=ways)))
    assert found.text == f"{text}: one direction is lost"
    assert found.fault == "one way"


def test_who_answers_beacons_alone_is_not_called_deaf_if_it_had_nothing_to_answer() -> None:
    """c4 sends no beacons and hears none, so nobody knows whether it would be heard."""
    found = matrix(BLUE, lost=cut(1, "c4", ways="in"), beacons=NAMES[:3])
    states = {(cell.sender, cell.receiver): cell.state for cell in found.cells(BLUE)}
    assert states["c1", "c4"] is State.LOST
    assert states["c4", "c1"] is State.UNKNOWN
    # So it sends beacons in the next round.
    assert more_beacons(found) == {1: frozenset({"c1", "c4"})}


def test_two_groups_that_do_not_reach_one_another_may_be_separate() -> None:
    found = one(matrix(BLUE, lost=cut(1, "c3", "c4")))
    assert found.fault == "islands"
    assert found.text.startswith("c1, c2 | c3, c4 do not reach one another")
    assert "VLAN 101 of physnet1 between the switches of c1 and c3" in found.remedy


def test_a_direction_between_two_that_both_reach_a_third_is_named() -> None:
    found = one(matrix(BLUE, lost=frozenset({(1, "c1", "c2")})))
    assert found.text == "what c1 sends does not reach c2"


def test_who_went_away_meanwhile_is_unknown_and_not_lost() -> None:
    found = matrix(BLUE, gone=("c4",))
    assert verdicts(found) == []
    states = {cell.state for cell in found.cells(BLUE) if "c4" in (cell.sender, cell.receiver)}
    assert states == {State.UNKNOWN}


def test_the_chassis_that_loses_large_packets_is_the_one_that_does_with_all() -> None:
    sizes = {(a, b): 1400 if "c3" in (a, b) else 1500 for a in NAMES for b in NAMES if a != b}
    found = one(matrix(BLUE, sizes=sizes))
    assert found.chassis == ("c3", "c1", "c2", "c4")
    assert found.text.startswith("c3: packets over 1400 bytes are lost in both directions (c1, c2, c4)")
    assert "`mtu=1400`" in found.remedy


@pytest.mark.parametrize(
    ("vlan_id", "text", "cause"),
    [
        (102, "what c2 sends in blue (101) arrives at c4 in red (102)", "joins or translates VLANs"),
        (None, "what c2 sends in blue (101) arrives at c4 in office (untagged)", "a native VLAN mismatch"),
        (900, "what c2 sends in blue (101) arrives at c4 as 900", "joins or translates VLANs"),
    ],
)
def test_joined_networks_are_named_once(vlan_id: int | None, text: str, cause: str) -> None:
    strays = {name: (Stray(1, ID["c2"], "physnet1", vlan_id),) for name in ("c4",)}
    found = one(matrix(BLUE, RED, FLAT, strays=strays))
    assert (found.text, cause in found.remedy) == (text, True)


def test_a_frame_that_comes_back_is_a_loop_and_one_that_others_overhear_is_not() -> None:
    own = Stray(1, ID["c2"], "physnet1", 101)
    assert one(matrix(BLUE, strays={"c2": (own,)})).fault == "loop"
    assert verdicts(matrix(BLUE, strays={"c4": (own,)})) == []


def test_each_network_has_three_beacons_or_all_that_it_has() -> None:
    members = {number: [f"c{n}" for n in range(number, number + 5)] for number in range(40)} | {
        99: ["c1", "x"]
    }
    chosen = first_beacons(members)
    assert all(len(chosen & set(names)) >= min(3, len(names)) for names in members.values())
    assert len(first_beacons({1: [f"c{n}" for n in range(500)]})) == 3


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"heard": [], "strays": [], "sizes": {}, "flooded": False},
        {"heard": {"1": "?"}, "strays": [], "sizes": {}, "flooded": False},
        {"heard": {"x": packed([1])}, "strays": [], "sizes": {}, "flooded": False},
        {"heard": {}, "strays": [[1]], "sizes": {}, "flooded": False},
        {"heard": {}, "strays": [], "sizes": {"1": {"-5": packed([1])}}, "flooded": False},
        {"heard": {"1": "AAA="}, "strays": 5, "sizes": {}, "flooded": False},
    ],
)
def test_what_is_no_report_is_refused(body: object) -> None:
    with pytest.raises(UnreadableError):
        heard(body)


def test_of_two_chassis_the_direction_that_is_lost_is_named_or_that_both_are() -> None:
    pair = matrix(BLUE)._replace(members={1: ("c1", "c2")}, beacons={1: frozenset({"c1", "c2"})})
    one_way = pair._replace(heard=matrix(BLUE, lost=frozenset({(1, "c1", "c2")})).heard)
    assert one(one_way).text == "what c1 sends does not reach c2"
    both = pair._replace(heard=matrix(BLUE, lost=cut(1, "c1")).heard)
    assert one(both).text == "c1 and c2 do not reach one another"
    assert "VLAN 101 on the switch ports of c1 and c2" in one(both).remedy


def test_where_a_native_vlan_mismatches_only_that_is_to_be_mended() -> None:
    strays = {"c4": (Stray(1, ID["c2"], "physnet1", None),)}
    found = verdicts(matrix(BLUE, FLAT, lost=cut(1, "c4", ways="in"), strays=strays))
    assert {each.fault for each in found} == {"one way", "joined"}
    assert {each.remedy for each in found} == {"look for a native VLAN mismatch between c2 and c4"}
