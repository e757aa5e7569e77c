"""What a VM may claim to be, byte for byte, and who receives a MAC that several ports have.

DESIGN.md section 5, rules 13 and 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Solicit
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLQuery,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from trunkline.lab import datapath

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
ETH_RARP = 0x8035
OUTSIDE = "02:ee:00:00:00:01"
A, B, C, M, P, U = (mac_of(name) for name in "abcmpu")
A4, A6, B4, B6 = "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"
PAIR_MAC, PAIR_4 = "02:aa:00:00:00:01", "198.51.100.0/28"
SHARED, FAR = "00:00:5e:00:01:33", "00:00:5e:00:01:44"
LINK_LOCAL = "fe80::ff:fe00:61"
"""That of A by modified EUI-64 (RFC 4291, appendix A)."""

ALL_NODES = "ff02::1"


@pytest.fixture(scope="module")
def chassis() -> Iterator[DummyChassis]:
    """Yield a chassis with a (secured, two addresses), m (secured, MAC alone), p, b, c, u (open), VRRP MACs.

    p is secured and has no address but a prefix for its own MAC.
    b and c list SHARED; r and q, elsewhere, list FAR, and so does c; u takes unknown MACs.
    """
    with opened() as site:
        started = site.chassis()
        site.network()
        secured: dict[str, Any] = {"port_security": True}
        site.port("p", allowed_address_pairs=(f"{P},192.0.2.16/28",), **secured)
        pairs = (f"{PAIR_MAC},{PAIR_4}", f"{A},203.0.113.7")
        site.port("a", addresses=(A4, A6), allowed_address_pairs=pairs, **secured)
        site.port("m", **secured)
        site.port("b", allowed_address_pairs=(SHARED,))
        site.port("c", allowed_address_pairs=(SHARED, FAR))
        site.port("u", unknown_macs=True)
        site.port("r", allowed_address_pairs=(FAR,))
        for port in "ambcup":
            started.plug(port)
        site.await_up(*"ambcup")
        site.sync()
        yield started


def eth(dst: str = BROADCAST, src: str = A, **more: Any) -> Packet:
    found: Packet = Ether(dst=dst, src=src, **more)
    return found


def arp(sender: str = A, address: str = A4, asked: str = B4, op: int = 1, src: str = A) -> Packet:
    found: Packet = eth(src=src) / ARP(
        op=op, hwsrc=sender, psrc=address, hwdst="00:00:00:00:00:00", pdst=asked
    )
    return found


def ip(source: str = A4, src: str = A) -> Packet:
    found: Packet = eth(src=src) / IP(src=source, dst=B4) / UDP(sport=7, dport=7)
    return found


def ip6(source: str = A6, to: str = ALL_NODES, src: str = A) -> Packet:
    return eth("33:33:00:00:00:01", src) / IPv6(src=source, dst=to, hlim=255)


def solicited(source: str = A6, target: str = B6, option: str | None = A) -> Packet:
    asked = ip6(source, "ff02::1:ff00:2") / ICMPv6ND_NS(tgt=target)
    return asked if option is None else asked / ICMPv6NDOptSrcLLAddr(lladdr=option)


def reverse(sender: str = A, op: int = 3, src: str = A) -> Packet:
    """Return a RARP packet, the one that a hypervisor sends for its VM after a migration by default."""
    return eth(src=src, type=ETH_RARP) / Raw(bytes(ARP(op=op, hwsrc=sender, psrc="0.0.0.0", hwdst=sender)))


def several(*options: tuple[int, str], src: str = A, source: str = A6) -> Packet:
    """Return a neighbour solicitation with *options*: type 1 is the sender's MAC, 2 the target's."""
    asked = eth("33:33:00:00:00:01", src) / IPv6(src=source, dst="ff02::1:ff00:2", hlim=255)
    asked /= ICMPv6ND_NS(tgt=B6)
    for kind, mac in options:
        asked /= ICMPv6NDOptSrcLLAddr(lladdr=mac) if kind == 1 else ICMPv6NDOptDstLLAddr(lladdr=mac)
    return asked


def advertised(target: str = A6, option: str | None = A, source: str = A6) -> Packet:
    said = ip6(source) / ICMPv6ND_NA(R=0, S=0, O=1, tgt=target)
    return said if option is None else said / ICMPv6NDOptDstLLAddr(lladdr=option)


SEES_INTO_JUMBOGRAMS = datapath.default() == datapath.SYSTEM
"""Whether the datapath's cache holds a jumbogram to the rules for what is in it, as the kernel's does.

