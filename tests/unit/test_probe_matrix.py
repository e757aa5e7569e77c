"""Who hears whom, from what each chassis says, and what that means in words."""

from __future__ import annotations

import base64
import json
import random
import re
import zlib
from dataclasses import replace

import pytest

from model.probe import BLUE, FLAT, ID, NAMES, RED, cut, flooded, matrix, sized
from trunkline.northbound.body import UnreadableError
from trunkline.probe.judgement import verdicts
from trunkline.probe.matrix import (
    Matrix,
    ProbedNetwork,
    State,
    Stray,
    first_beacons,
    heard,
    more_beacons,
)
from trunkline.probe.order import NO_SECRET, Order, OrderError, Step, packed, packed_groups
from trunkline.probe.verdict import Verdict, remedies

NONE = packed_groups({})


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


def test_a_chassis_behind_a_cut_is_not_blamed_in_a_network_of_which_it_is_alone_there() -> None:
    apart = cut(1, "c3", "c4") | cut(2, "c3", "c4")
    found = matrix(BLUE, RED, lost=apart).without({2: {"c4"}})
    blue, red = verdicts(found)
    assert (blue.fault, red.fault) == ("islands", "islands")
    assert red.text == "c1, c2 | c3 do not reach one another, as in blue. Separate on purpose?"
    (remedy,) = remedies([blue, red]).values()
    assert remedy == "carry VLANs 101, 102 of physnet1 between the switches of c1 and c3"


def test_a_chassis_behind_a_cut_that_lacks_a_vlan_too_is_not_excused_by_the_cut() -> None:
    lost = cut(1, "c3", "c4") | cut(2, "c3", "c4") | cut(2, "c4")
    remedies_of_red = [each.remedy for each in verdicts(matrix(BLUE, RED, lost=lost)) if RED in each.networks]
    assert remedies_of_red == [f"allow VLAN 102 on the switch port of {name}" for name in ("c3", "c4")]


def test_a_vlan_that_the_physical_network_carries_nowhere_is_to_be_allowed_everywhere() -> None:
    found = one(matrix(BLUE, RED, lost=frozenset().union(*(cut(1, name) for name in NAMES))))
    assert (found.fault, found.chassis) == ("lost", NAMES)
    assert found.text == "no two of c1, c2, c3 and 1 more reach one another"
    assert found.remedy == "allow VLAN 101 on the switch ports of c1, c2, c3 and 1 more, and between these"


def test_a_direction_between_two_that_both_reach_a_third_is_named() -> None:
    found = one(matrix(BLUE, lost=frozenset({(1, "c1", "c2")})))
    assert found.text == "what c1 sends does not reach c2"


def test_who_went_away_meanwhile_is_unknown_and_not_lost() -> None:
    found = matrix(BLUE, gone=("c4",))
    assert verdicts(found) == []
    states = {cell.state for cell in found.cells(BLUE) if "c4" in (cell.sender, cell.receiver)}
    assert states == {State.UNKNOWN}


def test_what_a_flood_kept_from_being_heard_is_unknown_and_what_was_heard_is_not() -> None:
    found = matrix(BLUE, lost=frozenset({(1, "c1", "c2"), (1, "c1", "c3")}))
    states = {(cell.sender, cell.receiver): cell.state for cell in flooded(found, "c2").cells(BLUE)}
    assert states["c1", "c2"] is State.UNKNOWN
    assert states["c1", "c3"] is State.LOST
    assert states["c3", "c2"] is State.OK


def test_what_a_flooded_chassis_is_not_heard_to_say_is_unknown_as_it_cannot_answer() -> None:
    lost = frozenset({(1, "c3", "c2"), (2, "c3", "c2")})
    assert len(verdicts(matrix(BLUE, RED, lost=lost))) == 2
    found = flooded(matrix(BLUE, RED, lost=lost), "c3")
    assert verdicts(found) == []
    states = {(cell.sender, cell.receiver): cell.state for cell in found.cells(BLUE)}
    assert states["c3", "c2"] is State.UNKNOWN
    assert states["c3", "c1"] is State.OK


