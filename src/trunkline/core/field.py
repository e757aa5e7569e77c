"""The fields of a frame and the registers, and what a flow does with one: match it or write it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Field(Enum):
    """A header field or register that a flow can match or set; the value is its name and its width in bits.

    Calling a field gives a match term, `set` gives the action that writes it:

    >>> Field.IN_PORT(5)
    Term(field=<Field.IN_PORT: ('in_port', 32)>, value=5, mask=None)
    >>> Field.REG6.set(7)
    Set(field=<Field.REG6: ('reg6', 32)>, value=7)

    Names and widths: OpenFlow 1.4.0 section 7.2.3.7 and ovs-fields(7).
    `IP_FRAG` is 1 for a first fragment, 3 for a later one, and 0 for a packet that is not a fragment.
    `VLAN_VID` is 13 bits wide: bit 0x1000 says that a tag is present, the low 12 bits are the VLAN id.
    """

    IN_PORT = ("in_port", 32)
    METADATA = ("metadata", 64)
    REG0 = ("reg0", 32)
    REG1 = ("reg1", 32)
    REG2 = ("reg2", 32)
    REG3 = ("reg3", 32)
    REG4 = ("reg4", 32)
    REG5 = ("reg5", 32)
    REG6 = ("reg6", 32)
    REG7 = ("reg7", 32)
    ETH_DST = ("eth_dst", 48)
    ETH_SRC = ("eth_src", 48)
    ETH_TYPE = ("eth_type", 16)
    VLAN_VID = ("vlan_vid", 13)
    IP_FRAG = ("ip_frag", 2)
    IP_PROTO = ("ip_proto", 8)
    IPV4_SRC = ("ipv4_src", 32)
    IPV4_DST = ("ipv4_dst", 32)
    IPV6_SRC = ("ipv6_src", 128)
    IPV6_DST = ("ipv6_dst", 128)
    TCP_SRC = ("tcp_src", 16)
    TCP_DST = ("tcp_dst", 16)
    UDP_SRC = ("udp_src", 16)
    UDP_DST = ("udp_dst", 16)
    ICMPV6_TYPE = ("icmpv6_type", 8)
    ICMPV6_CODE = ("icmpv6_code", 8)
    ARP_OP = ("arp_op", 16)
    ARP_SPA = ("arp_spa", 32)
    ARP_TPA = ("arp_tpa", 32)
    ARP_SHA = ("arp_sha", 48)
    ARP_THA = ("arp_tha", 48)
    ND_TARGET = ("nd_target", 128)
    ND_SLL = ("nd_sll", 48)
    ND_TLL = ("nd_tll", 48)

    # Flows hash their terms often, and an enum's own hash is a Python function.
    __hash__ = object.__hash__

    @property
    def bits(self) -> int:
        """The field's width in bits."""
        return self.value[1]

    def __call__(self, value: int, mask: int | None = None) -> Term:
        """Match *value* in this field, under *mask* if it is given."""
        return Term(self, value, mask)

    def set(self, value: int) -> Set:
        """Write *value* to this field."""
        return Set(self, value)


class Term(NamedTuple):
    """One field of a match: the packet's field, under *mask* if there is one, equals *value*.

    *value* has no bit outside *mask*, and a mask of all ones is None. So equal matches are equal tuples.
    """

    field: Field
    value: int
    mask: int | None = None


class Set(NamedTuple):
    """Write *value* to *field*."""

    field: Field
    value: int
