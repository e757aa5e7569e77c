"""When ports are down for the switch: the clock is an argument, so that no test waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trunkline.agent.passage import PATIENCE_S, Passage


@dataclass
class Session:
    """What a session is to the passage."""

    failure: str | None = None

    @property
    def is_ready(self) -> bool:
        return self.failure is None


@dataclass
class Switch:
    """What the switch's database and flows are to it."""

    waits_for_flows: bool = False
    root: None = None
    external_ids: dict[str, str] = field(default_factory=dict)
    is_idle: bool = True
    session: Session = field(default_factory=Session)
    applied: int = 1
    now_s: float = 100.0

    def row(self, _table: str, _name: str) -> None:
        return None


def watched() -> tuple[Any, Passage]:
    switch: Any = Switch()
    return switch, Passage(switch, lambda: float(switch.now_s))


def look(switch: Any, passage: Passage) -> bool:
    return passage.update(switch, "br-int", are_flows_due=True)


def test_a_switch_that_is_back_in_time_changes_no_port() -> None:
    switch, passage = watched()
    assert not look(switch, passage)
    for _ in range(3):
        switch.session.failure = "Connection refused"
        assert not look(switch, passage)
        assert passage.next_s == switch.now_s + PATIENCE_S
        switch.now_s += PATIENCE_S - 0.1
        assert not look(switch, passage)
        switch.session.failure = None
        assert not look(switch, passage)
        assert (passage.next_s, passage.fault) == (None, None)


def test_one_that_stays_away_changes_them_once_and_back() -> None:
    switch, passage = watched()
    switch.session.failure = "Connection refused"
    assert not look(switch, passage)
    switch.now_s += PATIENCE_S
    assert look(switch, passage)
    assert passage.fault is not None
    assert passage.fault.startswith("no OpenFlow connection to br-int: Connection refused; is ovs-vswitchd")
    switch.session.failure = "No such file or directory"
    assert not look(switch, passage), "another reason is no other state"
    assert passage.next_s is None
    switch.session.failure, switch.applied = None, -1
    assert not look(switch, passage), "its flows are not there yet"
    assert passage.fault == "br-int has not acknowledged its flows; see the agent's log"
    switch.applied = 2
    assert look(switch, passage)
    assert passage.fault is None


def test_flow_restore_wait_counts_if_the_switch_started_with_it() -> None:
    switch, passage = watched()
    look(switch, passage)
    switch.waits_for_flows = True
    look(switch, passage)
    switch.now_s += PATIENCE_S
    assert not look(switch, passage), "it forwards as before"
    switch.session.failure = "closed by the switch"
    look(switch, passage)
    switch.session.failure = None
    look(switch, passage)
    switch.now_s += PATIENCE_S
    assert look(switch, passage)
    assert "ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait" in (passage.fault or "")
    switch.waits_for_flows = False
    assert look(switch, passage)