def test_what_a_flood_may_have_taken_of_large_packets_is_unknown() -> None:
    sizes = {(a, b): 1400 if "c3" in (a, b) else 1500 for a in NAMES for b in NAMES if a != b}
    found = flooded(matrix(BLUE, sizes=sizes | {("c3", "c4"): 1500}), "c3")
    assert verdicts(found) == []
    mtus = {(cell.sender, cell.receiver): cell.mtu for cell in found.cells(BLUE)}
    assert (mtus["c1", "c3"], mtus["c3", "c1"]) == (None, None)
    assert (mtus["c3", "c4"], mtus["c1", "c2"]) == (1500, 1500)
    assert ("c1", "c3") in {(cell.sender, cell.receiver) for cell in found.unsized()}


def test_what_nobody_had_time_to_send_is_unknown() -> None:
    found = replace(matrix(BLUE, lost=cut(1, "c4", ways="out")), unsettled=frozenset({"c4"}))
    assert verdicts(found) == []
    assert {cell.state for cell in found.cells(BLUE) if cell.sender == "c4"} == {State.UNKNOWN}


def test_the_chassis_that_loses_large_packets_is_the_one_that_does_with_all() -> None:
    sizes = {(a, b): 1400 if "c3" in (a, b) else 1500 for a in NAMES for b in NAMES if a != b}
    found = one(matrix(BLUE, sizes=sizes))
    assert (found.chassis, found.most) == (("c3",), 1400)
    assert found.text.startswith("c3: packets over 1400 bytes are lost in both directions; ")
    assert "`mtu=1400`" in found.remedy


def test_of_two_chassis_that_lose_large_packets_each_has_its_own_size() -> None:
    found = verdicts(matrix(BLUE, sizes=sized(c2=1400, c3=1300)))
    assert [(each.chassis, each.most) for each in found] == [(("c2",), 1400), (("c3",), 1300)]


def test_where_all_lose_the_same_packets_it_is_what_is_between_them() -> None:
    found = one(matrix(BLUE, sizes=sized(c1=1400, c2=1400, c3=1400, c4=1400)))
    assert (found.chassis, found.most) == (NAMES, 1400)
    assert found.text.startswith("between c1, c2, c3 and 1 more: packets over 1400 bytes are lost")


def test_a_pair_that_loses_what_both_pass_with_others_has_a_narrow_place_between() -> None:
    found = one(matrix(BLUE, sizes=sized() | {("c1", "c2"): 1400}))
    assert (found.chassis, found.most) == (("c1", "c2"), 1400)
    assert found.text.startswith("packets over 1400 bytes that c1 sends to c2 are lost")


def test_a_direction_in_which_large_packets_are_lost_is_named() -> None:
    one_way = {pair: 1400 if pair[1] == "c3" else 1500 for pair in sized()}
    assert "c3: packets over 1400 bytes are lost sent to it" in one(matrix(BLUE, sizes=one_way)).text


def test_a_size_that_nobody_has_found_is_told_apart_from_one_that_passes() -> None:
    found = matrix(BLUE, sizes={pair: size for pair, size in sized().items() if pair != ("c1", "c2")})
    assert [(cell.sender, cell.receiver) for cell in found.unsized()] == [("c1", "c2")]
    assert verdicts(found) == []


