"""Examples: frames, in bytes, that may take the way of a violation.

The proof does not follow every field, so not each of these takes that way; `ofproto/trace` says which does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from trunkline.core.field import Field
from trunkline.core.flow import PopVlan, PushVlan
from trunkline.core.frame import ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_RARP, IP_ICMPV6, IP_UDP
from trunkline.proof.proof import Tags, Terms, Violation
from trunkline.proof.space import HIDDEN, TAG_BITS, Cube, Space, cube

_BROADCAST = 0xFFFF_FFFF_FFFF
_STRANGERS = 0x02FF_FFFF_FFFD, 0x02FF_FFFF_FFFE
"""MACs that nobody has: of a sender, and of a receiver."""

_BARE = 0x88B5
"""An Ethernet type for experiments (IEEE 802)."""

_IP_TCP = 6
_IP_ECHO = 1
_DEFAULTS = {
    Field.IPV4_SRC: 0xC000_02FD,
    Field.IPV4_DST: 0xC000_02FE,
    Field.IPV6_SRC: 0x2001_0DB8 << 96 | 0xFD,
    Field.IPV6_DST: 0x2001_0DB8 << 96 | 0xFE,
    Field.ARP_OP: 1,
    Field.ARP_SPA: 0xC000_02FD,
    Field.ARP_TPA: 0xC000_02FE,
    Field.ICMPV6_TYPE: 128,
    Field.UDP_SRC: 49152,
    Field.UDP_DST: 9,
    Field.TCP_SRC: 49152,
    Field.TCP_DST: 9,
}

_Values = Mapping[Field, int]


def examples(violation: Violation, sources: Sequence[int], destinations: Sequence[int]) -> Iterator[bytes]:
    """Yield frames that match all flows on the way of *violation*, as far as the frame decides that.

    What is left open is taken from the MACs *sources* and *destinations*, with a broadcast and unknown MACs
    besides. None is yielded if two flows of the way exclude one another.
    """
    terms, space = _constraints(violation)
    if space is None:
        return
    for kind in dict.fromkeys((None, _BARE, ETH_ARP, ETH_IPV4, ETH_IPV6)):
        some = space if kind is None else space.within(cube(Field.ETH_TYPE, kind))
        fixed = None if some is None else some.frame()
        # A type that nobody asks for is none that a frame has: another one is chosen for it.
        if fixed is None or (kind is None and not violation.has_hidden and not _has_type(some)):
            continue
        for source in dict.fromkeys((*sources, _STRANGERS[0])):
            for destination in dict.fromkeys((*destinations, _BROADCAST, _STRANGERS[1])):
                wishes = {**_DEFAULTS, Field.ETH_SRC: source, Field.ETH_DST: destination}
                values = {
                    field: terms[field][0] | wishes.get(field, 0) & ~terms[field][1]
                    if field in terms
                    else wishes.get(field, 0)
                    for field in Field
                }
                values[Field.ETH_TYPE] = fixed >> Field.VLAN_VID.bits
                yield _octets(values, fixed & 0xFFF if violation.is_tagged else None, terms)


def _has_type(space: Space | None) -> bool:
    """Return whether all frames of *space* have one Ethernet type."""
    bits = cube(Field.ETH_TYPE, 0).mask
    return space is not None and space.cube.mask & bits == bits


def _constraints(violation: Violation) -> tuple[Mapping[Field, tuple[int, int]], Space | None]:
    """Return what the flows on the way ask of the frame, and which frames that are, if any."""
    terms: Terms | None = Terms()
    tags: Tags = (None,) if violation.is_tagged else ()
    space: Space | None = violation.frames
    for rule in reversed(violation.rules):
        terms = terms and terms.met(rule)
    for rule in violation.rules:
        own = rule.frames if tags[:1] == (None,) else Cube(*(part & ~TAG_BITS for part in rule.frames))
        space = None if space is None else space.within(own)
        for action in rule.actions:
            if isinstance(action, PopVlan):
                tags = tags[1:]
            elif isinstance(action, PushVlan):
                tags = (0, *tags)
    if space is not None and violation.has_hidden:
        space = next((some for hidden in HIDDEN if (some := space.within(hidden)) is not None), None)
    return ({}, None) if terms is None else (terms.by_field, space)


def _octets(values: _Values, vlan_id: int | None, asked: Mapping[Field, object]) -> bytes:
    """Return the frame with *values*; its upper layers are those that the fields *asked* for belong to."""
    kind = values[Field.ETH_TYPE]
    head = values[Field.ETH_DST].to_bytes(6) + values[Field.ETH_SRC].to_bytes(6)
    tag = b"" if vlan_id is None else struct.pack("!HH", 0x8100, vlan_id)
    if kind in (ETH_ARP, ETH_RARP):
        body = _arp(values)
    elif kind in (ETH_IPV4, ETH_IPV6):
        body = (_ipv4 if kind == ETH_IPV4 else _ipv6)(values, *_upper(values, asked))
    else:
        # If the type is that of a tag, it is a tag with VLAN id 1.
        body = struct.pack("!HH", 1, _BARE)
    return (head + tag + kind.to_bytes(2) + body).ljust(60, b"\0")


def _arp(values: _Values) -> bytes:
    sender = values[Field.ARP_SHA] or values[Field.ETH_SRC]
    return (
        struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, values[Field.ARP_OP])
        + sender.to_bytes(6)
        + values[Field.ARP_SPA].to_bytes(4)
        + values[Field.ARP_THA].to_bytes(6)
        + values[Field.ARP_TPA].to_bytes(4)
    )


def _upper(values: _Values, asked: Mapping[Field, object]) -> tuple[int, bytes]:
    """Return the protocol above IP, and its header."""
    protocol = values[Field.IP_PROTO]
    if Field.IP_PROTO not in asked:
        protocol = IP_ICMPV6 if values[Field.ETH_TYPE] == ETH_IPV6 else _IP_ECHO
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
    head = struct.pack("!IHBB", 6 << 28, len(upper), protocol, 255)
    return head + values[Field.IPV6_SRC].to_bytes(16) + values[Field.IPV6_DST].to_bytes(16) + upper
