"""A switch that misbehaves without bounds keeps neither the agent nor its log busy, and is a fault."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from unruly_switch import UnrulySwitch

pytestmark = pytest.mark.system

HELLO = ethernet(BROADCAST, mac_of("a"))
NIC = "nic-br-phys1"
OUT = [ethernet(BROADCAST, mac_of("a"), 101)]
ATTEMPTS = 6
WAITED_S = 0.1 + 0.2 + 0.4
"""How long the first few attempts take together at least. The others are to spare: a connection that was made
before may be counted after it.
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened() as started:
        started.chassis(is_running=False)
        started.network()
        started.port("a")
        started.all[0].plug("a")
        yield started


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    return site.all[0]


@pytest.fixture
def unruly(chassis: DummyChassis) -> Iterator[UnrulySwitch]:
    with UnrulySwitch(chassis.switch.rundir / "br-int.mgmt") as switch:
        chassis.start_agent()
        yield switch
        chassis.agent.end()


def test_a_switch_that_refuses_changes_as_a_whole_is_asked_less_and_less_often(
    site: Site, chassis: DummyChassis, unruly: UnrulySwitch
) -> None:
    flows, sent, started_s = chassis.flows(), chassis.agent.log.count("flows sent"), time.monotonic()
    unruly.is_refusing, before = True, unruly.commits
    site.port("b")
    chassis.plug("b")
    until(lambda: unruly.commits >= before + ATTEMPTS, "a few attempts")
    assert time.monotonic() - started_s > WAITED_S
    assert "OFPBFC_UNKNOWN" in until(lambda: chassis.faults.get("switch changes"), "a fault")
    assert chassis.receive("a", HELLO)[NIC] == OUT, "what it has stays"
    assert len(chassis.flows()) == len(flows)
    assert chassis.agent.log.count("refuses changes of flows as a whole") == 1
    assert chassis.agent.log.count("flows sent") == sent + 1, "the first attempt alone"
    unruly.is_refusing = False
    site.await_up("b")
    site.sync()
    assert "switch changes" not in chassis.faults
    assert chassis.agent.log.count("accepts changes of flows again") == 1


def test_a_switch_that_says_what_makes_no_sense_is_told_of_once_and_used(
    site: Site, chassis: DummyChassis, unruly: UnrulySwitch
) -> None:
    readings = unruly.readings
    unruly.is_babbling.set()
    until(lambda: unruly.babbled > 10_000, "much of it")
    assert "flow update" in until(lambda: chassis.faults.get("switch messages"), "a fault")
    site.port("c")
    chassis.plug("c")
    site.await_up("c")
    assert chassis.agent.log.count("not understood") == 1
    assert unruly.readings - readings < 20
    unruly.is_babbling.clear()
    site.sync()


def test_a_switch_that_keeps_no_connection_is_tried_less_and_less_often(
    site: Site, chassis: DummyChassis, unruly: UnrulySwitch
) -> None:
    chassis.agent.end()
    unruly.is_hanging_up, before, started_s = True, unruly.connections, time.monotonic()
    chassis.start_agent(is_settled=False)
    until(lambda: unruly.connections >= before + ATTEMPTS, "a few attempts")
    assert time.monotonic() - started_s > WAITED_S
    # How an attempt notices it differs: it reads the end, or cannot write.
    ends = "each connection ends soon after it is made ("
    until(lambda: ends in chassis.faults.get("switch", ""), "a fault")
    assert "switch connection" not in chassis.faults
    assert chassis.receive("a", HELLO)[NIC] == OUT
    assert chassis.agent.log.count("does not keep connections") == 1
    assert chassis.agent.log.count("switch disconnected") <= 2
    assert chassis.agent.log.count("switch connected") <= 2
    unruly.is_hanging_up = False
    chassis.agent.await_settled()
