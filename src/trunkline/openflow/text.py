"""Flows as `ovs-ofctl` spells them: what `dump-flows --no-stats` prints, in the form that `add-flow` takes.

A flow is one line without spaces, so that it can be pasted into a command. Terms have the order in which
`ovs-ofctl` prints them, the table is always given, and there is a comma before `actions`. Source:
ovs-ofctl(8), ovs-fields(7) and ovs-actions(7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from trunkline.core.flow import (
    Action,
    Controller,
    Copy,
    Field,
    Flow,
    Goto,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    Term,
)
from trunkline.openflow import foreign, message
from trunkline.openflow.foreign import PORT_NAMES
from trunkline.openflow.oxm import Foreign

_ETHER_TYPES = {0x0800: "ip", 0x0806: "arp", 0x8035: "rarp", 0x86DD: "ipv6"}
_PROTOCOLS = {
    ("ip", 1): "icmp",
    ("ip", 6): "tcp",
    ("ip", 17): "udp",
    ("ip", 132): "sctp",
    ("ipv6", 6): "tcp6",
    ("ipv6", 17): "udp6",
    ("ipv6", 58): "icmp6",
    ("ipv6", 132): "sctp6",
}

_MATCH_NAMES = {
    Field.REG0: "reg0",
    Field.REG1: "reg1",
    Field.REG2: "reg2",
    Field.REG3: "reg3",
    Field.REG4: "reg4",
    Field.REG5: "reg5",
    Field.REG6: "reg6",
    Field.REG7: "reg7",
    Field.METADATA: "metadata",
    Field.IN_PORT: "in_port",
    Field.VLAN_VID: "vlan_tci",
    Field.ETH_SRC: "dl_src",
    Field.ETH_DST: "dl_dst",
    Field.ETH_TYPE: "dl_type",
    Field.IPV6_SRC: "ipv6_src",
    Field.IPV6_DST: "ipv6_dst",
    Field.IPV4_SRC: "nw_src",
    Field.IPV4_DST: "nw_dst",
    Field.ARP_SPA: "arp_spa",
    Field.ARP_TPA: "arp_tpa",
    Field.ARP_OP: "arp_op",
    Field.IP_PROTO: "nw_proto",
    Field.IP_FRAG: "nw_frag",
    Field.ARP_SHA: "arp_sha",
    Field.ARP_THA: "arp_tha",
    Field.TCP_SRC: "tp_src",
    Field.UDP_SRC: "tp_src",
    Field.TCP_DST: "tp_dst",
    Field.UDP_DST: "tp_dst",
    Field.ICMPV6_TYPE: "icmp_type",
    Field.ICMPV6_CODE: "icmp_code",
    Field.ND_TARGET: "nd_target",
    Field.ND_SLL: "nd_sll",
    Field.ND_TLL: "nd_tll",
}
"""The name of each field in a match, in the order in which `ovs-ofctl` prints them."""

_RANK = {field: rank for rank, field in enumerate(_MATCH_NAMES)}

_SET_NAMES = {Field.IPV4_SRC: "ip_src", Field.IPV4_DST: "ip_dst"}
"""The names in `set_field` that differ from the field's own name."""

_FRAGMENT_NAMES = {0: "no", 1: "first", 3: "later"}

_MAC_FIELDS = frozenset(field for field in Field if field.bits == 48)
_IPV4_FIELDS = frozenset({Field.IPV4_SRC, Field.IPV4_DST, Field.ARP_SPA, Field.ARP_TPA})
_HEX_FIELDS = frozenset({Field.METADATA, *(field for field in Field if field.name.startswith("REG"))})


def text(flow: Flow, *, with_cookie: bool = True) -> str:
    """Return *flow* as `ovs-ofctl` spells it.

    >>> from trunkline.core.pipeline import Band
    >>> vlan_101 = (Field.VLAN_VID(0x1065), Field.IN_PORT(1))
    >>> text(Flow(Band.UPLINK, vlan_101, (PopVlan(), Field.METADATA.set(7)), 0), with_cookie=False)
    'table=0,priority=50,in_port=1,dl_vlan=101,actions=pop_vlan,set_field:0x7->metadata'
    """
    cookie = flow.cookie if with_cookie else None
    return _line(flow.table, flow.priority, flow.match, flow.actions, cookie)


def encoded_text(key: bytes, body: bytes, *, with_cookie: bool = True) -> str:
    """Return the flow with *key* and *body* (`message.Encoded`) as `ovs-ofctl` spells it.

    Of actions and instructions that Trunkline does not use, some are shortened, such as `learn(table=9,…)`.
    Unknown ones, and fields, are written as `field(0x…)`, `action(0x…)` or `instruction(0x…)`. `add-flow`
    accepts none of these. Raises `DecodeError` as `message.decode` does.
    """
    flow = message.decode(key, body)
    return _line(flow.table, flow.priority, flow.match, flow.actions, flow.cookie if with_cookie else None)


