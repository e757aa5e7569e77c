"""Announcements: the frames by which the physical network learns where a port's MAC is.

An IPv4 address is announced by a gratuitous ARP request (RFC 5227 section 2.3), an IPv6 address by an
unsolicited neighbour advertisement (RFC 4861 section 7.2.6), and a port without addresses by the reverse ARP
request that hypervisors send after a migration (RFC 903).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from trunkline.core.frame import (
    ETH_ARP,
    ETH_IPV6,
    ETH_RARP,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    IP_ICMPV6,
)
from trunkline.core.model import IPAddress

GAPS_S = (1, 2, 4, 8, 16)
"""Seconds between one sending of an announcement and the next; the first is sent at once."""

_BROADCAST = b"\xff" * 6
_ALL_NODES = IPv6Address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")

_ARP_HEADER = struct.Struct("!HHBBH")
_HARDWARE_ETHERNET = 1
_PROTOCOL_IPV4 = 0x0800
_ARP_REQUEST = 1
_RARP_REQUEST = 3

_FLAG_OVERRIDE = 1 << 29
_OPTION_TARGET_LINK_LAYER = b"\x02\x01"
_HOP_LIMIT = 255


def frames(mac: int, addresses: tuple[IPAddress, ...]) -> tuple[bytes, ...]:
    """Return the untagged frames that announce *mac*, a 48-bit integer: one for each address, or else one.

    >>> [len(frame) for frame in frames(0x020000000001, (IPv4Address("192.0.2.1"), IPv6Address("fd00::1")))]
    [42, 86]
    """
    source = mac.to_bytes(6, "big")
    if not addresses:
        return (_arp(source, ETH_RARP, _RARP_REQUEST, b"\x00" * 4, source),)
    return tuple(
        _arp(source, ETH_ARP, _ARP_REQUEST, address.packed, b"\x00" * 6)
        if isinstance(address, IPv4Address)
        else _advertisement(source, address)
        for address in addresses
    )


def _arp(source: bytes, ethertype: int, operation: int, address: bytes, target: bytes) -> bytes:
    header = _ARP_HEADER.pack(_HARDWARE_ETHERNET, _PROTOCOL_IPV4, 6, 4, operation)
    ethernet = _BROADCAST + source + ethertype.to_bytes(2, "big")
    return ethernet + header + source + address + target + address


def _advertisement(source: bytes, address: IPv6Address) -> bytes:
    flags = _FLAG_OVERRIDE.to_bytes(4, "big")
    option = _OPTION_TARGET_LINK_LAYER + source
    body = bytes((ICMPV6_NEIGHBOUR_ADVERTISEMENT, 0, 0, 0)) + flags + address.packed + option
    pseudo_header = address.packed + _ALL_NODES.packed + struct.pack("!II", len(body), IP_ICMPV6)
    body = body[:2] + _checksum(pseudo_header + body).to_bytes(2, "big") + body[4:]
    ip = struct.pack("!IHBB", 6 << 28, len(body), IP_ICMPV6, _HOP_LIMIT) + address.packed + _ALL_NODES.packed
    return _ALL_NODES_MAC + source + ETH_IPV6.to_bytes(2, "big") + ip + body


def _checksum(data: bytes) -> int:
    """Return the Internet checksum of *data*, an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