@pytest.mark.parametrize(
    ("vlan_id", "text", "cause"),
    [
        (102, "what c2 sends in blue (101) arrives at c4 in red (102)", "joins or translates VLANs"),
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
    both = verdicts(matrix(BLUE, RED, strays={"c2": (own, Stray(2, ID["c2"], "physnet1", 102))}))
    assert [each.text for each in both] == [
        "what c2 sends in blue (101) comes back to it",
        "what c2 sends in red (102) comes back to it",
    ]


def test_each_network_has_three_beacons_or_all_that_it_has() -> None:
    members = {number: [f"c{n}" for n in range(number, number + 5)] for number in range(40)} | {
        99: ["c1", "x"]
    }
    chosen = first_beacons(members)
    assert all(chosen[key] <= set(names) for key, names in members.items())
    assert {key: len(names) for key, names in chosen.items()} == dict.fromkeys(range(40), 3) | {99: 2}


def test_a_network_of_all_chassis_has_three_beacons_however_many_networks_of_few_there_are() -> None:
    """A beacon of one network sends none in the others that it has: each gets an answer of all."""
    racks = {number: [f"r{number}c{n}" for n in range(40)] for number in range(20)}
    everywhere = [name for names in racks.values() for name in names]
    for key in (-1, 99):
        assert len(first_beacons(racks | {key: everywhere})[key]) == 3


def test_an_order_says_who_sends_beacons_in_which_network() -> None:
    alike = {key: frozenset({1 << 31, 7}) for key in range(3000)}
    for beacons in (None, {}, {5: frozenset[int]()}, alike, alike | {9: frozenset({8})}):
        order = Order(Step.BEACON, NO_SECRET, beacons=beacons, networks=frozenset({5}))
        assert Order.of(order.parameters()) == order
    with pytest.raises(OrderError, match="name fewer networks"):
        Order(Step.BEACON, NO_SECRET, networks=frozenset(range(3100))).parameters()


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"heard": {}, "strays": [], "sizes": NONE, "flooded": False},
        {"heard": "?", "strays": [], "sizes": NONE, "flooded": False},
        {"heard": "AAAA", "strays": [], "sizes": NONE, "flooded": False},
        {"heard": NONE[:-8] + "====", "strays": [], "sizes": NONE, "flooded": False},
        {"heard": packed([1]), "strays": [], "sizes": NONE, "flooded": False},
        {"heard": NONE, "strays": [[1]], "sizes": NONE, "flooded": False},
        {"heard": NONE, "strays": 5, "sizes": NONE, "flooded": False},
        {"heard": NONE, "strays": [], "sizes": [], "flooded": False},
        {"heard": base64.b64encode(zlib.compress(bytes(64 << 20))).decode(), "strays": [], "sizes": NONE},
    ],
)
def test_what_is_no_report_is_refused(body: object) -> None:
    with pytest.raises(UnreadableError):
        heard(body)


def test_what_a_beacon_of_500_chassis_heard_in_100_networks_fits_into_an_answer() -> None:
    """An answer has 64 KiB at most. Members of networks are much alike, but not the same."""
    rng = random.Random(1)
    ids = [rng.getrandbits(32) for _ in range(500)]
    members = {key: frozenset(rng.sample(ids, 490)) for key in range(100)}
    text = packed_groups({(key, 0): names for key, names in members.items()})
    body = {"heard": text, "strays": [], "sizes": NONE, "flooded": False}
    assert len(json.dumps(body)) < 64 * 1024
    assert heard(body).members == members


def test_of_two_chassis_the_direction_that_is_lost_is_named_or_that_both_are() -> None:
    pair = replace(matrix(BLUE), members={1: ("c1", "c2")}, beacons={1: frozenset({"c1", "c2"})})
    one_way = replace(pair, heard=matrix(BLUE, lost=frozenset({(1, "c1", "c2")})).heard)
    assert one(one_way).text == "what c1 sends does not reach c2"
    both = replace(pair, heard=matrix(BLUE, lost=cut(1, "c1")).heard)
    assert one(both).text == "c1 and c2 do not reach one another"
    assert "VLAN 101 on the switch ports of c1 and c2" in one(both).remedy


def native(*odd: str, link: bool = False) -> Matrix:
    """Return what comes of it if 101 is the native VLAN at the ports of *odd*, or at their end of a link."""
    rest = [name for name in NAMES if name not in odd]
    strays = {name: {Stray(3, ID[each], "physnet1", 101) for each in odd} for name in rest}
    for name in odd:
        strays[name] = {Stray(1, ID[each], "physnet1", None) for each in NAMES if each != name}
        if link:
            strays[name] = {Stray(1, ID[each], "physnet1", None) for each in rest}
    ways = cut(1, *odd, ways="in") | cut(3, *odd)
    if not link:
        ways |= {(1, one, other) for one in odd for other in odd if one != other}
    return matrix(
        BLUE, RED, FLAT, lost=frozenset(ways), strays={name: tuple(each) for name, each in strays.items()}
    )


