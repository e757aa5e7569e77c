"""What a port may send, by its row and the frame rules alone (docs/frames.md, rules 7, 11, 13, 17 and 18).

The sets of frames that are yielded are in order: the first one that a frame is in counts. Each comes with why
its frames are dropped, None if they pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network

from trunkline.core.field import Field
from trunkline.core.model import Port
from trunkline.proof.space import ALL, HIDDEN, Cube, both, cube

Permission = tuple[Cube, str | None]
_Prefix = tuple[int, int]
"""An address and its mask."""

CONTROL = cube(Field.ETH_DST, 0x0180C2000000, 0xFFFFFFFFFFF0)
"""The group addresses of control frames (IEEE 802.1Q-2018 table 8-1)."""

GROUP = cube(Field.ETH_DST, 1 << 40, 1 << 40)
NO_STATION = cube(Field.ETH_SRC, 1 << 40, 1 << 40), cube(Field.ETH_SRC, 0)

_IPV4, _IPV6 = cube(Field.ETH_TYPE, 0x0800), cube(Field.ETH_TYPE, 0x86DD)
_ARP, _RARP = cube(Field.ETH_TYPE, 0x0806), cube(Field.ETH_TYPE, 0x8035)
_UDP = cube(Field.IP_PROTO, 17)
OF_PROBE = both(_RARP, cube(Field.ARP_OP, 24), cube(Field.ARP_TPA, 0xF4746C70)), "a frame of a probe"
"""What is nobody's to send or to receive: OP_EXP1 (RFC 5494) about 244.116.108.112."""

_ICMPV6 = both(_IPV6, cube(Field.IP_PROTO, 58))
_FIRST_FRAGMENT = cube(Field.IP_FRAG, 1)
_NO_PORTS = both(cube(Field.UDP_SRC, 0), cube(Field.UDP_DST, 0))
_FROM_NOWHERE = cube(Field.IPV4_SRC, 0), cube(Field.IPV6_SRC, 0)
_IGMP = both(_IPV4, cube(Field.IP_PROTO, 2), _FROM_NOWHERE[0])
_DISCOVERY = both(
    *(_IPV4, _UDP, _FROM_NOWHERE[0], cube(Field.IPV4_DST, 0xFFFFFFFF)),
    *(cube(Field.UDP_SRC, 68), cube(Field.UDP_DST, 67)),
)
_BEFORE_AN_ADDRESS = 131, 132, 133, 143
"""MLD reports, MLD done, router solicitation (RFC 3810, 2710, 4861)."""


def _message(icmp_type: int, code: int | None = None) -> Cube:
    of_type = both(_ICMPV6, cube(Field.ICMPV6_TYPE, icmp_type))
    return of_type if code is None else both(of_type, cube(Field.ICMPV6_CODE, code))


_SOLICITATION, _ADVERTISEMENT = _message(135, 0), _message(136, 0)


def control_frames(port: Port) -> bool:
    """Return whether *port* sends and receives control frames."""
    return port.passes_control and not port.is_secured


def macs(port: Port) -> set[int]:
    """Return the MACs that *port* may use."""
    return {port.mac, *(pair.mac for pair in port.allowed_pairs)}


def permissions(port: Port, *, carries_tags: bool) -> Iterator[Permission]:
    """Yield what *port* may send; if its network *carries_tags*, there may be tags inside."""
    yield OF_PROBE
    for nobody in NO_STATION:
        yield nobody, "a source that no station can have"
    if not control_frames(port):
        yield CONTROL, "a control frame"
    if port.is_secured or not carries_tags:
        for hidden in HIDDEN:
            yield hidden, "a tag inside"
    if not port.is_secured:
        yield ALL, None
        return
    yield from _nobody_may()
    for mac in sorted(macs(port)):
        yield from _of(mac, prefixes(port, mac))
    yield ALL, "a source MAC that is not the sender's"


def prefixes(port: Port, mac: int) -> list[IPv4Network | IPv6Network] | None:
    """Return the addresses that *port* may use as *mac*, None for any."""
    pairs = [pair.prefix for pair in port.allowed_pairs if pair.mac == mac]
    own: list[IPv4Network | IPv6Network] = [
        IPv4Network(int(each)) if each.version == 4 else IPv6Network(int(each))
        for each in (port.addresses if mac == port.mac else ())
    ]
    if None in pairs or not (own or pairs):
        return None
    # RFC 4291, appendix A.
    halves = (mac >> 24 ^ 0x020000) << 40 | 0xFFFE000000 | mac & 0xFFFFFF
    return [*own, *(each for each in pairs if each is not None), IPv6Network(0xFE80 << 112 | halves)]


