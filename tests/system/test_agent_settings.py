"""The chassis settings, read live (DESIGN.md section 3), and the wiring that follows from them."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import refusal, trunkline

from trunkline.lab.error import WaitError
from trunkline.northbound.client import Northbound
from trunkline.northbound.schema import DATABASE

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
NIC1, NIC2 = "nic-br-phys1", "nic-br-phys2"
MAPPINGS = "trunkline-bridge-mappings"


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    """A chassis with physnet1 mapped, port a on VLAN 101 of physnet1 and port b on VLAN 102 of physnet2."""
    chassis = site.chassis()
    site.network("net1", 101)
    site.network("net2", 102, "physnet2")
    site.port("a", "net1")
    site.port("b", "net2")
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a")
    site.sync()
    assert site.bindings()["b"] == ("c1", False), "physnet2 is not mapped yet"
    return chassis


def patch_ports(chassis: DummyChassis) -> set[str]:
    found = chassis.switch.vsctl("--bare", "--columns=name", "find", "Interface", "type=patch")
    return set(found.split())


def uplink_fault(chassis: DummyChassis, physnet: str = "physnet1") -> str | None:
    return chassis.faults.get(f"mapping {physnet}")


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


@pytest.mark.parametrize(
    ("mappings", "subject"),
    [
        ("physnet1:br-phys1,nonsense", "mapping nonsense"),
        ("physnet1:br-phys1,:br-x,physnet9:", "mapping :br-x"),
        ("physnet1:br-phys1,a:b:c", "mapping a:b:c"),
        ("physnet1:br-phys1,physnet1:br-other", "mapping physnet1:br-other"),
        ("physnet1:br-phys1,physnet2:br-phys1", "mapping physnet2:br-phys1"),
        ("physnet1:br-phys1,physnet2:br-int", "mapping physnet2"),
        (" physnet1 : br-phys1 ,, \t,\x01:\x02", "mapping \x01"),
        ("physnet1:br-phys1," + "x" * 10_000, "mapping " + "x" * 10_000),
    ],
)
def test_rule_9_of_section_6_a_bad_mapping_is_a_fault_and_the_others_work(
    site: Site, chassis: DummyChassis, mappings: str, subject: str
) -> None:
    chassis.set(**{MAPPINGS: mappings})
    site.sync()
    assert subject in site.nb.chassis("c1")["faults"]
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_a_setting_that_is_none_or_says_nothing_is_a_fault(site: Site, chassis: DummyChassis) -> None:
    remote = site.served.remote
    wrong = {
        "trunkline-vlan-pruning": (
            "maybe",
            "'maybe' is neither true nor false, and counts as false; correct it",
        ),
        "trunkline-bridge-mapping": (
            "physnet2:br-phys2",
            "there is no such setting; did you mean trunkline-bridge-mappings?",
        ),
        "trunkline-nb": (
            f"{remote},foo",
            "'foo' is no remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT",
        ),
        "trunkline-datapath-type": (
            "netdev",
            "br-int exists with dummy, and the setting is for one that the agent creates; run: ovs-vsctl "
            "set Bridge br-int datapath_type=netdev (it cuts off all VMs for a moment), or correct it",
        ),
    }
    chassis.set(**{key: value for key, (value, _) in wrong.items()})
    site.sync()
    found = site.nb.chassis("c1")["faults"]
    assert {key: found.get(f"setting {key}") for key in wrong} == {
        key: words for key, (_, words) in wrong.items()
    }
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    chassis.set(**(dict.fromkeys(wrong) | {"trunkline-nb": remote}))
    site.sync()
    assert list(site.nb.chassis("c1")["faults"]) == ["network net2"]
    # Without any remote there is nothing to go by but the last ones.
    chassis.set(**{"trunkline-nb": "foo"})
    site.sync()
    assert site.nb.chassis("c1")["faults"]["settings"] == (
        "trunkline-nb: 'foo' is no remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT"
    )


def test_a_networks_fault_says_what_is_wrong_with_its_mapping(site: Site, chassis: DummyChassis) -> None:
    assert chassis.faults["network net2"].startswith(
        "physical network physnet2 is not mapped to a bridge here"
    )
    with pytest.raises(WaitError, match="c1: network net2: physical network physnet2 is not mapped"):
        site.served.wait_up(["b"], timeout_s=0.1)
    chassis.set(**{MAPPINGS: "physnet1:br-phys1,physnet2:br-phys2"})
    site.sync()
    assert site.nb.chassis("c1")["faults"] == {
        "mapping physnet2": "bridge br-phys2 does not exist; create it, or correct trunkline-bridge-mappings"
    }
    assert site.bindings()["b"] == ("c1", False)


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
    until(lambda: chassis.receive_once("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}, "flows back")
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


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
    chassis.set(**{MAPPINGS: "physnet1:br-phys1"})
    site.sync()
    assert "int-br-phys1 exists" in site.nb.chassis("c1")["faults"]["mapping physnet1"]
    assert chassis.get("Interface", "int-br-phys1", "type") == "dummy"
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
    chassis.switch.vsctl("add-br", "br-new", "--", "set", "Bridge", "br-new", "datapath_type=dummy")
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
    vsctl("add-br", "br-new", "--", "set", "Bridge", "br-new", "datapath_type=dummy")
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
        ("br-phys1", "br-phys1 is the provider bridge of physnet1; name a bridge of its own"),
        ("br-other", "br-other holds nic-br-other, which is neither a VIF nor"),
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
    until(lambda: "br-other holds" in chassis.faults.get(subject, ""), "a fault")
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
    assert f"{BRIDGE} cannot be followed: br-phys1 is the provider bridge of physnet1" in complaint
    assert as_it_is(chassis, "br-phys1") == before


def test_an_integration_bridge_that_is_left_becomes_what_it_was(site: Site, chassis: DummyChassis) -> None:
    """Its flows go at once; it is a plain switch again when no VIF is left that it would join with others."""
    chassis.switch.vsctl("add-br", "br-new", "--", "set", "Bridge", "br-new", "datapath_type=dummy")
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
    assert fault.startswith("br-phys1 is in datapath dummy and br-int in netdev")


def test_the_northbound_changes_live(site: Site, chassis: DummyChassis) -> None:
    folder = site.folder / "o"
    folder.mkdir()
    other = Site(folder)
    try:
        other.network("net1", 301)
        other.port("a", "net1")
        chassis.set(**{"trunkline-nb": other.served.remote, "trunkline-nb-identity": "any"})
        other.await_up("a")
        other.sync()
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 301)]}
        assert "vif b" in chassis.faults
        chassis.set(**{"trunkline-nb": site.served.remote})
        until(lambda: chassis.agent.status()["northbound_remotes"] == site.served.remote, "back")
        site.sync()
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    finally:
        other.close(is_checked=False)


def test_a_northbound_that_is_not_there_leaves_forwarding_as_it_is(site: Site, chassis: DummyChassis) -> None:
    before = chassis.flows()
    chassis.set(**{"trunkline-nb": "unix:/nonexistent/nb.sock"})
    until(lambda: not chassis.agent.status()["northbound"], "northbound gone")
    reason = until(lambda: chassis.faults.get("northbound"), "fault")
    assert reason == (
        "not connected: unix:/nonexistent/nb.sock: No such file or directory; "
        "start the northbound, or correct trunkline-nb"
    )
    assert len(chassis.flows()) == len(before)
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    chassis.set(**{"trunkline-nb": site.served.remote})
    until(lambda: chassis.agent.status()["settled"], "back")
    site.sync()
    assert "northbound" not in chassis.faults


@pytest.mark.parametrize("key", ["system-id", "trunkline-nb"])
def test_without_a_required_setting_the_agent_does_not_start(site: Site, key: str) -> None:
    chassis = site.chassis(is_running=False)
    chassis.set(**{key: None})
    agent = chassis.start_agent(is_settled=False)
    assert agent.process.wait(10) == 1
    assert agent.process.stderr is not None
    complaint = agent.process.stderr.read()
    assert re.fullmatch(rf"trunkline: {key} is not set .*ovs-vsctl set .*\n", complaint), complaint


@pytest.mark.parametrize("key", ["system-id", "trunkline-nb"])
def test_a_required_setting_that_goes_is_a_fault_and_work_goes_on(
    site: Site, chassis: DummyChassis, key: str
) -> None:
    chassis.set(**{key: None})
    until(lambda: "settings" in chassis.faults, "fault")
    site.nb.set_network("net1", {"segmentation_id": 111})
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 111)]}
    value = {"system-id": "c1", "trunkline-nb": site.served.remote}[key]
    chassis.set(**{key: value})
    until(lambda: "settings" not in chassis.faults, "fault gone")
    site.sync()


def test_a_chassis_that_is_renamed_takes_its_ports_along_and_no_flow_is_sent_again(
    site: Site, chassis: DummyChassis
) -> None:
    sent = chassis.agent.log.count("flows sent")
    chassis.set(**{"system-id": "c2"})
    until(lambda: chassis.agent.status()["chassis"] == "c2" and chassis.agent.status()["settled"], "renamed")
    site.sync()
    assert site.bindings() == {"a": ("c2", True), "b": ("c2", False)}
    assert {row["name"] for row in site.nb.all_chassis()} == {"c2"}
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    # Back at once: the second name is given before the first is out of the northbound.
    chassis.set(**{"system-id": "c3"})
    chassis.set(**{"system-id": "c1"})
    until(lambda: chassis.agent.status()["chassis"] == "c1" and chassis.agent.status()["settled"], "renamed")
    site.sync()
    assert site.bindings() == {"a": ("c1", True), "b": ("c1", False)}
    assert {row["name"] for row in site.nb.all_chassis()} == {"c1"}
    assert chassis.agent.log.count("flows sent") == sent


def test_while_a_chassis_is_renamed_there_is_always_a_row_for_sync_to_ask(
    site: Site, chassis: DummyChassis
) -> None:
    site.sync()
    with Northbound.connect(site.served.remote) as nb:
        rows = nb.rpc.request("monitor", [DATABASE, None, {"Chassis": {"columns": ["name"]}}], 5)["Chassis"]
        present = {uuid: change["new"]["name"] for uuid, change in rows.items()}
        chassis.set(**{"system-id": "c2"})
        while set(present.values()) != {"c2"}:
            assert present
            update = nb.rpc.notification(20)
            assert update is not None
            for uuid, change in update.params[1]["Chassis"].items():
                present.pop(uuid, None)
                if "new" in change:
                    present[uuid] = change["new"]["name"]
    site.sync()
    assert [row["name"] for row in site.nb.all_chassis()] == ["c2"]


def test_a_chassis_that_is_renamed_without_a_northbound_takes_its_ports_along_once_the_old_one_is_deleted(
    site: Site, chassis: DummyChassis
) -> None:
    site.served.stop()
    until(lambda: not chassis.agent.status()["northbound"], "northbound gone")
    chassis.set(**{"system-id": "c2"})
    until(lambda: chassis.agent.status()["chassis"] == "c2", "renamed")
    site.served.start()
    site.reconnect()
    until(lambda: "port a" in chassis.faults, "fault")
    site.nb.delete_chassis(["c1"])
    site.await_up("a")
    site.sync()
    assert site.bindings() == {"a": ("c2", True), "b": ("c2", False)}
    assert {row["name"] for row in site.nb.all_chassis()} == {"c2"}


def test_the_agent_says_in_one_line_that_there_is_no_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The ovs package imports eventlet where it is installed, and that one warns.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    done = trunkline("agent", "--ovs", f"unix:{tmp_path}/db.sock")
    assert "does not exist; start Open vSwitch" in refusal(done, 1)
    assert "is no remote" in refusal(trunkline("agent", "--ovs", "nonsense"), 1)


def test_the_settings_are_reported_to_the_northbound(site: Site, chassis: DummyChassis) -> None:
    row = site.nb.chassis("c1")
    assert row["bridge_mappings"] == {"physnet1": "br-phys1"}
    assert (
        json.loads(trunkline("chassis", "show", "c1", "-o", "json", nb=site.served.remote).out)["name"]
        == "c1"
    )


def test_the_hosts_name_is_that_of_the_switchs_database(site: Site, chassis: DummyChassis) -> None:
    site.sync()
    assert site.nb.chassis("c1")["hostname"] == socket.gethostname()
    chassis.set(hostname="compute-7.example")
    site.sync()
    assert site.nb.chassis("c1")["hostname"] == "compute-7.example"
