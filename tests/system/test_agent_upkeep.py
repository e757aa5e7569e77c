"""What the frame rules rest on besides flows: set otherwise by hand, it is put back, and frames stay right.

DESIGN.md, Lifecycle 12.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_RA, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from trunkline.lab import command

pytestmark = pytest.mark.system

A, OUTSIDE = mac_of("a"), "02:ee:00:00:00:01"
NIC, INNER, OUTER = "nic-br-phys1", "int-br-phys1", "phy-br-phys1"
OUT, IN = ethernet(BROADCAST, A), ethernet(BROADCAST, OUTSIDE, 101)


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with opened() as site:
        chassis = site.chassis()
        # Nothing but what the switch tells of may show it, and the provider bridge switches like any other.
        chassis.set(**{"trunkline-audit-interval": "0"})
        chassis.switch.ofctl("del-flows", "br-phys1")
        chassis.switch.ofctl("add-flow", "br-phys1", "actions=NORMAL")
        site.network()
        site.network("net2", 102)
        site.port("a")
        site.port("b")
        site.port("z", "net2")
        for port in "abz":
            chassis.plug(port)
        site.port("s", "net2", port_security=True, addresses=["192.0.2.5"])
        chassis.plug("s")
        site.await_up("a", "b", "z", "s")
        site.sync()
        yield site


@pytest.fixture
def chassis(shared: Site) -> DummyChassis:
    chassis = shared.all[0]
    assert works(chassis)
    return chassis


WORKING = {"b": [OUT], NIC: [ethernet(BROADCAST, A, 101)]}


def works(chassis: DummyChassis) -> bool:
    return chassis.receive("a", OUT) == WORKING and chassis.receive(NIC, IN) == {
        "a": [untagged],
        "b": [untagged],
    }


def await_works(chassis: DummyChassis) -> None:
    """Return when frames are as before, warm and cold; what changes between the two is no answer yet."""
    until(lambda: chassis.receive_once("a", OUT) == WORKING, "frames as before")
    assert works(chassis)


untagged = ethernet(BROADCAST, OUTSIDE)


def repairs(chassis: DummyChassis) -> int:
    counted: int = chassis.agent.status()["repairs"]
    return counted


@pytest.mark.parametrize(
    "command",
    [
        f"set Port {OUTER} tag=7",
        f"set Port {INNER} tag=7",
        f"set Port {OUTER} vlan_mode=access",
        f"set Port {OUTER} vlan_mode=dot1q-tunnel tag=7 cvlans=5",
        f"set Port {OUTER} vlan_mode=native-untagged tag=101",
        f"set Port {OUTER} trunks=7",
        f"set Port {OUTER} protected=true",
        "set Bridge br-int fail_mode=standalone",
        "set Bridge br-int stp_enable=true",
        "set Bridge br-int rstp_enable=true",
        "set Bridge br-int protocols=OpenFlow10,OpenFlow13",
        "remove Bridge br-int other_config disable-in-band",
    ],
)
def test_rule_12_of_section_6_wiring_set_otherwise_by_hand_is_put_back(
    shared: Site, chassis: DummyChassis, command: str
) -> None:
    columns = {
        (table, record): chassis.switch.vsctl("list", table, record)
        for table, record in (("Port", INNER), ("Port", OUTER), ("Bridge", "br-int"))
    }
    before, lines = repairs(chassis), chassis.agent.log.count("wiring drifted")
    chassis.switch.vsctl(*command.split())
    shared.sync()
    if "protocols" in command:
        assert chassis.get("Bridge", "br-int", "protocols") == "[OpenFlow10, OpenFlow13, OpenFlow14]"
        chassis.switch.vsctl("clear", "Bridge", "br-int", "protocols")
        shared.sync()
    for (table, record), was in columns.items():
        assert configured(chassis.switch.vsctl("list", table, record)) == configured(was)
    await_works(chassis)
    assert repairs(chassis) > before
    assert chassis.agent.log.count("wiring drifted") == lines + 1


def configured(listed: str) -> list[str]:
    """Return the lines of `ovs-vsctl list` that somebody set, and not the switch."""
    told = ("status", "rstp_", "statistics", "bond_active")
    return [line for line in listed.splitlines() if not line.startswith(told) or "_enable" in line]


def test_rule_12_of_section_6_a_controller_gives_no_vm_a_way_past_the_flows(
    shared: Site, chassis: DummyChassis
) -> None:
    """By default Open vSwitch switches what comes in the controller's name like any switch (in-band)."""
    chassis.switch.vsctl("set-controller", "br-int", "tcp:192.0.2.1:6653")
    shared.sync()
    await_works(chassis)
    hidden = chassis.switch.appctl("bridge/dump-flows", "br-int")
    assert "actions=NORMAL" not in hidden
    chassis.switch.vsctl("del-controller", "br-int")
    shared.sync()
    await_works(chassis)


