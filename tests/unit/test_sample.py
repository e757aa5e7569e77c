"""A sample frame is what a machine would send: scapy, which computes lengths and checksums, agrees."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.dhcp import DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from trunkline.core.error import InvalidValueError
from trunkline.path.sample import Kind, Sample, retagged, source_words, tags

A, B = 0x020000000001, 0x020000000002
V4 = Sample(Kind.ICMP, A, B, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
V6 = Sample(Kind.ICMP, A, B, IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"))


def parsed(sample: Sample) -> Packet:
    """Return what scapy makes of *sample*, after it has agreed with every length and checksum."""
    frame = sample.encode()
    found = Ether(frame)
    again = found.copy()
    layer: Packet = again
    while layer:
        for field in ("chksum", "len", "plen", "cksum"):
            if field in layer.fields:
                del layer.fields[field]
        layer = layer.payload
    assert bytes(again) == frame
    return found


@pytest.mark.parametrize(
    ("sample", "layers", "answers"),
    [
        (V4, (IP, ICMP), (IP, ICMP)),
        (replace(V4, kind=Kind.ARP), (ARP,), (ARP,)),
        (replace(V4, kind=Kind.TCP, port=80), (IP, TCP), (IP, TCP)),
        (replace(V4, kind=Kind.UDP, port=53), (IP, UDP), (IP, UDP)),
        (V6, (IPv6, ICMPv6EchoRequest), (IPv6, ICMPv6EchoReply)),
        (replace(V6, kind=Kind.ARP), (IPv6, ICMPv6ND_NS), (IPv6, ICMPv6ND_NA)),
        (replace(V6, kind=Kind.TCP, port=80), (IPv6, TCP), (IPv6, TCP)),
        (replace(V6, kind=Kind.UDP, port=53), (IPv6, UDP), (IPv6, UDP)),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [None, 101, 1500, 9000])
def test_a_frame_and_its_answer_are_whole(
    sample: Sample, layers: tuple[type, ...], answers: tuple[type, ...], size: int | None
) -> None:
    sample = replace(sample, size=size)
    there, back = parsed(sample), parsed(sample.answered())
    assert all(layer in there for layer in layers)
    assert all(layer in back for layer in answers)
    assert size is None or len(sample.encode()) == 14 + size
    assert (there.src, there.dst) == (back.dst, back.src)
    for layer in (TCP, UDP):
        if layer in there:
            assert (there[layer].sport, there[layer].dport) == (back[layer].dport, back[layer].sport)


def test_a_dhcp_discovery_is_one() -> None:
    sample = replace(V4, kind=Kind.DHCP, src=IPv4Address(0), dst=IPv4Address("255.255.255.255"))
    assert ("message-type", 1) in parsed(sample)[DHCP].options


def test_a_tag_is_put_on_and_taken_off_and_the_sender_read_behind_it() -> None:
    frame = replace(V4, tag=101).encode()
    assert Ether(frame)[Dot1Q].vlan == 101
    assert tags(frame) == (101,)
    assert tags(retagged(frame, (7, 8))) == (7, 8)
    assert retagged(frame, ()) == V4.encode()
    for sample, address in (
        (V4, "192.0.2.1"),
        (V6, "2001:db8::1"),
        (replace(V4, kind=Kind.ARP), "192.0.2.1"),
    ):
        assert source_words(replace(sample, tag=9).encode()) == f"02:00:00:00:00:01,{address}"


def test_who_asks_whether_an_address_is_free_is_read_as_its_owner() -> None:
    """Of duplicate address detection: a remedy that allows "::" would allow nothing."""
    probe = replace(V6, kind=Kind.ARP, src=IPv6Address(0), dst=IPv6Address("2001:db8::99"))
    assert source_words(probe.encode()) == "02:00:00:00:00:01,2001:db8::99"
    assert source_words(replace(probe, kind=Kind.ICMP).encode()) == "02:00:00:00:00:01,::"


@pytest.mark.parametrize("size", [0, 27, 9729])
def test_a_size_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(InvalidValueError, match="28 to 9728"):
        replace(V4, size=size).encode()
