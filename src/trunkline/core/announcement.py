"""Announcements: the frames that tell the physical network where a port's MAC is.

An IPv4 address is announced by a gratuitous ARP request (RFC 5227 section 2.3). A port without IPv4 addresses
is announced by two frames. One is the reverse ARP request that hypervisors send after a migration (RFC 903).
The other is a gratuitous ARP request for 0.0.0.0, an address that no host has. It is for Open vSwitch behind
a bond in mode `balance-slb`: if the source MAC of any other frame is known elsewhere, Open vSwitch takes the
frame for one of its own that came back (is_gratuitous_arp in ofproto/ofproto-dpif-xlate.c).

An IPv6 address is not announced. A neighbour advertisement says whether its sender is a router, which only
the VM knows. Hosts stop using a router that is said not to be one (RFC 4861 section 7.3.3).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from trunkline.core.frame import ETH_ARP, ETH_RARP, RARP_REQUEST
from trunkline.core.model import IPAddress

GAPS_S = (1, 2, 4, 8, 16)
"""The gaps between the sendings of an announcement, in seconds; the first sending is at once."""

_BROADCAST = b"\xff" * 6
_NO_MAC = b"\x00" * 6
_NO_ADDRESS = IPv4Address(0)

_ARP_HEADER = struct.Struct("!HHBBH")
_HARDWARE_ETHERNET = 1
_PROTOCOL_IPV4 = 0x0800
_ARP_REQUEST = 1


def frames(mac: int, addresses: tuple[IPAddress, ...]) -> tuple[bytes, ...]:
    """Return the untagged frames that announce *mac*: one for each IPv4 address, or two if there is none.

    >>> [len(frame) for frame in frames(0x020000000001, (IPv4Address("192.0.2.1"),))]
    [42]
    """
    source = mac.to_bytes(6, "big")
    ipv4 = [address for address in addresses if isinstance(address, IPv4Address)]
    if ipv4:
        return tuple(_gratuitous(source, address) for address in ipv4)
    reverse = _arp(source, ETH_RARP, RARP_REQUEST, _NO_ADDRESS, source)
    return (reverse, _gratuitous(source, _NO_ADDRESS))


def _gratuitous(source: bytes, address: IPv4Address) -> bytes:
    return _arp(source, ETH_ARP, _ARP_REQUEST, address, _NO_MAC)


def _arp(source: bytes, ethertype: int, operation: int, address: IPv4Address, target: bytes) -> bytes:
    header = _ARP_HEADER.pack(_HARDWARE_ETHERNET, _PROTOCOL_IPV4, 6, 4, operation)
    ethernet = _BROADCAST + source + ethertype.to_bytes(2, "big")
    return ethernet + header + source + address.packed + target + address.packed
