"""Bridges and patch ports: which the agent takes, makes, repairs and leaves, as settings and rows change."""

from __future__ import annotations

import os
import signal

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
NIC1, NIC2 = "nic-br-phys1", "nic-br-phys2"
MAPPINGS = "trunkline-bridge-mappings"


NO_PEER = "No usable peer 'int-br-phys1' exists in 'dummy' datapath."


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    return site.with_two_networks()


def patch_ports(chassis: DummyChassis) -> set[str]:
    found = chassis.switch.vsctl("--bare", "--columns=name", "find", "Interface", "type=patch")
    return set(found.split())


def uplink_fault(chassis: DummyChassis, physnet: str = "physnet1") -> str | None:
    return chassis.faults.get(f"mapping {physnet}")


def test_a_missing_peer_that_open_vswitch_tells_of_too_late_is_no_fault(
    site: Site, chassis: DummyChassis
) -> None:
    """It writes the error after the peer came, and clears it when it next reads its settings."""
    pid = chassis.switch.vswitchd_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        for key, error, is_fault in (("stale", NO_PEER, False), ("real", "something else", True)):
            # The agent sees the setting, which is a fault, together with the error.
            seen = f"trunkline-{key}"
            setting = ("--", "set", "Open_vSwitch", ".", f"external_ids:{seen}=1")
            chassis.switch.vsctl(
                *("--no-wait", "set", "Interface", "phy-br-phys1", f'error="{error}"', *setting)
            )
            until(lambda seen=seen: f"setting {seen}" in chassis.faults, "seen")  # type: ignore[misc]
            assert (uplink_fault(chassis) is not None) == is_fault
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_mapping_that_comes_and_goes_is_wired_and_unwired(site: Site, chassis: DummyChassis) -> None:
    assert "network net2" in chassis.faults
    assert chassis.receive("b", ethernet(BROADCAST, mac_of("b"))) == {}
    chassis.add_provider_bridge("br-phys2")
    chassis.set(**{MAPPINGS: "physnet1:br-phys1,physnet2:br-phys2"})
    site.sync()
    frame = ethernet(BROADCAST, mac_of("b"))
    assert chassis.receive("b", frame) == {NIC2: [ethernet(BROADCAST, mac_of("b"), 102)]}
    assert chassis.faults == {}
    kept = chassis.ofport("int-br-phys2")
    chassis.set(**{MAPPINGS: "physnet2:br-phys2"})
    site.sync()
    assert patch_ports(chassis) == {"int-br-phys2", "phy-br-phys2"}
    assert chassis.receive("a", HELLO) == {}
    assert chassis.ofport("int-br-phys2") == kept
    chassis.set(**{MAPPINGS: None})
    site.sync()
    assert patch_ports(chassis) == set()


def test_a_physnet_that_moves_to_another_bridge_leaves_the_first(site: Site, chassis: DummyChassis) -> None:
    chassis.add_provider_bridge("br-phys2")
    chassis.set(**{MAPPINGS: "physnet1:br-phys2"})
    site.sync()
    assert patch_ports(chassis) == {"int-br-phys2", "phy-br-phys2"}
    assert chassis.receive("a", HELLO) == {NIC2: [ethernet(BROADCAST, A, 101)]}


def test_rule_7_of_section_6_a_bridge_that_is_deleted_and_comes_back_is_wired(
    site: Site, chassis: DummyChassis
) -> None:
    for _ in range(2):
        chassis.switch.vsctl("del-br", "br-phys1")
        site.sync()
        assert "br-phys1 does not exist" in site.nb.chassis("c1")["faults"]["mapping physnet1"]
        assert patch_ports(chassis) == set()
        assert chassis.receive("a", HELLO) == {}
        chassis.add_provider_bridge("br-phys1")
        site.sync()
        assert "mapping physnet1" not in site.nb.chassis("c1")["faults"]
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_rule_7_of_section_6_patch_ports_changed_by_hand_are_repaired(
    site: Site, chassis: DummyChassis
) -> None:
    by_hand = (
        ("del-port", "int-br-phys1"),
        ("del-port", "phy-br-phys1"),
        ("set", "Interface", "int-br-phys1", "options:peer=nowhere"),
        ("set", "Interface", "phy-br-phys1", "type=dummy"),
        ("remove", "Port", "int-br-phys1", "external_ids", "trunkline-physnet"),
        ("set", "Port", "phy-br-phys1", "external_ids:trunkline-physnet=other"),
    )
    for words in by_hand:
        chassis.switch.vsctl(*words)
        site.sync()
        assert patch_ports(chassis) == {"int-br-phys1", "phy-br-phys1"}, words
        assert chassis.get("Port", "int-br-phys1", "external_ids:trunkline-physnet") == "physnet1", words
        assert chassis.get("Bridge", "br-int", "fail_mode") == "secure", words
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}, words


