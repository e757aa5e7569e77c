"""VLAN pruning, MTU and remote ports that are not loaded: what a chassis asks for, and what it does not."""

from __future__ import annotations

import re

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from scapy.contrib.igmp import IGMP  # type: ignore[attr-defined]
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
PATCH = "phy-br-phys1"


def trunk(chassis: DummyChassis) -> tuple[str, str]:
    return chassis.get("Port", PATCH, "vlan_mode"), chassis.get("Port", PATCH, "trunks")


def use_normal_switching(chassis: DummyChassis) -> None:
    """Let the provider bridge switch as one that an operator made does: only that heeds `trunks`."""
    chassis.switch.ofctl("del-flows", "br-phys1")
    chassis.switch.ofctl("add-flow", "br-phys1", "actions=NORMAL")


def arrived(chassis: DummyChassis) -> int:
    """Return how many frames have come to the integration bridge from the physical network."""
    chassis.vswitchd.await_revalidated()
    counted = re.search(r"rx pkts=(\d+)", chassis.switch.ofctl("dump-ports", "br-int", "int-br-phys1"))
    assert counted is not None
    return int(counted[1])


def pruned(site: Site) -> DummyChassis:
    """Return a chassis whose operator wants its uplinks pruned."""
    chassis = site.chassis(is_running=False)
    chassis.set(**{"trunkline-vlan-pruning": "true"})
    chassis.start_agent()
    return chassis


def learnt(chassis: DummyChassis) -> list[list[str]]:
    """Return what the provider bridge has learnt: port, VLAN, and MAC or multicast group."""
    shown = (chassis.switch.appctl(f"{kind}/show", "br-phys1") for kind in ("fdb", "mdb"))
    rows = [line.split() for text in shown for line in text.splitlines()[1:] if line.strip()]
    # From Open vSwitch 3.5 on, the protocol by which a group was joined stands before it.
    return sorted([word for word in row if not word.startswith(("IGMP", "MLD"))][:3] for row in rows)


def test_what_a_provider_bridge_has_learnt_outlasts_what_changes_here(site: Site) -> None:
    """Unicast to a VM does not leak to the wire, and no snooped group goes dark, until the VM speaks."""
    chassis = site.chassis()
    use_normal_switching(chassis)
    chassis.switch.vsctl("set", "Bridge", "br-phys1", "mcast_snooping_enable=true")
    chassis.plug("host", bridge="br-phys1")
    for number in (101, 102, 103):
        site.network(f"vlan{number}", number)
    site.network("flat", None)
    for name, network in {"a": "vlan101", "b": "vlan102", "f": "flat"}.items():
        site.port(name, network)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    a, group = mac_of("a"), "01:00:5e:01:02:03"
    join = (
        Ether(src=a, dst=group)
        / IP(src="10.0.0.1", dst="239.1.2.3", ttl=1)
        / IGMP(type=0x16, gaddr="239.1.2.3")
    )
    chassis.receive("a", ethernet(BROADCAST, a), bytes(join))
    before = learnt(chassis)
    assert [entry[1:] for entry in before] == [["101", a], ["101", "239.1.2.3"]]
    for name in ("b", "f"):
        chassis.plug(name)
        site.await_up(name)
    site.sync()
    chassis.unplug("b")
    site.await_up("b", is_up=False)
    site.nb.set_network("vlan102", {"segmentation_id": 202})
    site.sync()
    assert learnt(chassis) == before
    assert chassis.receive("host", ethernet(a, OUTSIDE, 101)) == {"a": [ethernet(a, OUTSIDE)]}


