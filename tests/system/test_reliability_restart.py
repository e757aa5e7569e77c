"""Nothing is lost at 1,000 packets a second while agents, switches' databases and northbounds come and go."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest
from plain_bridge import Pair, plain_pairs
from stream import Lost, Streams
from switch_unit import prepare_start

from model.process import stopped
from trunkline.lab import Lab, datapath

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import LabFactory

pytestmark = pytest.mark.system

LAB = """
physnets: [p1]
networks: [{name: red, type: vlan, physical_network: p1, segment: 101}]
chassis: [{name: c1, mappings: {p1: br-p1}}, {name: c2, mappings: {p1: br-p1}}]
vms:
  - {name: a, chassis: c1, network: red, ip: 10.9.0.1/24}
  - {name: b, chassis: c1, network: red, ip: 10.9.0.2/24}
  - {name: c, chassis: c2, network: red, ip: 10.9.0.3/24}
hosts: [{name: m, physnet: p1, vlan: 101, ip: 10.9.0.4/24}]
"""
PAIRS = (("a", "b"), ("b", "c"), ("a", "m"), ("m", "c"))
DURATION = re.compile(r"duration=([\d.]+)s, ")
PACKETS = re.compile(r"n_packets=(\d+)")
VOLATILE = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=\S+ ")


@pytest.fixture(scope="module")
def running(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(LAB)


@pytest.fixture(scope="module")
def controls(running: Lab) -> dict[str, Pair]:
    return plain_pairs(running)


@pytest.fixture
def traffic(running: Lab, controls: dict[str, Pair]) -> Streams:
    """On one chassis, across chassis, to and from the wire; and through plain bridges beside them."""
    machine = running.machine
    pairs = [Pair(machine[source], machine[to]) for source, to in PAIRS]
    for source, to in (*pairs, *controls.values()):
        # The switches have learnt the MACs before the first packet.
        assert source.ping(to.ip, count=3).lost == 0
    return Streams(pairs, controls)


def ages(running: Lab) -> dict[str, tuple[float, int]]:
    """Return the age and the packet count of every flow of every chassis."""
    found = {}
    for name, chassis in running.chassis.items():
        # To count: what the datapath's cache has forwarded is told to the flows when it is emptied.
        chassis.switch.appctl("revalidator/purge")
        for line in chassis.switch.ofctl("dump-flows", "br-int").splitlines():
            age, packets = DURATION.search(line), PACKETS.search(line)
            if age and packets:
                found[f"{name} {VOLATILE.sub('', line)}"] = (float(age[1]), int(packets[1]))
    return found


def ofports(running: Lab) -> list[str]:
    columns = ("--bare", "--columns=name,ofport", "list", "Interface")
    return [chassis.switch.vsctl(*columns) for chassis in running.chassis.values()]


def none_lost(what: str, outcome: dict[tuple[str, str], Lost]) -> None:
    for pair, lost in outcome.items():
        print(
            f"figure: {what}, {'-'.join(pair)}: {lost.lost} of {lost.sent} lost, gap {lost.gap_s:.3f} s, "
            f"{lost.excused} lost as in the control"
        )
    assert {pair: lost.lost for pair, lost in outcome.items()} == dict.fromkeys(outcome, 0)


def back_again(what: str, traffic: Streams, first: int) -> None:
    """Hold that the streams flow from packet *first* on; on the way there the control lost packets, too."""
    for pair, lost in traffic.lost.items():
        gone = lost.lost + lost.excused
        print(f"figure: {what}, {'-'.join(pair)}: {gone} lost, gap {lost.gap_s:.3f} s")
    assert all(lost <= 50 for lost in traffic.lost_since(first).values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_rule_6_agents_end_and_return_and_no_packet_is_lost(
    running: Lab, traffic: Streams, number: signal.Signals
) -> None:
    """DESIGN.md, Lifecycle 1, 2 and 6: nothing is cleared, no flow is made anew, no frame is lost."""
    before, ports = ages(running), ofports(running)
    with traffic:
        for chassis in running.chassis.values():
            chassis.kill_agent() if number is signal.SIGKILL else chassis.stop_agent()
        traffic.wait_sent(500)
        for chassis in running.chassis.values():
            chassis.start_agent()
        running.nb.sync()
        traffic.wait_sent(500)
        sent = traffic.sent
    none_lost(f"agent, {number.name}", traffic.lost)
    after = ages(running)
    assert after.keys() == before.keys()
    assert all(after[flow] >= before[flow] and after[flow][1] >= before[flow][1] for flow in before)
    assert sum(packets for _, packets in after.values()) >= 4 * sent
    assert ofports(running) == ports


def test_rule_5_a_northbound_that_is_killed_ten_times_costs_no_packet_and_no_flow(
    running: Lab, traffic: Streams
) -> None:
    """DESIGN.md, Lifecycle 5: the northbound gone: forwarding goes on, and on return nothing is sent."""
    before = ages(running)
    with traffic:
        for _ in range(10):
            running.nb.kill()
            running.nb.start()
        running.nb.sync()
    none_lost("northbound killed 10 times", traffic.lost)
    after = ages(running)
    assert after.keys() == before.keys()
    assert all(after[flow] >= before[flow] for flow in before)


def test_rule_7_a_switchs_database_that_is_killed_costs_no_flow(running: Lab, traffic: Streams) -> None:
    """DESIGN.md, Lifecycle 7. Packets are lost on the userspace datapath: the main thread of ovs-vswitchd
    polls it, and waits for its database; a kernel or PMD datapath has threads of its own.
    """
    before = ages(running)
    with traffic:
        for chassis in running.chassis.values():
            chassis.switch.kill_ovsdb_server()
            chassis.switch.start_ovsdb_server()
        for chassis in running.chassis.values():
            # ovs-vsctl returns when ovs-vswitchd has taken the change in: it has its database again.
            chassis.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:seen=1")
        running.nb.sync()
        first = traffic.sent
        traffic.wait_sent(300)
    back_again("switch database killed", traffic, first)
    after = ages(running)
    assert after.keys() == before.keys()
    assert all(after[flow] >= before[flow] for flow in before)


def test_rule_7_after_a_switch_was_killed_packets_flow_again_without_help(
    running: Lab, traffic: Streams
) -> None:
    """DESIGN.md, Lifecycle 7: ovs-vswitchd gone: all of it back on return. What it missed is lost."""
    flows = running.chassis["c1"].flows()
    with traffic:
        running.chassis["c1"].switch.kill_vswitchd()
        running.chassis["c1"].switch.start_vswitchd()
        running.nb.sync()
        running.wait_revalidated()
        first = traffic.sent
        traffic.wait_sent(300)
    back_again("ovs-vswitchd killed", traffic, first)
    assert traffic.lost["m", "c"].lost == 0, "another chassis, and its traffic, is not concerned"
    assert running.chassis["c1"].flows() == flows


cached_only = pytest.mark.skipif(
    datapath.default() != datapath.SYSTEM, reason="the userspace datapath ends with ovs-vswitchd"
)


@cached_only
def test_rule_7_a_switch_that_is_restarted_loses_no_packet_on_the_kernels_datapath(
    running: Lab, traffic: Streams
) -> None:
    """DESIGN.md, Lifecycle 7: the kernel forwards by its cache until the switch has its flows again."""
    switch = running.chassis["c1"].switch
    with traffic:
        switch.stop_vswitchd()
        traffic.wait_sent(3000)
        switch.start_vswitchd()
        running.nb.sync()
        running.wait_revalidated()
        traffic.wait_sent(1000)
    none_lost("ovs-vswitchd restarted after 3 s", traffic.lost)


@cached_only
def test_rule_7_a_switch_that_is_killed_and_started_at_once_by_its_unit_loses_no_packet(
    running: Lab, traffic: Streams, tmp_path: Path
) -> None:
    """DESIGN.md, Lifecycle 7: also before the agent has noticed that it was gone."""
    chassis = running.chassis["c1"]
    assert chassis.agent_pid is not None
    with traffic:
        with stopped(chassis.agent_pid):
            chassis.switch.kill_vswitchd()
            prepare_start(chassis.switch, tmp_path)
            chassis.switch.start_vswitchd()
            traffic.wait_sent(1000)
        running.nb.sync()
        running.wait_revalidated()
        traffic.wait_sent(300)
    none_lost("ovs-vswitchd killed, and started by its unit", traffic.lost)


@cached_only
def test_rule_7_a_switch_and_its_agent_that_are_restarted_together_lose_no_packet(
    running: Lab, traffic: Streams, tmp_path: Path
) -> None:
    """DESIGN.md, Lifecycle 6 and 7: in the order in which systemd does it."""
    chassis = running.chassis["c1"]
    with traffic:
        chassis.stop_agent()
        chassis.switch.stop_vswitchd()
        prepare_start(chassis.switch, tmp_path)
        chassis.switch.start_vswitchd()
        traffic.wait_sent(1000)
        chassis.start_agent()
        running.nb.sync()
        running.wait_revalidated()
        traffic.wait_sent(300)
    none_lost("ovs-vswitchd and agent restarted", traffic.lost)


def test_no_packet_waits_for_arp(running: Lab, traffic: Streams) -> None:
    with traffic:
        shown = json.loads(running.machine["a"].run(["ip", "-j", "neighbour", "show", "nud", "permanent"]))
    assert {entry["dst"] for entry in shown} == {
        running.machine[to].ip for source, to in PAIRS if source == "a"
    }


def test_a_switch_that_stands_still_is_no_fault_of_ours(running: Lab, traffic: Streams) -> None:
    """What a busy machine does to a test of loss: one switch does not run for half a second.

    The kernel's datapath goes on without it.
    """
    with traffic:
        with running.chassis["c1"].switch.stopped():
            traffic.wait_sent(600)
        traffic.wait_sent(300)
    none_lost("switch stopped", traffic.lost)
    excused = {pair: lost.excused for pair, lost in traffic.lost.items()}
    assert excused.pop(("m", "c")) == 0, "its frames do not pass that switch"
    stood_still = datapath.default() != datapath.SYSTEM
    assert all(bool(each) == stood_still for each in excused.values()), "it did stand still"


def test_what_a_fault_loses_is_told_from_what_the_machine_loses(running: Lab, traffic: Streams) -> None:
    """Without its flows a switch forwards the frames of its plain bridge all the same."""
    chassis = running.chassis["c1"]
    chassis.stop_agent()
    with traffic:
        chassis.switch.ofctl("del-flows", "br-int", "table=70")
        traffic.wait_sent(300)
        chassis.start_agent()
        running.nb.sync()
    assert {pair for pair, lost in traffic.lost.items() if lost.lost >= 100} == {("b", "c"), ("a", "m")}
    assert traffic.lost["m", "c"].lost == 0
