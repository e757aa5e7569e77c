"""Drift that is put back: the agent's forwarding against a real switch that somebody else writes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import ovs.poller
import pytest

from model.example import NETWORK, PORT, REMOTE
from model.openflow_switch import Switch, connected, installed, running
from trunkline.bridge.forwarding import Forwarding
from trunkline.core.pipeline import Table
from trunkline.core.subject import NetworkSubject, PortSubject, SubjectId
from trunkline.core.view import View
from trunkline.openflow.text import encoded_text

pytestmark = pytest.mark.system

REMOTE_PORTS = 2500
UNEXPECTED = "cookie=0x74720301ffffffff,table=50,priority=7,metadata=9,actions=drop"


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    with running(tmp_path) as switch:
        yield switch


@pytest.fixture
def brought_up(switch: Switch) -> Iterator[tuple[Forwarding, Turns]]:
    """Forwarding that has brought up a network with a local port and many remote ones, and how that went."""
    views: dict[SubjectId, View | None] = {
        NetworkSubject(UUID(int=1)): NETWORK,
        PortSubject(UUID(int=2)): PORT,
    }
    for number in range(REMOTE_PORTS):
        view = REMOTE._replace(key=1000 + number, mac=REMOTE.mac + number)
        views[PortSubject(UUID(int=1000 + number))] = view
    forwarding = Forwarding(switch.target("br-int"))
    forwarding.update(views, 1)
    turns = turn_until(forwarding, lambda: is_in_place(forwarding))
    yield forwarding, turns
    forwarding.close()


@pytest.fixture
def forwarding(brought_up: tuple[Forwarding, Turns]) -> Forwarding:
    return brought_up[0]


def is_in_place(forwarding: Forwarding) -> bool:
    return forwarding.is_applied and forwarding.installed == forwarding.desired.body_by_key


class Turns(NamedTuple):
    """How often the loop was woken by the clock and not the switch, and the CPU time that its turns took."""

    timeouts: int
    cpu_s: float


def turn_until(forwarding: Forwarding, is_done: Callable[[], bool]) -> Turns:
    """Do as the agent's loop does until *is_done*; return how that went."""
    deadline, timeouts, cpu_s = time.monotonic() + 60, 0, 0.0
    while not is_done():
        assert time.monotonic() < deadline, "not done within 60 s"
        poller = ovs.poller.Poller()
        forwarding.wait(poller)
        poller.timer_wait(5000)
        timeouts += not poller.poll.poll(poller.timeout)
        started_s = time.thread_time()
        forwarding.run()
        forwarding.send()
        cpu_s += time.thread_time() - started_s
    return Turns(timeouts, cpu_s)


def on_switch(switch: Switch) -> dict[bytes, bytes]:
    with connected(switch) as other:
        return installed(other)


def repaired(forwarding: Forwarding, flows: int) -> Turns:
    """Wait until *flows* more are repaired; return how that went."""
    wanted = forwarding.repairs + flows
    turns = turn_until(forwarding, lambda: forwarding.repairs >= wanted and is_in_place(forwarding))
    assert forwarding.repairs == wanted
    return turns


@pytest.mark.parametrize("command", ["del-flows", "mod-flows", "add-flow"])
def test_flow_touched_by_hand_is_put_back_at_once(
    switch: Switch, forwarding: Forwarding, command: str
) -> None:
    """DESIGN.md, Lifecycle 7: a flow removed or changed by hand: repaired, and nothing is waited for."""
    desired = dict(forwarding.desired.body_by_key)
    for key in list(desired)[:5]:
        match = encoded_text(key, b"\0" * 8, with_cookie=False).removesuffix(",actions=drop")
        line = {"del-flows": match, "mod-flows": f"{match},actions=IN_PORT", "add-flow": UNEXPECTED}[command]
        strict = () if command == "add-flow" else ("--strict",)
        switch.ofctl(*strict, command, "br-int", line)
        assert repaired(forwarding, 1).timeouts == 0
    assert on_switch(switch) == desired


def test_wiped_switch_is_whole_again_and_costs_not_much_more_than_a_new_one(
    switch: Switch, brought_up: tuple[Forwarding, Turns]
) -> None:
    """DESIGN.md, Lifecycle 7: all of it back."""
    forwarding, new = brought_up
    desired = dict(forwarding.desired.body_by_key)
    assert len(desired) > 2 * REMOTE_PORTS
    switch.ofctl("del-flows", "br-int")
    wanted = forwarding.repairs + len(desired)
    turns = turn_until(forwarding, lambda: forwarding.repairs >= wanted and is_in_place(forwarding))
    assert turns.cpu_s < 10 * new.cpu_s, "it is some 3 times, since what is gone is read, too"
    assert on_switch(switch) == desired


