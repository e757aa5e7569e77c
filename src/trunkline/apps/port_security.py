"""Port security: what a VIF may send.

A frame is checked in three tables: its tag and MAC; its neighbour discovery and DHCP; its addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from itertools import product

from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Action, Copy, Field, Flow, Goto, Match, PopVlan, Resubmit, Term
from trunkline.core.frame import (
    ADVERTISEMENT,
    ANY_TAG,
    ARP,
    CONTROL,
    FIRST_FRAGMENT,
    FROM_NO_STATION,
    HIDDEN_TAGS,
    ICMPV6,
    ICMPV6_MLD_DONE,
    ICMPV6_MLD_REPORT,
    ICMPV6_MLDV2_REPORT,
    ICMPV6_REDIRECT,
    ICMPV6_ROUTER_ADVERTISEMENT,
    ICMPV6_ROUTER_SOLICITATION,
    IP_IGMP,
    IP_NO_NEXT_HEADER,
    IP_UDP,
    IPV4,
    IPV4_ALL_HOSTS,
    IPV4_BROADCAST,
    IPV4_MULTICAST,
    IPV4_MULTICAST_MASK,
    IPV6,
    PRIORITY_TAG,
    RARP,
    RARP_REQUEST,
    SOLICITATION,
    UDP_DHCP_CLIENT,
    UDP_DHCP_SERVER,
    UDP_DHCPV6_CLIENT,
    link_local,
)
from trunkline.core.model import IPAddress, IPPrefix
from trunkline.core.pipeline import (
    ANY_ADDRESS,
    INNER_MAC_HIGH,
    INNER_MAC_LOW,
    REASON,
    SOURCE_PORT,
    Band,
    Owner,
    Reason,
    Table,
)
from trunkline.core.view import ChassisView, LocalPortView, View

_UDP = Field.IP_PROTO(IP_UDP)
_DROP: tuple[Action, ...] = ()
_TO_ND = (Goto(Table.ND_DHCP_SECURITY),)
_TO_ADDRESSES = (Goto(Table.ADDRESS_SECURITY),)
_PASS = (Goto(Table.L2_LOOKUP),)
_LOW_BITS, _HIGH_BITS = 32, 16
"""How the two registers share the bits of a MAC."""

_TELLING_BITS = (Band.NOT_DHCP, (0x8000, 0x10)), (Band.NEARLY_DHCP, (0x8, 0x1))
"""The bits of a UDP port that the flows match first, and next.

