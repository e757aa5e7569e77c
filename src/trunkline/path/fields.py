"""The fields of a frame, as `ofproto/trace` takes them in place of the frame itself.

ovs-vswitchd learns from a frame that a trace gives it in bytes, as if it had come: a provider bridge then
believes that its sender is where the trace says (ovs-vswitchd(8); bridges learn so by NORMAL). From fields it
learns nothing.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from trunkline.core.address import mac_text
from trunkline.core.frame import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_RARP,
    ETH_SERVICE_VLAN,
    ETH_VLAN,
    IP_ICMPV6,
    IP_IGMP,
    IP_UDP,
)

_LEAST_ETHERTYPE = 0x600
_OTHER_LAYERS = frozenset({ETH_VLAN, ETH_SERVICE_VLAN, 0x8847, 0x8848, 0x894F})
"""Further tags, MPLS and NSH."""

_IP_ICMP, _IP_TCP, _IP_SCTP = 1, 6, 132
_EXTENSIONS = frozenset({0, 43, 44, 50, 51, 60, 135})
"""Headers that may stand between IPv6 and its payload."""

_ARP_HEAD = struct.pack("!HHBB", 1, ETH_IPV4, 6, 4)
_ND_OPTIONS = {1: "nd_sll", 2: "nd_tll"}


def words(bridge: str, ofport: int | None, frame: bytes) -> tuple[str, ...]:
    """Return the arguments of `ofproto/trace` about *frame* that comes to *bridge* by the port *ofport*.

    They are fields if these say all of it, else its bytes.
    """
    found, place = fields(frame), f"in_port={ofport}"
    return (bridge, f"{place},{found}") if found is not None else (bridge, place, frame.hex())


def fields(frame: bytes) -> str | None:
    """Return what Open vSwitch sees in *frame*; None if that cannot be said of all of it in fields.

    Only well-formed frames with at most one tag are: no fragments, and no options but one of neighbour
    discovery.
    """
    found = [f"dl_dst={_mac(frame[:6])}", f"dl_src={_mac(frame[6:12])}"]
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    rest = frame[14:]
    if ethertype == ETH_VLAN and len(rest) >= 4:
        tci, ethertype = struct.unpack_from("!HH", rest)
        found.append(f"vlan_tci={tci | 0x1000:#06x}")
        rest = rest[4:]
    if ethertype < _LEAST_ETHERTYPE or ethertype in _OTHER_LAYERS:
        return None
    of_packet = {ETH_ARP: _arp, ETH_RARP: _arp, ETH_IPV4: _ipv4, ETH_IPV6: _ipv6}.get(ethertype)
    packet = [] if of_packet is None else of_packet(rest)
    return None if packet is None else ",".join([*found, f"dl_type={ethertype:#06x}", *packet])


def _mac(data: bytes) -> str:
    return mac_text(int.from_bytes(data))


def _arp(packet: bytes) -> list[str] | None:
    if len(packet) < 28 or packet[:6] != _ARP_HEAD or packet[6]:
        return None
    return [
        f"arp_op={packet[7]}",
        f"arp_sha={_mac(packet[8:14])}",
        f"arp_spa={IPv4Address(packet[14:18])}",
        f"arp_tha={_mac(packet[18:24])}",
        f"arp_tpa={IPv4Address(packet[24:28])}",
    ]


def _ipv4(packet: bytes) -> list[str] | None:
    if len(packet) < 20 or packet[0] != 0x45:
        return None
    tos, size, fragment, ttl, protocol = packet[1], *struct.unpack_from("!H2xHBB", packet, 2)
    if size > len(packet) or size < 20 or fragment & 0x3FFF:
        return None
    upper = _upper(protocol, packet[20:size])
    if upper is None or protocol == IP_ICMPV6:
        return None
    addresses = [f"nw_src={IPv4Address(packet[12:16])}", f"nw_dst={IPv4Address(packet[16:20])}"]
    return [*addresses, *_ip(tos, ttl, protocol), *upper]


def _ipv6(packet: bytes) -> list[str] | None:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    head, size, protocol, ttl = struct.unpack_from("!IHBB", packet)
    if size > len(packet) - 40 or protocol in _EXTENSIONS:
        return None
    upper = _upper(protocol, packet[40 : 40 + size])
    if upper is None or protocol == _IP_ICMP:
        return None
    addresses = [f"ipv6_src={IPv6Address(packet[8:24])}", f"ipv6_dst={IPv6Address(packet[24:40])}"]
    return [*addresses, f"ipv6_label={head & 0xFFFFF:#x}", *_ip(head >> 20 & 0xFF, ttl, protocol), *upper]


def _ip(tos: int, ttl: int, protocol: int) -> list[str]:
    return [f"nw_tos={tos & 0xFC}", f"nw_ecn={tos & 3}", f"nw_ttl={ttl}", f"nw_proto={protocol}"]


def _upper(protocol: int, data: bytes) -> list[str] | None:
    """Return the fields of what IP carries."""
    if protocol in (IP_IGMP, _IP_SCTP):
        return None
    if protocol == _IP_TCP:
        if len(data) < 20 or not 20 <= (data[12] >> 4) * 4 <= len(data):
            return None
        src, dst, flags = struct.unpack_from("!HH8xH", data)
        return [f"tcp_src={src}", f"tcp_dst={dst}", f"tcp_flags={flags & 0xFFF:#x}"]
    if protocol == IP_UDP:
        return (
            None
            if len(data) < 8
            else [f"udp_{end}={int.from_bytes(data[at : at + 2])}" for end, at in (("src", 0), ("dst", 2))]
        )
    if protocol in (_IP_ICMP, IP_ICMPV6):
        if len(data) < 8:
            return None
        name = "icmp" if protocol == _IP_ICMP else "icmpv6"
        found = [f"{name}_type={data[0]}", f"{name}_code={data[1]}"]
        return (
            found if protocol == _IP_ICMP or data[0] not in (135, 136) or data[1] else _neighbour(found, data)
        )
    return []


def _neighbour(found: list[str], data: bytes) -> list[str] | None:
    """Return *found* with the fields of neighbour discovery (RFC 4861 section 4)."""
    option = data[24:]
    if len(data) < 24 or (option and (len(option) != 8 or option[0] not in _ND_OPTIONS or option[1] != 1)):
        return None
    found.append(f"nd_target={IPv6Address(data[8:24])}")
    return [*found, f"{_ND_OPTIONS[option[0]]}={_mac(option[2:])}"] if option else found