The userspace datapath sees nothing in it, so that it is dropped. The kernel's passes what the port may send.
"""


def jumbo(upper: Packet, src: str = A, source: str = LINK_LOCAL) -> Packet:
    """Return *upper* behind hop-by-hop options, with the payload length 0 of a jumbogram (RFC 2675).

    Linux takes all that there is for its payload, and Open vSwitch nothing.
    """
    return eth("33:33:00:00:00:01", src) / IPv6(src=source, dst=ALL_NODES, hlim=255, plen=0) / OPTIONS / upper


def ip6_of(protocol: int, payload: bytes) -> Packet:
    """Return IPv6 of a's own address, of which *payload*, of *protocol*, is all."""
    return eth("33:33:00:00:00:01") / IPv6(src=A6, dst=ALL_NODES, nh=protocol) / Raw(payload)


def cut_chain(source: str = LINK_LOCAL, src: str = A) -> Packet:
    """Return a first fragment that ends within its destination options (RFC 7112 section 5)."""
    return ip6(source, src=src) / IPv6ExtHdrFragment(nh=60, m=1, id=7) / Raw(b"\x3a\1" + bytes(6))


OPTIONS = IPv6ExtHdrHopByHop(options=[RouterAlert()])
JOIN = Raw(bytes.fromhex("2200e8f9 00000001 04000000 ef010203"))
"""An IGMPv3 report that joins 239.1.2.3 (RFC 3376 section 4.2)."""