@pytest.mark.parametrize("port", ["a", INNER])
@pytest.mark.parametrize("flag", ["no-receive", "no-forward"])
def test_rule_12_of_section_6_a_port_that_is_blocked_by_hand_is_unblocked(
    chassis: DummyChassis, port: str, flag: str
) -> None:
    before = repairs(chassis)
    chassis.switch.ofctl("mod-port", "br-int", port, flag)
    until(lambda: not blocked(chassis, port), "unblocked")
    assert works(chassis)
    assert repairs(chassis) == before + 1
    assert f"port drifted port={port} " in chassis.agent.log


def blocked(chassis: DummyChassis, port: str) -> list[str]:
    """Return the flags of *port* that keep frames from it, as the switch has them."""
    listed = chassis.switch.ofctl("dump-ports-desc", "br-int")
    shown = listed.partition(f"({port})")[2].partition("state:")[0]
    assert "config:" in shown
    return [flag for flag in ("NO_RECV", "NO_FWD") if flag in shown]


def test_rule_12_of_section_6_a_port_that_was_blocked_unseen_is_found_when_the_agent_comes(
    shared: Site, chassis: DummyChassis
) -> None:
    chassis.agent.end()
    chassis.switch.ofctl("mod-port", "br-int", "b", "no-forward")
    assert not works(chassis)
    chassis.start_agent()
    shared.sync()
    until(lambda: not blocked(chassis, "b"), "unblocked")
    assert works(chassis)


def test_ports_of_others_on_the_integration_bridge_stay_blocked(shared: Site, chassis: DummyChassis) -> None:
    device = chassis.devices.add("other")
    chassis.switch.vsctl("add-port", "br-int", "other", "--", "set", "Interface", "other", *device)
    chassis.switch.ofctl("mod-port", "br-int", "other", "no-forward")
    chassis.switch.ofctl("mod-port", "br-int", "a", "no-receive")
    until(lambda: not blocked(chassis, "a"), "unblocked")
    assert works(chassis)
    assert blocked(chassis, "other") == ["NO_FWD"]
    # It becomes a VIF: ours from now on.
    chassis.switch.vsctl("set", "Interface", "other", "external_ids:iface-id=unknown")
    until(lambda: not blocked(chassis, "other"), "unblocked")
    chassis.unplug("other")
    shared.sync()


def test_rule_12_of_section_6_fragment_handling_set_by_hand_is_put_back(chassis: DummyChassis) -> None:
    before = repairs(chassis)
    chassis.switch.ofctl("set-frags", "br-int", "normal")
    until(lambda: "nx-match" in chassis.switch.ofctl("get-frags", "br-int"), "put back")
    assert repairs(chassis) == before + 1
    assert "fragment handling drifted wanted=nx-match found=normal" in chassis.agent.log


