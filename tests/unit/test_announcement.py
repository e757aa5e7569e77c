"""Announcements, octet for octet: DESIGN.md section 5, rule 16."""

from __future__ import annotations

from ipaddress import ip_address

from scapy.layers.l2 import ARP, Ether

from trunkline.core.announcement import GAPS_S, frames

MAC, MAC_TEXT = 0x0200000000FE, "02:00:00:00:00:fe"


def test_the_gaps_grow_from_1_to_16_seconds() -> None:
    assert GAPS_S == (1, 2, 4, 8, 16)


def test_nothing_is_said_of_ipv6_that_only_the_vm_knows() -> None:
    """RFC 4861 section 7.3.3: an advertisement without the router flag takes a router from its neighbours."""
    ipv6 = tuple(map(ip_address, ("2001:db8::1", "fe80::1")))
    ipv4 = tuple(map(ip_address, ("192.0.2.1", "192.0.2.2")))
    assert frames(MAC, ipv6) == frames(MAC, ())
    assert frames(MAC, ipv6 + ipv4) == frames(MAC, ipv4)
    assert len(frames(MAC, ipv4)) == 2


def test_an_ipv4_address_is_announced_by_a_gratuitous_arp_request() -> None:
    """RFC 5227 section 2.3: sender and target address are the announced one."""
    (frame,) = frames(MAC, (ip_address("192.0.2.1"),))
    wanted = Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC_TEXT) / ARP(
        op=1, hwsrc=MAC_TEXT, psrc="192.0.2.1", hwdst="00:00:00:00:00:00", pdst="192.0.2.1"
    )
    assert frame == bytes(wanted)


def test_a_port_without_an_ipv4_address_is_announced_by_a_reverse_arp_request() -> None:
    """RFC 903: type 0x8035, operation 3, the sender asks for its own address."""
    frame, _ = frames(MAC, ())
    wanted = Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC_TEXT, type=0x8035) / ARP(
        op=3, hwsrc=MAC_TEXT, psrc="0.0.0.0", hwdst=MAC_TEXT, pdst="0.0.0.0"
    )
    assert frame == bytes(wanted)


def test_a_port_without_an_ipv4_address_is_announced_by_a_gratuitous_arp_that_names_none() -> None:
    """Open vSwitch behind a bond in mode balance-slb heeds nothing else of a MAC that has moved."""
    _, frame = frames(MAC, ())
    wanted = Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC_TEXT) / ARP(
        op=1, hwsrc=MAC_TEXT, psrc="0.0.0.0", hwdst="00:00:00:00:00:00", pdst="0.0.0.0"
    )
    assert frame == bytes(wanted)
