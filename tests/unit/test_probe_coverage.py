"""What stays of earlier probes after another one: what it has not looked at, and nothing that it has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from model.probe import BLUE, ID, NAMES, RED, cut, flooded, matrix, sized
from trunkline.probe.asking import Probed, Wanted
from trunkline.probe.coverage import Coverage, Probe
from trunkline.probe.judgement import verdicts
from trunkline.probe.matrix import Stray
from trunkline.probe.record import MOST_BYTES, MOST_RECORDS, Record, Wrong, of_row, telling, text

if TYPE_CHECKING:
    from trunkline.probe.matrix import Matrix, ProbedNetwork
    from trunkline.probe.record import Records

ANY = Wanted()
C3_NARROW = sized(c3=1400)


def after(
    *probes: Matrix,
    network: ProbedNetwork = BLUE,
    wanted: Wanted = ANY,
    there: tuple[str, ...] = NAMES,
) -> Records:
    """Return what is kept of *network* after these probes, the last of which was *wanted* so.

    They go through the text of a row each time.
    """
    records: Records = ()
    for now_ms, found in enumerate(probes, 1):
        how = wanted if found is probes[-1] else Wanted()
        flooded = frozenset(name for name, said in found.heard.items() if said.is_flooded)
        probed = Probed("", how, found, {}, {}, flooded, (), (), 0, 0.0, is_late=False)
        probe = Probe(probed, verdicts(found), now_ms, frozenset(there))
        records = Coverage(probe, network).records(records)
        records = of_row({"probed_ms": now_ms, "body": text(records)})
    return records


def known(records: Records) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return what is wrong: by which probe it was found, what it is, and where."""
    return [(each.probed_ms, wrong.fault, wrong.chassis) for each in records for wrong in each.wrong]


def of(found: Matrix, *beacons: str, out: tuple[str, ...] = ()) -> Matrix:
    """Return *found*, if *beacons* alone send to all, and those that are *out* take no part."""
    sent = replace(found, beacons=dict.fromkeys(found.beacons, frozenset(beacons)))
    return sent.without(dict.fromkeys(found.beacons, out)) if out else sent


def test_a_probe_without_sizes_leaves_the_sizes_and_what_is_wrong_with_them() -> None:
    narrow, plain = matrix(BLUE, sizes=C3_NARROW), matrix(BLUE)
    for probes in ([narrow, plain], [narrow, plain, plain]):
        last, found = after(*probes)
        assert known((last, found)) == [(1, "size", ("c3",))]
        assert (found.sizes["c1", "c3"], last.sizes) == (1400, {})
        # Whom it reached is known anew.
        assert found.islands == ()
    assert known(after(narrow, plain, matrix(BLUE, sizes=sized()))) == []
    assert len(after(narrow, plain, matrix(BLUE, sizes=sized()))) == 1
    assert known(after(narrow, matrix(BLUE, sizes=sized(c3=1300)))) == [(2, "size", ("c3",))]


def test_sizes_of_some_leave_what_was_wrong_with_others() -> None:
    narrow = matrix(BLUE, sizes=sized(c3=1400, c4=1300))
    of_c1 = {pair: size for pair, size in sized(c4=1300).items() if "c1" in pair}
    # With c1, c3 passes all now, so it does with c2; c4 still loses.
    assert known(after(narrow, of(matrix(BLUE, sizes=of_c1), "c1"))) == [(2, "size", ("c4",))]
    without_c3 = {pair: size for pair, size in of_c1.items() if "c3" not in pair}
    assert known(after(narrow, of(matrix(BLUE, sizes=without_c3), "c1", out=("c3",)))) == [
        (2, "size", ("c4",)),
        (1, "size", ("c3",)),
    ]


def test_a_narrow_place_between_two_stays_until_these_two_are_measured() -> None:
    narrow = matrix(BLUE, sizes=sized() | {("c2", "c4"): 1400})
    beside = {pair: size for pair, size in sized().items() if "c1" in pair}
    assert known(after(narrow, of(matrix(BLUE, sizes=beside), "c1"))) == [(1, "size", ("c2", "c4"))]
    assert known(after(narrow, matrix(BLUE, sizes=sized()))) == []


def test_a_size_that_the_network_no_longer_has_is_not_lost() -> None:
    lower = replace(matrix(BLUE), networks=(BLUE._replace(mtu=1400),))
    records = after(matrix(BLUE, sizes=C3_NARROW))
    probed = Probed("", Wanted(), lower, {}, {}, frozenset(), (), (), 0, 0.0, is_late=False)
    coverage = Coverage(Probe(probed, (), 2, frozenset(NAMES)), lower.networks[0])
    assert known(coverage.records(records)) == []


