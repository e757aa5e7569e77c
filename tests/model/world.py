"""Random worlds: rows that the northbound would accept, edits of them, and frames that may matter there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random
from typing import TypeVar
from uuid import UUID

from model.frame import (
    BROADCAST,
    ETH_EXPERIMENTAL,
    Frame,
    Headers,
    Tag,
    advertisement,
    arp,
    icmpv6,
    igmp,
    probe,
    rarp,
    solicitation,
    twice,
    udp,
    unreadable,
)
from model.rows import CHASSIS, Rows
from trunkline.core.frame import ETH_OLD_VLANS, ETH_SERVICE_VLAN, ETH_VLAN, link_local
from trunkline.core.model import AllowedPair, IPAddress, Network, Port, Uplink, Vif

T = TypeVar("T")
K = TypeVar("K")

PHYSNETS = ("physnet1", "physnet2")
VLAN_IDS = (101, 102)
SUBPORT_VLAN_IDS = (7, 101)
MACS = tuple(0x020000000001 + number for number in range(8))
IPV4 = tuple(IPv4Address("192.0.2.1") + number for number in range(3))
IPV6 = (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"))
_REQUESTED = (
    *((),) * 14,
    *((CHASSIS,), ("chassis-b",), (CHASSIS, "chassis-b"), ("chassis-b", CHASSIS)),
)
GROUPS = (BROADCAST, BROADCAST, 0x3333FF000001, 0x0180C2000000, 0x0180C200000F, 0x0180C2000010)
NAMES = tuple(f"port-{number}" for number in range(8))


def rows(random: Random) -> Rows:
    """Return a chassis with up to 2 uplinks, 5 networks, 8 ports and their VIFs."""
    networks = [_network(random, number) for number in range(random.choice((1, 2, 2, 3, 5)))]
    ports = [_port(random, number, networks) for number in range(random.choice((2, 6, 8, 8, 8)))]
    return _accepted(
        networks,
        ports,
        {name: _vifs(random, name) for name in NAMES if random.random() < 0.92},
        {physnet: _uplink(physnet) for physnet in PHYSNETS if random.random() < 0.9},
        frozenset(physnet for physnet in PHYSNETS if random.random() < 0.8),
    )


def edited(random: Random, old: Rows) -> Rows:
    """Return *old* after up to 3 edits at once: rows that come, go, change, move, or swap what they have."""
    new = old
    for _ in range(random.randint(1, 3)):
        new = random.choice(_EDITS)(random, new)
    return new


def frame(random: Random, world: Rows) -> tuple[int, Frame]:
    """Return a frame that may matter in *world*, and the port that it comes in by."""
    in_port, src, network_id, tags = random.choice((_from_vif, _from_vif, _from_wire))(random, world)
    known = [port.mac for port in world.ports.values() if port.network_id == network_id] or list(MACS)
    dst = random.choice((*known, *known, *known, *MACS, *GROUPS, 0x0200000000FF))
    if random.random() < 0.3:
        tags = _tags(random)
    if random.random() < 0.04:
        src = random.choice((src | 1 << 40, 0))
    own = [address for port in world.ports.values() if port.mac == src for address in port.addresses]
    ethertype, headers = _packet(random, src if random.random() < 0.85 else random.choice(MACS), own)
    return in_port, Frame(dst, src, tags, ethertype, headers)


def kin(random: Random, of: Frame) -> Frame:
    """Return a frame that differs from *of* in its tags alone: most of all in those behind the first."""
    inner = _tags(random)
    choices = (of.tags[:1] + inner, of.tags[:1] + inner, of.tags[:1], of.tags[:-1], _tags(random))
    return replace(of, tags=random.choice(choices))


def _from_vif(random: Random, world: Rows) -> tuple[int, int, UUID | None, tuple[Tag, ...]]:
    """Return a VIF, and a source, network and tags that a frame from it might have."""
    named = (
        {port.iface_id for port in world.ports.values() if port.is_enabled}
        if random.random() < 0.9
        else NAMES
    )
    ready = [vifs[0] for name, vifs in world.vifs.items() if name in named and vifs[0].ofport is not None]
    vif = random.choice(ready or [Vif("none", "none", 99)])
    holders = {port.name for port in world.ports.values() if port.iface_id == vif.iface_id}
    sharing = [port for port in world.ports.values() if holders & {port.name, port.parent}]
    if not sharing:
        return vif.ofport or 99, random.choice(MACS), None, ()
    port = random.choice(sharing)
    macs = (port.mac, port.mac, port.mac, *(pair.mac for pair in port.allowed_pairs), random.choice(MACS))
    is_subport = port.parent in holders and port.parent_vlan is not None
    tags = (Tag(port.parent_vlan or 0),) if is_subport else ()
    return vif.ofport or 99, random.choice(macs), port.network_id, tags


def _from_wire(random: Random, world: Rows) -> tuple[int, int, UUID | None, tuple[Tag, ...]]:
    """Return an uplink, and a source, network and tags that a frame from it might have."""
    uplink = random.choice([*world.uplinks.values(), _uplink(PHYSNETS[0])])
    networks = [network for network in world.networks.values() if network.physnet == uplink.physnet]
    src = random.choice((*MACS, 0x0200000000F0, 0x0200000000F0, 0x0200000000F0))
    if not networks:
        return uplink.ofport, src, None, ()
    network = random.choice(networks)
    priority = random.choice((0, 0, 3))
    tags = (Tag(network.vlan_id or 0, priority),) if network.vlan_id or priority else ()
    return uplink.ofport, src, network.id, tags + (_tags(random) if random.random() < 0.4 else ())


_STACKS = (
    *((), (), (), (0,), (0,), (7,), (101,), (101,), (102,), (4095,)),
    *((0, 0), (0, 300), (0, 101), (7, 101), (7, 0), (101, 7), (101, 0), (101, 101), (101, 4095), (4095, 101)),
    *((0, 0, 300), (0, 101, 7), (7, 101, 102), (101, 0, 7), (101, 7, 4095)),
)
"""VLAN ids of tags: none, one, two and three of them, priority tags and the reserved one among them."""


def _tags(random: Random) -> tuple[Tag, ...]:
    ids = random.choice(_STACKS)
    return tuple(
        Tag(
            vlan_id,
            random.choice((0, 0, 5)),
            random.choice(
                (*(ETH_VLAN,) * 6, ETH_SERVICE_VLAN, ETH_SERVICE_VLAN, random.choice(ETH_OLD_VLANS))
            ),
        )
        for vlan_id in ids
    )


def _packet(random: Random, mac: int, own: Sequence[IPAddress]) -> tuple[int, Headers]:
    """Return the type and headers of a packet that claims, if it can, to be of *mac*."""
    own4 = [address for address in own if isinstance(address, IPv4Address)] * 6
    own6 = [address for address in own if isinstance(address, IPv6Address)] * 6
    ipv4, other = random.choice((*own4, *IPV4, IPv4Address(0))), random.choice((*own4, *IPV4))
    ipv6 = random.choice((*own6, *IPV6, link_local(mac), IPv6Address(0)))
    target = random.choice((*own6, *IPV6, link_local(mac)))
    ports = random.randrange(1 << 16), random.randrange(1 << 16)
    server = random.choice(((67, 68), (68, 67), ports, (5000, 68)))
    server6 = random.choice(((547, 546), (546, 547), ports, (5000, 546)))
    return random.choice(
        (
            lambda: (ETH_EXPERIMENTAL, ()),
            lambda: arp(random.choice((1, 2)), mac, ipv4, other),
            lambda: udp(ipv4, random.choice((other, IPv4Address("255.255.255.255"))), *server),
            lambda: udp(ipv6, target, *server6),
            lambda: random.choice((rarp(3, mac), rarp(3, mac), probe(mac), rarp(4, mac))),
            lambda: igmp(ipv4, IPv4Address(random.choice(("224.0.0.22", "224.0.0.1", "192.0.2.2")))),
            lambda: solicitation(ipv6, target, random.choice((0, mac))),
            lambda: advertisement(ipv6, target, random.choice((0, mac))),
            lambda: twice(random.choice((solicitation, advertisement))(ipv6, target, mac)),
            lambda: unreadable(random.choice((ipv4, ipv6, ipv6)), target),
            lambda: icmpv6(ipv6, IPv6Address("ff02::16"), random.choice((128, 131, 132, 133, 134, 137, 143))),
        )
    )()


def _uplink(physnet: str, shift: int = 0) -> Uplink:
    return Uplink(physnet, f"br-{physnet}", 1 + PHYSNETS.index(physnet) + shift)


def _network(random: Random, number: int) -> Network:
    return Network(
        id=UUID(int=1000 + number),
        name=f"network-{number}",
        key=100 + number,
        physnet=random.choice(PHYSNETS),
        vlan_id=random.choice((*VLAN_IDS, None)),
        floods_unknown=random.random() < 0.7,
        learns_remote_ports=random.random() < 0.3,
        is_transparent=random.random() < 0.3,
    )


def _port(random: Random, number: int, networks: Sequence[Network]) -> Port:
    is_subport = random.random() < 0.2
    return Port(
        id=UUID(int=2000 + number),
        name=NAMES[number],
        key=500 + number,
        network_id=random.choice(networks).id,
        mac=random.choice(MACS),
        addresses=tuple(random.sample((*IPV4, *IPV6), random.choice((0, 1, 1, 2)))),
        may_share_addresses=random.random() < 0.3,
        is_enabled=random.random() < 0.93,
        is_secured=random.random() < 0.6,
        allowed_pairs=tuple(_pair(random) for _ in range(random.choice((0, 0, 0, 1, 2)))),
        takes_unknown_macs=random.random() < 0.3,
        passes_control=random.random() < 0.3,
        requested_chassis=random.choice(_REQUESTED),
        chassis=random.choice((None, None, None, None, CHASSIS, CHASSIS, CHASSIS, CHASSIS, "chassis-b")),
        parent=random.choice(NAMES) if is_subport else None,
        parent_vlan=random.choice((*SUBPORT_VLAN_IDS, *SUBPORT_VLAN_IDS, None)) if is_subport else None,
        given_iface_id=random.choice(NAMES) if random.random() < 0.1 else None,
    )


def _pair(random: Random) -> AllowedPair:
    prefixes = (None, "192.0.2.1", "192.0.2.0/31", "192.0.2.0/24", "2001:db8::/64", "0.0.0.0/0", "::/0")
    prefix = random.choice(prefixes)
    return AllowedPair(random.choice(MACS), None if prefix is None else ip_network(prefix))


def _vifs(random: Random, name: str) -> tuple[Vif, ...]:
    ofport = random.choice((10, 10, 10, 10, 10, 20, 20, None))
    attached_mac = random.choice((None, *MACS))
    ofport = None if ofport is None else ofport + NAMES.index(name)
    vif = Vif(name, f"tap-{name}", ofport, attached_mac=attached_mac)
    return (vif, Vif(name, f"old-{name}", 30 + NAMES.index(name))) if random.random() < 0.1 else (vif,)


def _accepted(
    networks: Sequence[Network],
    ports: Sequence[Port],
    vifs: Mapping[str, tuple[Vif, ...]],
    uplinks: Mapping[str, Uplink],
    whole_physnets: frozenset[str],
) -> Rows:
    """Return the rows without those that the northbound's indexes and references refuse."""
    networks = _distinct(networks, lambda network: (network.physnet, network.vlan_id))
    ids = {network.id for network in networks}
    ports = [port for port in ports if port.network_id in ids]
    ports = _distinct(_distinct(ports, lambda port: (port.network_id, port.mac)), lambda port: port.name)
    return Rows(
        {network.id: network for network in networks},
        {port.id: port for port in ports},
        dict(vifs),
        dict(uplinks),
        whole_physnets,
    )


