"""An example: a frame, in bytes, of a set of frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address

from trunkline.core.field import Field
from trunkline.core.frame import ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_RARP, IP_ICMPV6, IP_UDP
from trunkline.proof.space import Cube, Space, cube, value_of

_BROADCAST = 0xFFFF_FFFF_FFFF
_STRANGERS = 0x02FF_FFFF_FFFD, 0x02FF_FFFF_FFFE
"""MACs that nobody has: of a sender, and of a receiver."""

_BARE = 0x88B5
"""An Ethernet type for experiments (IEEE 802)."""

_IP_TCP = 6
_IP_ECHO = 1
_FRAGMENT = 44
_TOO_LONG = bytes([59, 255, 0, 0, 0, 0, 0, 0])
_WISHES = (
    *(cube(Field.IP_FRAG, 0), cube(Field.ETH_TYPE, _BARE), cube(Field.ETH_TYPE, ETH_IPV4)),
    *(cube(Field.IP_PROTO, IP_UDP), cube(Field.IP_PROTO, IP_ICMPV6), cube(Field.IP_PROTO, _IP_ECHO)),
    *(cube(Field.ARP_OP, 1), cube(Field.ICMPV6_TYPE, 128)),
    *(cube(Field.IPV4_SRC, 0xC000_02FD), cube(Field.IPV4_DST, 0xC000_02FE)),
    *(cube(Field.IPV6_SRC, 0x2001_0DB8 << 96 | 0xFD), cube(Field.IPV6_DST, 0x2001_0DB8 << 96 | 0xFE)),
    *(cube(Field.UDP_SRC, 49152), cube(Field.UDP_DST, 9)),
)
"""What frames are like that people know, if there is a choice."""


_Values = Mapping[Field, int]


def example(space: Space, is_tagged: bool, sources: Iterable[int], destinations: Iterable[int]) -> bytes:
    """Return a frame of *space*, which is not empty, in bytes; tagged if *is_tagged*.

    If there is a choice, it is from one of *sources* to one of *destinations*, and ARP in it says so too.
    """
    return octets(plain(space, sources, destinations), is_tagged=is_tagged)


def plain(space: Space, sources: Iterable[int], destinations: Iterable[int]) -> int:
    """Return the frame of *space* (as in `space`) that `example` returns in bytes."""
    wishes = (
        *(cube(Field.ETH_SRC, mac) for mac in (*sources, _STRANGERS[0])),
        *(cube(Field.ETH_DST, mac) for mac in (*destinations, _BROADCAST, _STRANGERS[1])),
        *_WISHES,
    )
    space = _wished(space, wishes)
    sender = value_of(_frame_of(space), Field.ETH_SRC)
    return _frame_of(_wished(space, (cube(Field.ETH_SRC, sender), cube(Field.ARP_SHA, sender))))


def _wished(space: Space, wishes: Iterable[Cube]) -> Space:
    """Return the frames of *space* that are as *wishes* say, but for those that leave none, in turn."""
    for wish in wishes:
        some = space.within(wish)
        if some is not None and some.frame() is not None:
            space = some
    return space


def _frame_of(space: Space) -> int:
    frame = space.frame()
    assert frame is not None
    return frame


def octets(frame: int, *, is_tagged: bool) -> bytes:
    """Return the bytes of *frame*."""
    values = {field: value_of(frame, field) for field in Field if field.name[:3] not in ("REG", "MET", "IN_")}
    return _octets(values, values[Field.VLAN_VID] & 0xFFF if is_tagged else None)


def in_words(frame: bytes) -> str:
    """Return what the *frame* is, for a person.

    >>> in_words(bytes.fromhex("ffffffffffff0200000000018100006588b5") + bytes(46))
    'from 02:00:00:00:00:01 to ff:ff:ff:ff:ff:ff, VLAN 101, type 0x88b5'
    """
    said = f"from {frame[6:12].hex(':')} to {frame[:6].hex(':')}"
    rest = frame[12:]
    if rest[:2] == b"\x81\x00":
        said, rest = f"{said}, VLAN {int.from_bytes(rest[2:4]) & 0xFFF}", rest[4:]
    kind, body = int.from_bytes(rest[:2]), rest[2:]
    if kind == ETH_ARP:
        sender = f"{IPv4Address(body[14:18])} ({body[8:14].hex(':')})"
        return f"{said}, ARP of {sender} for {IPv4Address(body[24:28])}"
    if kind == ETH_IPV4:
        ends = f"{IPv4Address(body[12:16])} to {IPv4Address(body[16:20])}"
        return f"{said}, IPv4 {ends}{_upper_words(body[9], body[20:])}"
    if kind == ETH_IPV6:
        ends = f"{IPv6Address(body[8:24])} to {IPv6Address(body[24:40])}"
        return f"{said}, IPv6 {ends}{_upper_words(body[6], body[40:])}"
    return f"{said}, type {kind:#06x}"


def _upper_words(protocol: int, upper: bytes) -> str:
    if protocol in (IP_UDP, _IP_TCP):
        name = "UDP" if protocol == IP_UDP else "TCP"
        return f", {name} port {int.from_bytes(upper[:2])} to {int.from_bytes(upper[2:4])}"
    return f", ICMPv6 type {upper[0]}" if protocol == IP_ICMPV6 else f", protocol {protocol}"


def _octets(values: _Values, vlan_id: int | None) -> bytes:
    """Return the frame with *values*, and a tag if *vlan_id* is given."""
    kind = values[Field.ETH_TYPE]
    head = values[Field.ETH_DST].to_bytes(6) + values[Field.ETH_SRC].to_bytes(6)
    tag = b"" if vlan_id is None else struct.pack("!HH", 0x8100, vlan_id)
    if kind in (ETH_ARP, ETH_RARP):
        body = _arp(values)
    elif kind in (ETH_IPV4, ETH_IPV6):
        body = (_ipv4 if kind == ETH_IPV4 else _ipv6)(values, *_upper(values))
    else:
        # If the type is that of a tag, it is a tag with VLAN id 1.
        body = struct.pack("!HH", 1, _BARE)
    return (head + tag + kind.to_bytes(2) + body).ljust(60, b"\0")


def _arp(values: _Values) -> bytes:
    return (
        struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, values[Field.ARP_OP])
        + values[Field.ARP_SHA].to_bytes(6)
        + values[Field.ARP_SPA].to_bytes(4)
        + values[Field.ARP_THA].to_bytes(6)
        + values[Field.ARP_TPA].to_bytes(4)
    )


def _upper(values: _Values) -> tuple[int, bytes]:
    """Return the protocol above IP, and its header."""
    protocol = values[Field.IP_PROTO]
    if protocol == IP_UDP:
        return protocol, struct.pack("!HHHH", values[Field.UDP_SRC], values[Field.UDP_DST], 8, 0)
    if protocol == _IP_TCP:
        ports = values[Field.TCP_SRC], values[Field.TCP_DST]
        return protocol, struct.pack("!HHIIBBHHH", *ports, 0, 0, 5 << 4, 2, 0, 0, 0)
    if protocol != IP_ICMPV6:
        return protocol, struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    kind = values[Field.ICMPV6_TYPE]
    packet = struct.pack("!BBHI", kind, values[Field.ICMPV6_CODE], 0, 0)
    if kind in (135, 136):
        option = values[Field.ND_SLL if kind == 135 else Field.ND_TLL]
        packet += values[Field.ND_TARGET].to_bytes(16)
        packet += struct.pack("!BB", 136 - kind or 2, 1) + option.to_bytes(6) if option else b""
    return protocol, packet


def _ipv4(values: _Values, protocol: int, upper: bytes) -> bytes:
    fragment = {0: 0, 1: 0x2000, 3: 1}.get(values[Field.IP_FRAG], 0)
    length = 20 + len(upper)
    head: bytes = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, fragment, 64, protocol, 0)
    addresses = values[Field.IPV4_SRC].to_bytes(4) + values[Field.IPV4_DST].to_bytes(4)
    total: int = sum(struct.unpack("!10H", head + addresses))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + checksum.to_bytes(2) + addresses + upper


def _ipv6(values: _Values, protocol: int, upper: bytes) -> bytes:
    if protocol == 0:
        # Options that are longer than the packet: the switch reads no further.
        upper = _TOO_LONG
    if values[Field.IP_FRAG]:
        # A first fragment, or a later one (RFC 8200, section 4.5).
        place = 1 if values[Field.IP_FRAG] == 1 else 1 << 3
        protocol, upper = _FRAGMENT, struct.pack("!BBHI", protocol, 0, place, 1) + upper
    head = struct.pack("!IHBB", 6 << 28, len(upper), protocol, 255)
    return head + values[Field.IPV6_SRC].to_bytes(16) + values[Field.IPV6_DST].to_bytes(16) + upper