def test_a_chassis_that_takes_no_part_or_is_silent_keeps_what_was_wrong_with_it() -> None:
    lost = matrix(BLUE, RED, lost=cut(1, "c3"))
    for absent in (of(matrix(BLUE, RED), *NAMES, out=("c3",)), matrix(BLUE, RED, gone=("c3",))):
        records = after(lost, absent)
        assert known(records) == [(1, "lost", ("c3",))]
        found = telling(records, "c1", "c3")
        assert found is not None
        assert (found.probed_ms, found.is_reached("c1", "c3")) == (1, False)
        reached = telling(records, "c1", "c2")
        assert reached is not None
        assert (reached.probed_ms, reached.is_reached("c1", "c2")) == (2, True)
        assert known(after(lost, absent, matrix(BLUE, RED))) == []


def test_a_chassis_that_others_hear_again_is_not_alone_for_those_that_were_not_asked() -> None:
    lost = matrix(BLUE, lost=cut(1, "c3"))
    for mended in (of(matrix(BLUE), "c1"), of(matrix(BLUE), "c1", out=("c4",))):
        records = after(lost, mended)
        assert known(records) == []
        for receiver in ("c3", "c2"):
            found = telling(records, "c4", receiver)
            assert found is not None
            assert found.is_reached("c4", receiver)


def test_two_groups_that_were_apart_are_so_until_one_chassis_of_each_hears_the_other() -> None:
    apart = matrix(BLUE, lost=cut(1, "c3", "c4"))
    assert known(after(apart, of(matrix(BLUE), "c1", out=("c3", "c4")))) == [(1, "islands", NAMES)]
    assert known(after(apart, of(matrix(BLUE), "c1", out=("c4",)))) == []


def test_a_direction_between_two_that_reach_a_third_is_lost_until_it_is_tried() -> None:
    lost = matrix(BLUE, lost=frozenset({(1, "c2", "c4")}))
    records = after(lost, of(matrix(BLUE), "c1"))
    assert known(records) == [(1, "one way", ("c2", "c4"))]
    found = telling(records, "c2", "c4")
    assert found is not None
    assert found.is_reached("c2", "c4") is False
    (wrong,) = records[1].wrong
    assert wrong.again == "trunkline probe `chassis=c2`"
    assert known(after(lost, of(matrix(BLUE), "c2"))) == []


JOINED = matrix(BLUE, RED, strays={"c4": (Stray(1, ID["c2"], "physnet1", 102),)})


@pytest.mark.parametrize(
    ("last", "wanted", "is_over"),
    [
        (matrix(BLUE, RED), Wanted(), True),
        (of(matrix(BLUE, RED), "c1", out=("c4",)), Wanted(), False),
        (matrix(RED), Wanted(("red",)), False),
        # That nobody has ports of blue now ends what was wrong with it.
        (matrix(RED), Wanted(), True),
    ],
)
def test_joined_networks_are_so_until_the_two_chassis_say_otherwise(
    last: Matrix, wanted: Wanted, is_over: bool
) -> None:
    expected = [] if is_over else [(1, "joined", ("c2", "c4"))]
    assert known(after(JOINED, last, network=RED, wanted=wanted)) == expected


def test_what_was_wrong_at_a_chassis_that_is_no_more_does_not_wait_for_it() -> None:
    without = of(matrix(BLUE, RED), "c1", out=("c4",))
    assert known(after(JOINED, without, network=RED, there=("c1", "c2", "c3"))) == []
    (found,) = after(matrix(BLUE, lost=cut(1, "c3")))
    left = found.among({"c1", "c2", "c4"})
    assert (left.wrong, left.lost, left.islands) == ((), frozenset(), (frozenset({"c1", "c2", "c4"}),))


def test_what_only_a_wide_probe_hears_stays_until_another_wide_one() -> None:
    joined = matrix(BLUE, strays={"c4": (Stray(1, ID["c2"], "physnet1", 900),)})
    wide = Wanted(is_wide=True)
    probed = Probed("", wide, joined, {}, {}, frozenset(), (), (), 0, 0.0, is_late=False)
    records = Coverage(Probe(probed, verdicts(joined), 1, frozenset(NAMES)), BLUE).records(())
    for how, expected in ((Wanted(), [(1, "joined", ("c2", "c4"))]), (wide, [])):
        probed = Probed("", how, matrix(BLUE), {}, {}, frozenset(), (), (), 0, 0.0, is_late=False)
        assert known(Coverage(Probe(probed, (), 2, frozenset(NAMES)), BLUE).records(records)) == expected


def test_what_was_wrong_in_another_vlan_is_over() -> None:
    moved = replace(matrix(BLUE), networks=(BLUE._replace(vlan_id=105),))
    records = after(matrix(BLUE, lost=cut(1, "c3")))
    probed = Probed("", Wanted(), moved, {}, {}, frozenset(), (), (), 0, 0.0, is_late=False)
    assert known(Coverage(Probe(probed, (), 2, frozenset(NAMES)), moved.networks[0]).records(records)) == []


