"""Whatever a question does, the agent goes on: kinds that misbehave, in an agent run in this process."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import ovs.poller
import pytest
from dummy_chassis import TIMEOUT_S, Site

from trunkline.agent.agent import Agent
from trunkline.core.error import InvalidValueError
from trunkline.insight.waiting import Wait, Work
from trunkline.northbound.operation import Uuid, delete, insert
from trunkline.northbound.operation import select as rows_of
from trunkline.process import answering
from trunkline.process.answering import Answering, Kind

pytestmark = pytest.mark.system


def _raises(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    yield None
    raise ZeroDivisionError(parameters["why"])


def _complains(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    yield None
    raise InvalidValueError(f"{parameters['why']!r} is no port; name one")


def _is_huge(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    yield None
    return "x" * answering.MOST_BYTES


def _is_no_json(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    yield None
    return {"agent": agent}


def _never_ends(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    while True:
        yield None


def _will_not_be_closed(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    while True:
        try:
            yield None
        except GeneratorExit:
            continue


def _is_no_generator(agent: Agent, parameters: Mapping[str, str]) -> Any:
    return None


def _echoes(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    yield None
    return dict(parameters)


PEER, ITS_PEER = socket.socketpair()


def _waits(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    yield Wait(PEER.fileno(), select.POLLIN, time.monotonic() + TIMEOUT_S)
    return PEER.recv(10, socket.MSG_DONTWAIT).decode()


KINDS: dict[str, Kind] = {
    "waits": _waits,
    "raises": _raises,
    "complains": _complains,
    "is huge": _is_huge,
    "is no json": _is_no_json,
    "never ends": _never_ends,
    "will not be closed": _will_not_be_closed,
    "is no generator": _is_no_generator,
    "echoes": _echoes,
}


class Loop:
    """An agent and its answering, run in this process."""

    def __init__(self, site: Site) -> None:
        self.site = site
        chassis = site.chassis("c1", is_running=False)
        self.agent = Agent(chassis.switch.remote, str(chassis.switch.rundir))
        self.answering = Answering(self.agent, KINDS)
        self.until(lambda: self.agent.is_settled, "settled")

    def until(self, is_so: Callable[[], Any], what: str) -> None:
        end_s = time.monotonic() + TIMEOUT_S
        while not is_so():
            assert time.monotonic() < end_s, f"still not: {what}"
            self.agent.run()
            self.answering.run()
            poller = ovs.poller.Poller()
            self.agent.wait(poller)
            self.answering.wait(poller)
            poller.timer_wait(20)
            poller.block()

    def ask(self, kind: str, slot: int = 0, ttl_s: int = 60) -> Uuid:
        columns = {"chassis": ["c1"], "by": "me", "slot": slot, "ttl_s": ttl_s}
        row = {"kind": kind, "parameters": {"why": "the reason"}} | columns
        return Uuid(self.site.nb.transact([insert("Request", row)])[0]["uuid"][1])

    def answers(self, asked: Uuid) -> list[dict[str, Any]]:
        return self.site.nb.read(rows_of("Answer", ("request", "includes", asked)))[0]

    def answer(self, asked: Uuid) -> tuple[str, Any]:
        """Run until the question is answered; return state and body."""
        self.until(lambda: self.answers(asked), "answered")
        (row,) = self.answers(asked)
        return row["state"], json.loads(row["body"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("kind", "state", "said"),
    [
        ("raises", "failed", "this is a defect of the agent: ZeroDivisionError('the reason')"),
        ("complains", "failed", "'the reason' is no port; name one"),
        ("is huge", "failed", "the answer has 65,538 bytes, more than 65,536; ask for less"),
        ("is no json", "failed", "this is a defect of the agent: TypeError"),
        ("never ends", "failed", "there was no answer within 0.2 s of work"),
        ("will not be closed", "failed", "there was no answer within 0.2 s of work"),
        ("is no generator", "failed", "this is a defect of the agent: TypeError"),
        ("nothing of the kind", "refused", "knows no kind 'nothing of the kind'"),
    ],
)
def test_a_question_that_goes_wrong_is_answered_with_the_reason(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: str, state: str, said: str
) -> None:
    monkeypatch.setattr(answering, "MOST_S", 0.2)
    loop = Loop(site)
    try:
        found, body = loop.answer(loop.ask(kind))
        assert (found, said in body["reason"]) == (state, True), body
        # And the next one is answered well.
        assert loop.answer(loop.ask("echoes", slot=1)) == ("done", {"why": "the reason"})
    finally:
        loop.agent.close()


def test_a_question_takes_no_longer_turn_than_other_work_and_one_is_answered_after_the_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PAUSE_S", 0.0)
    loop = Loop(site)
    try:
        endless = loop.ask("never ends")
        loop.until(lambda: loop.answering._current is not None, "begun")
        second = loop.ask("echoes", slot=1)
        site.network()
        loop.until(lambda: loop.agent.is_settled, "settled")
        for _ in range(20):
            loop.agent.run()
            began_s = time.process_time()
            loop.answering.run()
            assert time.process_time() - began_s < 0.2
        assert loop.answers(second) == []
        # A question that is deleted is left at once.
        site.nb.transact([delete("Request", ("_uuid", "==", endless))])
        assert loop.answer(second) == ("done", {"why": "the reason"})
        site.nb.transact([delete("Request")])
        loop.until(lambda: site.nb.read(rows_of("Answer"))[0] == [], "nothing left")
    finally:
        loop.agent.close()


def test_an_answer_that_waits_for_somebody_keeps_the_loop_at_rest_until_he_answers(site: Site) -> None:
    loop = Loop(site)
    try:
        asked = loop.ask("waits")
        loop.until(lambda: loop.answering._current is not None, "begun")
        poller = ovs.poller.Poller()
        loop.answering.wait(poller)
        assert poller.timeout > 1000
        ITS_PEER.send(b"hello")
        poller.block()
        assert loop.answer(asked) == ("done", "hello")
    finally:
        loop.agent.close()


def test_what_is_at_rest_wakes_for_no_question(site: Site) -> None:
    loop = Loop(site)
    try:
        asked = loop.ask("echoes")
        loop.answer(asked)
        loop.until(lambda: not loop.answering._mailbox.is_writing, "written")  # type: ignore[union-attr]
        loop.answering.run()
        poller = ovs.poller.Poller()
        loop.answering.wait(poller)
        # Not before the time of the question is over.
        assert poller.timeout > 10_000
        site.nb.transact([delete("Request")])
        loop.until(lambda: site.nb.read(rows_of("Answer"))[0] == [], "nothing left")
        loop.answering.run()
        poller = ovs.poller.Poller()
        loop.answering.wait(poller)
        assert poller.timeout == -1
    finally:
        loop.agent.close()
