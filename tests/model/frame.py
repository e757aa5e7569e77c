"""A frame as the tests speak of it: addresses, tags, and the header fields behind them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from trunkline.core.flow import Field
from trunkline.core.frame import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_OLD_VLANS,
    ETH_RARP,
    ETH_SERVICE_VLAN,
    ETH_VLAN,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    ICMPV6_NEIGHBOUR_SOLICITATION,
    IP_ICMPV6,
    IP_IGMP,
    IP_UDP,
)

BROADCAST = 0xFFFFFFFFFFFF
ETH_EXPERIMENTAL = 0x88B5
"""An Ethernet type for experiments (IEEE 802, local experimental Ethertype 1): neither IP nor ARP."""

TPIDS = (ETH_VLAN, ETH_SERVICE_VLAN, *ETH_OLD_VLANS)

Headers = tuple[tuple[Field, int], ...]


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A VLAN tag, outermost first if there are several."""

    vlan_id: int
    priority: int = 0
    tpid: int = ETH_VLAN

    @property
    def is_known(self) -> bool:
        """Whether Open vSwitch takes it for a tag."""
        return self.tpid in (ETH_VLAN, ETH_SERVICE_VLAN)


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame; *headers* are the fields behind the tags, which `ethertype` begins."""

    dst: int
    src: int
    tags: tuple[Tag, ...] = ()
    ethertype: int = ETH_EXPERIMENTAL
    headers: Headers = ()


def arp(op: int, sender_mac: int, sender: IPv4Address, target: IPv4Address) -> tuple[int, Headers]:
    """Return the type and headers of an ARP packet that asks for or tells of *sender* and *target*."""
    return ETH_ARP, (
        (Field.ARP_OP, op),
        (Field.ARP_SHA, sender_mac),
        (Field.ARP_SPA, int(sender)),
        (Field.ARP_THA, 0),
        (Field.ARP_TPA, int(target)),
    )


def rarp(op: int, sender_mac: int) -> tuple[int, Headers]:
    """Return the type and headers of a RARP packet that asks for, or tells, the address of *sender_mac*."""
    nobody = IPv4Address(0)
    return ETH_RARP, arp(op, sender_mac, nobody, nobody)[1]


def probe(sender_mac: int) -> tuple[int, Headers]:
    """Return the type and headers by which *sender_mac* says that it probes the physical network."""
    ends = IPv4Address("192.0.2.1"), IPv4Address("244.116.108.112")
    return ETH_RARP, arp(24, sender_mac, *ends)[1]


def igmp(src: IPv4Address, dst: IPv4Address) -> tuple[int, Headers]:
    """Return the type and headers of an IGMP packet."""
    return ETH_IPV4, (
        (Field.IPV4_SRC, int(src)),
        (Field.IPV4_DST, int(dst)),
        (Field.IP_PROTO, IP_IGMP),
    )


def udp(
    src: IPv4Address | IPv6Address, dst: IPv4Address | IPv6Address, src_port: int, dst_port: int
) -> tuple[int, Headers]:
    """Return the type and headers of a UDP packet."""
    is_ipv4 = isinstance(src, IPv4Address)
    return ETH_IPV4 if is_ipv4 else ETH_IPV6, (
        (Field.IPV4_SRC if is_ipv4 else Field.IPV6_SRC, int(src)),
        (Field.IPV4_DST if is_ipv4 else Field.IPV6_DST, int(dst)),
        (Field.IP_PROTO, IP_UDP),
        (Field.UDP_SRC, src_port),
        (Field.UDP_DST, dst_port),
    )


def icmpv6(src: IPv6Address, dst: IPv6Address, kind: int) -> tuple[int, Headers]:
    """Return the type and headers of an ICMPv6 packet of *kind*, code 0, other than neighbour discovery."""
    return ETH_IPV6, (
        (Field.IPV6_SRC, int(src)),
        (Field.IPV6_DST, int(dst)),
        (Field.IP_PROTO, IP_ICMPV6),
        (Field.ICMPV6_TYPE, kind),
        (Field.ICMPV6_CODE, 0),
    )


def unreadable(src: IPv4Address | IPv6Address, dst: IPv6Address) -> tuple[int, Headers]:
    """Return a packet in which Open vSwitch finds no upper layer, as it shows that: of IPv4, nothing."""
    if isinstance(src, IPv4Address):
        return ETH_IPV4, ((Field.IPV4_SRC, 0), (Field.IPV4_DST, 0), (Field.IP_PROTO, 0))
    return ETH_IPV6, ((Field.IPV6_SRC, int(src)), (Field.IPV6_DST, int(dst)), (Field.IP_PROTO, 0))


def solicitation(src: IPv6Address, target: IPv6Address, source_mac: int) -> tuple[int, Headers]:
    """Return a neighbour solicitation; *source_mac* 0 is no source link-layer option."""
    dst = IPv6Address(0xFF020000000000000000000000000000 | 0x1FF000000 | int(target) & 0xFFFFFF)
    ethertype, headers = icmpv6(src, dst, ICMPV6_NEIGHBOUR_SOLICITATION)
    return ethertype, (*headers, (Field.ND_TARGET, int(target)), (Field.ND_SLL, source_mac))


def twice(packet: tuple[int, Headers]) -> tuple[int, Headers]:
    """Return neighbour discovery *packet* with its link-layer option twice, as Open vSwitch shows that."""
    ethertype, headers = packet
    hidden = {Field.ND_TARGET, Field.ND_SLL, Field.ND_TLL}
    return ethertype, tuple((field, 0 if field in hidden else value) for field, value in headers)


def advertisement(src: IPv6Address, target: IPv6Address, target_mac: int) -> tuple[int, Headers]:
    """Return a neighbour advertisement; *target_mac* 0 is no target link-layer option."""
    ethertype, headers = icmpv6(src, IPv6Address("ff02::1"), ICMPV6_NEIGHBOUR_ADVERTISEMENT)
    return ethertype, (*headers, (Field.ND_TARGET, int(target)), (Field.ND_TLL, target_mac))
