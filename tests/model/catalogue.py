"""Flows of every kind: each field, action and band that Trunkline knows, and many combinations."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import (
    Action,
    Controller,
    Copy,
    Field,
    Flow,
    Goto,
    Match,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Term,
)
from trunkline.core.pipeline import Band, Table
from trunkline.openflow.message import encode

MAC = 0x020000000001


def flow(match: Match, actions: tuple[Action, ...] = (), band: Band = Band.VIF, key: int = 1) -> Flow:
    return Flow(band, match, actions, cookie(band.owner, Subject.PORT, key))


ARP = (Field.ETH_TYPE(0x0806),)
RARP = (Field.ETH_TYPE(0x8035),)
IPV4 = (Field.ETH_TYPE(0x0800),)
IPV6 = (Field.ETH_TYPE(0x86DD),)
ICMPV6 = (*IPV6, Field.IP_PROTO(58))
SOLICITATION = (*ICMPV6, Field.ICMPV6_TYPE(135), Field.ICMPV6_CODE(0))
ADVERTISEMENT = (*ICMPV6, Field.ICMPV6_TYPE(136), Field.ICMPV6_CODE(0))
FE80 = 0xFE80 << 112

PLAIN = (
    (Field.IN_PORT, None),
    (Field.METADATA, 0xFFF << 36),
    (Field.REG0, 0xFF),
    (Field.REG1, 0xFF00),
    (Field.REG2, 0x3),
    (Field.REG3, 0x1),
    (Field.REG4, 0x7000),
    (Field.REG5, 0x7),
    (Field.REG6, 0xFFFF0000),
    (Field.REG7, 0x80000001),
    (Field.ETH_DST, 1 << 40),
    (Field.ETH_SRC, 0xFFFFFF000000),
    (Field.VLAN_VID, 0x1000),
)
"""Fields that need no other, with a mask for those that may have one."""

LAYERED: tuple[tuple[Match, tuple[tuple[Field, int | None], ...]], ...] = (
    (ARP, ((Field.ARP_SPA, 0xFF0000FF), (Field.ARP_TPA, 0xFFFFFF00), (Field.ARP_OP, None))),
    (ARP, ((Field.ARP_SHA, 0xFF), (Field.ARP_THA, 0xFFFFFF000000))),
    (RARP, ((Field.ARP_SPA, 0xFF0000FF), (Field.ARP_OP, None), (Field.ARP_SHA, 0xFF))),
    (IPV4, ((Field.IPV4_SRC, 0xFFFF0000), (Field.IPV4_DST, 0xFFFFFFFE), (Field.IP_PROTO, None))),
    (IPV4, ((Field.IP_FRAG, None),)),
    (IPV6, ((Field.IPV6_SRC, ((1 << 64) - 1) << 64), (Field.IPV6_DST, 0xFF), (Field.IP_PROTO, None))),
    ((*IPV4, Field.IP_PROTO(6)), ((Field.TCP_SRC, 0xFFFE), (Field.TCP_DST, 0xFF))),
    ((*IPV6, Field.IP_PROTO(6)), ((Field.TCP_SRC, 0xFFFE), (Field.TCP_DST, 0xFF))),
    ((*IPV4, Field.IP_PROTO(17)), ((Field.UDP_SRC, 0xFFFE), (Field.UDP_DST, 0xFF))),
    ((*IPV6, Field.IP_PROTO(17)), ((Field.UDP_SRC, 0xFFFE), (Field.UDP_DST, 0xFF))),
    (ICMPV6, ((Field.ICMPV6_TYPE, None), (Field.ICMPV6_CODE, None))),
    (SOLICITATION, ((Field.ND_TARGET, FE80), (Field.ND_SLL, 0xFF))),
    (ADVERTISEMENT, ((Field.ND_TARGET, FE80), (Field.ND_TLL, 0xFF))),
)
"""Fields that need those before them."""

UNWRITABLE = {Field.ETH_TYPE, Field.IP_PROTO, Field.IP_FRAG}
"""Fields that Open vSwitch can match but not set."""


def matches() -> Iterator[Match]:
    """Yield matches that hold every field, exact and masked, alone and with others, in random orders."""
    yield tuple(field(0) for field, _ in PLAIN if field is not Field.IN_PORT)
    order = random.Random(14)
    for needed, fields in ((), PLAIN), *LAYERED:
        for count in (1, 2, 3, len(fields)):
            for chosen in itertools.combinations(fields, min(count, len(fields))):
                for is_masked in (False, True):
                    terms = [random_term(order, field, mask if is_masked else None) for field, mask in chosen]
                    extra = order.sample(PLAIN, 2) if needed else []
                    terms += [random_term(order, field, None) for field, _ in extra]
                    terms += needed
                    order.shuffle(terms)
                    yield tuple(terms)


def random_term(order: random.Random, field: Field, mask: int | None) -> Term:
    if field is Field.IN_PORT:
        return field(order.choice((1, 2, 0xFFFE)))
    if field is Field.IP_FRAG:
        return field(order.choice((1, 3)))
    value = order.randrange(1, 1 << usable_bits(field))
    if field is Field.VLAN_VID:
        return field(0x1000, mask) if mask else field(value | 0x1000)
    return field(value, mask) if mask is None else field(value & mask, mask)


def usable_bits(field: Field) -> int:
    """Return how many bits Open vSwitch keeps of *field*: of an ARP operation, eight."""
    return 8 if field is Field.ARP_OP else field.bits


def writes() -> Iterator[Flow]:
    """Yield a flow for every field that can be set, on a match that allows it."""
    tagged = Field.VLAN_VID(0x1000, 0x1000)
    for needed, fields in ((tagged,), PLAIN), *LAYERED:
        for field, _ in fields:
            if field not in UNWRITABLE:
                value = 2 if field is Field.IN_PORT else (1 << usable_bits(field)) - 1
                match = (*needed, Field.METADATA(len(needed) << 8 | list(Field).index(field)))
                zero = 0x1000 if field is Field.VLAN_VID else 0
                yield flow(match, (field.set(value), field.set(zero), Goto(Table.L2_LOOKUP)), Band.UPLINK)


def copies() -> Iterator[Flow]:
    """Yield a flow for every field that can be copied, on a match that allows it, in whole and in part."""
    registers = tuple(field for field in Field if field.name.startswith("REG"))
    layered = (
        ((), registers),
        (ARP, (Field.ARP_SHA, Field.ARP_THA)),
        (RARP, (Field.ARP_SHA, Field.ARP_THA)),
        (SOLICITATION, (Field.ND_SLL,)),
        (ADVERTISEMENT, (Field.ND_TLL,)),
    )
    for needed, fields in layered:
        for source in fields:
            for first_bit, bits in ((0, 32), (source.bits - 16, 16), (3, 1)):
                at = len(needed) << 16 | list(Field).index(source) << 8 | bits
                copy = Copy(source, first_bit, Field.REG2 if source is not Field.REG2 else Field.REG4, bits)
                yield flow(
                    (*needed, Field.METADATA(1 << 59 | at)), (copy, Goto(Table.L2_LOOKUP)), Band.UPLINK
                )


def orders() -> Iterator[Flow]:
    """Yield a flow for every kind and end of an action list, in every band."""
    ends: tuple[tuple[Action, ...], ...] = (
        (),
        (Output(1),),
        (Output(0xFFFE), Output(0xFFF8)),
        (Controller(), Output(1), Controller(128)),
        (Resubmit(Table.DISPATCH), Output(0xFFFA)),
        (Field.ETH_DST.set(MAC), PushVlan(4094), Output(1), PopVlan(), Output(2)),
        (PushVlan(101), Field.VLAN_VID.set(0x1000), PushVlan(7), PopVlan(), Field.REG5.set(0)),
    )
    for band in Band:
        for number, actions in enumerate(ends):
            yield flow((Field.METADATA(1 << 60 | number),), actions, band)
            if band.table < Table.DISPATCH:
                yield flow((Field.METADATA(1 << 61 | number),), (*actions, Goto(Table.DISPATCH)), band)


def catalogue() -> dict[bytes, Flow]:
    """Return a flow by key for every field, action and band, and many combinations."""
    by_match = (flow(match, (Output(1),), key=number) for number, match in enumerate(matches()))
    return {encode(each).key: each for each in itertools.chain(by_match, writes(), copies(), orders())}
