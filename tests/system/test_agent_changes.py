"""What changes while the agent runs: DESIGN.md section 6, rule 8, and the VIF binding of section 3."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
OUTSIDE = "02:ee:00:00:00:01"
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One chassis for all of these tests, which begin with its rows and VIFs made anew."""
    with opened() as started:
        started.chassis()
        yield started


@pytest.fixture
def chassis(site: Site) -> Iterator[DummyChassis]:
    chassis = site.all[0]
    site.network()
    for name in ("a", "b", "remote"):
        site.port(name)
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    yield chassis
    chassis.check()
    site.transact(*({"op": "delete", "table": table, "where": []} for table in ("Port", "Network")))
    for interface in chassis.switch.vsctl("list-ports", "br-int").split():
        if not interface.startswith("int-"):
            chassis.unplug(interface)
    site.sync()
    assert chassis.faults == {}


def reach(chassis: DummyChassis, vlan_id: int | None = 101) -> None:
    """Hold that ports a and b are in one network, with that tag on the wire, and with no other."""
    tags = () if vlan_id is None else (vlan_id,)
    assert chassis.receive("a", HELLO) == {"b": [HELLO], NIC: [ethernet(BROADCAST, A, *tags)]}
    back = ethernet(A, OUTSIDE)
    for tried in (None, 101, 102, 103):
        frame = back if tried is None else ethernet(A, OUTSIDE, tried)
        assert chassis.receive(NIC, frame) == ({"a": [back]} if tried == vlan_id else {}), tried


def test_rule_8_the_old_tag_is_gone_after_the_acknowledgement(site: Site, chassis: DummyChassis) -> None:
    reach(chassis, 101)
    for vlan_id in (102, 103, 101):
        site.nb.set_network("net1", {"segmentation_id": vlan_id})
        site.sync()
        reach(chassis, vlan_id)


def test_rule_8_the_type_changes_live(site: Site, chassis: DummyChassis) -> None:
    site.nb.set_network("net1", {"network_type": "flat"})
    site.sync()
    reach(chassis, None)
    site.nb.set_network("net1", {"network_type": "vlan", "segmentation_id": 102})
    site.sync()
    reach(chassis, 102)


def test_rule_8_two_networks_swap_their_tags(site: Site, chassis: DummyChassis) -> None:
    site.network("net2", 102)
    site.port("c", "net2")
    chassis.plug("c")
    site.await_up("c")
    rows = [("net1", 102), ("net2", 101)]
    site.transact(
        *(
            {
                "op": "update",
                "table": "Network",
                "where": [["name", "==", name]],
                "row": {"segmentation_id": tag},
            }
            for name, tag in rows
        )
    )
    site.sync()
    reach(chassis, 102)
    frame = ethernet(BROADCAST, mac_of("c"))
    assert chassis.receive("c", frame) == {NIC: [ethernet(BROADCAST, mac_of("c"), 101)]}


def test_rule_8_the_physical_network_changes_live(site: Site, chassis: DummyChassis) -> None:
    chassis.add_provider_bridge("br-phys2")
    chassis.set(**{"trunkline-bridge-mappings": "physnet1:br-phys1,physnet2:br-phys2"})
    site.nb.set_network("net1", {"physical_network": "physnet2"})
    site.sync()
    assert chassis.receive("a", HELLO) == {"b": [HELLO], "nic-br-phys2": [ethernet(BROADCAST, A, 101)]}
    assert chassis.receive(NIC, ethernet(A, OUTSIDE, 101)) == {}


def test_rule_8_a_mac_changes_live(site: Site, chassis: DummyChassis) -> None:
    new = "02:ab:00:00:00:01"
    site.nb.set_port("a", {"mac": new})
    site.sync()
    assert chassis.receive(NIC, ethernet(new, OUTSIDE, 101)) == {"a": [ethernet(new, OUTSIDE)]}
    assert chassis.receive(NIC, ethernet(A, OUTSIDE, 101)) == {}
    assert chassis.receive("b", ethernet(A, B)) == {NIC: [ethernet(A, B, 101)]}
    assert chassis.receive("b", ethernet(new, B)) == {"a": [ethernet(new, B)]}


