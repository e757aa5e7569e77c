"""Questions to other chassis and their answers, by rows of the northbound, on real agents."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import TIMEOUT_S, Site, until
from nb_cluster import Cluster
from nb_cluster import opened as opened_cluster
from program import refusal, trunkline
from relay import WriteRelay

from model.process import cpu_s
from trunkline.northbound import question
from trunkline.northbound.client import NotFoundError, TransactionError
from trunkline.northbound.operation import Uuid, delete, insert, select
from trunkline.process.answering import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.northbound.client import Northbound

pytestmark = pytest.mark.system


def rows(nb: Northbound) -> tuple[int, int]:
    """Return how many questions and answers there are."""
    requests, answers = nb.read(select("Request", only=("_uuid",)), select("Answer", only=("_uuid",)))
    return len(requests), len(answers)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def put(nb: Northbound, *chassis: str, **columns: Any) -> Uuid:
    """Leave a question in the northbound, as one who is gone does."""
    row = {
        "kind": "state",
        "chassis": list(chassis),
        "by": "gone",
        "slot": 0,
        "ttl_s": 60,
        "asked_ms": now_ms(),
    }
    row |= columns
    return Uuid(nb.transact([insert("Request", row)])[0]["uuid"][1])


def answer(nb: Northbound, asked: Uuid) -> dict[str, Any]:
    """Return the answer of the one chassis that was asked, once it is there."""
    wanted = select("Answer", ("request", "includes", asked))
    until(lambda: nb.read(wanted)[0], "answered")
    (row,) = nb.read(wanted)[0]
    return row | {"body": json.loads(row["body"])}


def test_the_agents_tell_their_own_state_and_nothing_is_left_of_the_question(site: Site) -> None:
    site.network()
    site.port("a")
    chassis = site.chassis("c1")
    site.chassis("c2")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    done = trunkline("chassis", "state", "-o", "json", nb=site.served.remote)
    assert (done.code, done.err) == (0, "")
    told = {row["chassis"]: row for row in json.loads(done.out)}
    assert [told[name]["vifs"] for name in ("c1", "c2")] == [1, 0]
    here = chassis.agent.status()
    assert {key: told["c1"][key] for key in ("flows", "settled", "version")} == {
        key: here[key] for key in ("flows", "settled", "version")
    }
    assert rows(site.nb) == (0, 0)
    done = trunkline("chassis", "state", "c1", nb=site.served.remote)
    assert done.out.splitlines()[-1].split()[:1] == ["c1"]
    line = refusal(trunkline("chassis", "state", "c9", nb=site.served.remote), 1)
    assert "no chassis is called 'c9'" in line


def test_it_is_told_how_many_have_answered_meanwhile(site: Site) -> None:
    for name in ("c1", "c2", "c3"):
        site.chassis(name)
    site.sync()
    told: list[tuple[int, int]] = []
    question.ask(site.nb, "state", timeout_s=20, report=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (3, 3)


def test_who_does_not_answer_is_named_and_the_others_answers_are_shown(site: Site) -> None:
    for name in ("c1", "c2", "c3"):
        site.chassis(name)
    site.sync()
    site.all[1].agent.process.send_signal(signal.SIGSTOP)
    site.all[2].set(**{"trunkline-answers": "false"})
    until(lambda: site.all[2].agent.log.count("settings read") > 1, "settings read")
    done = trunkline("chassis", "state", "--timeout", "1.5", "-o", "json", nb=site.served.remote)
    assert done.code == 3
    assert [row["chassis"] for row in json.loads(done.out)] == ["c1"]
    assert done.err.splitlines() == [
        "trunkline: chassis 'c2' has not answered within 1.5 s",
        "trunkline: chassis 'c3' has no answer: this chassis answers no questions "
        "(external_ids:trunkline-answers=false)",
    ]
    nobody = trunkline("chassis", "state", "c3", nb=site.served.remote)
    assert (nobody.code, nobody.out) == (3, ""), "a head without a table"
    site.all[1].agent.process.send_signal(signal.SIGCONT)
    # The question went meanwhile, and the answer of one that was asleep does not stay.
    site.sync()
    until(lambda: rows(site.nb) == (0, 0), "nothing left")


def test_an_unknown_kind_is_refused_with_the_kinds_that_there_are(site: Site) -> None:
    site.chassis("c1")
    answers = question.ask(site.nb, "no such kind\x1b[2J", ["c1"], timeout_s=20)
    assert answers.by_chassis["c1"].state == "refused"
    reason = answers.by_chassis["c1"].reason
    assert f"knows no kind 'no such kind\\x1b[2J'; it knows: {', '.join(sorted(KINDS))}" in reason


def test_a_question_that_nobody_deletes_is_answered_once_and_its_answer_goes(site: Site) -> None:
    chassis = site.chassis("c1")
    asked = put(site.nb, "c1", ttl_s=2)
    assert answer(site.nb, asked)["state"] == "done"
    until(lambda: rows(site.nb) == (1, 0), "its time is over")
    # The agent does nothing more about it.
    site.sync()
    assert rows(site.nb) == (1, 0)
    # One that comes later is answered, and its answer goes with it.
    later = put(site.nb, "c1", slot=1)
    assert answer(site.nb, later)["state"] == "done"
    site.nb.transact([delete("Request")])
    until(lambda: rows(site.nb) == (0, 0), "nothing left")
    assert chassis.agent.log.count("WARN|answering") == 0


def test_an_agent_that_restarts_answers_what_it_had_not_and_leaves_no_old_answer(site: Site) -> None:
    chassis = site.chassis("c1")
    first = put(site.nb, "c1")
    answer(site.nb, first)
    chassis.agent.end(signal.SIGKILL)
    second = put(site.nb, "c1", slot=1)
    site.nb.transact([delete("Request", ("_uuid", "==", first))])
    # Its question is gone, and there is nobody to delete it.
    assert rows(site.nb) == (1, 1)
    chassis.start_agent()
    assert answer(site.nb, second)["state"] == "done"
    until(lambda: rows(site.nb) == (1, 1), "the old one is gone")
    site.nb.transact([delete("Request")])
    until(lambda: rows(site.nb) == (0, 0), "nothing left")


def test_a_chassis_that_is_deleted_leaves_no_answer(site: Site) -> None:
    chassis = site.chassis("c1")
    answer(site.nb, put(site.nb, "c1"))
    chassis.agent.end(signal.SIGKILL)
    site.nb.delete_chassis(["c1"])
    assert rows(site.nb) == (1, 0)
    site.nb.transact([delete("Request")])


def test_a_chassis_that_gets_another_name_leaves_no_answer_under_the_old_one(site: Site) -> None:
    chassis = site.chassis("c1")
    answer(site.nb, put(site.nb, "c1"))
    chassis.set(**{"system-id": "c2"})
    until(lambda: [row["name"] for row in site.nb.all_chassis()] == ["c2"], "renamed")
    until(lambda: rows(site.nb) == (1, 0), "nothing left")
    assert answer(site.nb, put(site.nb, "c2", slot=1))["body"]["chassis"] == "c2"
    site.nb.transact([delete("Request")])
    until(lambda: rows(site.nb) == (0, 0), "nothing left")


def test_one_who_asks_without_end_has_8_questions_at_a_time_and_keeps_nobody_from_work(site: Site) -> None:
    chassis = site.chassis("c1")
    used_s = cpu_s(chassis.agent.process.pid)
    many = ["c1", *(f"other{number}" for number in range(999))]
    for slot in question.SLOTS:
        put(site.nb, *many, slot=slot, parameters={f"p{n}": "x" * 1024 for n in range(32)})
    with pytest.raises(TransactionError, match="constraint violation"):
        put(site.nb, "c1", slot=7)
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    # One more takes the place of one of them.
    until(lambda: rows(site.nb) == (8, 8), "all answered")
    assert cpu_s(chassis.agent.process.pid) - used_s < 2, "for all of it: so no turn is longer"
    site.nb.transact([delete("Request")])
    until(lambda: rows(site.nb) == (0, 0), "nothing left")


def test_an_asker_with_no_free_slot_takes_the_place_of_his_oldest_questions(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.chassis("c1")
    monkeypatch.setattr(question, "_user", lambda: "me")
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    for slot in question.SLOTS:
        put(site.nb, "c9", by="me@here", slot=slot)
    for _ in range(3):
        assert question.ask(site.nb, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
    assert rows(site.nb)[0] == 7


ENDING = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


def started(remote: str) -> subprocess.Popen[bytes]:
    """Start the program that asks all chassis for their state, with the signals as a shell leaves them."""
    program = ["env", "--default-signal=INT,TERM,HUP", sys.executable, "-m", "trunkline", "--nb", remote]
    return subprocess.Popen([*program, "chassis", "state"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@ENDING
def test_a_question_is_deleted_when_whoever_asked_is_told_to_end(site: Site, number: signal.Signals) -> None:
    chassis = site.chassis("c1")
    chassis.agent.process.send_signal(signal.SIGSTOP)
    process = started(site.served.remote)
    until(lambda: rows(site.nb)[0] == 1, "asked")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert rows(site.nb)[0] == 0
    chassis.agent.process.send_signal(signal.SIGCONT)


@contextmanager
def asked_in_vain(site: Site, tmp_path: Path) -> Iterator[tuple[WriteRelay, subprocess.Popen[bytes]]]:
    """Have a program whose question is in the northbound, and which has not been told so yet."""
    chassis = site.chassis("c1")
    chassis.agent.process.send_signal(signal.SIGSTOP)
    place = tmp_path / "relay"
    with WriteRelay(place, Path(site.served.remote.removeprefix("unix:")), "insert") as relay:
        process = started(f"unix:{place}")
        until(lambda: rows(site.nb)[0] == 1, "asked")
        yield relay, process
    chassis.agent.process.send_signal(signal.SIGCONT)


@ENDING
def test_a_question_of_unknown_uuid_is_deleted_too(
    site: Site, number: signal.Signals, tmp_path: Path
) -> None:
    with asked_in_vain(site, tmp_path) as (relay, process):
        process.send_signal(number)
        relay.may_pass.set()
        process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert rows(site.nb)[0] == 0


def test_who_is_told_to_end_does_not_wait_without_end_for_a_northbound_that_says_nothing(
    site: Site, tmp_path: Path
) -> None:
    with asked_in_vain(site, tmp_path) as (_, process):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
    assert rows(site.nb)[0] == 1, "nobody knows it, and it is deleted in an hour"
    site.nb.transact([delete("Request")])


def test_a_question_whose_asker_was_killed_is_deleted_by_whoever_asks_an_hour_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis = site.chassis("c1")
    chassis.agent.process.send_signal(signal.SIGSTOP)
    process = subprocess.Popen(
        [sys.executable, "-m", "trunkline", "--nb", site.served.remote, "chassis", "state"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: rows(site.nb)[0] == 1, "asked")
    process.kill()
    assert process.wait(TIMEOUT_S) == -signal.SIGKILL
    chassis.agent.process.send_signal(signal.SIGCONT)
    # Another one, with a clock that is 50 minutes ahead: whoever asked might live, as far as it knows.
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    for ahead_s, is_left in ((3000, 1), (question.LEFT_S + 60, 0)):
        later_ms = now_ms() + int(ahead_s * 1000)
        monkeypatch.setattr(question, "_now_ms", lambda at_ms=later_ms: at_ms)
        assert question.ask(site.nb, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
        assert rows(site.nb)[0] == is_left
    until(lambda: rows(site.nb) == (0, 0), "nothing left")


def test_a_question_that_was_left_behind_is_deleted_once_a_chassis_says_that_it_is_over(site: Site) -> None:
    """However little time has passed since: the asker gave chassis no more."""
    site.chassis("c1")
    site.sync()
    put(site.nb, "c1", "c9", ttl_s=1)

    def is_gone() -> bool:
        assert question.ask(site.nb, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
        return rows(site.nb)[0] == 0

    until(is_gone, "c1 says so")


def test_questions_that_were_left_behind_keep_nobody_from_asking(site: Site) -> None:
    chassis = site.chassis("c1")
    site.sync()
    old = {"kind": "state", "chassis": ["c9"], "slot": 0, "ttl_s": 1, "asked_ms": now_ms() - 3_700_000}
    site.nb.transact([insert("Request", old | {"by": f"a{number}"}) for number in range(256)])
    assert question.ask(site.nb, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
    until(lambda: rows(site.nb) == (0, 0), "nothing left")
    assert chassis.agent.log.count("WARN|answering") == 0


def test_a_chassis_that_is_not_there_is_not_asked(site: Site) -> None:
    with pytest.raises(NotFoundError):
        question.ask(site.nb, "state", ["nobody"], timeout_s=1)
    assert question.ask(site.nb, "state", timeout_s=1) == question.Answers({}, frozenset())


@pytest.mark.parametrize(
    "columns",
    [
        {"kind": ""},
        {"kind": "x" * 33},
        {"parameters": {"x" * 65: ""}},
        {"parameters": {"x": "y" * 1025}},
        {"parameters": {f"p{number}": "" for number in range(33)}},
        {"ttl_s": 0},
        {"ttl_s": 301},
        {"slot": 8},
        {"by": ""},
        {"chassis": []},
        {"chassis": [f"c{number}" for number in range(10_001)]},
    ],
)
def test_the_database_bounds_a_question(site: Site, columns: dict[str, Any]) -> None:
    row = {"kind": "state", "chassis": ["c1"], "by": "me", "slot": 0, "ttl_s": 1} | columns
    with pytest.raises(TransactionError):
        site.nb.transact([insert("Request", row)])


def test_the_database_bounds_an_answer_and_the_number_of_questions(site: Site) -> None:
    row = {"chassis": "c1", "state": "done", "body": "x" * 65536}
    site.nb.transact([insert("Answer", row)])
    for more in ({"body": "x" * 65537}, {"state": "maybe"}, {"chassis": ""}):
        with pytest.raises(TransactionError):
            site.nb.transact([insert("Answer", row | more)])
    columns = {"kind": "state", "chassis": ["c1"], "slot": 0, "ttl_s": 1}
    site.nb.transact([insert("Request", columns | {"by": f"a{number}"}) for number in range(256)])
    with pytest.raises(TransactionError):
        site.nb.transact([insert("Request", columns | {"by": "one more"})])


@contextmanager
def _cluster() -> Iterator[Cluster]:
    with opened_cluster() as started:
        started.form(3)
        yield started


def test_in_a_cluster_no_more_than_a_few_chassis_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from trunkline.northbound.client import Northbound

    monkeypatch.setattr(question, "MOST_AT_ONCE", 2)
    with _cluster() as cluster:
        for number in range(3):
            cluster.add_chassis(f"c{number}", cluster.members[number].remote)
        with Northbound.connect(cluster.members[0].remote) as nb:
            until(lambda: len(nb.all_chassis()) == 3, "registered")
            asked: list[int] = []
            put_row = question._inserted

            def noted(nb: Northbound, row: Any) -> Uuid:
                asked.append(len(row["chassis"]))
                return put_row(nb, row)

            monkeypatch.setattr(question, "_inserted", noted)
            answers = question.ask(nb, "state", timeout_s=40)
            assert (set(answers.by_chassis), answers.missing) == ({"c0", "c1", "c2"}, frozenset())
            assert asked == [2, 1]
            assert rows(nb) == (0, 0)