@pytest.mark.parametrize("odd", [("c4",), ("c3", "c4")])
def test_a_port_with_another_native_vlan_is_one_finding_at_its_chassis(odd: tuple[str, ...]) -> None:
    found = one(native(*odd))
    assert (found.fault, found.networks, found.chassis) == ("native VLAN", (BLUE, FLAT), odd)
    assert "VLAN 101 (blue) is the native VLAN" in found.text


def test_a_link_with_two_native_vlans_is_one_finding_between_its_sides() -> None:
    found = one(native("c3", "c4", link=True))
    assert (found.fault, found.networks, found.chassis) == ("native VLAN", (BLUE, FLAT), NAMES)
    assert found.text.startswith("between c3, c4 and c1, c2, frames of VLAN 101 (blue) lose their tag")


def test_what_else_is_lost_beside_a_wrong_native_vlan_is_found() -> None:
    mixed = native("c4")
    lost = matrix(RED, lost=cut(2, "c4")).heard
    heard = {
        name: said._replace(members={**said.members, 2: lost[name].members[2]})
        for name, said in mixed.heard.items()
    }
    assert [each.fault for each in verdicts(replace(mixed, heard=heard))] == ["lost", "native VLAN"]


def test_two_joined_vlans_are_one_finding_in_both_networks() -> None:
    there, back = Stray(1, ID["c2"], "physnet1", 102), Stray(2, ID["c1"], "physnet1", 101)
    found = one(matrix(BLUE, RED, strays={"c4": (there,), "c3": (back,)}))
    assert (found.fault, found.networks) == ("joined", (BLUE, RED))
    assert found.text == "what c2 sends in blue (101) arrives at c4 in red (102), and the other way round"


GREEN = ProbedNetwork("green", 4, "physnet1", 103, 1500)


def joined(*networks: ProbedNetwork) -> dict[str, tuple[Stray, ...]]:
    """Return what each chassis hears of the others if the VLANs of *networks* are joined."""
    return {
        name: tuple(
            Stray(one.key, ID[other], "physnet1", two.vlan_id)
            for other in NAMES
            if other != name
            for one in networks
            for two in networks
            if one != two
        )
        for name in NAMES
    }


def test_three_vlans_that_are_joined_are_one_finding_of_three_networks() -> None:
    found = one(matrix(BLUE, RED, GREEN, FLAT, strays=joined(BLUE, RED, GREEN)))
    assert (found.fault, found.networks) == ("joined", (BLUE, RED, GREEN))
    assert found.text == (
        "what c1 sends in blue (101) arrives at c2 in red (102), and the other way round; "
        "green (103) is joined with them, too"
    )


def test_two_pairs_of_joined_vlans_are_two_findings() -> None:
    grey = ProbedNetwork("grey", 5, "physnet1", 104, 1500)
    strays = {name: each + joined(GREEN, grey)[name] for name, each in joined(BLUE, RED).items()}
    found = verdicts(matrix(BLUE, RED, GREEN, grey, strays=strays))
    assert [each.networks for each in found] == [(BLUE, RED), (GREEN, grey)]


def test_a_vlan_that_a_chain_joins_with_one_that_no_network_uses_is_in_the_same_finding() -> None:
    strays = {"c4": tuple(Stray(key, ID["c2"], "physnet1", 900) for key in (1, 2))}
    found = one(matrix(BLUE, RED, strays=strays))
    assert (found.fault, found.networks) == ("joined", (BLUE, RED))
    assert (
        found.text == "what c2 sends in blue (101) arrives at c4 as 900; red (102) is joined with them, too"
    )


