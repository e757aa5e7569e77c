"""Nothing is lost at 1,000 packets a second while agents, switches' databases and northbounds come and go."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from stream import Lost, Streams

from trunkline.lab import Lab

if TYPE_CHECKING:
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
DURATION = re.compile(r"duration=([\d.]+)s, ")
PACKETS = re.compile(r"n_packets=(\d+)")
VOLATILE = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=\S+ ")


@pytest.fixture(scope="module")
def running(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(LAB)


def streams(running: Lab) -> Streams:
    """On one chassis, across chassis, to the wire and from the wire."""
    machine = running.machine
    pairs = [("a", "b"), ("b", "c"), ("a", "m"), ("m", "c")]
    for source, to in pairs:
        # The kernels have one another's MACs before the first packet: one that waits for ARP is not counted.
        assert machine[source].ping(machine[to].ip, count=3).lost == 0
    return Streams([(machine[source], machine[to]) for source, to in pairs])


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
        print(f"figure: {what}, {'-'.join(pair)}: {lost.lost} of {lost.sent} lost, gap {lost.gap_s:.3f} s")
    assert {pair: lost.lost for pair, lost in outcome.items()} == dict.fromkeys(outcome, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_rule_6_agents_end_and_return_and_no_packet_is_lost(running: Lab, number: signal.Signals) -> None:
    """DESIGN.md, Lifecycle 1, 2 and 6: nothing is cleared, no flow is made anew, no frame is lost."""
    before, ports = ages(running), ofports(running)
    with streams(running) as traffic:
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


def test_rule_5_a_northbound_that_is_killed_ten_times_costs_no_packet_and_no_flow(running: Lab) -> None:
    """DESIGN.md, Lifecycle 5: the northbound gone: forwarding goes on, and on return nothing is sent."""
    before = ages(running)
    with streams(running) as traffic:
        for _ in range(10):
            running.nb.kill()
            running.nb.start()
        running.nb.sync()
    none_lost("northbound killed 10 times", traffic.lost)
    after = ages(running)
    assert after.keys() == before.keys()
    assert all(after[flow] >= before[flow] for flow in before)


def test_rule_7_a_switchs_database_that_is_killed_costs_no_flow(running: Lab) -> None:
    """DESIGN.md, Lifecycle 7. Here packets are lost: the lab's datapath is polled by the main thread of
    ovs-vswitchd, which waits for its database; a kernel or PMD datapath has threads of its own.
    """
    before = ages(running)
    with streams(running) as traffic:
        for chassis in running.chassis.values():
            chassis.switch.kill_ovsdb_server()
            chassis.switch.start_ovsdb_server()
        for chassis in running.chassis.values():
            # ovs-vsctl returns when ovs-vswitchd has taken the change in: it has its database again.
            chassis.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:seen=1")
        running.nb.sync()
        arrived = traffic.arrived()
        traffic.wait_sent(300)
    for pair, lost in traffic.lost.items():
        print(f"figure: switch database killed, {'-'.join(pair)}: {lost.lost} lost, gap {lost.gap_s:.3f} s")
        assert lost.sent - lost.lost >= arrived[pair] + 250
    after = ages(running)
    assert after.keys() == before.keys()
    assert all(after[flow] >= before[flow] for flow in before)


def test_rule_7_after_a_switch_was_killed_packets_flow_again_without_help(running: Lab) -> None:
    """DESIGN.md, Lifecycle 7: ovs-vswitchd gone: all of it back on return. What it missed is lost."""
    flows = running.chassis["c1"].flows()
    with streams(running) as traffic:
        running.chassis["c1"].switch.kill_vswitchd()
        running.chassis["c1"].switch.start_vswitchd()
        running.nb.sync()
        running.wait_revalidated()
        arrived = traffic.arrived()
        traffic.wait_sent(300)
    for pair, lost in traffic.lost.items():
        print(f"figure: ovs-vswitchd killed, {'-'.join(pair)}: {lost.lost} lost, gap {lost.gap_s:.3f} s")
        assert lost.sent - lost.lost >= arrived[pair] + 250
    assert traffic.lost["m", "c"].lost == 0, "another chassis, and its traffic, is not concerned"
    assert running.chassis["c1"].flows() == flows
