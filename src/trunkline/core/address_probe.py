"""Address probes: frames that ask who uses an address, and what is said in reply.

For IPv4 it is an ARP probe: a request whose sender has no address yet, so that nobody takes its MAC for one
that has the address (RFC 5227 section 2.1.1). For IPv6 it is the solicitation of duplicate address detection,
which comes from `::` (RFC 4862 section 5.4.2). A reply to an ARP probe goes to the sender's MAC alone, and is
about 0.0.0.0. A reply to a solicitation from `::` goes to all nodes (RFC 4861 section 7.2.4).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from trunkline.core.field import Field, Term
from trunkline.core.frame import (
    ADVERTISEMENT,
    ARP,
    ETH_ARP,
    ETH_IPV6,
    ETH_SERVICE_VLAN,
    ETH_VLAN,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    ICMPV6_NEIGHBOUR_SOLICITATION,
    IP_ICMPV6,
)
from trunkline.core.model import IPAddress

_ALL_NODES = IPv6Address("ff02::1")
_ARP_REQUEST, _ARP_REPLY = 1, 2

REPLIES: tuple[tuple[Term, ...], ...] = (
    (ARP, Field.ARP_OP(_ARP_REPLY), Field.ARP_TPA(0)),
    (*ADVERTISEMENT, Field.IPV6_DST(int(_ALL_NODES))),
)
"""What matches replies, and hardly anything else."""

_BROADCAST, _NO_MAC = b"\xff" * 6, bytes(6)
_SOLICITED = int(IPv6Address("ff02::1:ff00:0"))
_LOW_24_BITS = 0xFFFFFF
_HOP_LIMIT = 255

_MACS_BYTES = 12
_ARP_HEADER = bytes.fromhex("0001080006 04")
_arp = struct.Struct("!6sH6s4s6s4s")
_ipv6 = struct.Struct("!IHBB16s16s")
_nd = struct.Struct("!BBHI16s")


class Reply(NamedTuple):
    """Somebody says that *address* is that of *mac*, in a frame with the tag *vlan_id* (None: untagged)."""

    address: IPAddress
    mac: int
    vlan_id: int | None


def frame(mac: int, address: IPAddress) -> bytes:
    """Return the untagged frame by which *mac* asks who uses *address*.

    >>> len(frame(0x020000000001, IPv4Address("192.0.2.1")))
    42
    """
    source = mac.to_bytes(6, "big")
    if isinstance(address, IPv4Address):
        asked = _arp.pack(_ARP_HEADER, _ARP_REQUEST, source, bytes(4), _NO_MAC, address.packed)
        return _BROADCAST + source + ETH_ARP.to_bytes(2, "big") + asked
    low = int(address) & _LOW_24_BITS
    group = (_SOLICITED | low).to_bytes(16, "big")
    ends = bytes(16) + group
    bare = _nd.pack(ICMPV6_NEIGHBOUR_SOLICITATION, 0, 0, 0, address.packed)
    code = _checksum(ends + struct.pack("!II", len(bare), IP_ICMPV6) + bare)
    asked = _nd.pack(ICMPV6_NEIGHBOUR_SOLICITATION, 0, code, 0, address.packed)
    head = _ipv6.pack(6 << 28, len(asked), IP_ICMPV6, _HOP_LIMIT, bytes(16), group)
    return b"\x33\x33" + group[-4:] + source + ETH_IPV6.to_bytes(2, "big") + head + asked


def reply(data: bytes) -> Reply | None:
    """Return what the frame *data* says if it is a reply to such a frame, else None."""
    at, vlan_id = _MACS_BYTES, None
    if int.from_bytes(data[at : at + 2]) in (ETH_VLAN, ETH_SERVICE_VLAN):
        # A priority tag is no tag.
        vlan_id = int.from_bytes(data[at + 2 : at + 4]) & 0xFFF or None
        at += 4
    kind, packet = int.from_bytes(data[at : at + 2]), data[at + 2 :]
    address: IPAddress | None = None
    if kind == ETH_ARP:
        address = _in_arp(packet)
    elif kind == ETH_IPV6:
        address = _in_advertisement(packet)
    return None if address is None else Reply(address, int.from_bytes(data[6:_MACS_BYTES]), vlan_id)


def _in_arp(packet: bytes) -> IPv4Address | None:
    if len(packet) < _arp.size:
        return None
    header, operation, _, address, _, target = _arp.unpack_from(packet)
    is_reply = (header, operation, target) == (_ARP_HEADER, _ARP_REPLY, bytes(4))
    return IPv4Address(address) if is_reply else None


def _in_advertisement(packet: bytes) -> IPv6Address | None:
    if len(packet) < _ipv6.size + _nd.size:
        return None
    _, _, next_header, hop_limit, _, destination = _ipv6.unpack_from(packet)
    kind, code, _, _, target = _nd.unpack_from(packet, _ipv6.size)
    is_reply = (next_header, hop_limit, kind, code) == (
        IP_ICMPV6,
        _HOP_LIMIT,
        ICMPV6_NEIGHBOUR_ADVERTISEMENT,
        0,
    )
    return IPv6Address(target) if is_reply and destination == _ALL_NODES.packed else None


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of *data*, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