@pytest.mark.parametrize("words", ["set Bridge br-int fail_mode=standalone", "clear Bridge br-int fail_mode"])
def test_rule_7_of_section_6_fail_mode_changed_by_hand_is_repaired(
    site: Site, chassis: DummyChassis, words: str
) -> None:
    chassis.switch.vsctl(*words.split())
    site.sync()
    assert chassis.get("Bridge", "br-int", "fail_mode") == "secure"
    # Open vSwitch has thrown all flows away and put its own in their place.
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_a_vif_on_a_provider_bridge_is_a_fault_until_it_is_where_it_belongs(
    site: Site,
) -> None:
    """It would have no port security there, and reach every VLAN."""
    chassis = site.chassis()
    site.network()
    site.port("b")
    vif = ("--", "set", "Interface", "stray", *chassis.devices.add("stray"))
    chassis.switch.vsctl("add-port", "br-phys1", "stray", *vif)
    site.sync()
    assert chassis.faults == {}
    chassis.switch.vsctl("set", "Interface", "stray", "external_ids:iface-id=b")
    site.sync()
    chassis.agent.await_settled()
    where = "stray is on the provider bridge br-phys1, past all flows"
    assert chassis.faults == {"vif b": f"{where}; plug it into br-int, or remove its iface-id"}
    until(lambda: site.nb.chassis("c1")["faults"] == chassis.faults, "reported")
    assert not site.bindings()["b"][1]
    chassis.switch.vsctl(
        "del-port", "stray", "--", "add-port", "br-int", "stray", *vif, "external_ids:iface-id=b"
    )
    site.await_up("b")
    assert chassis.faults == {}


