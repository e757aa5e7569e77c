"""The frames that ask who uses an address, against scapy, and which frames are replies."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from trunkline.core.address_probe import Reply, frame, reply

MAC, OTHER = 0x020000000001, 0x020000000099
OTHER_TEXT = "02:00:00:00:00:99"
IPV4, IPV6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::abcd:1234")
ADVERTISED = Ether(src=OTHER_TEXT, dst="33:33:00:00:00:01") / IPv6(src="2001:db8::1", dst="ff02::1", hlim=255)
ANSWERED = Ether(src=OTHER_TEXT, dst="02:00:00:00:00:01") / ARP(
    op=2, hwsrc=OTHER_TEXT, psrc=str(IPV4), hwdst="02:00:00:00:00:01", pdst="0.0.0.0"
)


def test_an_ipv4_address_is_asked_for_by_an_arp_probe() -> None:
    asked = Ether(frame(MAC, IPV4))
    assert (asked.dst, asked.src) == ("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01")
    said = asked[ARP]
    assert (said.op, said.hwsrc, said.psrc, said.pdst) == (1, asked.src, "0.0.0.0", str(IPV4))
    assert said.hwdst == "00:00:00:00:00:00"


@given(st.integers(1, (1 << 128) - 1))
def test_an_ipv6_address_is_asked_for_as_duplicate_address_detection_does(value: int) -> None:
    address = IPv6Address(value)
    data = frame(MAC, address)
    asked = Ether(data)
    group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | value & 0xFFFFFF)
    assert (asked[IPv6].src, asked[IPv6].dst, asked[IPv6].hlim) == ("::", str(group), 255)
    assert asked.dst == "33:33:" + group.packed[-4:].hex(":")
    assert IPv6Address(asked[ICMPv6ND_NS].tgt) == address
    again = asked.copy()
    del again[ICMPv6ND_NS].cksum
    assert bytes(again) == data


@pytest.mark.parametrize("vlan_id", [None, 101])
def test_both_replies_are_read_with_their_tag(vlan_id: int | None) -> None:
    for data, address in ((ANSWERED, IPV4), (ADVERTISED / ICMPv6ND_NA(tgt=str(IPV6)), IPV6)):
        sent = Ether(bytes(data))
        if vlan_id is not None:
            sent.payload, sent.type = Dot1Q(vlan=vlan_id, type=sent.type) / sent.payload, 0x8100
        assert reply(bytes(sent)) == Reply(address, OTHER, vlan_id)


def test_a_reply_about_somebody_who_has_an_address_is_none_for_a_probe() -> None:
    usual = ANSWERED.copy()
    usual[ARP].pdst = "192.0.2.7"
    asked = ANSWERED.copy()
    asked[ARP].op = 1
    to_one = ADVERTISED.copy() / ICMPv6ND_NA(tgt=str(IPV6))
    to_one[IPv6].dst = "2001:db8::2"
    for data in (usual, asked, to_one, ADVERTISED / ICMPv6ND_NS(tgt=str(IPV6))):
        assert reply(bytes(data)) is None


@given(st.binary(max_size=100))
def test_any_other_bytes_are_no_reply(data: bytes) -> None:
    assert reply(data) is None
    assert reply(bytes(ANSWERED)[: len(data) % 42]) is None