def _distinct(values: Sequence[T], key: Callable[[T], Hashable]) -> list[T]:
    by_key: dict[Hashable, T] = {}
    for value in values:
        by_key.setdefault(key(value), value)
    return list(by_key.values())


def _edit_network(random: Random, old: Rows) -> Rows:
    number = random.randrange(5)
    network = _network(random, number)
    others = [each for each in old.networks.values() if each.id != network.id]
    if random.random() < 0.2:
        return _accepted(others, list(old.ports.values()), old.vifs, old.uplinks, old.whole_physnets)
    return _accepted([*others, network], list(old.ports.values()), old.vifs, old.uplinks, old.whole_physnets)


def _edit_transparency(random: Random, old: Rows) -> Rows:
    """Let a network turn transparent or back, and be in all else as it was."""
    if not old.networks:
        return old
    network = random.choice(list(old.networks.values()))
    changed = network._replace(is_transparent=not network.is_transparent)
    return replace(old, networks={**old.networks, network.id: changed})


def _edit_neighbours(random: Random, old: Rows) -> Rows:
    """Let all networks of a physical network be known, or no longer; or take its VLAN networks away."""
    physnet = random.choice(PHYSNETS)
    if random.random() < 0.5:
        return replace(old, whole_physnets=old.whole_physnets ^ {physnet})
    networks = [net for net in old.networks.values() if net.physnet != physnet or net.vlan_id is None]
    return _accepted(
        networks or list(old.networks.values()),
        list(old.ports.values()),
        old.vifs,
        old.uplinks,
        old.whole_physnets,
    )


