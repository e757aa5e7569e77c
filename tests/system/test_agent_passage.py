"""A port is up when a frame can pass, else a fault says why not: DESIGN.md section 6, rule 11."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from program import trunkline

from trunkline.lab import datapath
from trunkline.lab.namespace import ip

if TYPE_CHECKING:
    from conftest import LabFactory

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
TAGGED = ethernet(BROADCAST, A, 101)
NIC = "nic-br-phys1"


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """A site whose chassis has physnet1, and ports a and b in its VLAN 101; each test leaves it so."""
    with opened() as site:
        chassis = site.chassis()
        site.network()
        for port in ("a", "b"):
            site.port(port)
            chassis.plug(port)
        site.await_up("a", "b")
        yield site


@pytest.fixture
def chassis(shared: Site) -> DummyChassis:
    (chassis,) = shared.all
    return chassis


def link(chassis: DummyChassis, interface: str, state: str) -> None:
    chassis.devices.set_link(interface, state)


def vsctl(*words: str) -> Callable[[DummyChassis], object]:
    return lambda chassis: chassis.switch.vsctl(*words)


@dataclass(frozen=True)
class Cause:
    """What keeps frames from passing: how it comes and goes, the fault for it, and which ports it is of."""

    comes: Callable[[DummyChassis], object]
    goes: Callable[[DummyChassis], object]
    subject: str
    words: str
    ports: tuple[str, ...] = ("a", "b")


CAUSES = {
    "no NIC": Cause(
        vsctl("del-port", NIC),
        lambda chassis: chassis.add_nic("br-phys1"),
        "mapping physnet1",
        "nothing gets out of br-phys1: it has no NIC; run: ovs-vsctl add-port br-phys1 NIC",
    ),
    "NIC that the switch cannot use": Cause(
        vsctl("set", "Interface", NIC, "type=bogus"),
        lambda chassis: chassis.switch.vsctl("set", "Interface", NIC, *chassis.devices.add(NIC)),
        "mapping physnet1",
        f"nothing gets out of br-phys1: {NIC} cannot be used: could not open network device {NIC} "
        "(Address family not supported by protocol)",
    ),
    "NIC that is set down": Cause(
        lambda chassis: link(chassis, NIC, "down"),
        lambda chassis: link(chassis, NIC, "up"),
        "mapping physnet1",
        f"nothing gets out of br-phys1: {NIC} is set down, or gone; run: ip link set {NIC} up",
    ),
    "NIC of another VLAN": Cause(
        vsctl("set", "Port", NIC, "tag=300"),
        vsctl("clear", "Port", NIC, "tag"),
        "network net1",
        f"no frame of VLAN 101 gets out of br-phys1: {NIC} does not carry it; "
        "see tag, trunks and vlan_mode of its Port",
    ),
    "NIC that is a trunk of other VLANs": Cause(
        vsctl("set", "Port", NIC, "trunks=200"),
        vsctl("clear", "Port", NIC, "trunks"),
        "network net1",
        f"no frame of VLAN 101 gets out of br-phys1: {NIC} does not carry it; "
        "see tag, trunks and vlan_mode of its Port",
    ),
    "NIC that became a VM's": Cause(
        vsctl("set", "Interface", NIC, "external_ids:iface-id=other"),
        vsctl("remove", "Interface", NIC, "external_ids", "iface-id"),
        "mapping physnet1",
        "nothing gets out of br-phys1: it has no NIC; run: ovs-vsctl add-port br-phys1 NIC",
    ),
    "bridge that is gone": Cause(
        vsctl("del-br", "br-phys1"),
        lambda chassis: chassis.add_provider_bridge("br-phys1"),
        "mapping physnet1",
        "bridge br-phys1 does not exist; create it, or correct trunkline-bridge-mappings",
    ),
    "mapping that is gone": Cause(
        lambda chassis: chassis.set(**{"trunkline-bridge-mappings": None}),
        lambda chassis: chassis.set(**{"trunkline-bridge-mappings": "physnet1:br-phys1"}),
        "network net1",
        "physical network physnet1 is not mapped to a bridge here; "
        "add physnet1:BRIDGE to trunkline-bridge-mappings",
    ),
    "VIF that is set down": Cause(
        lambda chassis: link(chassis, "b", "down"),
        lambda chassis: link(chassis, "b", "up"),
        "vif b",
        "b is set down, or gone; run: ip link set b up",
        ("b",),
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_rule_11_a_port_is_down_with_one_fault_while_nothing_passes(
    shared: Site, chassis: DummyChassis, name: str
) -> None:
    cause = CAUSES[name]
    cause.comes(chassis)
    shared.await_up(*cause.ports, is_up=False)
    shared.sync()
    others = {"a", "b"} - set(cause.ports)
    assert shared.bindings() == {
        **dict.fromkeys(cause.ports, ("c1", False)),
        **dict.fromkeys(others, ("c1", True)),
    }
    assert shared.nb.chassis("c1")["faults"] == {cause.subject: cause.words}
    cause.goes(chassis)
    shared.await_up("a", "b")
    shared.sync()
    assert shared.nb.chassis("c1")["faults"] == {}
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED], "b": [HELLO]}


def test_a_bond_of_which_one_nic_has_a_link_lets_frames_pass(shared: Site, chassis: DummyChassis) -> None:
    switch = chassis.switch
    switch.vsctl("del-port", NIC)
    members = [
        word for name in ("m0", "m1") for word in ("--", "set", "Interface", name, *chassis.devices.add(name))
    ]
    switch.vsctl("add-bond", "br-phys1", "bond0", "m0", "m1", *members)
    shared.sync()
    for down, up in (("m0", "m1"), ("m1", "m0")):
        link(chassis, down, "down")
        until(lambda name=down: chassis.get("Interface", name, "admin_state") == "down", "seen down")  # type: ignore[misc]
        shared.sync()
        assert shared.bindings()["a"] == ("c1", True), down
        reason = f"{down} is set down, or gone; run: ip link set {down} up"
        told = {f"nic {down}": f"bond bond0 of br-phys1 works without it: {reason}"}
        assert shared.nb.chassis("c1")["faults"] == told
        link(chassis, up, "down")
        shared.await_up("a", "b", is_up=False)
        shared.sync()
        reason = chassis.faults["mapping physnet1"]
        assert all(f"{member} is set down" in reason for member in ("m0", "m1"))
        for member in (down, up):
            link(chassis, member, "up")
        shared.await_up("a", "b")
    # One that negotiates uses none of its members before it has a partner, unless it is told to.
    switch.vsctl("set", "Port", "bond0", "lacp=active")
    shared.await_up("a", "b", is_up=False)
    shared.sync()
    assert chassis.faults["mapping physnet1"].startswith(
        "nothing gets out of br-phys1: m0 has no LACP partner"
    )
    switch.vsctl("set", "Port", "bond0", "other_config:lacp-fallback-ab=true")
    shared.await_up("a", "b")
    switch.vsctl("del-port", "bond0")
    chassis.add_nic("br-phys1")
    shared.await_up("a", "b")


SECURE = (
    "br-phys1 is secure and has no flows, so it drops every frame; "
    "run: ovs-vsctl set Bridge br-phys1 fail_mode=standalone, or give it its flows"
)
STANDALONE = (
    "br-phys1 has no flows, so it drops every frame; "
    "run: ovs-ofctl add-flow br-phys1 actions=NORMAL, or give it its flows"
)


@pytest.mark.parametrize(
    ("fail_mode", "protocols", "words"),
    [
        ("secure", "OpenFlow10", SECURE),
        ("secure", "OpenFlow13", SECURE),
        ("secure", "OpenFlow14", SECURE),
        ("secure", "OpenFlow15", SECURE),
        ("secure", "[]", SECURE),
        ("standalone", "[]", STANDALONE),
    ],
)
def test_a_provider_bridge_that_has_no_flows_is_a_fault(
    shared: Site, chassis: DummyChassis, fail_mode: str, protocols: str, words: str
) -> None:
    """Another agent that left the host leaves it so: its flows are gone with the next start of the switch."""
    switch = chassis.switch
    spoken = "OpenFlow14" if protocols == "[]" else protocols
    switch.vsctl("set", "Bridge", "br-phys1", f"fail_mode={fail_mode}", f"protocols={protocols}")
    switch.ofctl("-O", spoken, "del-flows", "br-phys1")
    shared.await_up("a", "b", is_up=False)
    shared.sync()
    assert shared.nb.chassis("c1")["faults"] == {"mapping physnet1": words}
    switch.ofctl("-O", spoken, "add-flow", "br-phys1", "priority=9,actions=FLOOD")
    shared.await_up("a", "b")
    shared.sync()
    assert (chassis.faults, chassis.receive("a", HELLO)) == ({}, {NIC: [TAGGED], "b": [HELLO]})
    switch.vsctl("set", "Bridge", "br-phys1", "fail_mode=standalone", "protocols=[]")
    switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")


def test_a_host_that_is_the_network_itself_counts_if_there_is_no_nic(
    shared: Site, chassis: DummyChassis
) -> None:
    switch = chassis.switch
    switch.vsctl("del-port", NIC)
    switch.vsctl("add-port", "br-phys1", "gw", "--", "set", "Interface", "gw", "type=internal")
    shared.sync()
    assert (shared.bindings()["a"], chassis.faults) == (("c1", True), {})
    # Beside a NIC it says nothing of the physical network.
    chassis.add_nic("br-phys1")
    link(chassis, NIC, "down")
    shared.await_up("a", "b", is_up=False)
    switch.vsctl("del-port", "gw")
    link(chassis, NIC, "up")
    shared.await_up("a", "b")


def test_rule_11_one_fault_is_told_for_a_switch_that_is_away(shared: Site, chassis: DummyChassis) -> None:
    chassis.switch.kill_vswitchd()
    shared.await_up("a", "b", is_up=False)
    faults = until(lambda: shared.nb.chassis("c1")["faults"], "fault")
    assert list(faults) == ["switch"]
    assert faults["switch"].startswith("no OpenFlow connection to br-int: ")
    seen = json.loads(trunkline("status", "-o", "json", nb=shared.served.remote).out)
    assert [row["state"] for row in seen["chassis"]] == ["no switch"]
    # One that starts so forwards nothing, although it takes flows.
    wait = ("Open_vSwitch", ".", "other_config")
    chassis.switch.vsctl("--no-wait", "set", *wait[:2], "other_config:flow-restore-wait=true")
    chassis.switch.start_vswitchd()
    until(lambda: "flow-restore-wait" in shared.nb.chassis("c1")["faults"].get("switch", ""), "fault")
    assert shared.bindings() == {"a": ("c1", False), "b": ("c1", False)}
    chassis.switch.vsctl("remove", *wait, "flow-restore-wait")
    shared.await_up("a", "b")
    shared.sync()
    assert shared.nb.chassis("c1")["faults"] == {}
    # To a switch that has started, it says nothing.
    chassis.switch.vsctl("set", *wait[:2], "other_config:flow-restore-wait=true")
    shared.sync()
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED], "b": [HELLO]}
    assert (shared.bindings()["a"], chassis.faults) == (("c1", True), {})
    chassis.switch.vsctl("remove", *wait, "flow-restore-wait")


def test_rule_11_an_integration_bridge_that_could_not_be_made_is_a_fault(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    site.network()
    site.port("a")
    vsctl = chassis.switch.vsctl
    vsctl("del-br", "br-int")
    vsctl("--no-wait", "add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=bogus")
    chassis.start_agent(is_settled=False)
    fault = until(lambda: site.nb.all_chassis() and site.nb.chassis("c1")["faults"].get("switch"), "fault")
    assert fault.startswith("ovs-vswitchd could not create br-int with datapath_type bogus; its log says why")
    vsctl("set", "Bridge", "br-int", f"datapath_type={chassis.devices.datapath_type}")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert site.nb.chassis("c1")["faults"] == {}


def test_rule_16_ports_that_are_up_again_are_announced(shared: Site, chassis: DummyChassis) -> None:
    shared.port("c", options={})
    chassis.plug("c")
    shared.await_up("c")
    c = bytes.fromhex(mac_of("c").replace(":", ""))

    def announced() -> bool:
        return any(frame[6:12] == c for frame in chassis.devices.new().get(NIC, []))

    # More often than a port that came up once is announced: six times.
    for interface in (NIC, "c") * 4:
        link(chassis, interface, "down")
        shared.await_up("c", is_up=False)
        chassis.switch.settle()
        chassis.devices.new()
        link(chassis, interface, "up")
        until(announced, f"announced when {interface} is back")
        shared.await_up("c")
    chassis.unplug("c")
    shared.nb.delete_ports(["c"])
    shared.sync()


def test_a_link_that_goes_makes_one_fault_and_one_write_for_all_ports(
    shared: Site, chassis: DummyChassis
) -> None:
    names = [f"m{number}" for number in range(60)]
    for name in names:
        shared.port(name)
        chassis.plug(name)
    shared.await_up(*names)
    shared.sync()
    link(chassis, NIC, "down")
    shared.await_up("a", *names, is_up=False)
    shared.sync()
    assert list(shared.nb.chassis("c1")["faults"]) == ["mapping physnet1"]
    flows = chassis.flows()
    link(chassis, NIC, "up")
    shared.await_up("a", *names)
    assert len(chassis.flows()) == len(flows)
    for name in names:
        chassis.unplug(name)
    shared.nb.delete_ports(names)
    shared.sync()


REAL = """
physnets: [p1]
networks: [{name: red, type: vlan, physical_network: p1, segment: 7}]
chassis: [{name: c1, mappings: {p1: br-p1}}]
vms: [{name: v, chassis: c1, network: red, ip: 10.9.0.1/24}]
"""


def test_rule_11_a_cable_that_is_pulled_takes_ports_down_and_a_vms_tap_is_no_way_out(lab: LabFactory) -> None:
    running = lab(REAL)
    chassis, wire = running.chassis["c1"], running.chassis["c1"].wire("p1")

    def faults() -> dict[str, str]:
        found: dict[str, str] = json.loads(running.nb.trunkline("chassis", "show", "c1", "-o", "json"))[
            "faults"
        ]
        return found

    running.nb.trunkline("network", "set", "red", "--mtu", "1500")
    ip(["tuntap add dev tap0 mode tap", "link set tap0 mtu 1400 up"], chassis.namespace)
    chassis.switch.vsctl("add-port", "br-p1", "tap0")
    until(lambda: "tun" in chassis.switch.vsctl("get", "Interface", "tap0", "status"), "seen")
    running.nb.sync()
    assert faults() == {}
    ip([f"link set {wire.name} down"], wire.namespace)
    running.nb.wait_up(["v"], is_up=False)
    running.nb.sync()
    assert faults() == {"mapping p1": "nothing gets out of br-p1: eth0 has no link; check its other end"}
    ip([f"link set {wire.name} up"], wire.namespace)
    running.nb.wait_up(["v"])
    # A device that another namespace took looks down from here, and works.
    vif = running.vm["v"]
    chassis.switch.vsctl("del-port", vif.vif)
    chassis.switch.vsctl(
        *("add-port", "br-int", "in0", "--", "set", "Interface", "in0", "type=internal"),
        "external_ids:iface-id=v",
    )
    ip([f"link set in0 netns {vif.namespace.name}"], chassis.namespace)
    ip(["link set in0 up"], vif.namespace)
    if datapath.default() != datapath.SYSTEM:  # with the kernel's, Open vSwitch 4.0 sees it there
        until(lambda: "down" in chassis.switch.vsctl("get", "Interface", "in0", "link_state"), "looks down")
    running.nb.wait_up(["v"])
    running.nb.sync()
    assert faults() == {}