def test_the_uplink_carries_just_the_vlans_in_use_here(site: Site) -> None:
    chassis = pruned(site)
    assert trunk(chassis) == ("trunk", "[4095]"), "an empty column would let every VLAN through"
    site.network("vlan101", 101)
    site.network("vlan102", 102)
    site.network("clear", 201, vlan_transparent=True)
    site.network("flat", None)
    for name, network in {"a": "vlan101", "b": "vlan102", "c": "vlan102", "f": "flat", "t": "clear"}.items():
        site.port(name, network)
    site.sync()
    assert trunk(chassis) == ("trunk", "[4095]"), "no network has a VIF here"
    for plugged, vlan_ids in (
        ("b", "[102]"),
        ("a", "[101, 102]"),
        ("f", "[0, 101, 102]"),
        ("c", "[0, 101, 102]"),
    ):
        chassis.plug(plugged)
        site.await_up(plugged)
        site.sync()
        assert trunk(chassis) == ("trunk", vlan_ids)
    chassis.plug("t")
    site.await_up("t")
    for unplugged, vlan_ids in (("b", "[0, 101, 102, 201]"), ("c", "[0, 101, 201]"), ("f", "[101, 201]")):
        chassis.unplug(unplugged)
        site.await_up(unplugged, is_up=False)
        site.sync()
        assert trunk(chassis) == ("trunk", vlan_ids)
    site.nb.set_network("vlan101", {"segmentation_id": 111})
    site.sync()
    assert trunk(chassis) == ("trunk", "[111, 201]")


def test_a_transparent_flat_network_needs_every_vlan(site: Site) -> None:
    chassis = pruned(site)
    site.network("clearflat", None, vlan_transparent=True)
    site.port("a", "clearflat")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert trunk(chassis) == ("[]", "[]")
    chassis.unplug("a")
    site.await_up("a", is_up=False)
    site.sync()
    assert trunk(chassis) == ("trunk", "[4095]")


def test_frames_of_vlans_that_are_not_in_use_do_not_arrive(site: Site) -> None:
    chassis = pruned(site)
    use_normal_switching(chassis)
    site.network("vlan101", 101)
    site.port("a", "vlan101")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    foreign = [ethernet(BROADCAST, OUTSIDE, *tags) for tags in ((), (102,), (4095,), (0,), (4094, 101))]
    before = arrived(chassis)
    assert chassis.receive(NIC, *foreign) == {}
    assert arrived(chassis) == before
    chassis.receive_once(NIC, ethernet(BROADCAST, OUTSIDE, 101))
    assert arrived(chassis) == before + 1
    assert chassis.receive("a", ethernet(OUTSIDE, mac_of("a"))) == {
        NIC: [ethernet(OUTSIDE, mac_of("a"), 101)]
    }
    chassis.set(**{"trunkline-vlan-pruning": None})
    until(lambda: trunk(chassis) == ("[]", "[]"), "every VLAN")
    chassis.agent.await_settled()
    chassis.receive(NIC, *foreign)
    assert arrived(chassis) > before + 1
    chassis.set(**{"trunkline-vlan-pruning": "true"})
    until(lambda: trunk(chassis) == ("trunk", "[101]"), "VLAN 101 alone")


def test_a_flat_network_works_through_a_pruned_uplink(site: Site) -> None:
    chassis = pruned(site)
    use_normal_switching(chassis)
    site.network("flat", None)
    site.port("f", "flat")
    chassis.plug("f")
    site.await_up("f")
    site.sync()
    copy = ethernet(BROADCAST, OUTSIDE)
    assert chassis.receive(NIC, copy) == {"f": [copy]}
    assert chassis.receive("f", ethernet(OUTSIDE, mac_of("f"))) == {NIC: [ethernet(OUTSIDE, mac_of("f"))]}
    assert chassis.receive(NIC, ethernet(BROADCAST, OUTSIDE, 101)) == {}


def test_a_vlan_is_let_through_before_there_are_flows_for_it_and_until_there_are_none(site: Site) -> None:
    chassis = pruned(site)
    site.network("vlan101", 101)
    site.port("a", "vlan101")
    seen = len(chassis.agent.log)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert deeds(chassis.agent.log[seen:]) == ["wiring", "flows"]
    seen = len(chassis.agent.log)
    chassis.unplug("a")
    site.await_up("a", is_up=False)
    site.sync()
    assert deeds(chassis.agent.log[seen:]) == ["flows", "wiring"]