def _edit_port(random: Random, old: Rows) -> Rows:
    if not old.networks:
        return old
    port = _port(random, random.randrange(8), list(old.networks.values()))
    others = [each for each in old.ports.values() if each.id != port.id]
    present = old.ports.get(port.id)
    if present is not None and random.random() < 0.5:
        fields = (
            "mac",
            "addresses",
            "may_share_addresses",
            "is_enabled",
            "allowed_pairs",
            "requested_chassis",
            "chassis",
            "takes_unknown_macs",
            "passes_control",
            "network_id",
            "parent",
            "is_secured",
            "given_iface_id",
        )
        name = random.choice(fields)
        changed = {name: getattr(port, name)}
        if name == "parent":
            changed["parent_vlan"] = port.parent_vlan
        port = present._replace(**changed)
    elif random.random() < 0.3:
        return _accepted(list(old.networks.values()), others, old.vifs, old.uplinks, old.whole_physnets)
    return _accepted(list(old.networks.values()), [*others, port], old.vifs, old.uplinks, old.whole_physnets)


def _edit_trunk(random: Random, old: Rows) -> Rows:
    """Let several ports be sub-ports of one parent, with one tag or in one network."""
    if not old.networks:
        return old
    parent, tag = random.choice(NAMES), random.choice(SUBPORT_VLAN_IDS)
    network_id = random.choice(list(old.networks.values())).id
    what = random.choice(({"parent_vlan": tag}, {"parent_vlan": tag, "network_id": network_id}))
    many = random.sample(list(old.ports.values()), min(4, len(old.ports)))
    ports = {port.id: port._replace(parent=parent, **what) for port in many}
    networks = list(old.networks.values())
    return _accepted(
        networks, list({**old.ports, **ports}.values()), old.vifs, old.uplinks, old.whole_physnets
    )


