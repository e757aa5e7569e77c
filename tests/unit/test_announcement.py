"""Announcements, octet for octet: DESIGN.md section 5, rule 16."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.all import ARP, Ether
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6

from trunkline.core.announcement import GAPS_S, frames

MAC, MAC_TEXT = 0x0200000000FE, "02:00:00:00:00:fe"


def test_the_gaps_grow_from_1_to_16_seconds() -> None:
    assert GAPS_S == (1, 2, 4, 8, 16)


def test_each_address_has_a_frame_and_a_port_without_one_has_one_too() -> None:
    addresses = tuple(map(ip_address, ("192.0.2.1", "2001:db8::1", "192.0.2.2")))
    assert len(frames(MAC, addresses)) == 3
    assert len(frames(MAC, ())) == 1


def test_an_ipv4_address_is_announced_by_a_gratuitous_arp_request() -> None:
    """RFC 5227 section 2.3: sender and target address are the announced one."""
    (frame,) = frames(MAC, (ip_address("192.0.2.1"),))
    wanted = Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC_TEXT) / ARP(
        op=1, hwsrc=MAC_TEXT, psrc="192.0.2.1", hwdst="00:00:00:00:00:00", pdst="192.0.2.1"
    )
    assert frame == bytes(wanted)


def test_a_port_without_addresses_is_announced_by_a_reverse_arp_request() -> None:
    """RFC 903: type 0x8035, operation 3, the sender asks for its own address."""
    (frame,) = frames(MAC, ())
    wanted = Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC_TEXT, type=0x8035) / ARP(
        op=3, hwsrc=MAC_TEXT, psrc="0.0.0.0", hwdst=MAC_TEXT, pdst="0.0.0.0"
    )
    assert frame == bytes(wanted)


@pytest.mark.parametrize("address", ["2001:db8::1", "fe80::1", "fd00::ffff:ffff:ffff", "::ffff"])
def test_an_ipv6_address_is_announced_by_an_unsolicited_advertisement(address: str) -> None:
    """RFC 4861 section 7.2.6; the checksum is right for odd sums and carries alike."""
    (frame,) = frames(MAC, (ip_address(address),))
    wanted = (
        Ether(dst="33:33:00:00:00:01", src=MAC_TEXT)
        / IPv6(src=address, dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(R=0, S=0, O=1, tgt=address)
        / ICMPv6NDOptDstLLAddr(lladdr=MAC_TEXT)
    )
    assert frame == bytes(wanted)