def test_foreign_flows_stay_and_are_no_drift(switch: Switch, forwarding: Forwarding) -> None:
    """DESIGN.md, Lifecycle 2: only our own cookies are touched."""
    foreign = "cookie=0x5,table=99,priority=7,in_port=1,actions=drop"
    switch.ofctl("add-flow", "br-int", foreign)
    switch.ofctl("add-flow", "br-int", UNEXPECTED)
    repaired(forwarding, 1)
    assert "cookie=0x5" in switch.ofctl("dump-flows", "br-int", "table=99")


def test_foreign_flow_in_the_place_of_ours_is_replaced(switch: Switch, forwarding: Forwarding) -> None:
    """DESIGN.md, Lifecycle 7: a flow changed by hand: repaired."""
    desired = dict(forwarding.desired.body_by_key)
    key = next(iter(desired))
    switch.ofctl("add-flow", "br-int", "cookie=0x5," + encoded_text(key, b"\0" * 8, with_cookie=False))
    repaired(forwarding, 1)
    assert on_switch(switch) == desired


def test_drift_under_a_bundle_that_is_on_its_way_is_repaired(switch: Switch, forwarding: Forwarding) -> None:
    """A modify has no effect if somebody deleted its flow first."""
    changed = PORT._replace(outlet=PORT.outlet._replace(ofport=2))
    forwarding.update({PortSubject(UUID(int=2)): changed}, 2)
    switch.ofctl("del-flows", "br-int", f"table={Table.DISPATCH:d}")
    forwarding.send()
    turn_until(forwarding, lambda: forwarding.repairs > 0 and is_in_place(forwarding))
    assert on_switch(switch) == forwarding.desired.body_by_key


def caught_up(forwarding: Forwarding) -> None:
    """Do as the agent's loop does until it knows that the switch is as it should be, and send nothing more.

    The first flows are sent only after the switch has answered, as if all its messages had come at once.
    """
    forwarding.catch_up()
    deadline, has_answered = time.monotonic() + 60, False
    while not (forwarding.is_caught_up and forwarding.is_applied):
        assert time.monotonic() < deadline, "not caught up within 60 s"
        forwarding.run()
        has_answered |= forwarding.session.is_caught_up
        if has_answered and not forwarding.is_caught_up:
            forwarding.send()
        poller = ovs.poller.Poller()
        forwarding.wait(poller)
        poller.timer_wait(5000)
        poller.block()


@pytest.mark.parametrize("harm", [f"table={Table.DISPATCH:d}", ""], ids=["one table", "all"])
def test_flows_deleted_before_a_question_are_back_when_it_is_answered(
    switch: Switch, forwarding: Forwarding, harm: str
) -> None:
    desired = dict(forwarding.desired.body_by_key)
    for _ in range(3):
        switch.ofctl("del-flows", "br-int", harm)
        caught_up(forwarding)
        assert on_switch(switch) == desired


def test_a_question_is_answered_only_when_a_paused_monitor_has_gone_on(
    switch: Switch, forwarding: Forwarding
) -> None:
    """Meanwhile Open vSwitch answers barriers, but does not report a flow that others add."""
    desired = dict(forwarding.desired.body_by_key)
    switch.ofctl("del-flows", "br-int")
    switch.ofctl("add-flow", "br-int", UNEXPECTED)
    caught_up(forwarding)
    assert on_switch(switch) == desired


def test_what_drifts_after_the_answer_does_not_keep_a_question_without_one(
    switch: Switch, forwarding: Forwarding
) -> None:
    """Somebody who changes flows again and again would keep it so for good."""
    caught_up(forwarding)
    before = forwarding.repairs
    switch.ofctl("add-flow", "br-int", UNEXPECTED)
    while forwarding.repairs == before:
        forwarding.run()
    assert forwarding.is_caught_up
    repaired(forwarding, 0)


def test_audit_finds_what_was_not_reported(switch: Switch, forwarding: Forwarding) -> None:
    """The first audit of a connection, and any after a change, compares everything."""
    assert forwarding.installed is not None
    key, _ = forwarding.installed.popitem()
    before = forwarding.repairs
    forwarding.audit()
    turn_until(forwarding, lambda: key in (forwarding.installed or {}))
    assert is_in_place(forwarding)
    assert forwarding.repairs == before, "what is as it should be is no drift"
