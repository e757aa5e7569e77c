"""Frames as octets, and back, so that a real switch takes the frames that the pure one does."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6Unknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP
from scapy.packet import Packet, Raw

from model.frame import TPIDS, Frame, Tag
from trunkline.core.address import mac_text
from trunkline.core.flow import Field
from trunkline.core.frame import (
    ETH_VLAN,
    ICMPV6_MLD_DONE,
    ICMPV6_MLD_REPORT,
    ICMPV6_MLDV2_REPORT,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    ICMPV6_NEIGHBOUR_SOLICITATION,
    IP_IGMP,
)

_TRAILER = struct.Struct(">4sI")
_IGMP_REPORT = bytes.fromhex("2200e8f9 00000001 04000000 ef010203")
"""An IGMPv3 report that joins 239.1.2.3 (RFC 3376 section 4.2)."""

_IGMP_QUERY = bytes.fromhex("1164ee9b 00000000")
"""A general query (RFC 2236 section 2)."""

_MAGIC = b"tl\xfe\xed"


def octets(frame: Frame, number: int) -> bytes:
    """Return *frame* as it stands on the wire, with *number* behind all that its headers speak of."""
    head = frame.dst.to_bytes(6, "big") + frame.src.to_bytes(6, "big")
    for tag in frame.tags:
        head += struct.pack(">HH", tag.tpid, tag.priority << 13 | tag.vlan_id)
    head += frame.ethertype.to_bytes(2, "big")
    return head + bytes(_packet(dict(frame.headers), number)).ljust(46, b"\0") + _TRAILER.pack(_MAGIC, number)


def tags_and_rest(data: bytes) -> tuple[tuple[Tag, ...], bytes]:
    """Return the tags of the frame *data* and all of it but them."""
    tags, at = [], 12
    while int.from_bytes(data[at : at + 2], "big") in TPIDS:
        tpid, tci = struct.unpack_from(">HH", data, at)
        tags.append(Tag(tci & 0xFFF, tci >> 13, tpid))
        at += 4
    return tuple(tags), data[:12] + data[at:]


def with_fewer_tags(data: bytes) -> list[bytes]:
    """Return the frame *data* without its tags, with a priority tag alone, and with all but its last tags.

    >>> tagged = bytes(12) + bytes.fromhex("8100000781000008" "88b5")
    >>> [[tag.vlan_id for tag in tags_and_rest(frame)[0]] for frame in with_fewer_tags(tagged)]
    [[], [0], [7]]
    """
    tags, rest = tags_and_rest(data)
    priority_tag = ETH_VLAN.to_bytes(2, "big") + bytes(2)
    fewer = [b"", priority_tag, *(data[12 : 12 + 4 * count] for count in range(1, len(tags)))]
    return [rest[:12] + before + rest[12:] for before in fewer if len(before) <= 4 * len(tags)]


def number(data: bytes) -> int:
    """Return the number that `octets` put behind the frame *data*."""
    magic, found = _TRAILER.unpack(data[-_TRAILER.size :])
    assert magic == _MAGIC, data.hex()
    return int(found)


def _packet(headers: dict[Field, int], number: int) -> Packet:
    if Field.ARP_OP in headers:
        return ARP(
            op=headers[Field.ARP_OP],
            hwsrc=mac_text(headers[Field.ARP_SHA]),
            psrc=str(IPv4Address(headers[Field.ARP_SPA])),
            hwdst=mac_text(headers[Field.ARP_THA]),
            pdst=str(IPv4Address(headers[Field.ARP_TPA])),
        )
    if Field.IPV4_SRC in headers:
        network: Packet = IP(src=_ipv4(headers, Field.IPV4_SRC), dst=_ipv4(headers, Field.IPV4_DST))
    elif Field.IPV6_SRC in headers:
        network = IPv6(src=_ipv6(headers, Field.IPV6_SRC), dst=_ipv6(headers, Field.IPV6_DST), hlim=255)
    else:
        return Raw(b"neither IP nor ARP")
    if headers[Field.IP_PROTO] == 0:
        return _unreadable(network, number)
    if headers[Field.IP_PROTO] == IP_IGMP:
        network.proto = IP_IGMP
        is_query = network.dst == "224.0.0.1"
        return network / Raw(_IGMP_QUERY if is_query else _IGMP_REPORT)
    if Field.UDP_SRC in headers:
        return network / UDP(sport=headers[Field.UDP_SRC], dport=headers[Field.UDP_DST]) / Raw(b"payload")
    if headers[Field.ICMPV6_TYPE] in (ICMPV6_MLD_REPORT, ICMPV6_MLD_DONE, ICMPV6_MLDV2_REPORT):
        network /= IPv6ExtHdrHopByHop(options=[RouterAlert()])  # RFC 3810 section 5
    return network / _icmpv6(headers)


def _unreadable(network: Packet, number: int) -> Packet:
    """Return a packet that Open vSwitch gives up on; which one of those that it shows alike *number* says."""
    if isinstance(network, IP):
        wrong: dict[str, Any] = ({"ihl": 4}, {"len": 0}, {"len": 1000})[number % 3]
        return IP(src="192.0.2.1", dst="192.0.2.2", **wrong) / UDP(sport=67, dport=68)
    if number % 2:
        network.plen = 0
        return network / IPv6ExtHdrHopByHop() / ICMPv6ND_RA()
    # Two headers of 16 octets, of which the first fragment has 24.
    chain = bytes(IPv6ExtHdrDestOpt(nh=60, len=1, autopad=0)).ljust(16, b"\0") + b"\x3a\1" + bytes(6)
    return network / IPv6ExtHdrFragment(nh=60, m=1, id=7) / Raw(chain)


def _icmpv6(headers: dict[Field, int]) -> Packet:
    kind = headers[Field.ICMPV6_TYPE]
    if headers.get(Field.ND_TARGET) == 0:
        return _with_options_twice(kind)
    if kind == ICMPV6_NEIGHBOUR_SOLICITATION:
        option = headers[Field.ND_SLL]
        packet: Packet = ICMPv6ND_NS(tgt=_ipv6(headers, Field.ND_TARGET))
        return packet / ICMPv6NDOptSrcLLAddr(lladdr=mac_text(option)) if option else packet
    if kind == ICMPV6_NEIGHBOUR_ADVERTISEMENT:
        option = headers[Field.ND_TLL]
        packet = ICMPv6ND_NA(tgt=_ipv6(headers, Field.ND_TARGET))
        return packet / ICMPv6NDOptDstLLAddr(lladdr=mac_text(option)) if option else packet
    return ICMPv6Unknown(type=kind, code=headers[Field.ICMPV6_CODE], msgbody=b"\0" * 16)


def _with_options_twice(kind: int) -> Packet:
    """Return neighbour discovery that a host understands, and that Open vSwitch shows without a target."""
    if kind == ICMPV6_NEIGHBOUR_SOLICITATION:
        asked, source = ICMPv6ND_NS(tgt="2001:db8::1"), ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01")
        return asked / source / source
    said, target = ICMPv6ND_NA(tgt="2001:db8::1"), ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:01")
    return said / target / target


def _ipv4(headers: dict[Field, int], field: Field) -> str:
    return str(IPv4Address(headers[field]))


def _ipv6(headers: dict[Field, int], field: Field) -> str:
    return str(IPv6Address(headers[field]))