@contextmanager
def unattended(chassis: DummyChassis) -> Iterator[None]:
    """Keep the agent from noticing anything for the length of the block."""
    os.kill(chassis.agent.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(chassis.agent.process.pid, signal.SIGCONT)


S = mac_of("s")
FROM_S = Ether(src=S, dst=BROADCAST)
V6_FROM_S = FROM_S / IPv6(src="fe80::ff:fe00:73", dst="ff02::1", hlim=255)
MAY_PASS = {
    "udp": FROM_S / IP(src="192.0.2.5", dst="192.0.2.9") / UDP(sport=99, dport=99) / Raw(b"x" * 32),
    "icmp6": V6_FROM_S / ICMPv6EchoRequest(data=b"x" * 32),
}
FORGED = {
    "a DHCP offer": FROM_S
    / IP(src="192.0.2.5", dst="255.255.255.255", flags="MF", id=7)
    / UDP(sport=67, dport=68)
    / Raw(b"x" * 32),
    "a router advertisement": V6_FROM_S
    / IPv6ExtHdrFragment(m=1, id=7, nh=58)
    / ICMPv6ND_RA()
    / Raw(b"x" * 32),
    "a DHCPv6 answer": V6_FROM_S
    / IPv6ExtHdrFragment(m=1, id=7, nh=17)
    / UDP(sport=547, dport=546)
    / Raw(b"x" * 32),
    "one that ends before its UDP header": FROM_S
    / IP(src="192.0.2.5", dst="255.255.255.255", flags="MF", id=7, proto=17)
    / Raw(b"\0C\0D"),
    "one that ends before its ICMPv6 header": V6_FROM_S / IPv6ExtHdrFragment(m=1, id=7, nh=58),
}


def test_rule_13_of_section_5_holds_in_first_fragments_however_the_switch_handles_them(
    shared: Site, chassis: DummyChassis
) -> None:
    """Cold and warm: after a frame that may pass and differs only in what is forbidden."""
    with unattended(chassis):
        for handling in ("nx-match", "normal"):
            chassis.switch.ofctl("set-frags", "br-int", handling)
            for what, packet in FORGED.items():
                warmer = MAY_PASS["icmp6" if "router" in what else "udp"]
                forged = bytes(packet)
                assert chassis.receive("s", forged) == {}, (handling, what)
                assert chassis.receive("s", bytes(warmer), forged) == {
                    "z": [bytes(warmer)],
                    NIC: [tagged(bytes(warmer), 102)],
                }, (handling, what)
    until(lambda: "nx-match" in chassis.switch.ofctl("get-frags", "br-int"), "put back")


def tagged(frame: bytes, vlan_id: int) -> bytes:
    return frame[:12] + b"\x81\x00" + vlan_id.to_bytes(2) + frame[12:]


def test_rule_13_of_section_5_holds_if_a_controller_has_tables_go_on_to_the_next(
    chassis: DummyChassis,
) -> None:
    """OpenFlow 1.1 can say so of a table's misses; OpenFlow 1.4 can neither see it nor take it back."""
    spoofed, unknown = ethernet(BROADCAST, "02:bb:00:00:00:01"), ethernet(BROADCAST, OUTSIDE, 999)
    of_11 = ["ovs-ofctl", "-O", "OpenFlow11", "mod-table", "br-int", "all"]
    command.run([*of_11, "continue"], env=chassis.switch.env)
    assert chassis.receive("s", spoofed) == {}
    assert chassis.receive(NIC, unknown) == {}
    assert works(chassis)
    command.run([*of_11, "drop"], env=chassis.switch.env)


@pytest.mark.parametrize("flag", ["no-receive", "no-forward"])
def test_rule_12_of_section_6_the_patch_port_on_the_provider_bridge_is_unblocked(
    chassis: DummyChassis, flag: str
) -> None:
    before = chassis.agent.status()["repairs"]
    chassis.switch.ofctl("mod-port", "br-phys1", OUTER, flag)
    until(lambda: chassis.agent.status()["repairs"] > before, "unblocked")
    assert works(chassis)
    assert f"port drifted port={OUTER} found={flag}" in chassis.agent.log