To know that a port is not 68, Open vSwitch looks at as many of its leading bits as are needed. That gives up
to 16 kinds of megaflow, each a subtable that the datapath tries in turn. By the first two bits, one kind is
enough for 3 of 4 ports: for all ports that clients take (32,768 and up), and for those of DNS, NTP, QUIC,
IPsec, RADIUS, VXLAN, STUN and WireGuard. With the next two, a second kind is enough for 3 of 4 others, as for
those of Geneve, mDNS and SNMP. docs/performance.md has the figures.
"""


def flows(view: View) -> Iterable[Flow]:
    """Return the flows that check what a VIF sends.

    This app owns all of PORT_SECURITY, ND_DHCP_SECURITY, INNER_MAC_SECURITY, ADDRESS_SECURITY and REFUSED. A
    port costs 1 flow for its tag (none in a transparent network). Without port security it costs 1 more, or 2
    if control frames pass. With it, it costs 4 that count what is refused, 2 for each MAC, and 3 for each
    address, including the link-local address of the MAC (EUI-64).

    Sources: RFC 826, 903, 2131, 3376, 3810, 4861, 5227, 8415.
    """
    match view:
        case ChassisView():
            return _chassis()
        case LocalPortView():
            return _port(view)
        case _:
            return ()


def _chassis() -> Iterator[Flow]:
    """Yield the flows for all secured ports together: what nobody may send, and what everybody may send."""
    by = cookie(Owner.PORT_SECURITY, Subject.CHASSIS)
    yield Flow(Band.PRIORITY_TAG, (PRIORITY_TAG,), (PopVlan(), Resubmit(Table.PORT_SECURITY)), by)
    for source in FROM_NO_STATION:
        yield Flow(Band.NO_SENDER, (source,), _DROP, by)
    yield Flow(Band.CONTROL_REFUSED, (CONTROL,), _DROP, by)
    yield Flow(Band.SOURCE_FORGED, (), _DROP, by)
    yield from _no_upper_layer(by)
    yield from _hidden_fragments(by)
    yield from _discovery(by)
    yield from _inner_macs(by)
    yield from _addresses(by)
    yield Flow(Band.UNCOUNTED, (), _DROP, by)


def _refused(reason: Reason) -> tuple[Action, ...]:
    return REASON.set(reason), Goto(Table.REFUSED)


def _on_with_mac_of(field: Field) -> tuple[Action, ...]:
    """Return the actions that go on to the check of the MAC inside, which is in *field*.

    A flow can only compare a field with a constant. With the MACs of all protocols in the same registers, one
    flow is enough for each MAC that a port may use.
    """
    return (
        Copy(field, _LOW_BITS, INNER_MAC_HIGH, _HIGH_BITS),
        Copy(field, 0, INNER_MAC_LOW, _LOW_BITS),
        Goto(Table.INNER_MAC_SECURITY),
    )


_ON_WITH_ADVERTISED_MAC = _on_with_mac_of(Field.ND_TLL)


def _no_upper_layer(by: int) -> Iterator[Flow]:
    """Drop packets whose upper layer, and so type and ports, Open vSwitch cannot read.

    A payload length of 0 with hop-by-hop options is a jumbogram (RFC 2675), which Linux reads to its end. A
    first fragment may end within its extension headers (RFC 7112 section 5). Lengths may also be wrong. For
    all of these the userspace datapath shows protocol 0, which means hop-by-hop options and is never the last
    header. If a chain of headers ends too early, the kernel's datapath shows "no next header".
    """
    for protocol in (IPV4, IPV6):
        yield Flow(Band.NO_UPPER_LAYER, (protocol, Field.IP_PROTO(0)), _refused(Reason.ADDRESS), by)
    cut = (IPV6, FIRST_FRAGMENT, Field.IP_PROTO(IP_NO_NEXT_HEADER))
    yield Flow(Band.NO_UPPER_LAYER, cut, _refused(Reason.ADDRESS), by)


def _hidden_fragments(by: int) -> Iterator[Flow]:
    # With the right fragment handling, no frame looks like that, because ports and types of 0 are reserved.
    # If somebody sets another one, every first fragment does, whatever is in it.
    for protocol in (IPV4, IPV6):
        hidden = (protocol, FIRST_FRAGMENT, _UDP, Field.UDP_SRC(0), Field.UDP_DST(0))
        yield Flow(Band.HIDDEN_FRAGMENT, hidden, _refused(Reason.ADDRESS), by)
    hidden = (*ICMPV6, FIRST_FRAGMENT, Field.ICMPV6_TYPE(0), Field.ICMPV6_CODE(0))
    yield Flow(Band.HIDDEN_FRAGMENT, hidden, _refused(Reason.ADDRESS), by)
    # A link-layer option may be in a later fragment. No host sends these messages in fragments (RFC 6980
    # section 5).
    for message in (SOLICITATION, ADVERTISEMENT):
        yield Flow(Band.HIDDEN_FRAGMENT, (*message, FIRST_FRAGMENT), _refused(Reason.NEIGHBOUR), by)


def _discovery(by: int) -> Iterator[Flow]:
    # Any source port is dropped, because DHCP clients only look at the destination port.
    for protocol, client in ((IPV4, UDP_DHCP_CLIENT), (IPV6, UDP_DHCPV6_CLIENT)):
        for band, bits in _TELLING_BITS:
            for port in _differing(client, bits):
                yield Flow(band, (protocol, _UDP, port), _TO_ADDRESSES, by)
        yield Flow(Band.SERVER, (protocol, _UDP, Field.UDP_DST(client)), _refused(Reason.SERVER), by)
    for icmp_type in (ICMPV6_ROUTER_ADVERTISEMENT, ICMPV6_REDIRECT):
        yield Flow(Band.SERVER, (*ICMPV6, Field.ICMPV6_TYPE(icmp_type)), _refused(Reason.SERVER), by)
    # If there are two link-layer options, Open vSwitch shows no option, and :: as the target (parse_icmpv6 in
    # lib/flow.c). Hosts accept one of the two. No host has the address ::.
    for message in (SOLICITATION, ADVERTISEMENT):
        yield Flow(Band.ND_MALFORMED, (*message, Field.ND_TARGET(0)), _refused(Reason.NEIGHBOUR), by)
    yield Flow(Band.ND_ANY, (ANY_ADDRESS(1), *ADVERTISEMENT), _ON_WITH_ADVERTISED_MAC, by)
    yield Flow(Band.ND_FORGED, ADVERTISEMENT, _refused(Reason.NEIGHBOUR), by)
    for asking, field in (((ARP,), Field.ARP_SHA), ((RARP,), Field.ARP_SHA), (SOLICITATION, Field.ND_SLL)):
        yield Flow(Band.ASKING, asking, _on_with_mac_of(field), by)
    yield Flow(Band.NOT_ND, (), _TO_ADDRESSES, by)


def _differing(port: int, bits: tuple[int, ...]) -> Iterator[Term]:
    """Yield terms that together match the UDP ports that differ from *port* in any of *bits*."""
    mask = sum(bits)
    for value in map(sum, product(*((0, bit) for bit in bits))):
        if value != port & mask:
            yield Field.UDP_DST(value, mask)


def _inner_macs(by: int) -> Iterator[Flow]:
    yield Flow(Band.NO_INNER_MAC, (IPV6, INNER_MAC_HIGH(0), INNER_MAC_LOW(0)), _TO_ADDRESSES, by)
    yield Flow(Band.INNER_MAC_FORGED, (), _refused(Reason.NEIGHBOUR), by)


def _addresses(by: int) -> Iterator[Flow]:
    for protocol in (IPV4, IPV6, ARP):
        yield Flow(Band.ADDRESS_ANY, (ANY_ADDRESS(1), protocol), _PASS, by)
    yield Flow(Band.ADDRESS, (RARP, Field.ARP_OP(RARP_REQUEST)), _PASS, by)
    yield Flow(Band.PROBE, _DHCP_DISCOVERY, _PASS, by)
    yield Flow(Band.QUERY, _IGMP_QUERY, _refused(Reason.ADDRESS), by)
    yield Flow(Band.PROBE, _IGMP_REPORT, _PASS, by)
    for icmp_type in (
        ICMPV6_MLD_REPORT,
        ICMPV6_MLD_DONE,
        ICMPV6_MLDV2_REPORT,
        ICMPV6_ROUTER_SOLICITATION,
    ):
        yield Flow(Band.PROBE, (*ICMPV6, Field.IPV6_SRC(0), Field.ICMPV6_TYPE(icmp_type)), _PASS, by)
    for ethernet_type in (IPV4, IPV6, *HIDDEN_TAGS):
        yield Flow(Band.ADDRESS_FORGED, (ethernet_type,), _refused(Reason.ADDRESS), by)
    for ethernet_type in (ARP, RARP):
        yield Flow(Band.ADDRESS_FORGED, (ethernet_type,), _refused(Reason.NEIGHBOUR), by)
    yield Flow(Band.NOT_IP, (), _PASS, by)


_DHCP_DISCOVERY: Match = (
    IPV4,
    _UDP,
    Field.IPV4_SRC(0),
    Field.IPV4_DST(IPV4_BROADCAST),
    Field.UDP_SRC(UDP_DHCP_CLIENT),
    Field.UDP_DST(UDP_DHCP_SERVER),
)
_IGMP_REPORT: Match = (
    IPV4,
    Field.IP_PROTO(IP_IGMP),
    Field.IPV4_SRC(0),
    Field.IPV4_DST(IPV4_MULTICAST, IPV4_MULTICAST_MASK),
)
"""How a host that has no address yet joins a group (RFC 3376 section 4.2.13)."""

_IGMP_QUERY: Match = (
    IPV4,
    Field.IP_PROTO(IP_IGMP),
    Field.IPV4_SRC(0),
    Field.IPV4_DST(IPV4_ALL_HOSTS),
)
"""A general query. OpenFlow has no field for IGMP's type, but general queries go to all hosts, and reports do
not (RFC 3376 sections 4.1.12 and 4.2.14). The lowest address becomes the querier, and that is 0.0.0.0."""


def _port(port: LocalPortView) -> Iterator[Flow]:
    by = cookie(Owner.PORT_SECURITY, Subject.PORT, port.key)
    source = SOURCE_PORT(port.key)
    if not port.is_transparent:
        yield Flow(Band.TAGGED, (source, ANY_TAG), _DROP, by)
    if port.passes_control:
        yield Flow(Band.CONTROL_SENDER, (source, CONTROL), _PASS, by)
    if not port.is_secured:
        yield Flow(Band.OPEN, (source,), _PASS, by)
        return
    yield Flow(Band.MAC_REFUSED, (source,), _DROP, by)
    for band, reason in _REFUSALS:
        yield Flow(band, (source, reason), _DROP, by)
    for mac, prefixes in _prefixes_by_mac(port).items():
        sender = (source, Field.ETH_SRC(mac))
        mark = () if prefixes else (ANY_ADDRESS.set(1),)
        yield Flow(Band.SOURCE_MAC, sender, (*mark, *_TO_ND), by)
        inside = INNER_MAC_HIGH(mac >> _LOW_BITS), INNER_MAC_LOW(mac & (1 << _LOW_BITS) - 1)
        yield Flow(Band.INNER_MAC, (*sender, *inside), _TO_ADDRESSES, by)
        for prefix in prefixes:
            if isinstance(prefix, IPv4Network):
                yield from _ipv4(sender, prefix, by)
            else:
                yield from _ipv6(sender, prefix, by)


_REFUSALS = (
    (Band.SERVER_REFUSED, REASON(Reason.SERVER)),
    (Band.NEIGHBOUR_REFUSED, REASON(Reason.NEIGHBOUR)),
    (Band.ADDRESS_REFUSED, REASON(Reason.ADDRESS)),
)


def _prefixes_by_mac(port: LocalPortView) -> dict[int, tuple[IPPrefix, ...]]:
    """Return the addresses that each MAC of *port* may use; an empty tuple means any address."""
    listed: dict[int, list[IPPrefix]] = {port.mac: [_alone(address) for address in port.addresses]}
    free = set()
    for pair in port.allowed_pairs:
        prefixes = listed.setdefault(pair.mac, [])
        if pair.prefix is None:
            free.add(pair.mac)
        else:
            prefixes.append(pair.prefix)
    return {
        mac: () if mac in free or not prefixes else _distinct([*prefixes, _alone(link_local(mac))])
        for mac, prefixes in listed.items()
    }


def _alone(address: IPAddress) -> IPPrefix:
    """Return the prefix of just *address*; `ip_network` would go through text, which is slower."""
    kind = IPv4Network if isinstance(address, IPv4Address) else IPv6Network
    return kind((int(address), address.max_prefixlen))


def _distinct(prefixes: list[IPPrefix]) -> tuple[IPPrefix, ...]:
    """Return *prefixes*, sorted, without those that another one contains, so that no two overlap.

    When they are sorted by address and then by length, a prefix comes right before those that it contains.
    """
    kept: list[IPPrefix] = []
    for prefix in sorted(set(prefixes), key=_place):
        if not (kept and _contains(kept[-1], prefix)):
            kept.append(prefix)
    return tuple(kept)


def _place(prefix: IPPrefix) -> tuple[int, int, int]:
    return prefix.version, int(prefix.network_address), prefix.prefixlen


def _contains(wider: IPPrefix, prefix: IPPrefix) -> bool:
    return wider.version == prefix.version and prefix.network_address in wider


def _ipv4(sender: Match, prefix: IPv4Network, by: int) -> Iterator[Flow]:
    yield Flow(Band.ADDRESS, (*sender, IPV4, *_within(Field.IPV4_SRC, prefix)), _PASS, by)
    yield Flow(Band.ADDRESS, (*sender, ARP, *_within(Field.ARP_SPA, prefix)), _PASS, by)
    if prefix.prefixlen:
        probe = (*sender, ARP, Field.ARP_SPA(0), *_within(Field.ARP_TPA, prefix))
        yield Flow(Band.PROBE, probe, _PASS, by)


def _ipv6(sender: Match, prefix: IPv6Network, by: int) -> Iterator[Flow]:
    claim = (*sender, *ADVERTISEMENT, *_within(Field.ND_TARGET, prefix))
    yield Flow(Band.ND_TARGET, claim, _ON_WITH_ADVERTISED_MAC, by)
    yield Flow(Band.ADDRESS, (*sender, IPV6, *_within(Field.IPV6_SRC, prefix)), _PASS, by)
    if prefix.prefixlen:
        probe = (*sender, *SOLICITATION, Field.IPV6_SRC(0), *_within(Field.ND_TARGET, prefix))
        yield Flow(Band.PROBE, probe, _PASS, by)


def _within(field: Field, prefix: IPPrefix) -> tuple[Term, ...]:
    """Return the term that says that *field* is in *prefix*; no term for the prefix of all addresses."""
    if not prefix.prefixlen:
        return ()
    address = int(prefix.network_address)
    if prefix.prefixlen == prefix.max_prefixlen:
        return (field(address),)
    return (field(address, int(prefix.netmask)),)