def _line(
    table: int,
    priority: int,
    match: Sequence[Term | Foreign],
    actions: Sequence[Action | Foreign],
    cookie: int | None,
) -> str:
    words = [] if cookie is None else [f"cookie={cookie:#x}"]
    words += [f"table={int(table)}", f"priority={priority}", *_match_words(match)]
    words.append("actions=" + (",".join(_action_word(action) for action in actions) or "drop"))
    return ",".join(words)


def _match_words(match: Sequence[Term | Foreign]) -> Iterator[str]:
    terms = {term.field: term for term in match if isinstance(term, Term)}
    shorthand = _shorthand(terms)
    if shorthand:
        yield shorthand
    for field in sorted(terms, key=_RANK.__getitem__):
        yield _term_word(terms[field])
    for each in match:
        if isinstance(each, Foreign):
            yield foreign.words(each)


def _shorthand(terms: dict[Field, Term]) -> str | None:
    """Return the word for the protocol of *terms*, and remove the terms that it stands for."""
    ether_type, protocol = terms.get(Field.ETH_TYPE), terms.get(Field.IP_PROTO)
    word = _ETHER_TYPES.get(ether_type.value) if ether_type and ether_type.mask is None else None
    if word is None:
        return None
    del terms[Field.ETH_TYPE]
    transport = _PROTOCOLS.get((word, protocol.value)) if protocol and protocol.mask is None else None
    if transport is None:
        return word
    del terms[Field.IP_PROTO]
    return transport


def _term_word(term: Term) -> str:
    field, value, mask = term
    name = _MATCH_NAMES[field]
    if field is Field.VLAN_VID:
        if mask is None and value & 0x1000:
            return f"dl_vlan={value & 0xFFF}"
        return f"{name}={value:#06x}/{0x1FFF if mask is None else mask:#06x}"
    if mask is None:
        return f"{name}={_value_word(field, value)}"
    if field.bits < 32:
        return f"{name}={value:#x}/{mask:#x}"
    return f"{name}={_value_word(field, value)}/{_mask_word(field, mask)}"


def _mask_word(field: Field, mask: int) -> str:
    is_address = field in _IPV4_FIELDS or field.bits == 128
    host_bits = (1 << field.bits) - 1 ^ mask
    if is_address and host_bits & host_bits + 1 == 0:
        return str(field.bits - host_bits.bit_length())
    return _value_word(field, mask)


def _value_word(field: Field, value: int) -> str:
    if field is Field.IP_FRAG:
        return _FRAGMENT_NAMES.get(value, str(value))
    if field in _MAC_FIELDS:
        digits = f"{value:012x}"
        return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
    if field in _IPV4_FIELDS:
        return str(IPv4Address(value))
    if field.bits == 128:
        return str(IPv6Address(value))
    if field is Field.ETH_TYPE:
        return f"{value:#06x}"
    if field is Field.IN_PORT:
        return PORT_NAMES.get(value, str(value))
    return f"{value:#x}" if value and field in _HEX_FIELDS else str(value)


def _action_word(action: Action | Foreign) -> str:
    match action:
        case Set(field, value):
            name = _SET_NAMES.get(field, field.value[0])
            return f"set_field:{_value_word(field, value)}->{name}"
        case Copy(source, first_bit, destination, bits):
            return f"move:{_part(source, first_bit, bits)}->{_part(destination, 0, bits)}"
        case PushVlan(vlan_id):
            return f"push_vlan:0x8100,set_field:{vlan_id | 0x1000}->vlan_vid"
        case PopVlan():
            return "pop_vlan"
        case Controller(max_len):
            return f"CONTROLLER:{max_len}"
        case Output(0xFFFD):
            return "CONTROLLER:0"
        case Output(ofport):
            return PORT_NAMES.get(ofport) or f"output:{ofport}"
        case Resubmit(table):
            return f"resubmit(,{int(table)})"
        case Goto(table):
            return f"goto_table:{int(table)}"
        case Foreign():
            return foreign.words(action)


def _part(field: Field, first_bit: int, bits: int) -> str:
    """Return how a part of *field* is written (ovs-actions(7)): by its NXM name, which `ovs-ofctl` prints."""
    if bits == field.bits:
        place = ""
    else:
        place = f"{first_bit}" if bits == 1 else f"{first_bit}..{first_bit + bits - 1}"
    return f"NXM_NX_{field.name}[{place}]"
