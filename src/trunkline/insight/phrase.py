"""Matches and actions of flows in words, with the names of ports, networks and interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from trunkline.core.address import mac_text
from trunkline.core.field import Field, Term
from trunkline.core.flow import Action, Controller, Copy, Goto, Output, PopVlan, PushVlan, Resubmit, Set
from trunkline.core.frame import (
    CONTROL_GROUPS,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_RARP,
    GROUP_BIT,
    IP_ICMPV6,
    IP_IGMP,
    IP_UDP,
    VLAN_PRESENT,
)
from trunkline.core.pipeline import (
    ANY_ADDRESS,
    DESTINATION_PORT,
    INNER_MAC_HIGH,
    INNER_MAC_LOW,
    INNER_TAGS,
    NETWORK,
    REASON,
    RETURNED,
    SOURCE_PORT,
    Reason,
)
from trunkline.core.probe import FRAMES
from trunkline.openflow import foreign
from trunkline.openflow.oxm import Foreign

if TYPE_CHECKING:
    from trunkline.insight.name import Names

_OUTPUTS_SHOWN = 3
_PROTOCOLS = {
    ETH_IPV4: "IPv4",
    ETH_IPV6: "IPv6",
    ETH_ARP: "ARP",
    ETH_RARP: "RARP",
}
_UPPER = {IP_UDP: "UDP", IP_ICMPV6: "ICMPv6", IP_IGMP: "IGMP"}
_ICMPV6 = {
    131: "MLD report",
    132: "MLD done",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    137: "redirect",
    143: "MLDv2 report",
}
_REASONS: dict[int, str] = {
    Reason.SERVER: "a DHCP answer, router advertisement or redirect",
    Reason.NEIGHBOUR: "ARP, RARP or neighbour discovery with a MAC or address of another",
    Reason.ADDRESS: "IPv4 or IPv6 from another address, or unreadable",
}
_FRAGMENTS = {0: "no fragment", 1: "a first fragment", 3: "a later fragment"}
_PREFIXES = {
    Field.ETH_SRC: "MAC",
    Field.ETH_DST: "to",
    Field.IPV4_SRC: "from",
    Field.IPV4_DST: "to",
    Field.IPV6_SRC: "from",
    Field.IPV6_DST: "to",
    Field.ARP_SPA: "sender",
    Field.ARP_TPA: "asks for",
    Field.ARP_SHA: "sender's MAC",
    Field.ARP_THA: "target's MAC",
    Field.ND_TARGET: "about",
    Field.ND_SLL: "MAC inside",
    Field.ND_TLL: "MAC inside",
    Field.UDP_SRC: "from port",
    Field.UDP_DST: "to port",
    Field.TCP_SRC: "from port",
    Field.TCP_DST: "to port",
    Field.ARP_OP: "operation",
}
_IMPLIED = frozenset({Field.ICMPV6_CODE})
_GENERIC = frozenset({"IPv4", "IPv6", "UDP", "ICMPv6"})


def match_words(terms: Sequence[Term | Foreign], names: Names, rest: str | None = None) -> str:
    """Return what a flow with *terms* matches, and of that the *rest* alone; `anything else` without."""
    named = []
    if set(FRAMES) <= set(terms):
        terms, named = [term for term in terms if term not in FRAMES], ["a frame of a probe"]
    words = [*_words(terms, names), *named, *([] if rest is None else [rest])]
    # "IPv6, ICMPv6, neighbour solicitation": the last says all of it.
    specific = [word for word in words if word in _ICMPV6.values()]
    if specific:
        words = [word for word in words if word not in _GENERIC]
    return ", ".join(words) or "anything else"


def _inner_mac(terms: Sequence[Term | Foreign]) -> list[Term | Foreign]:
    """Return *terms* with the two registers that hold the MAC inside as one field of 48 bits."""
    halves = {term.field: term for term in terms if isinstance(term, Term) and term.mask is None}
    if not {INNER_MAC_HIGH, INNER_MAC_LOW} <= halves.keys():
        return list(terms)
    mac = halves[INNER_MAC_HIGH].value << 32 | halves[INNER_MAC_LOW].value
    if mac >> Field.ND_SLL.bits:
        # Another program has something else in these registers.
        return list(terms)
    others = [term for term in terms if term not in (halves[INNER_MAC_HIGH], halves[INNER_MAC_LOW])]
    # As neighbour discovery has it.
    return [*others, Field.ND_SLL(mac)]


def _words(terms: Sequence[Term | Foreign], names: Names) -> Iterator[str]:
    ranked = sorted(_inner_mac(terms), key=lambda term: isinstance(term, Term) and term.field not in _FIRST)
    for term in ranked:
        if isinstance(term, Foreign):
            yield f"{term.kind}(0x{term.data.hex()})"
        elif term.field not in _IMPLIED:
            yield _term(term, names)


_FIRST = frozenset({Field.IN_PORT, SOURCE_PORT, NETWORK, DESTINATION_PORT})


def _term(term: Term, names: Names) -> str:
    field, value, mask = term
    if mask is None:
        if field is Field.IN_PORT:
            return f"from {_interface(value, names)}"
        if field is SOURCE_PORT:
            return f"from {names.port(value)}" if value else "from the wire"
        if field is DESTINATION_PORT:
            return f"for {names.port(value)}" if value else "for everybody, or an unknown MAC"
        if field is NETWORK:
            return f"in {names.network(value)}"
        if field is INNER_TAGS:
            return "tags may pass inside" if value else "no tag may pass inside"
        if field is REASON:
            return _REASONS.get(value, f"reason {value}")
        if field is RETURNED:
            return "sent back by the agent" if value else "not sent back by the agent"
        if field is ANY_ADDRESS:
            return "from a sender that may use any address" if value else "held to its addresses"
        if field is Field.ETH_TYPE:
            return _PROTOCOLS.get(value, f"Ethernet type {value:#06x}")
        if field is Field.IP_PROTO:
            return _UPPER.get(value, f"protocol {value}")
        if field is Field.ICMPV6_TYPE:
            return _ICMPV6.get(value, f"ICMPv6 type {value}")
        if field is Field.IP_FRAG:
            return _FRAGMENTS.get(value, f"fragment {value}")
        if field in (Field.ND_SLL, Field.ND_TLL) and not value:
            return "no MAC inside"
    if field is Field.VLAN_VID:
        return _tag(value, mask)
    if field in (Field.ETH_SRC, Field.ETH_DST) and (value, mask) == (GROUP_BIT, GROUP_BIT):
        return "to a group" if field is Field.ETH_DST else "a group's MAC"
    if field is Field.ETH_DST and (value, mask) == CONTROL_GROUPS:
        return "a control frame"
    prefix = _PREFIXES.get(field, field.name.lower())
    return f"{prefix} {_value(field, value, mask)}"


def _interface(ofport: int, names: Names) -> str:
    found = names.interface_by_ofport.get(ofport)
    if found is None or found.port in (None, found.name):
        return names.interface(ofport)
    return f"{found.port} ({found.name})"


def _tag(value: int, mask: int | None) -> str:
    vlan_id = value & ~VLAN_PRESENT
    if mask is None:
        return "untagged" if not value else f"VLAN {vlan_id}" if vlan_id else "a priority tag"
    if (value, mask) == (VLAN_PRESENT, VLAN_PRESENT):
        return "any VLAN tag"
    return "untagged, or a priority tag" if (value, mask) == (0, 0xFFF) else f"tag {value:#06x}/{mask:#06x}"


def _value(field: Field, value: int, mask: int | None) -> str:
    if field.bits == 48:
        return mac_text(value) if mask is None else f"{mac_text(value)}/{mac_text(mask)}"
    if field in (Field.IPV4_SRC, Field.IPV4_DST, Field.ARP_SPA, Field.ARP_TPA):
        return f"{IPv4Address(value)}{_length(mask, 32)}"
    if field.bits == 128:
        return f"{IPv6Address(value)}{_length(mask, 128)}"
    return str(value) if mask is None else f"{value:#x}/{mask:#x}"


def _length(mask: int | None, bits: int) -> str:
    if mask is None:
        return ""
    host = (1 << bits) - 1 ^ mask
    return f"/{bits - host.bit_length()}" if not host & host + 1 else f"/{mask:#x}"


def action_words(actions: Sequence[Action | Foreign], names: Names) -> str:
    """Return what a flow with *actions* does; it has at least one, as a flow without any drops."""
    words: list[str] = []
    if any(isinstance(action, Copy) for action in actions):
        # Two registers take the MAC; and what follows says that it is looked at.
        actions = [action for action in actions if not isinstance(action, Copy)]
    outputs = [names.interface(action.ofport) for action in actions if isinstance(action, Output)]
    for action in actions:
        if not isinstance(action, Output):
            words.append(_action(action, names))
        elif outputs:
            words.append(f"out of {_some(outputs)}")
            outputs = []
    return ", ".join(words)


def _action(action: Action | Foreign, names: Names) -> str:
    match action:
        case Set(field, value):
            return _written(field, value, names)
        case PushVlan(vlan_id):
            return f"tag {vlan_id} on"
        case PopVlan():
            return "tag off"
        case Controller():
            return "tell the agent"
        case Resubmit(table):
            return f"once more {table.value} {table.name}"
        case Goto(table):
            return f"on to {table.value} {table.name}"
        case Foreign():
            return foreign.words(action)
    return str(action)


def _written(field: Field, value: int, names: Names) -> str:
    if field is SOURCE_PORT:
        return f"is {names.port(value)}"
    if field is NETWORK:
        return f"of {names.network(value)}"
    if field is DESTINATION_PORT:
        return f"for {names.port(value)}" if value else "for everybody, or an unknown MAC"
    if field is INNER_TAGS:
        return "tags may pass inside"
    if field is ANY_ADDRESS:
        return "any address will do"
    if field is REASON:
        return f"refused: {_REASONS.get(value, str(value))}"
    return f"{field.name.lower()} = {_value(field, value, None)}"


def _some(names: Iterable[str]) -> str:
    """Return *names*, or the first few and how many more.

    >>> _some(["tap1", "tap2", "tap3", "tap4", "tap5"])
    'tap1, tap2, tap3 and 2 more'
    """
    shown, rest = list(names)[:_OUTPUTS_SHOWN], list(names)[_OUTPUTS_SHOWN:]
    return ", ".join(shown) + (f" and {len(rest)} more" if rest else "")