@pytest.mark.parametrize("link", [False, True])
def test_a_native_vlan_that_is_joined_with_another_one_is_that_and_no_third_thing(link: bool) -> None:
    """Frames of the other VLAN lose their tag, too, on their way by the native one, and get it."""
    odd = ("c3", "c4") if link else ("c4",)
    mixed = native(*odd, link=link)
    strays = {name: set(said.strays) | set(joined(BLUE, RED)[name]) for name, said in mixed.heard.items()}
    for name in NAMES:
        if name in odd:
            # What is in the native VLAN comes without a tag; the joined one is as it was.
            strays[name] = {each for each in strays[name] if each.vlan_id != 101}
            strays[name] |= {Stray(2, ID[other], "physnet1", None) for other in NAMES}
            # Their own frames come back by the joint.
            strays[name] |= {Stray(3, ID[other], "physnet1", 102) for other in odd}
        else:
            strays[name] |= {Stray(3, ID[other], "physnet1", 102) for other in odd}
    heard = {
        name: said._replace(strays=tuple(sorted(strays[name], key=str))) for name, said in mixed.heard.items()
    }
    found = verdicts(replace(mixed, heard=heard))
    assert [(each.fault, each.networks) for each in found] == [
        ("native VLAN", (BLUE, FLAT)),
        ("joined", (BLUE, RED)),
    ]
    start = "between c3, c4 and c1, c2, frames of" if link else "at the switch port of c4,"
    assert found[0].text.startswith(f"{start} VLAN 101 (blue)")


def test_untagged_frames_that_all_chassis_get_in_a_vlan_too_are_no_port_of_one() -> None:
    strays = {
        name: tuple(
            each
            for other in NAMES
            if other != name
            for each in (Stray(3, ID[other], "physnet1", 101), Stray(1, ID[other], "physnet1", None))
        )
        for name in NAMES
    }
    found = one(matrix(BLUE, FLAT, strays=strays))
    assert found.fault == "joined"
    assert "a native VLAN mismatch" in found.remedy


def test_what_is_wrong_in_several_networks_alike_has_one_remedy() -> None:
    lost = frozenset().union(*(cut(key, "c2", ways="out") for key in (1, 2, 3)))
    found = verdicts(matrix(BLUE, RED, FLAT, lost=lost))
    assert len(found) == 3
    (remedy,) = remedies(found).values()
    assert "for what loses untagged frames and VLANs 101, 102 in the direction from the chassis" in remedy


@pytest.mark.parametrize(
    "found",
    [
        matrix(BLUE, RED, lost=cut(1, "c4")),
        matrix(FLAT, lost=cut(3, "c4")),
        matrix(BLUE, lost=cut(1, "c4", ways="in")),
        matrix(BLUE, lost=frozenset().union(*(cut(1, name) for name in NAMES))),
        matrix(BLUE, sizes=sized(c4=1400)),
        native("c4"),
    ],
)
def test_of_a_chassis_at_two_physical_networks_the_switch_port_of_one_is_named(found: Matrix) -> None:
    verdict = one(found)
    at_two = one(replace(found, physnets={"c4": {"physnet1", "physnet2"}, "c1": {"physnet1"}}))
    assert "on physnet1" not in verdict.remedy
    assert re.search(r"the switch ports? of [^:;]*? on physnet1\b", at_two.remedy), at_two.remedy


def test_what_is_to_be_allowed_at_two_ports_of_a_chassis_is_told_for_each() -> None:
    far = ProbedNetwork("far", 5, "physnet2", 201, 1500)
    well = (RED, ProbedNetwork("near", 6, "physnet2", 202, 1500))
    found = matrix(BLUE, far, *well, lost=cut(1, "c4") | cut(5, "c4"))
    found = replace(found, physnets={"c4": ("physnet1", "physnet2")})
    assert list(remedies(verdicts(found)).values()) == [
        "allow VLAN 101 on the switch port of c4 on physnet1",
        "allow VLAN 201 on the switch port of c4 on physnet2",
    ]