def _swap_ports(random: Random, old: Rows) -> Rows:
    """Let two ports change names, MACs or tags with one another."""
    if len(old.ports) < 2:
        return old
    one, two = random.sample(list(old.ports.values()), 2)
    names = random.choice(
        (("name",), ("mac",), ("network_id", "mac"), ("parent", "parent_vlan"), ("name", "mac"))
    )
    ports = {
        **old.ports,
        one.id: one._replace(**{name: getattr(two, name) for name in names}),
        two.id: two._replace(**{name: getattr(one, name) for name in names}),
    }
    return _accepted(
        list(old.networks.values()), list(ports.values()), old.vifs, old.uplinks, old.whole_physnets
    )


def _recreate_port(random: Random, old: Rows) -> Rows:
    """Let a port be deleted and made again, as another row with the same name and MAC, in one change."""
    if not old.ports:
        return old
    port = random.choice(list(old.ports.values()))
    number = port.id.int + (1000 if port.id.int < 3000 else -1000)
    ports = [each for each in old.ports.values() if each.id != port.id]
    again = port._replace(id=UUID(int=number), key=port.key + (1000 if number >= 3000 else -1000))
    return _accepted(list(old.networks.values()), [*ports, again], old.vifs, old.uplinks, old.whole_physnets)


def _edit_vif(random: Random, old: Rows) -> Rows:
    name = random.choice(NAMES)
    vifs = {key: value for key, value in old.vifs.items() if key != name}
    if random.random() < 0.7:
        taken = {vif.ofport for others in vifs.values() for vif in others} - {None}
        vifs[name] = tuple(vif for vif in _vifs(random, name) if vif.ofport not in taken)
    return replace(old, vifs={key: value for key, value in vifs.items() if value})


def _swap_ofports(random: Random, old: Rows) -> Rows:
    """Let two VIFs change ofports with one another."""
    singles = [vifs[0] for vifs in old.vifs.values() if len(vifs) == 1]
    if len(singles) < 2:
        return old
    one, two = random.sample(singles, 2)
    vifs = {
        **old.vifs,
        one.iface_id: (one._replace(ofport=two.ofport),),
        two.iface_id: (two._replace(ofport=one.ofport),),
    }
    return replace(old, vifs=vifs)


def _edit_uplink(random: Random, old: Rows) -> Rows:
    physnet = random.choice(PHYSNETS)
    uplinks = {key: value for key, value in old.uplinks.items() if key != physnet}
    if random.random() < 0.7:
        uplinks[physnet] = _uplink(physnet, random.choice((0, 2)))
    return replace(old, uplinks=uplinks)


_EDITS: tuple[Callable[[Random, Rows], Rows], ...] = (
    _edit_network,
    _edit_transparency,
    _edit_neighbours,
    _edit_port,
    _edit_port,
    _edit_trunk,
    _swap_ports,
    _recreate_port,
    _edit_vif,
    _swap_ofports,
    _edit_uplink,
)