def deeds(log: str) -> list[str]:
    """Return what an agent did according to *log*, in order."""
    said = {"set up phy-": "wiring", "flows sent": "flows"}
    return [deed for line in log.splitlines() for text, deed in said.items() if text in line]


def test_the_mtu_of_a_network_is_requested_of_its_vifs(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, mtu=1400)
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert chassis.get("Interface", "a", "mtu_request") == "1400"
    assert chassis.get("Interface", "a", "mtu") == "1400"
    site.nb.set_network("net1", {"mtu": 1300})
    site.sync()
    assert chassis.get("Interface", "a", "mtu") == "1300"
    chassis.plug("b")
    site.port("b")
    site.await_up("b")
    site.sync()
    assert chassis.get("Interface", "b", "mtu") == "1300"
    assert chassis.faults == {}


def test_an_mtu_that_is_no_longer_said_is_no_longer_requested(site: Site) -> None:
    """DESIGN.md, Lifecycle 8: live. What the agent did not request is not its to take back."""
    chassis = site.chassis()
    site.network("net1", 101, mtu=1400)
    for port in ("a", "b", "c"):
        site.port(port)
        chassis.plug(port)
    site.await_up("a", "b", "c")
    site.sync()
    chassis.switch.vsctl("set", "Interface", "b", "mtu_request=1300")
    site.sync()
    assert chassis.get("Interface", "b", "mtu_request") == "1400", "the network's is put back"
    site.nb.delete_ports(["c"])
    site.sync()
    assert chassis.get("Interface", "c", "mtu_request") == "[]"
    site.nb.set_network("net1", {"mtu": None})
    site.sync()
    for port in ("a", "b"):
        assert chassis.get("Interface", port, "mtu_request") == "[]"
        assert "trunkline-mtu" not in chassis.get("Interface", port, "external_ids")
    chassis.switch.vsctl("set", "Interface", "a", "mtu_request=1300")
    site.sync()
    assert chassis.get("Interface", "a", "mtu_request") == "1300", "the operator's own"


def test_an_mtu_outlasts_the_agent_and_ends_with_a_cleanup(site: Site) -> None:
    """DESIGN.md, Lifecycle 6."""
    chassis = site.chassis()
    site.network("net1", 101, mtu=1400)
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    chassis.agent.end()
    site.nb.set_network("net1", {"mtu": 1300})
    chassis.start_agent()
    site.sync()
    assert chassis.get("Interface", "a", "mtu_request") == "1300"
    assert "request no MTU" not in chassis.agent.log
    chassis.agent.end()
    chassis.start_agent("--cleanup", is_settled=False).end_by_itself()
    assert chassis.get("Interface", "a", "mtu_request") == "[]"
    site.is_checked = False


def test_a_trunks_vif_has_the_largest_mtu_of_the_networks_that_it_carries(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, mtu=1300)
    site.network("net2", 102, mtu=1400)
    site.network("net3", 103, mtu=1200)
    site.port("p")
    chassis.plug("p")
    site.await_up("p")
    for name, network, tag, mtu in (("s", "net2", 7, "1400"), ("t", "net3", 8, "1400")):
        site.port(name, network, parent="p", parent_vlan=tag)
        site.await_up(name)
        site.sync()
        assert chassis.get("Interface", "p", "mtu") == mtu
    site.nb.set_network("net1", {"mtu": 1450})
    site.sync()
    assert chassis.get("Interface", "p", "mtu") == "1450"