def test_foreign_ports_are_not_touched(site: Site, chassis: DummyChassis) -> None:
    switch = chassis.switch
    switch.vsctl("add-port", "br-phys1", "phy-other", "--", "set", "Interface", "phy-other", "type=patch",
                 "options:peer=int-other")  # fmt: skip
    switch.vsctl("add-port", "br-int", "int-other", "--", "set", "Interface", "int-other", "type=patch",
                 "options:peer=phy-other")  # fmt: skip
    foreign = [
        switch.vsctl("list", table, name) for table in ("Port",) for name in ("int-other", "phy-other")
    ]
    chassis.set(**{MAPPINGS: None})
    site.sync()
    chassis.set(**{MAPPINGS: "physnet1:br-phys1"})
    site.sync()
    assert foreign == [switch.vsctl("list", "Port", name) for name in ("int-other", "phy-other")]
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_a_foreign_port_of_the_agreed_name_is_a_fault_and_not_touched(
    site: Site, chassis: DummyChassis
) -> None:
    chassis.set(**{MAPPINGS: None})
    site.sync()
    chassis.plug("stranger", "int-br-phys1")
    before = chassis.get("Interface", "int-br-phys1", "type")
    chassis.set(**{MAPPINGS: "physnet1:br-phys1"})
    site.sync()
    assert "int-br-phys1 exists" in site.nb.chassis("c1")["faults"]["mapping physnet1"]
    assert chassis.get("Interface", "int-br-phys1", "type") == before
    chassis.unplug("int-br-phys1")
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_the_patch_ports_of_neutrons_agent_are_taken_over_in_place(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    for bridge, name, peer in (
        ("br-int", "int-br-phys1", "phy-br-phys1"),
        ("br-phys1", "phy-br-phys1", "int-br-phys1"),
    ):
        chassis.switch.vsctl("add-port", bridge, name, "--", "set", "Interface", name, "type=patch",
                             f"options:peer={peer}", "ofport_request=77")  # fmt: skip
    before = [chassis.get("Interface", "int-br-phys1", column) for column in ("_uuid", "ofport")]
    chassis.start_agent()
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    assert [chassis.get("Interface", "int-br-phys1", column) for column in ("_uuid", "ofport")] == before
    assert chassis.get("Port", "int-br-phys1", "external_ids:trunkline-physnet") == "physnet1"
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_the_integration_bridge_changes_live(site: Site, chassis: DummyChassis) -> None:
    chassis.switch.vsctl(*chassis.bridge("br-new"))
    chassis.set(**{"trunkline-integration-bridge": "br-new"})
    site.sync()
    assert site.bindings()["a"] == (None, False), "its VIF is on the old one"
    assert chassis.get("Bridge", "br-new", "fail_mode") == "secure"
    chassis.unplug("a")
    chassis.plug("a", bridge="br-new")
    site.await_up("a")
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    chassis.set(**{"trunkline-integration-bridge": None})
    site.await_up("a", is_up=False)
    chassis.unplug("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_a_patch_port_that_changes_bridges_while_the_switch_is_busy_keeps_its_peer(
    site: Site, chassis: DummyChassis
) -> None:
    """Open vSwitch 3.1 takes the peer from a patch port that leaves one bridge for another in one turn."""
    vsctl = chassis.switch.vsctl
    vsctl(*chassis.bridge("br-new"))
    for bridge in ("br-new", "br-int"):
        setting = f"external_ids:trunkline-integration-bridge={bridge}"
        with chassis.switch.stopped():
            vsctl("--no-wait", "set", "Open_vSwitch", ".", setting)
            until(lambda: not chassis.get("Interface", "int-br-phys1", "name"), "removed")
            for _ in range(3):
                # Each answer is a turn of the agent's loop, in which it could go too far.
                assert not chassis.agent.status()["settled"]
            assert not chassis.get("Interface", "int-br-phys1", "name")
        site.await_up("a", is_up=False)
        chassis.unplug("a")
        chassis.plug("a", bridge=bridge)
        site.await_up("a")
        site.sync()
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


BRIDGE = "trunkline-integration-bridge"


def ours_on(chassis: DummyChassis, bridge: str) -> list[str]:
    return [flow for flow in chassis.flows(bridge) if "cookie=0x7472" in flow]


def as_it_is(chassis: DummyChassis, bridge: str) -> list[str]:
    """Return what of *bridge* somebody may set, and its flows."""
    columns = ("fail_mode", "other_config", "external_ids", "protocols", "stp_enable")
    flows = chassis.switch.ofctl("--no-stats", "dump-flows", bridge).splitlines()
    return [*(chassis.get("Bridge", bridge, column) for column in columns), *flows]


def test_a_provider_bridge_does_not_become_the_integration_bridge(site: Site, chassis: DummyChassis) -> None:
    """Neither one that is mapped nor one that holds somebody's port; what works goes on."""
    subject = f"setting {BRIDGE}"
    chassis.add_provider_bridge("br-other")
    for bridge, reason in (
        ("br-phys1", "br-phys1 is the provider bridge of physnet1; name another bridge"),
        ("br-other", "br-other has the port nic-br-other, which is neither a VIF nor"),
        ("br-late", "br-late is the provider bridge of physnet9"),
    ):
        before = as_it_is(chassis, bridge) if bridge != "br-late" else []
        chassis.set(**{BRIDGE: bridge, MAPPINGS: "physnet1:br-phys1,physnet9:br-late"})
        until(lambda reason=reason: reason in chassis.faults.get(subject, ""), "a fault")  # type: ignore[misc]
        site.sync()
        assert reason in site.nb.chassis("c1")["faults"][subject]
        assert not before or as_it_is(chassis, bridge) == before
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    assert "br-late" not in chassis.switch.vsctl("list-br")
    # The agent that comes goes on with what the one before it used.
    chassis.agent.end()
    chassis.start_agent()
    assert "br-late is the provider bridge" in chassis.faults[subject]
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    # A bridge that is free meanwhile may be it, without another word of the operator.
    chassis.set(**{BRIDGE: "br-other", MAPPINGS: "physnet1:br-phys1"})
    until(lambda: "br-other has the port" in chassis.faults.get(subject, ""), "a fault")
    chassis.switch.vsctl("del-port", "nic-br-other")
    until(lambda: subject not in chassis.faults, "followed")
    site.await_up("a", is_up=False)
    chassis.set(**{BRIDGE: None})
    site.await_up("a")
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_an_agent_without_a_bridge_to_go_on_with_does_not_take_a_provider_bridge(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    chassis.set(**{BRIDGE: "br-phys1"})
    before = as_it_is(chassis, "br-phys1")
    code, complaint = chassis.start_agent(is_settled=False).end_by_itself()
    assert (code, complaint.count("\n")) == (1, 1), complaint
    assert f"{BRIDGE} cannot be used: br-phys1 is the provider bridge of physnet1" in complaint
    assert as_it_is(chassis, "br-phys1") == before


def test_an_integration_bridge_that_is_left_becomes_what_it_was(site: Site, chassis: DummyChassis) -> None:
    """Its flows go at once; it is a plain switch again when no VIF is left that it would join with others."""
    chassis.switch.vsctl(*chassis.bridge("br-new"))
    before = as_it_is(chassis, "br-new")
    chassis.plug("x", bridge="br-new")
    chassis.set(**{BRIDGE: "br-new"})
    until(lambda: ours_on(chassis, "br-new") and not ours_on(chassis, "br-int"), "moved")
    chassis.set(**{BRIDGE: None})
    until(lambda: ours_on(chassis, "br-int") and not ours_on(chassis, "br-new"), "moved back")
    site.await_up("a")
    site.sync()
    assert chassis.get("Bridge", "br-new", "fail_mode") == "secure", "its VIF would be joined with others"
    # Another agent goes on where this one ended, and tells the bridge in use from the one that was left.
    chassis.agent.end()
    chassis.set(**{BRIDGE: "br-phys1"})
    chassis.start_agent()
    assert "br-phys1 is the provider bridge" in chassis.faults[f"setting {BRIDGE}"]
    assert chassis.get("Bridge", "br-new", "fail_mode") == "secure"
    chassis.set(**{BRIDGE: None})
    chassis.unplug("x")
    until(lambda: as_it_is(chassis, "br-new") == before, "as it was")
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_a_cleanup_makes_the_integration_bridge_what_it_was(site: Site) -> None:
    """DESIGN.md section 6, rule 6."""
    chassis = site.chassis(is_running=False)
    chassis.switch.vsctl("clear", "Bridge", "br-int", "fail_mode")
    before = as_it_is(chassis, "br-int")
    chassis.start_agent()
    assert chassis.get("Bridge", "br-int", "fail_mode") == "secure"
    chassis.agent.end()
    chassis.start_agent("--cleanup", is_settled=False).end_by_itself()
    assert as_it_is(chassis, "br-int") == before
    site.is_checked = False


def test_an_integration_bridge_that_is_not_there_is_created(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    chassis.switch.vsctl("del-br", "br-int")
    chassis.set(**{"trunkline-datapath-type": "netdev"})
    chassis.start_agent()
    assert chassis.get("Bridge", "br-int", "fail_mode") == "secure"
    assert chassis.get("Bridge", "br-int", "datapath_type") == "netdev"
    assert patch_ports(chassis) == {"int-br-phys1", "phy-br-phys1"}
    # Open vSwitch itself does not always tell.
    fault = until(lambda: uplink_fault(chassis), "fault")
    theirs = chassis.devices.datapath_type
    assert fault.startswith(f"br-phys1 is in datapath {theirs} and br-int in netdev")
