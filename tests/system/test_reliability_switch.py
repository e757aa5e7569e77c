"""A switch that goes, that is cut off in the middle of a change, and that refuses one."""

from __future__ import annotations

import signal

import pytest
from cut_socket import CutSocket
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until

from trunkline.northbound.client import PortSpec

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"
OUT = {NIC: [ethernet(BROADCAST, A, 101)]}


def remotes(site: Site, first: int, count: int, network: str = "net1") -> None:
    """Create ports that are nowhere: two flows each on a chassis that has the network."""
    macs = [f"02:77:00:{first & 255:02x}:{number >> 8:02x}:{number & 255:02x}" for number in range(count)]
    site.nb.create(ports=[PortSpec(name=mac, network=network, mac=mac) for mac in macs])


# The bundle has about 250 kB: cut when it has hardly begun, in the middle, and when most of it is there.
@pytest.mark.parametrize("size", [100, 30_000, 150_000])
def test_rule_7_a_connection_cut_in_the_middle_of_a_bundle_leaves_all_or_nothing(
    site: Site, chassis: DummyChassis, size: int
) -> None:
    """DESIGN.md, Lifecycle 7 and 2: back to the desired state without help, by the difference."""
    before = len(chassis.flows())
    chassis.agent.end()
    with CutSocket(chassis.switch.rundir / "br-int.mgmt") as socket:
        chassis.start_agent()
        socket.cut_after(size)
        remotes(site, 1, 1000)
        until(lambda: socket.cuts, "cut")
        assert len(chassis.flows()) in (before, before + 2000)
        site.sync()
        chassis.agent.await_settled()
        assert chassis.agent.log.count("switch disconnected") == 1
        assert chassis.receive("a", HELLO) == OUT
    chassis.check()
    assert len(chassis.flows()) == before + 2000


def test_rule_6_an_agent_killed_in_the_middle_of_a_bundle_leaves_all_or_nothing(
    site: Site, chassis: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 6: a bundle is atomic; an agent that dies while it sends one leaves no half."""
    before = len(chassis.flows())
    for round_ in range(3):
        sent = chassis.agent.log.count("flows sent")
        remotes(site, round_, 1000)
        until(lambda: chassis.agent.log.count("flows sent") > sent, "flows sent")  # noqa: B023 - at once
        chassis.agent.end(signal.SIGKILL)
        chassis.switch.appctl("version")
        flows = len(chassis.flows())
        assert flows in (before + 2000 * round_, before + 2000 * (round_ + 1))
        assert chassis.receive("a", HELLO) == OUT
        chassis.start_agent()
        site.sync()
        assert len(chassis.flows()) == before + 2000 * (round_ + 1)


def limit(chassis: DummyChassis, table: int, flows: int | None) -> None:
    """Have Open vSwitch refuse more *flows* than that in *table*; None: no limit (ovs-vswitchd.conf.db)."""
    if flows is None:
        chassis.switch.vsctl("clear", "Bridge", "br-int", "flow_tables")
        return
    chassis.switch.vsctl(
        *("--", "--id=@t", "create", "Flow_Table", f"flow_limit={flows}", "overflow_policy=refuse"),
        *("--", "set", "Bridge", "br-int", f"flow_tables:{table}=@t"),
    )


def test_rule_3_a_refused_bundle_puts_its_network_in_quarantine_and_the_rest_goes_on(
    site: Site, chassis: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 3: a bundle that the switch refuses names its flow."""
    site.port("b")
    chassis.plug("b")
    site.await_up("b")
    site.sync()
    dispatched = len(chassis.switch.ofctl("dump-flows", "br-int", "table=70").splitlines()) - 1
    limit(chassis, 70, dispatched + 20)
    site.network("net2", 102)
    site.port("c", "net2")
    chassis.plug("c")
    site.await_up("c")
    remotes(site, 2, 100, "net2")
    site.sync()
    site.await_up("c", is_up=False)
    assert "OFPFMFC_TABLE_FULL" in until(lambda: chassis.faults.get("network net2"), "a fault")
    assert site.nb.chassis("c1")["faults"]["network net2"] == chassis.faults["network net2"]
    assert chassis.receive("a", HELLO) == {"b": [HELLO], **OUT}, "the rest goes on"
    site.port("d")
    chassis.plug("d")
    site.await_up("d")
    site.sync()
    assert chassis.receive("c", ethernet(BROADCAST, mac_of("c"))) == {}, "in quarantine nothing passes"
    assert site.bindings()["c"] == ("c1", False)
    refusals = chassis.agent.log.count("switch refused")
    limit(chassis, 70, None)
    site.nb.set_network("net2", {"segmentation_id": 103})
    site.await_up("c")
    site.sync()
    assert chassis.faults == {}
    assert chassis.agent.log.count("switch refused") == refusals
    hello = ethernet(BROADCAST, mac_of("c"))
    assert chassis.receive("c", hello) == {NIC: [ethernet(BROADCAST, mac_of("c"), 103)]}


def test_rule_3_what_a_switch_refused_is_tried_again_when_the_switch_was_restarted(
    site: Site, chassis: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 3 and 7: what a switch refuses of the pipeline itself is a fault as well."""
    limit(chassis, 10, 0)
    chassis.switch.ofctl("del-flows", "br-int", "table=10")
    assert "OFPFMFC_TABLE_FULL" in until(lambda: chassis.faults.get("pipeline"), "a fault of the chassis")
    chassis.agent.await_settled()
    assert chassis.receive("a", HELLO) == {}, "what cannot be checked does not pass"
    limit(chassis, 10, None)
    chassis.switch.stop_vswitchd()
    chassis.switch.start_vswitchd()
    until(lambda: chassis.agent.status()["faults"] == {} and chassis.flows(), "no fault")
    site.await_up("a")
    site.sync()
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")
    assert chassis.receive("a", HELLO) == OUT


@pytest.mark.parametrize("table", [0, 50, 60, 80])
def test_rule_3_a_full_table_of_any_kind_cuts_off_no_other_network(
    site: Site, chassis: DummyChassis, table: int
) -> None:
    """DESIGN.md, Lifecycle 3 and 9: one bad row never holds up the others."""
    present = len(chassis.switch.ofctl("dump-flows", "br-int", f"table={table}").splitlines()) - 1
    limit(chassis, table, present)
    site.network("net2", 102)
    site.port("c", "net2")
    chassis.plug("c")
    until(lambda: chassis.faults.get("network net2"), "a fault")
    site.sync()
    assert chassis.receive("a", HELLO) == OUT
    site.nb.set_port("a", {"mac": B})
    site.sync()
    assert chassis.receive("a", ethernet(BROADCAST, B)) == {NIC: [ethernet(BROADCAST, B, 101)]}
    limit(chassis, table, None)
    site.nb.set_port("c", {"enabled": False})
    site.nb.set_port("c", {"enabled": True})
    site.await_up("c")
    site.sync()


def test_rule_7_an_agent_that_is_stopped_while_its_switch_restarts_mends_it_when_it_goes_on(
    site: Site, chassis: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 7: all of it back on return, also after a time in which nobody looked."""
    chassis.agent.process.send_signal(signal.SIGSTOP)
    chassis.switch.stop_vswitchd()
    chassis.switch.start_vswitchd()
    chassis.agent.process.send_signal(signal.SIGCONT)
    until(lambda: chassis.agent.status()["settled"] and chassis.flows(), "flows back")
    site.sync()
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")
    assert chassis.receive("a", HELLO) == OUT