def test_a_network_that_its_uplink_is_too_small_for_is_a_fault_tag_included(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, mtu=9000)
    site.network("clear", 201, mtu=1500, vlan_transparent=True)
    site.port("a")
    site.port("t", "clear")
    chassis.plug("a")
    chassis.plug("t")
    site.await_up("a", "t")
    until(lambda: len(chassis.faults) == 2, "faults")
    assert (
        "its MTU 9000 needs an uplink with an MTU of 9000, and nic-br-phys1 has 1500"
        in chassis.faults["network net1"]
    )
    assert (
        "its MTU 1500 needs an uplink with an MTU of 1504, and nic-br-phys1 has 1500"
        in chassis.faults["network clear"]
    )
    # Without an MTU nobody knows how large its frames are: that is no fault, of a transparent network either.
    site.nb.set_network("clear", {"mtu": None})
    site.sync()
    assert list(chassis.faults) == ["network net1"]
    chassis.switch.vsctl("set", "Interface", NIC, "mtu_request=9000")
    until(lambda: chassis.faults == {}, "no faults")


def test_only_what_a_frame_of_the_network_would_leave_by_counts_for_its_mtu(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, mtu=1500)
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    small = ("--", "set", "Interface", "small", *chassis.devices.add("small"), "mtu_request=1400")
    site.sync()
    for mine, columns in ((True, ("external_ids:iface-id=vm",)), (False, ())):
        tag = () if mine else ("tag=300",)
        chassis.switch.vsctl("add-port", "br-phys1", "small", *tag, *small, *columns)
        until(lambda: chassis.get("Interface", "small", "mtu") == "1400", "small")
        site.sync()
        assert list(chassis.faults) == (["vif vm"] if mine else [])
        if not mine:
            chassis.switch.vsctl("set", "Port", "small", "tag=101")
            site.sync()
            assert "needs an uplink with an MTU of 1500, and small has 1400" in chassis.faults["network net1"]
        chassis.switch.vsctl("del-port", "small")
    site.sync()
    assert chassis.faults == {}


def test_a_chassis_loads_no_remote_ports_of_a_network_that_learns_them(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, remote_ports="learned")
    site.port("a")
    site.port("b")
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    few = chassis.agent.status()
    for number in range(20):
        site.port(f"r{number}")
    site.sync()
    many = chassis.agent.status()
    assert (many["ports"], many["flows"]) == (few["ports"], few["flows"]) == (2, few["flows"])
    a, b, remote = mac_of("a"), mac_of("b"), mac_of("r7")
    assert chassis.receive("a", ethernet(b, a)) == {"b": [ethernet(b, a)]}
    assert chassis.receive("a", ethernet(remote, a)) == {NIC: [ethernet(remote, a, 101)]}
    assert chassis.receive(NIC, ethernet(a, remote, 101)) == {"a": [ethernet(a, remote)]}
    assert chassis.receive(NIC, ethernet(remote, OUTSIDE, 101)) == {}
    site.nb.set_network("net1", {"remote_ports": "explicit"})
    site.sync()
    assert chassis.agent.status()["ports"] == 22
    assert chassis.receive("a", ethernet(remote, a)) == {NIC: [ethernet(remote, a, 101)]}
    site.nb.set_network("net1", {"remote_ports": "learned"})
    site.sync()
    assert chassis.agent.status()["flows"] == few["flows"]


def test_rule_9_unknown_unicast_that_is_dropped_still_leaves_known_ways_open(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, unknown_unicast="drop")
    site.port("a")
    site.port("r")
    site.port("u", unknown_macs=True)
    chassis.plug("a")
    chassis.plug("u")
    site.await_up("a", "u")
    site.sync()
    a, unknown, remote = mac_of("a"), "02:ee:00:00:00:99", mac_of("r")
    assert chassis.receive("a", ethernet(unknown, a)) == {"u": [ethernet(unknown, a)]}, "rule 15"
    assert chassis.receive(NIC, ethernet(unknown, OUTSIDE, 101)) == {"u": [ethernet(unknown, OUTSIDE)]}
    assert chassis.receive("a", ethernet(remote, a)) == {NIC: [ethernet(remote, a, 101)]}
    assert chassis.receive("a", ethernet(BROADCAST, a)) == {
        "u": [ethernet(BROADCAST, a)],
        NIC: [ethernet(BROADCAST, a, 101)],
    }
