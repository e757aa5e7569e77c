"""One agent works on a switch at a time: the lock in the switch's database (RFC 7047 section 4.1.8)."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from dummy_chassis import LOG_LINE, Agent, DummyChassis, Site, until
from program import refusal, trunkline

pytestmark = pytest.mark.system


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    chassis = site.chassis(is_running=False)
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    site.network()
    site.port("a")
    chassis.plug("a")
    return chassis


@pytest.fixture
def elsewhere(site: Site) -> Path:
    """The place of a control socket that nobody would look for."""
    return site.folder / "elsewhere.ctl"


def test_cleanup_is_refused_while_an_agent_runs_whose_control_socket_is_elsewhere(
    site: Site, chassis: DummyChassis, elsewhere: Path
) -> None:
    agent = chassis.start_agent("--unixctl", str(elsewhere), is_settled=False)
    site.await_up("a")
    flows = chassis.flows()
    line = refusal(trunkline("agent", "--cleanup"), 1)
    assert line.startswith("trunkline: an agent is running here")
    assert len(chassis.flows()) == len(flows)
    # A stopped agent is one that runs: it would go on where it was.
    agent.process.send_signal(signal.SIGSTOP)
    refusal(trunkline("agent", "--cleanup"), 1)
    agent.end()
    assert trunkline("agent", "--cleanup").code == 0
    assert chassis.flows() == []


def test_cleanup_names_the_agent_that_runs_and_not_one_that_is_gone(
    site: Site, chassis: DummyChassis
) -> None:
    stale = chassis.switch.rundir / "trunkline-agent.1.ctl"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    agent = chassis.start_agent()
    assert f"(pid {agent.process.pid})" in refusal(trunkline("agent", "--cleanup"), 1)
    agent.end(signal.SIGKILL)
    assert trunkline("agent", "--cleanup").code == 0


def test_a_second_agent_on_a_switch_ends_with_a_line_and_the_first_goes_on(
    site: Site, chassis: DummyChassis
) -> None:
    first = chassis.start_agent()
    site.await_up("a")
    # In the foreground, where it logs to standard error: each warning once.
    second = trunkline("agent")
    *logged, complaint = second.err.splitlines()
    assert second.code == 1
    assert complaint.startswith("trunkline: another agent works on this switch")
    assert all(LOG_LINE.fullmatch(line) for line in logged)
    assert second.err.count("waiting for another agent on this switch to end") == 1
    assert first.status()["settled"]
    assert first.status()["repairs"] == 0


def test_an_agent_takes_over_at_once_from_one_that_was_killed(site: Site, chassis: DummyChassis) -> None:
    first = chassis.start_agent()
    waiting = Agent(chassis.switch, chassis.switch.rundir / "second.log")
    until(lambda: "waiting" in waiting.log, "held up")
    first.end(signal.SIGKILL)
    chassis.agents.append(waiting)
    waiting.await_settled()
    site.sync()


def test_an_agent_has_the_lock_again_when_the_switchs_database_was_restarted(
    site: Site, chassis: DummyChassis
) -> None:
    agent = chassis.start_agent()
    chassis.switch.kill_ovsdb_server()
    until(lambda: not agent.status()["switch_database"], "database gone")
    chassis.switch.start_ovsdb_server()
    until(lambda: agent.status()["switch_database"], "database back")
    refusal(trunkline("agent", "--cleanup"), 1)
    site.sync()
