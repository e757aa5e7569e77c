"""Names for values in frames and packets that flows match, and match terms that several apps share."""

from __future__ import annotations

from ipaddress import IPv6Address

from trunkline.core.flow import Field

ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_RARP = 0x8035
ETH_VLAN = 0x8100
ETH_IPV6 = 0x86DD
ETH_SERVICE_VLAN = 0x88A8

ETH_OLD_VLANS = (0x9100, 0x9200, 0x9300)
"""Ethernet types that some physical switches, but not Open vSwitch, take for the TPID of a VLAN tag."""

IP_IGMP = 2
IP_UDP = 17
IP_ICMPV6 = 58
IP_NO_NEXT_HEADER = 59

UDP_DHCP_SERVER, UDP_DHCP_CLIENT = 67, 68
UDP_DHCPV6_CLIENT, UDP_DHCPV6_SERVER = 546, 547

ICMPV6_MLD_REPORT = 131
ICMPV6_MLD_DONE = 132
ICMPV6_ROUTER_SOLICITATION = 133
ICMPV6_ROUTER_ADVERTISEMENT = 134
ICMPV6_NEIGHBOUR_SOLICITATION = 135
ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136
ICMPV6_REDIRECT = 137
ICMPV6_MLDV2_REPORT = 143

IPV4_BROADCAST = 0xFFFFFFFF
IPV4_ALL_HOSTS = 0xE0000001
IPV4_MULTICAST, IPV4_MULTICAST_MASK = 0xE0000000, 0xF0000000

RARP_REQUEST = 3

VLAN_PRESENT = 0x1000
"""The bit of `Field.VLAN_VID` that says that the frame has a tag (OFPVID_PRESENT)."""

VLAN_RESERVED = 4095
"""The VLAN id that IEEE 802.1Q reserves."""

GROUP_BIT = 1 << 40
"""The bit of a MAC that says that it is a group address: multicast or broadcast."""

CONTROL_GROUPS = 0x0180C2000000, 0xFFFFFFFFFFF0
"""The group addresses of control frames, with their mask: spanning tree, LACP, 802.1X, LLDP and others.
These frames concern one link, and no bridge forwards them (IEEE 802.1Q-2018 table 8-1)."""

UNTAGGED = Field.VLAN_VID(0)
ANY_TAG = Field.VLAN_VID(VLAN_PRESENT, VLAN_PRESENT)
PRIORITY_TAG = Field.VLAN_VID(VLAN_PRESENT)
UNTAGGED_OR_PRIORITY = Field.VLAN_VID(0, 0xFFF)
TO_GROUP = Field.ETH_DST(GROUP_BIT, GROUP_BIT)
CONTROL = Field.ETH_DST(*CONTROL_GROUPS)

FROM_NO_STATION = (Field.ETH_SRC(GROUP_BIT, GROUP_BIT), Field.ETH_SRC(0))
"""The source MACs that no station can have: group addresses, and all zero (IEEE 802-2014 section 8.2)."""

HIDDEN_TAGS = tuple(map(Field.ETH_TYPE, (ETH_VLAN, ETH_SERVICE_VLAN, *ETH_OLD_VLANS)))
"""The tags that Open vSwitch does not parse, so that their TPID shows as the Ethernet type: a tag behind the
first one, because `vlan-limit` is 1, or a tag with an old TPID."""

IPV4 = Field.ETH_TYPE(ETH_IPV4)
ARP = Field.ETH_TYPE(ETH_ARP)
RARP = Field.ETH_TYPE(ETH_RARP)
IPV6 = Field.ETH_TYPE(ETH_IPV6)
FIRST_FRAGMENT = Field.IP_FRAG(1)
ICMPV6 = (IPV6, Field.IP_PROTO(IP_ICMPV6))
SOLICITATION = (*ICMPV6, Field.ICMPV6_TYPE(ICMPV6_NEIGHBOUR_SOLICITATION), Field.ICMPV6_CODE(0))
ADVERTISEMENT = (*ICMPV6, Field.ICMPV6_TYPE(ICMPV6_NEIGHBOUR_ADVERTISEMENT), Field.ICMPV6_CODE(0))


def link_local(mac: int) -> IPv6Address:
    """Return the IPv6 link-local address of *mac* by modified EUI-64 (RFC 4291, appendix A).

    >>> link_local(0x025400123456)
    IPv6Address('fe80::54:ff:fe12:3456')
    """
    interface_id = (mac >> 24) << 40 | 0xFFFE << 24 | mac & 0xFFFFFF
    return IPv6Address(0xFE80 << 112 | interface_id ^ 1 << 57)