def _nobody_may() -> Iterator[Permission]:
    """Yield what no secured port may send, whatever its addresses are."""
    for packet in (_IPV4, _IPV6):
        yield both(packet, cube(Field.IP_PROTO, 0)), "a packet that the switch cannot read"
        yield both(packet, _UDP, _FIRST_FRAGMENT, _NO_PORTS), "a fragment that hides its ports"
    for hidden in (both(_IPV6, cube(Field.IP_PROTO, 59)), _message(0, 0)):
        yield both(hidden, _FIRST_FRAGMENT), "a fragment that hides what it is"
    for discovery in (_SOLICITATION, _ADVERTISEMENT):
        yield both(discovery, _FIRST_FRAGMENT), "neighbour discovery in fragments"
    for packet, client in ((_IPV4, 68), (_IPV6, 546)):
        yield both(packet, _UDP, cube(Field.UDP_DST, client)), "a DHCP answer"
    for icmp_type in (134, 137):
        yield _message(icmp_type), "a router advertisement or a redirect"
    for discovery in (_SOLICITATION, _ADVERTISEMENT):
        yield both(discovery, cube(Field.ND_TARGET, 0)), "neighbour discovery for the address ::"


def _of(mac: int, allowed: list[IPv4Network | IPv6Network] | None) -> Iterator[Permission]:
    """Yield what passes from *mac*, if it may use the addresses *allowed*, None for any."""
    me = cube(Field.ETH_SRC, mac)
    four = [(0, 0)] if allowed is None else _masked(allowed, 4)
    six = [(0, 0)] if allowed is None else _masked(allowed, 6)
    for protocol in (_arp(mac, four), _ipv4(four), _ipv6(mac, six)):
        for frames, why in protocol:
            yield both(me, frames), why
    yield me, None


def _masked(prefixes: Iterable[IPv4Network | IPv6Network], version: int) -> list[_Prefix]:
    return [(int(each.network_address), int(each.netmask)) for each in prefixes if each.version == version]


def _arp(mac: int, allowed: list[_Prefix]) -> Iterator[Permission]:
    own = cube(Field.ARP_SHA, mac)
    for prefix in allowed:
        yield both(_ARP, own, cube(Field.ARP_SPA, *prefix)), None
        yield both(_ARP, own, cube(Field.ARP_SPA, 0), cube(Field.ARP_TPA, *prefix)), None
    yield both(_RARP, own, cube(Field.ARP_OP, 3)), None
    for protocol in (_ARP, _RARP):
        yield protocol, "a forged sender of ARP"


def _ipv4(allowed: list[_Prefix]) -> Iterator[Permission]:
    for prefix in allowed:
        yield both(_IPV4, cube(Field.IPV4_SRC, *prefix)), None
    yield _DISCOVERY, None
    yield both(_IGMP, cube(Field.IPV4_DST, 0xE0000001)), "a query for group members"
    yield both(_IGMP, cube(Field.IPV4_DST, 0xE0000000, 0xF0000000)), None
    yield _IPV4, "a forged IPv4 source"


def _ipv6(mac: int, allowed: list[_Prefix]) -> Iterator[Permission]:
    sources = [cube(Field.IPV6_SRC, *prefix) for prefix in allowed]
    targets = [cube(Field.ND_TARGET, *prefix) for prefix in allowed]
    for option in (0, mac):
        asks = both(_SOLICITATION, cube(Field.ND_SLL, option))
        says = both(_ADVERTISEMENT, cube(Field.ND_TLL, option))
        for source in sources:
            yield both(asks, source), None
            for target in targets:
                yield both(says, source, target), None
        for target in targets:
            yield both(asks, _FROM_NOWHERE[1], target), None
    for discovery in (_SOLICITATION, _ADVERTISEMENT):
        yield discovery, "forged neighbour discovery"
    for source in sources:
        yield both(_IPV6, source), None
    for icmp_type in _BEFORE_AN_ADDRESS:
        yield both(_message(icmp_type), _FROM_NOWHERE[1]), None
    yield _IPV6, "a forged IPv6 source"
