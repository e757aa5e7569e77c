"""Link-local control frames (01:80:c2:00:00:00–0f), byte for byte: DESIGN.md section 5, rule 17."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
CONTROL = [f"01:80:c2:00:00:{last:02x}" for last in (0x00, 0x02, 0x03, 0x0E, 0x0F)]
NEAR = ["01:80:c2:00:00:10", "01:80:c2:00:01:00", "01:80:c3:00:00:00", "01:00:5e:00:00:01", BROADCAST]
STP = CONTROL[0]
ASKED: dict[str, Any] = {"options": {"announce": "false", "control-frames": "true"}}


@pytest.fixture(scope="module")
def chassis() -> Iterator[DummyChassis]:
    """Yield a chassis with a (secured), b, x, y in VLAN 101, f, g in the flat network, t in transparent 201.

    x, y and g ask for control frames; s is the sub-port of b with tag 7, in VLAN 102.
    """
    with opened() as site:
        started = site.chassis()
        site.network()
        site.network("flat", None)
        site.network("carrier", 201, vlan_transparent=True)
        site.network("vlan102", 102)
        site.port("a", port_security=True)
        site.port("b")
        site.port("s", "vlan102", parent="b", parent_vlan=7)
        site.port("f", "flat")
        site.port("t", "carrier")
        for port, network in {"x": "net1", "y": "net1", "g": "flat"}.items():
            site.port(port, network, **ASKED)
        for port in "abxyfgt":
            started.plug(port)
        site.await_up(*"abxyfgts")
        site.sync()
        yield started


@pytest.mark.parametrize("dst", CONTROL)
def test_rule_17_a_vm_sends_no_control_frames(chassis: DummyChassis, dst: str) -> None:
    """Neither to another VM nor to the wire: at once, and right after a frame to a group beside them."""
    inner: dict[str, list[tuple[int, ...]]] = {"t": [(), (9,)], "b": [(), (7,), (0,)]}
    for port in "abft":
        for tags in inner.get(port, [(), (0,)]):
            src = mac_of("s" if tags == (7,) else port)
            beside = [ethernet(near, src, *tags) for near in NEAR]
            assert len(chassis.receive(port, *beside)[NIC]) == len(NEAR), "groups like any other"
            assert chassis.receive(port, ethernet(dst, src, *tags), after=beside) == {}


@pytest.mark.parametrize("dst", CONTROL)
def test_rule_17_a_vm_receives_control_frames_if_its_port_says_so(chassis: DummyChassis, dst: str) -> None:
    for tags, to in {(101,): "xy", (): "g", (201,): "", (201, 9): "", (102,): ""}.items():
        beside = [ethernet(near, OUTSIDE, *tags) for near in NEAR]
        seen = chassis.receive(NIC, ethernet(dst, OUTSIDE, *tags), after=beside)
        assert seen == {port: [ethernet(dst, OUTSIDE)] for port in to}


@pytest.mark.parametrize("dst", CONTROL)
def test_rule_17_a_vm_sends_control_frames_if_its_port_says_so(chassis: DummyChassis, dst: str) -> None:
    frame = ethernet(dst, mac_of("x"))
    assert chassis.receive("x", frame) == {"y": [frame], NIC: [ethernet(dst, mac_of("x"), 101)]}
    assert chassis.receive("g", ethernet(dst, mac_of("g"))) == {NIC: [ethernet(dst, mac_of("g"))]}
    assert chassis.receive("x", ethernet(dst, mac_of("x"), 101)) == {}, "no VM chooses its VLAN"


def test_rule_17_the_option_counts_with_port_security_off_alone(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    for port in "xy":
        site.port(port, **ASKED)
        chassis.plug(port)
    site.await_up(*"xy")
    site.sync()
    frame = ethernet(STP, mac_of("x"))
    assert chassis.receive("x", frame) == {"y": [frame], NIC: [ethernet(STP, mac_of("x"), 101)]}
    # The program refuses it: this is what another client of the database can write.
    for port in "xy":
        row = {"port_security": True}
        site.transact({"op": "update", "table": "Port", "where": [["name", "==", port]], "row": row})
    site.sync()
    assert chassis.receive("x", frame) == chassis.receive(NIC, ethernet(STP, OUTSIDE, 101)) == {}
    reason = "`options:control-frames=true` needs port security off; set `port_security=false`"
    assert chassis.faults == {"port x": reason, "port y": reason}


def bpdu(src: str) -> bytes:
    """Return a configuration BPDU (IEEE 802.1D-2004 section 9.3.1) of the best bridge that there can be."""
    identity = "0000" + src.replace(":", "")
    timers = "0000 1400 0200 0f00"
    body = bytes.fromhex(f"424203 0000 00 00 00 {identity} 00000000 {identity} 8001 {timers}")
    addresses = bytes.fromhex((STP + src).replace(":", ""))
    return (addresses + len(body).to_bytes(2, "big") + body).ljust(60, b"\0")


@pytest.mark.parametrize("protocol", ["stp", "rstp"])
def test_rule_17_no_vm_takes_part_in_the_spanning_tree_of_a_provider_bridge(
    site: Site, protocol: str
) -> None:
    chassis = site.chassis()
    site.network()
    site.network("flat", None)
    site.port("a")
    site.port("f", "flat")
    site.port("g", "flat", **ASKED)
    for port in "afg":
        chassis.plug(port)
    site.await_up(*"afg")
    site.sync()
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=NORMAL")
    chassis.switch.vsctl("set", "Bridge", "br-phys1", f"{protocol}_enable=true")

    heard: dict[str, list[bytes]] = {}

    def is_heard() -> bool:
        for device, frames in chassis.devices.new().items():
            heard.setdefault(device, []).extend(frames)
        return any(frame.startswith(bytes.fromhex("0180c2000000")) for frame in heard.get("g", []))

    until(is_heard, "the bridge's BPDU at the port that asks for it")
    assert heard.keys() == {"g", NIC}

    def is_root() -> bool:
        return "This bridge is the root" in chassis.switch.appctl(f"{protocol}/show", "br-phys1")

    assert is_root()
    for port in "af":
        chassis.receive_once(port, bpdu(mac_of(port)))
        assert is_root(), "what a VM says of it is not heard"
    chassis.receive_once("g", bpdu(mac_of("g")))
    until(lambda: not is_root(), "the port that asks for it has become the root")


def test_rule_17_a_provider_bridge_that_forwards_control_frames_gets_none_of_vms(site: Site) -> None:
    chassis = site.chassis()
    chassis.switch.vsctl("set", "Bridge", "br-phys1", "other_config:forward-bpdu=true")
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=NORMAL")
    site.network()
    site.port("a")
    site.port("x", **ASKED)
    for port in "ax":
        chassis.plug(port)
    site.await_up(*"ax")
    site.sync()
    for dst in CONTROL:
        assert chassis.receive("a", ethernet(dst, mac_of("a"))) == {}
        frame, tagged = ethernet(dst, mac_of("x")), ethernet(dst, mac_of("x"), 101)
        assert chassis.receive("x", frame) == {NIC: [tagged]}
        frame, tagged = ethernet(dst, OUTSIDE), ethernet(dst, OUTSIDE, 101)
        assert chassis.receive(NIC, tagged) == {"x": [frame]}
