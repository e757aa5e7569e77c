"""Match fields as bytes: OXM TLVs (OpenFlow 1.4.0 section 7.2.3) in Open vSwitch's order.

Open vSwitch keeps a match in a form of its own, and writes its fields in one fixed order when a flow is read
back. This module encodes a match in that order, so the bytes sent and the bytes read back are equal.
`tests/system/test_session.py` checks every field with a real switch.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from trunkline.core.flow import Field, Match, Term
from trunkline.openflow.error import DecodeError, EncodeError

_BASIC = 0x8000
_NICIRA = 0x0001

_CODES: tuple[tuple[Field, int, int], ...] = (
    (Field.IN_PORT, _BASIC, 0),
    (Field.ETH_SRC, _BASIC, 4),
    (Field.ETH_DST, _BASIC, 3),
    (Field.ETH_TYPE, _BASIC, 5),
    (Field.VLAN_VID, _BASIC, 6),
    (Field.IPV4_SRC, _BASIC, 11),
    (Field.IPV4_DST, _BASIC, 12),
    (Field.IPV6_SRC, _BASIC, 26),
    (Field.IPV6_DST, _BASIC, 27),
    (Field.IP_FRAG, _NICIRA, 26),
    (Field.IP_PROTO, _BASIC, 10),
    (Field.TCP_SRC, _BASIC, 13),
    (Field.TCP_DST, _BASIC, 14),
    (Field.UDP_SRC, _BASIC, 15),
    (Field.UDP_DST, _BASIC, 16),
    (Field.ICMPV6_TYPE, _BASIC, 29),
    (Field.ICMPV6_CODE, _BASIC, 30),
    (Field.ND_TARGET, _BASIC, 31),
    (Field.ND_SLL, _BASIC, 32),
    (Field.ND_TLL, _BASIC, 33),
    (Field.ARP_OP, _BASIC, 21),
    (Field.ARP_SPA, _BASIC, 22),
    (Field.ARP_TPA, _BASIC, 23),
    (Field.ARP_SHA, _BASIC, 24),
    (Field.ARP_THA, _BASIC, 25),
    (Field.REG0, _NICIRA, 0),
    (Field.REG1, _NICIRA, 1),
    (Field.REG2, _NICIRA, 2),
    (Field.REG3, _NICIRA, 3),
    (Field.REG4, _NICIRA, 4),
    (Field.REG5, _NICIRA, 5),
    (Field.REG6, _NICIRA, 6),
    (Field.REG7, _NICIRA, 7),
    (Field.METADATA, _BASIC, 2),
)
"""Field, OXM class and OXM field number, in Open vSwitch's order; ovs-fields(7) has the numbers."""


class Wire(NamedTuple):
    """How a field is encoded: its place in the order, both TLV headers, and its width in bytes."""

    rank: int
    exact_head: bytes
    masked_head: bytes
    width: int


def _wire(rank: int, field: Field, oxm_class: int, number: int) -> Wire:
    width = (field.bits + 7) // 8
    exact = struct.pack(">HBB", oxm_class, number << 1, width)
    masked = struct.pack(">HBB", oxm_class, number << 1 | 1, 2 * width)
    return Wire(rank, exact, masked, width)


WIRE: dict[Field, Wire] = {code[0]: _wire(rank, *code) for rank, code in enumerate(_CODES)}
"""How each field is encoded; every `Field` is in it."""

_EXACT_FIELD = {wire.exact_head: field for field, wire in WIRE.items()}
_MASKED_FIELD = {wire.masked_head: field for field, wire in WIRE.items()}

_IN_PORT = Field.IN_PORT
_FIRST_RESERVED_PORT = 0xFF00
_RESERVED_PORT_BITS = 0xFFFF0000


def wire_port(ofport: int) -> int:
    """Return the 32-bit OpenFlow number of *ofport*, the 16-bit number that OVSDB and `ovs-ofctl` use.

    Reserved ports, from 0xff00 on, are at the top of the 32 bits (OpenFlow 1.4.0 section 7.2.1).

    >>> hex(wire_port(0xfffe)), wire_port(5)
    ('0xfffffffe', 5)
    """
    return ofport if ofport < _FIRST_RESERVED_PORT else ofport | _RESERVED_PORT_BITS


def ofport(wire_port: int) -> int | None:
    """Return the 16-bit number of *wire_port*, or None if Open vSwitch has no such port.

    >>> hex(ofport(0xfffffffe)), ofport(0x12345678)
    ('0xfffe', None)
    """
    if wire_port < _FIRST_RESERVED_PORT:
        return wire_port
    return wire_port & 0xFFFF if wire_port >= _RESERVED_PORT_BITS | _FIRST_RESERVED_PORT else None


class Foreign(NamedTuple):
    """The bytes of a part of a flow that Trunkline does not use; *kind*: field, action or instruction."""

    kind: str
    data: bytes


def match_bytes(match: Match) -> bytes:
    """Return the OXM TLVs of *match*, in Open vSwitch's order and without padding.

    Raises `EncodeError` if a value or mask does not fit its field.
    """
    tlvs = []
    try:
        for field, value, mask in match:
            rank, exact_head, masked_head, width = WIRE[field]
            if value >= _FIRST_RESERVED_PORT and field is _IN_PORT:
                value |= _RESERVED_PORT_BITS
            if mask is None:
                tlvs.append((rank, exact_head + value.to_bytes(width, "big")))
            else:
                tlvs.append((rank, masked_head + value.to_bytes(width, "big") + mask.to_bytes(width, "big")))
    except OverflowError:
        raise EncodeError(f"a value does not fit its field: {match}; give one that fits") from None
    if len(tlvs) > 1:
        tlvs.sort()
    return b"".join([tlv for _, tlv in tlvs])


def match_terms(data: bytes) -> tuple[Term | Foreign, ...]:
    """Return the terms of the OXM TLVs *data*, in their order; a mask of all ones becomes None.

    A field that Trunkline has no name for, or that has another length, is `Foreign`. Raises `DecodeError` if
    *data* is cut short.
    """
    terms: list[Term | Foreign] = []
    at = 0
    while at < len(data):
        end = at + 4 + data[at + 3] if at + 4 <= len(data) else len(data) + 1
        if end > len(data):
            raise DecodeError(f"match is cut short at byte {at} of {len(data)}; read the flow again")
        terms.append(_term(data[at:end]))
        at = end
    return tuple(terms)


def _term(tlv: bytes) -> Term | Foreign:
    head, payload = tlv[:4], tlv[4:]
    mask = None
    if head in _EXACT_FIELD:
        field = _EXACT_FIELD[head]
        value = int.from_bytes(payload, "big")
    elif head in _MASKED_FIELD:
        field = _MASKED_FIELD[head]
        width = len(payload) // 2
        value, mask = int.from_bytes(payload[:width], "big"), int.from_bytes(payload[width:], "big")
    else:
        return Foreign("field", tlv)
    full = (1 << field.bits) - 1
    if value > full or (mask or 0) > full:
        return Foreign("field", tlv)
    if field is _IN_PORT:
        port = ofport(value)
        if port is None:
            return Foreign("field", tlv)
        value = port
    return Term(field, value, None if mask == full else mask)


def field_value(tlv: bytes) -> tuple[Field, int] | None:
    """Return the field and value of the unmasked *tlv*, or None if Trunkline has no name for it."""
    term = _term(tlv) if tlv[:4] in _EXACT_FIELD else None
    return (term.field, term.value) if isinstance(term, Term) else None
