"""What chassis answer to a check, whatever that is; the servers of the northbound; and groups of findings."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.cli.finding import _clock
from trunkline.health import cluster
from trunkline.health.answer import MOST_CHARACTERS, MOST_SUBJECTS, MOST_WAIT_S, findings
from trunkline.health.check import merged
from trunkline.health.cluster import Member
from trunkline.health.finding import Finding
from trunkline.health.group import groups
from trunkline.northbound.question import Answer, Answers


def found_of(*answers: Answer, missing: frozenset[str] = frozenset()) -> list[Finding]:
    by_chassis = {f"c{number}": answer for number, answer in enumerate(answers, 1)}
    return list(findings(Answers(by_chassis, missing)))


def item(**more: Any) -> dict[str, Any]:
    return {
        **Finding("T310", "warning", "vif vm1", "c1", None, "tap1 has an MTU of 9000", "set 1500").data(),
        **more,
    }


def test_an_answer_has_the_findings_of_that_chassis() -> None:
    (found,) = found_of(Answer("done", {"findings": [item(chassis="c9")], "left_out": 0, "uncounted": None}))
    assert found == Finding("T310", "warning", "vif vm1", "c1", None, "tap1 has an MTU of 9000", "set 1500")


@pytest.mark.parametrize(
    ("said", "wait_s"), [(2.5, 2.5), (1e9, MOST_WAIT_S), (-1, 0.0), ("x", None), (None, None)]
)
def test_a_chassis_that_may_know_better_soon_is_not_waited_for_long(said: Any, wait_s: float | None) -> None:
    (found,) = found_of(Answer("done", {"findings": [item(wait_s=said)]}))
    assert found.wait_s == wait_s


def test_an_answer_says_what_else_a_finding_is_about() -> None:
    (found,) = found_of(Answer("done", {"findings": [item(also=["port vm2", 7])]}))
    assert found.subjects == ("vif vm1", "port vm2", "7")
    (many,) = found_of(Answer("done", {"findings": [item(also=["x" * 60_000] * 60_000)]}))
    assert (len(many.also), len(many.also[0])) == (MOST_SUBJECTS, MOST_CHARACTERS)
    (none,) = found_of(Answer("done", {"findings": [item(also="port vm2")]}))
    assert none.also == ()


def test_several_settings_of_one_port_are_several_findings() -> None:
    some = [Finding("T417", "error", "port a", "c1", None, text, "x") for text in ("one", "two", "one")]
    assert merged(some) == some[:2]
    assert len(merged(Finding("T310", "error", "port a", "c1", None, text, "x") for text in "ab")) == 1


def test_a_code_of_a_later_version_is_an_unknown_one() -> None:
    (found,) = found_of(Answer("done", {"findings": [item(code="T999")]}))
    assert (found.code, found.text) == ("T599", "tap1 has an MTU of 9000")


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("uncounted", "what its flows have dropped is not known: the switch hangs"),
        ("unsaid", "which settings of its switch keep frames from passing is not known: the switch hangs"),
    ],
)
def test_what_the_switch_did_not_say_is_told_beside_what_was_found(key: str, what: str) -> None:
    found, silent = found_of(Answer("done", {"findings": [item()], key: "the switch hangs"}))
    assert (found.code, silent.code, silent.severity, silent.text) == ("T310", "T506", "warning", what)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("done", None),
        Answer("done", [1]),
        Answer("done", {"findings": "x"}),
        Answer("done", {"findings": [None]}),
        Answer("done", {"findings": [item(text=5)]}),
        Answer("done", {"findings": [item(severity="fatal")]}),
        Answer("done", {"findings": [item(remedy="")]}),
        Answer("refused", {"reason": "this chassis answers no questions"}),
        Answer("failed", 7),
    ],
)
def test_a_chassis_that_answers_nothing_of_use_is_a_finding(answer: Answer) -> None:
    (found,) = found_of(answer)
    assert (found.code, found.severity, found.subject) == ("T506", "warning", "chassis c1")
    assert found.text
    assert found.remedy


def test_a_chassis_that_does_not_answer_is_a_finding_beside_those_of_others() -> None:
    answer = Answer("done", {"findings": [item()], "left_out": 3, "uncounted": "no answer within 3 s"})
    found = found_of(answer, missing=frozenset({"c2"}))
    assert [(each.code, each.chassis) for each in found] == [
        ("T506", "c2"),
        ("T310", "c1"),
        ("T506", "c1"),
        ("T506", "c1"),
    ]
    assert "did not answer within 5 s" in found[0].text


def test_texts_of_any_length_are_cut() -> None:
    (found,) = found_of(Answer("done", {"findings": [item(text="x" * 60_000, since="y" * 60_000)]}))
    assert len(found.text) <= 1000
    assert len(found.since or "") <= 1000


# -- servers -------------------------------------------------------------------------------------------


def test_a_server_that_is_away_cut_off_or_late_is_found() -> None:
    servers = [
        Member("tcp:a:1", "tcp:a:1: connection refused"),
        Member("tcp:b:1", None, False, 5000),
        Member("tcp:c:1", None, True, 9000),
        Member("tcp:d:1", None, True, 7999),
        Member("tcp:e:1", None, True, 8000),
    ]
    found = [(each.code, each.subject) for each in cluster.findings(servers)]
    assert found == [
        ("T105", "northbound tcp:a:1"),
        ("T105", "northbound tcp:b:1"),
        ("T106", "northbound tcp:d:1"),
    ]


def test_a_server_that_hangs_comes_before_the_chassis_that_are_silent_because_of_it() -> None:
    hung = [Member("tcp:a:1", "tcp:a:1: no answer within 2 s: its server is stopped; see its log")]
    (alone,), (first,) = cluster.findings(hung), cluster.findings(hung, is_any_silent=True)
    assert (alone.severity, alone.text) == (
        "warning",
        "it does not answer: no answer within 2 s: its server is stopped",
    )
    assert (first.severity, first.text) == (
        "error",
        f"{alone.text}, and chassis that were connected to it cannot answer until they have left it",
    )


def test_one_server_alone_is_well() -> None:
    assert list(cluster.findings([Member("unix:/nb.sock")])) == []


# -- groups --------------------------------------------------------------------------------------------


def unmapped(network: str, chassis: str) -> Finding:
    return Finding("T202", "error", f"network {network}", chassis, None, "it is not mapped", "map it")


def test_one_cause_on_many_chassis_is_one_line() -> None:
    (group,) = groups(unmapped("blue", f"c{number}") for number in range(500, 0, -1))
    assert group.where == "network blue on c1, c2, c3 and 497 more"
    assert group.first == unmapped("blue", "c500")


def test_subjects_are_named_by_kind_and_a_chassis_only_once() -> None:
    both = [unmapped("red", "c1"), unmapped("blue", "c1"), unmapped("blue", "c2")]
    assert [group.where for group in groups(both)] == ["networks blue, red on c1, c2"]
    silent = [Finding("T501", "error", f"chassis c{n}", f"c{n}", None, "x", "y") for n in (10, 2)]
    assert [group.where for group in groups(silent)] == ["chassis c2, c10"]
    switch = Finding("T401", "error", "switch", "c1", None, "x", "y")
    assert [group.where for group in groups([switch])] == ["switch on c1"]


def test_errors_come_first_and_other_texts_are_other_groups() -> None:
    warning = Finding("T107", "warning", "chassis c1", "c1", None, "late", "z")
    other = Finding("T202", "error", "network blue", "c3", None, "another text", "z")
    found = groups([warning, other, unmapped("blue", "c1"), unmapped("blue", "c2")])
    assert [(group.first.code, len(group.chassis)) for group in found] == [
        ("T202", 2),
        ("T202", 1),
        ("T107", 1),
    ]


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "yesterday", "", "\x1b[2J"]
)
def test_a_time_that_is_none_here_is_shown_as_it_was_written(since: str) -> None:
    assert _clock(since) == since