DISCOVERY = eth() / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
MAY_SEND = {
    "IPv4 of its own": ip(),
    "IPv4 of an allowed pair": ip("203.0.113.7"),
    "another MAC with a prefix": ip("198.51.100.9", PAIR_MAC),
    "ARP of its own": arp(),
    "ARP answer of its own": arp(op=2),
    "ARP of another MAC": arp(PAIR_MAC, "198.51.100.15", src=PAIR_MAC),
    "ARP probe for its own": arp(address="0.0.0.0", asked=A4),
    "DHCP discovery": DISCOVERY / BOOTP(op=1) / DHCP(options=[("message-type", "discover"), "end"]),
    "DHCPv6 solicitation": ip6(LINK_LOCAL, "ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit(),
    "IPv6 of its own": ip6() / ICMPv6EchoRequest(),
    "IPv6 link-local": ip6(LINK_LOCAL) / ICMPv6EchoRequest(),
    "DAD for its own": solicited("::", A6, None),
    "DAD for its link-local": solicited("::", LINK_LOCAL, None),
    "neighbour solicitation": solicited(),
    "neighbour advertisement": advertised(),
    "neighbour advertisement of its link-local": advertised(LINK_LOCAL, A, LINK_LOCAL),
    "MLD before an address": ip6("::", "ff02::16") / ICMPv6MLReport2(),
    "IGMP before an address": eth("01:00:5e:00:00:16") / IP(src="0.0.0.0", dst="224.0.0.22", proto=2) / JOIN,
    "IGMPv2 before an address": eth("01:00:5e:01:02:03")
    / IP(src="0.0.0.0", dst="239.1.2.3", proto=2)
    / Raw(bytes.fromhex("1600f9fa ef010203")),
    "IGMP of its own": eth("01:00:5e:00:00:16") / IP(src=A4, dst="224.0.0.22", proto=2) / JOIN,
    "RARP of its own": reverse(),
    "RARP of another MAC": reverse(PAIR_MAC, src=PAIR_MAC),
    "router solicitation before an address": ip6("::", "ff02::2") / ICMPv6ND_RS(),
    "the first fragment of a datagram": eth() / IP(src=A4, dst=B4, flags="MF", id=7) / UDP() / Raw(b"x" * 32),
    "a later fragment of a datagram": eth() / IP(src=A4, dst=B4, frag=5, id=7, proto=17) / Raw(b"x" * 32),
    "the first fragment of an IPv6 echo": ip6()
    / IPv6ExtHdrFragment(m=1, id=7)
    / ICMPv6EchoRequest(data=b"x" * 32),
    "a later fragment of an IPv6 echo": ip6() / IPv6ExtHdrFragment(offset=5, id=7, nh=58) / Raw(b"x" * 32),
    "MLD before an address, as hosts send it": ip6("::", "ff02::16") / OPTIONS / ICMPv6MLReport2(),
    "an echo behind options": ip6() / OPTIONS / IPv6ExtHdrDestOpt() / ICMPv6EchoRequest(),
    "IPv6 that is authenticated": ip6_of(51, b"\x3a\1" + bytes(10) + bytes(ICMPv6EchoRequest())),
    "IPv6 that is encrypted": ip6_of(50, b"x" * 32),
    "IPv6 without an upper layer": ip6_of(59, b""),
    "IPv6 of an unknown protocol": ip6_of(253, b"x" * 32),
    "IPv4 of an unknown protocol": eth() / IP(src=A4, dst=B4, proto=253) / Raw(b"x" * 32),
    "neither IP nor ARP": Raw(ethernet(BROADCAST, A)),
}
MAY_NOT_SEND = {
    "another's MAC": Raw(ethernet(BROADCAST, B)),
    "another's MAC with its own IPv4": ip(src=B),
    "another's IPv4": ip(B4),
    "IPv4 just outside its pair's prefix": ip("198.51.100.16", PAIR_MAC),
    "its pair's IPv4 with its own MAC": ip("198.51.100.9"),
    "its own IPv4 with its pair's MAC": ip(A4, PAIR_MAC),
    "ARP for another's IPv4": arp(address=B4),
    "ARP answer for another's IPv4": arp(address=B4, op=2),
    "ARP with another's MAC inside": arp(sender=B),
    "ARP probe for another's IPv4": arp(address="0.0.0.0", asked=B4),
    "a DHCP offer": eth() / IP(src=A4, dst="255.255.255.255") / UDP(sport=67, dport=68) / BOOTP(op=2),
    "a DHCP offer from another port": eth() / IP(src=A4, dst=B4) / UDP(sport=5000, dport=68) / BOOTP(op=2),
    "a DHCPv6 advertisement": ip6(LINK_LOCAL) / UDP(sport=547, dport=546) / DHCP6_Advertise(),
    "a router advertisement": ip6(LINK_LOCAL) / ICMPv6ND_RA(),
    "a router advertisement behind options": ip6(LINK_LOCAL)
    / IPv6ExtHdrHopByHop()
    / IPv6ExtHdrDestOpt()
    / ICMPv6ND_RA(),
    "a router advertisement as a first fragment": ip6(LINK_LOCAL)
    / IPv6ExtHdrFragment(m=1, id=7)
    / ICMPv6ND_RA(),
    "a DHCP offer as a first fragment": eth()
    / IP(src=A4, dst="255.255.255.255", flags="MF", id=7)
    / UDP(sport=67, dport=68)
    / Raw(b"x" * 32),
    "a DHCPv6 advertisement as a first fragment": ip6(LINK_LOCAL)
    / IPv6ExtHdrFragment(m=1, id=7)
    / UDP(sport=547, dport=546)
    / Raw(b"x" * 32),
    "a forged neighbour advertisement as a first fragment": ip6(LINK_LOCAL)
    / IPv6ExtHdrFragment(m=1, id=7)
    / ICMPv6ND_NA(tgt=B6)
    / ICMPv6NDOptDstLLAddr(lladdr=A),
    "a router advertisement in a jumbogram": jumbo(ICMPv6ND_RA()),
    "an advertisement of another's in a jumbogram": jumbo(ICMPv6ND_NA(tgt=B6)),
    "a solicitation with another's MAC in a jumbogram": jumbo(
        ICMPv6ND_NS(tgt=B6) / ICMPv6NDOptSrcLLAddr(lladdr=B)
    ),
    "a DHCPv6 advertisement in a jumbogram": jumbo(UDP(sport=547, dport=546) / DHCP6_Advertise()),
    **({} if SEES_INTO_JUMBOGRAMS else {"UDP in a jumbogram": jumbo(UDP(sport=7, dport=7) / Raw(b"x" * 32))}),
    "a first fragment that ends within its options": cut_chain(),
    "a first fragment that ends before its options": ip6() / IPv6ExtHdrFragment(nh=60, m=1, id=7),
    "a first fragment without an upper layer": ip6_of(44, b"\x3b\0\0\1" + b"x" * 32),
    "a first fragment of a solicitation": ip6() / IPv6ExtHdrFragment(m=1, id=7) / ICMPv6ND_NS(tgt=B6),
    "a first fragment of an advertisement": ip6() / IPv6ExtHdrFragment(m=1, id=7) / ICMPv6ND_NA(tgt=A6),
    "options that end after the packet": ip6_of(0, b"\x3a\1" + bytes(6)),
    "IPv4 with a short header": eth() / IP(src=A4, dst=B4, ihl=4) / UDP(),
    "IPv4 longer than its frame": eth() / IP(src=A4, dst=B4, len=1000) / UDP(),
    "IPv4 of protocol 0": eth() / IP(src=A4, dst=B4, proto=0) / Raw(b"x" * 32),
    "RARP with another's MAC inside": reverse(B),
    "a RARP answer": reverse(op=4),
    "a solicitation with another's MAC twice": several((1, B), (1, B)),
    "a solicitation with its own and another's MAC": several((1, A), (1, B)),
    "a solicitation with another's MAC and its own": several((1, B), (1, A)),
    "a solicitation with another's MAC before targets": several((1, B), (2, A), (2, A)),
    "a solicitation with another's MAC behind targets": several((2, A), (2, A), (1, B)),
    "a solicitation with another's MAC behind a target": several((2, A), (1, B)),
    "a solicitation with a MAC of zeros and another's": several((1, "00:00:00:00:00:00"), (1, B)),
    "an advertisement with another's MAC twice": advertised(option=B) / ICMPv6NDOptDstLLAddr(lladdr=B),
    "an advertisement with its own and another's MAC": advertised() / ICMPv6NDOptDstLLAddr(lladdr=B),
    "IGMP of another's": eth("01:00:5e:00:00:16") / IP(src=B4, dst="224.0.0.22", proto=2) / JOIN,
    "an IGMP query before an address": eth("01:00:5e:00:00:01")
    / IP(src="0.0.0.0", dst="224.0.0.1", proto=2)
    / Raw(bytes.fromhex("1164ee9b 00000000")),
    "an MLD query before an address": ip6("::") / OPTIONS / ICMPv6MLQuery(),
    "IGMP from nowhere to a host": eth() / IP(src="0.0.0.0", dst=B4, proto=2) / JOIN,
    "a redirect": ip6(LINK_LOCAL) / ICMPv6ND_Redirect(),
    "another's IPv6": ip6(B6) / ICMPv6EchoRequest(),
    "another's IPv6 link-local": ip6("fe80::62") / ICMPv6EchoRequest(),
    "IPv6 from nowhere": ip6("::") / ICMPv6EchoRequest(),
    "DAD for another's": solicited("::", B6, None),
    "a solicitation with another's MAC": solicited(option=B),
    "an advertisement of another's": advertised(B6),
    "an advertisement with another's MAC": advertised(option=B),
    "its own IPv4 behind a tag of TPID 0x9100": eth(type=0x9100) / Raw(b"\1\x2c\x08\0" + bytes(ip())[14:]),
    "its own IPv4 behind a tag": eth() / Dot1Q(vlan=101) / IP(src=A4, dst=B4) / UDP(),
}


@pytest.mark.parametrize("what", MAY_SEND)
def test_rule_13_a_vm_may_send(chassis: DummyChassis, what: str) -> None:
    frame = bytes(MAY_SEND[what])
    sent = chassis.receive("a", frame)
    tagged = frame[:12] + b"\x81\x00\x00\x65" + frame[12:]
    assert sent == {**{name: [frame] for name in "mbcup"}, NIC: [tagged]}


@pytest.mark.parametrize("what", MAY_NOT_SEND)
def test_rule_13_a_vm_may_not_send(chassis: DummyChassis, what: str) -> None:
    assert_held(chassis, "a", list(MAY_SEND.values()), MAY_NOT_SEND[what])


def assert_held(chassis: DummyChassis, port: str, passing: list[Packet], forbidden: Packet) -> None:
    """See *passing* let through, and *forbidden* dropped, right after those and with nothing cached."""
    frames = [bytes(frame) for frame in passing]
    sent = chassis.receive(port, *frames)
    assert [tagged[:12] + tagged[16:] for tagged in sent[NIC]] == frames
    assert chassis.receive(port, bytes(forbidden), after=frames) == {}


def test_rule_13_a_port_without_addresses_is_held_to_its_mac_alone(chassis: DummyChassis) -> None:
    """And so is what it says of a MAC in ARP, RARP and neighbour discovery."""
    may_send = [
        *(ip("203.0.113.99", M), ip6(B6, src=M) / ICMPv6EchoRequest()),
        *(arp(M, B4, src=M), arp(M, B4, op=2, src=M), reverse(M, src=M)),
        *(several(src=M), several((1, M), src=M), several((1, M), src=M, source="::")),
        *(told(), told(M)),
    ]
    may_not_send = [
        *(ip(src=B), ip6(B6, src=M) / ICMPv6ND_RA(), Raw(ethernet(BROADCAST, A))),
        *(arp(B, B4, src=M), arp(B, B4, op=2, src=M), reverse(B, src=M), reverse(M, op=4, src=M)),
        *(several((1, B), src=M), several((1, B), (1, B), src=M), several((1, M), (1, B), src=M)),
        *(told(B), told(B) / ICMPv6NDOptDstLLAddr(lladdr=B)),
        *(jumbo(ICMPv6ND_RA(), M), cut_chain(src=M)),
        *(() if SEES_INTO_JUMBOGRAMS else (jumbo(ICMPv6ND_NA(tgt=B6), M),)),
        *(eth(src=M) / IP(src=A4, len=length) / UDP() for length in (0, 1000)),
    ]
    for frame in may_not_send:
        assert_held(chassis, "m", may_send, frame)


def told(option: str | None = None) -> Packet:
    """Return a neighbour advertisement of another's address from m."""
    said = ip6(B6, src=M) / ICMPv6ND_NA(R=0, S=0, O=1, tgt=B6)
    return said if option is None else said / ICMPv6NDOptDstLLAddr(lladdr=option)


def test_rule_13_a_prefix_for_a_ports_own_mac_is_all_that_it_may_use(chassis: DummyChassis) -> None:
    own = "fe80::ff:fe00:70"
    may_send = [ip("192.0.2.17", P), arp(P, "192.0.2.31", src=P), ip6(own, src=P) / ICMPv6EchoRequest()]
    for frame in (ip("192.0.2.32", P), arp(P, A4, src=P), ip6(A6, src=P) / ICMPv6EchoRequest()):
        assert_held(chassis, "p", may_send, frame)


@pytest.mark.parametrize("source", ["00:00:00:00:00:00", "01:00:5e:00:00:01", "03:00:00:00:00:01", BROADCAST])
def test_rules_7_and_13_a_source_that_no_station_has_never_passes(chassis: DummyChassis, source: str) -> None:
    """Not even with port security off, and not from the physical network."""
    for dst in (BROADCAST, B, OUTSIDE):
        for port in "ambu":
            sender = mac_of(port)
            passing = [eth(src=sender) / ARP(hwsrc=sender, psrc=A4)]
            assert_held(chassis, port, passing, Raw(ethernet(dst, source)))
        assert chassis.receive(NIC, ethernet(dst, source, 101), after=[ethernet(dst, OUTSIDE, 101)]) == {}


def test_rule_13_a_vm_without_port_security_may_send_anything_but_a_tag(chassis: DummyChassis) -> None:
    for what, frame in MAY_NOT_SEND.items():
        assert (NIC in chassis.receive("b", bytes(frame))) == ("tag" not in what), what


def test_rule_13_costs_2_flows_a_mac_3_an_address_one_for_tags_and_4_that_count(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")

    def cost(**columns: object) -> int:
        site.nb.set_port("a", columns)
        site.sync()
        return sum(f"table={table}," in line for line in chassis.flows() for table in (10, 20, 25, 30, 90))

    off = cost(port_security=False)
    shared = off - 2
    assert cost(port_security=True) - shared == 5 + 2, "the tag, the counters and the MAC, without and within"
    v4, v6 = [A4, B4, "192.0.2.3"], [A6, B6]
    for addresses in (v4[:1], v4, v6[:1], [*v4, *v6]):
        assert cost(addresses=addresses) - shared == 5 + 2 + 3 * (len(addresses) + 1)
    pairs = [f"{PAIR_MAC},{PAIR_4}", f"{PAIR_MAC},2001:db8:1::/64"]
    assert cost(addresses=v4, allowed_address_pairs=pairs) - shared == 5 + 2 * 2 + 3 * (3 + 1 + 2 + 1)


def test_rule_15_a_mac_that_several_local_ports_list_reaches_each_and_stays_off_the_wire(
    chassis: DummyChassis,
) -> None:
    assert chassis.receive(NIC, ethernet(SHARED, OUTSIDE, 101)) == {
        name: [ethernet(SHARED, OUTSIDE)] for name in "bc"
    }
    assert chassis.receive("u", ethernet(SHARED, U)) == {name: [ethernet(SHARED, U)] for name in "bc"}
    assert chassis.receive("b", ethernet(SHARED, SHARED)) == {"c": [ethernet(SHARED, SHARED)]}


def test_rule_15_a_mac_that_a_remote_port_lists_too_reaches_the_wire_as_well(chassis: DummyChassis) -> None:
    assert chassis.receive("u", ethernet(FAR, U)) == {
        "c": [ethernet(FAR, U)],
        NIC: [ethernet(FAR, U, 101)],
    }
    assert chassis.receive(NIC, ethernet(FAR, OUTSIDE, 101)) == {"c": [ethernet(FAR, OUTSIDE)]}


def test_rule_15_a_shared_mac_is_heard_from_the_wire_if_its_holder_is_elsewhere(
    chassis: DummyChassis,
) -> None:
    """Rule 7's guard must not cut off the other VRRP router."""
    assert chassis.receive(NIC, ethernet(B, FAR, 101)) == {"b": [ethernet(B, FAR)]}


def test_rule_15_a_secured_ports_allowed_mac_is_delivered_to_it(chassis: DummyChassis) -> None:
    assert chassis.receive(NIC, ethernet(PAIR_MAC, OUTSIDE, 101)) == {"a": [ethernet(PAIR_MAC, OUTSIDE)]}
    assert chassis.receive("b", ethernet(PAIR_MAC, B)) == {"a": [ethernet(PAIR_MAC, B)]}


def test_rule_15_unknown_unicast_reaches_the_port_that_takes_unknown_macs_and_no_other(
    chassis: DummyChassis,
) -> None:
    nested = "02:bb:00:00:00:01"
    assert chassis.receive(NIC, ethernet(nested, OUTSIDE, 101)) == {"u": [ethernet(nested, OUTSIDE)]}
    assert chassis.receive("b", ethernet(nested, B)) == {
        "u": [ethernet(nested, B)],
        NIC: [ethernet(nested, B, 101)],
    }
    assert chassis.receive("u", ethernet(OUTSIDE, nested)) == {NIC: [ethernet(OUTSIDE, nested, 101)]}


def test_rule_15_when_the_last_local_port_of_a_shared_mac_goes_frames_leave_by_the_wire(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    for name in "bcr":
        site.port(name, allowed_address_pairs=() if name == "c" else (SHARED,))
    chassis.plug("b")
    chassis.plug("c")
    site.await_up("b", "c")
    site.sync()
    frame, tagged = ethernet(SHARED, C), ethernet(SHARED, C, 101)
    assert chassis.receive("c", frame) == {"b": [frame], NIC: [tagged]}
    site.nb.set_port("b", {"allowed_address_pairs": []})
    site.sync()
    assert chassis.receive("c", frame) == {NIC: [tagged]}
    site.nb.delete_ports(["r"])
    site.sync()
    assert chassis.receive("c", frame) == {NIC: [tagged]}, "an unknown one now"