def test_two_ports_swap_their_macs(site: Site, chassis: DummyChassis) -> None:
    where = [("a", B), ("b", A)]
    site.transact(
        *(
            {"op": "update", "table": "Port", "where": [["name", "==", name]], "row": {"mac": mac}}
            for name, mac in where
        )
    )
    site.sync()
    assert chassis.receive(NIC, ethernet(A, OUTSIDE, 101)) == {"b": [ethernet(A, OUTSIDE)]}
    assert chassis.receive(NIC, ethernet(B, OUTSIDE, 101)) == {"a": [ethernet(B, OUTSIDE)]}


def test_a_port_moves_between_networks(site: Site, chassis: DummyChassis) -> None:
    site.network("net2", 102)
    for network, vlan_id, others in (("net2", 102, {}), ("net1", 101, {"b": [HELLO]}), ("net2", 102, {})):
        site.nb.set_port("a", {"network": network})
        site.sync()
        assert chassis.receive("a", HELLO) == {**others, NIC: [ethernet(BROADCAST, A, vlan_id)]}
        assert chassis.receive(NIC, ethernet(A, OUTSIDE, 203 - vlan_id)) == {}
        assert site.bindings()["a"] == ("c1", True)


def test_a_port_that_is_deleted_is_cut_off_and_one_of_its_name_comes_back(
    site: Site, chassis: DummyChassis
) -> None:
    site.nb.delete_ports(["a"])
    site.sync()
    assert chassis.receive("a", HELLO) == {}
    assert chassis.receive("b", ethernet(A, B)) == {NIC: [ethernet(A, B, 101)]}
    assert "no port has iface-id a" in chassis.faults["vif a"]
    site.network("net2", 102)
    site.port("a", "net2")
    site.await_up("a")
    assert chassis.receive("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 102)]}
    assert chassis.faults == {}


def test_a_network_goes_with_its_last_port(site: Site, chassis: DummyChassis) -> None:
    site.nb.delete_ports(["a", "b", "remote"])
    site.nb.delete_networks(["net1"])
    site.sync()
    seen = chassis.agent.status()
    assert (seen["networks"], seen["ports"]) == (0, 0)
    assert not [line for line in chassis.flows() if "metadata" in line or "dl_vlan=101" in line]


def test_a_vif_is_unplugged_and_plugged_in_again(site: Site, chassis: DummyChassis) -> None:
    for _ in range(3):
        chassis.unplug("a")
        site.await_up("a", is_up=False)
        site.sync()
        assert site.bindings()["a"] == (None, False)
        assert chassis.receive("b", ethernet(A, B)) == {NIC: [ethernet(A, B, 101)]}, "nobody has it: the wire"
        chassis.plug("a")
        site.await_up("a")
        site.sync()
        reach(chassis)


def test_the_last_vif_of_a_network_leaves_nothing_behind(site: Site, chassis: DummyChassis) -> None:
    chassis.unplug("a")
    chassis.unplug("b")
    site.await_up("a", "b", is_up=False)
    site.sync()
    assert not [line for line in chassis.flows() if "metadata" in line or "dl_vlan=101" in line]


def test_an_iface_id_passes_from_one_interface_to_another(site: Site, chassis: DummyChassis) -> None:
    chassis.plug("nobody", "tap2")
    chassis.switch.vsctl("set", "Interface", "tap2", "external_ids:iface-id=a", "--",
                         "set", "Interface", "a", "external_ids:iface-id=nobody")  # fmt: skip
    site.sync()
    assert chassis.receive("a", HELLO) == {}
    assert chassis.receive("tap2", HELLO) == {"b": [HELLO], NIC: [ethernet(BROADCAST, A, 101)]}
    assert chassis.receive("b", ethernet(A, B)) == {"tap2": [ethernet(A, B)]}
    chassis.switch.vsctl("remove", "Interface", "tap2", "external_ids", "iface-id")
    site.await_up("a", is_up=False)
    chassis.switch.vsctl("set", "Interface", "a", "external_ids:iface-id=a")
    site.await_up("a")
    reach(chassis)


def test_two_interfaces_of_one_iface_id_the_one_in_use_keeps_the_port(
    site: Site, chassis: DummyChassis
) -> None:
    tagged = ethernet(BROADCAST, A, 101)
    # Its name sorts first, and so does its ofport.
    chassis.plug("a", "0-late", ofport_request="1")
    site.sync()
    fault = "0-late also has this iface-id; a is in use; unplug the one that is not the VM's, "
    fault += "such as: ovs-vsctl del-port 0-late"
    assert site.nb.chassis("c1")["faults"] == {"vif a": fault}
    reach(chassis)
    assert chassis.receive("0-late", HELLO) == {}
    # Nor does an agent that is new, or a switch.
    chassis.agent.end(signal.SIGKILL)
    before = chassis.flows()
    chassis.start_agent()
    site.sync()
    assert len(before) == len(chassis.flows())
    assert "flows sent" not in chassis.agent.log
    chassis.switch.stop_vswitchd()
    chassis.switch.start_vswitchd()
    site.sync()
    assert chassis.faults == {"vif a": fault}
    assert chassis.receive("a", HELLO) == {"b": [HELLO], NIC: [tagged]}
    assert chassis.receive("0-late", HELLO) == {}
    # If it does not work, the other one takes the port, and then keeps it.
    chassis.devices.set_link("a", "down")
    until(lambda: "a also has" in chassis.faults["vif a"], "handed over")
    chassis.devices.set_link("a", "up")
    until(lambda: chassis.get("Interface", "a", "link_state") == "up", "up")
    site.sync()
    assert chassis.receive("0-late", HELLO) == {"b": [HELLO], NIC: [tagged]}
    assert chassis.receive("a", HELLO) == {}
    chassis.unplug("0-late")
    until(lambda: "vif a" not in chassis.faults, "one left")
    site.sync()
    reach(chassis)


def test_an_ofport_changes_live(site: Site, chassis: DummyChassis) -> None:
    for ofport in (4001, 4002):
        chassis.switch.vsctl("set", "Interface", "a", f"ofport_request={ofport}")
        wanted = f"in_port={ofport}"
        until(lambda: wanted in chassis.agent.ask("flows"), "seen")  # noqa: B023 - done before the next turn
        site.sync()
        assert chassis.ofport("a") == ofport
        reach(chassis)


def test_an_interface_without_an_ofport_holds_up_nobody(site: Site, chassis: DummyChassis) -> None:
    site.port("c")
    chassis.switch.vsctl("--no-wait", "add-port", "br-int", "nonesuch", "--", "set", "Interface", "nonesuch",
                         "type=nonsense", "external_ids:iface-id=c")  # fmt: skip
    site.port("d")
    chassis.plug("d")
    site.await_up("d")
    site.sync()
    assert site.bindings()["c"] == (None, False)
    assert "nonesuch" in site.nb.chassis("c1")["faults"]["vif c"]


def test_a_vif_before_its_port_and_a_port_before_its_vif(site: Site, chassis: DummyChassis) -> None:
    chassis.plug("early")
    site.sync()
    assert "no port has iface-id early" in chassis.faults["vif early"]
    site.port("early")
    site.await_up("early")
    site.port("late")
    chassis.plug("late")
    site.await_up("late")
    site.sync()
    assert chassis.faults == {}


def test_a_vif_on_another_bridge_is_none_of_ours(site: Site, chassis: DummyChassis) -> None:
    site.port("c")
    chassis.plug("c", bridge="br-phys1")
    site.sync()
    assert site.bindings()["c"] == (None, False)
    assert chassis.agent.status()["vifs"] == 2
    assert list(chassis.faults) == ["vif c"]
    chassis.unplug("c")
    site.sync()
    assert chassis.faults == {}