@pytest.mark.parametrize("ways", ["in", "out", "both"])
def test_what_is_lost_at_a_chassis_in_a_flood_is_not_known(ways: str) -> None:
    found = flooded(matrix(BLUE, lost=cut(1, "c3", ways=ways)), "c3")
    records = after(found)
    assert telling(records, "c1", "c3") is None
    assert telling(records, "c3", "c1") is None
    # So what an earlier probe found there stays.
    assert known(after(matrix(BLUE, lost=cut(1, "c3")), found))[-1][:2] == (1, "lost")


def test_a_loop_at_a_chassis_that_a_flood_kept_from_hearing_all_stays() -> None:
    loop = matrix(BLUE, strays={"c3": (Stray(1, ID["c3"], "physnet1", 101),)})
    assert known(after(loop, matrix(BLUE))) == []
    assert known(after(loop, flooded(matrix(BLUE), "c3"))) == [(1, "loop", ("c3",))]


OLD: dict[str, Any] = {
    "islands": [["c1", "c2"], ["c3"]],
    "lost": [["c1", "c3"], ["c3", "c1"]],
    "sizes": [["c1", "c2", 1400]],
    "wrong": [
        {
            "fault": "lost",
            "network": "blue",
            "networks": ["blue"],
            "physnet": "physnet1",
            "vlan": 101,
            "chassis": ["c3"],
            "text": "c3 alone",
            "remedy": "allow VLAN 101",
        }
    ],
}


def test_a_row_of_an_older_release_is_read_and_an_older_release_reads_the_last_probe() -> None:
    wrong = Wrong("lost", ("c3",), "c3 alone", "allow VLAN 101", ("blue",))
    islands = (frozenset({"c1", "c2"}), frozenset({"c3"}))
    old = Record(7, islands, frozenset({("c1", "c3"), ("c3", "c1")}), {("c1", "c2"): 1400}, (wrong,))
    assert of_row({"probed_ms": 7, "body": json.dumps(OLD)}) == (old,)
    said = json.loads(text((old, old._replace(probed_ms=5))))
    assert {key: said[key] for key in ("islands", "lost", "sizes")} == {
        key: OLD[key] for key in ("islands", "lost", "sizes")
    }
    assert said["wrong"][0].items() <= OLD["wrong"][0].items()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "7",
        "{}",
        "nonsense",
        "[" * 900,
        json.dumps(OLD | {"islands": 5}),
        json.dumps(OLD | {"lost": [["c1"]]}),
        json.dumps(OLD | {"sizes": [["c1", "c2", "many"]]}),
        json.dumps(OLD | {"wrong": [{}]}),
        json.dumps(OLD | {"wire": 7}),
        json.dumps(OLD | {"wire": ["physnet1", "x"]}),
    ],
)
def test_what_another_program_has_written_is_no_record(body: str) -> None:
    assert of_row({"probed_ms": 7, "body": body}) == ()


@pytest.mark.parametrize("earlier", [5, {}, "x", [7], [{}], [OLD], [OLD | {"probed_ms": "x"}], None])
def test_earlier_ones_that_cannot_be_read_do_not_hide_the_last_one(earlier: object) -> None:
    (found,) = of_row({"probed_ms": 7, "body": json.dumps(OLD | {"earlier": earlier})})
    assert found.probed_ms == 7


def test_a_row_has_64_kib_at_most_and_what_is_new_comes_first() -> None:
    names = [f"{number:03}{'é' * 30}" for number in range(300)]
    lost = frozenset((one, other) for one in names[:20] for other in names[20:40])
    wrong = Wrong("lost", tuple(names), "alone " * 40, "allow " * 40)
    big = Record(1, (frozenset(names),), lost, dict.fromkeys(lost, 1400), (wrong,) * 30)
    body = text([big._replace(probed_ms=number) for number in range(30, 0, -1)])
    assert len(body.encode()) <= MOST_BYTES
    (found,) = of_row({"probed_ms": 30, "body": body})
    assert found.wrong
    assert found.lost < lost
    alone = tuple(frozenset({f"{number}" * 99}) for number in range(900))
    assert len(text([big._replace(islands=alone)])) <= MOST_BYTES
    small = Record(1, (frozenset({"c1"}),), frozenset(), {}, ())
    many = text([small._replace(probed_ms=number) for number in range(30, 0, -1)])
    kept = [each.probed_ms for each in of_row({"probed_ms": 30, "body": many})]
    assert kept == list(range(30, 30 - MOST_RECORDS, -1))
