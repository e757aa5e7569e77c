"""What a lab consists of, as read from a short YAML file and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from importlib import resources
from ipaddress import IPv4Interface
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from trunkline.lab import datapath
from trunkline.lab.error import TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterable

INTEGRATION_BRIDGE = "br-int"
"""The default name of the integration bridge."""

# Interface names have at most 15 characters (IFNAMSIZ) and carry a prefix of up to four.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?\Z")
_BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}\Z")
_PHYSNET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,11}\Z")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z")
_NAME_RULE = "1 to 10 of a-z, 0-9 and inner '-'"


@dataclass(frozen=True)
class Network:
    """A logical network: type `vlan`, with *segment* 1–4094, or `flat`, with None."""

    name: str
    network_type: str
    physical_network: str
    segment: int | None = None

    @property
    def wire(self) -> tuple[str, int | None]:
        """Where its frames are seen: the physnet and the VLAN id, None for untagged."""
        return self.physical_network, self.segment


@dataclass(frozen=True)
class ChassisPlan:
    """A chassis and its bridge mappings, physnet to provider bridge, in the order of the file.

    *vlans* has the VLANs that its port at the physical switch carries, by physnet, 0 for untagged frames; a
    port of a physnet that it does not name carries all.
    """

    name: str
    mappings: tuple[tuple[str, str], ...]
    vlans: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def is_on(self, wire: tuple[str, int | None]) -> bool:
        """Return whether the physical network carries *wire*, a physnet and a VLAN id, to this chassis."""
        physnet, vlan = wire
        carried = dict(self.vlans).get(physnet)
        return carried is None or (vlan or 0) in carried


@dataclass(frozen=True)
class VmPlan:
    """A virtual machine: the port of its own name, with one IPv4 address and a unicast MAC."""

    name: str
    chassis: str
    network: str
    ip: IPv4Interface
    mac: str


@dataclass(frozen=True)
class HostPlan:
    """A bare-metal host at the physical switch, on VLAN *vlan* of *physnet*, or untagged if that is None.

    An access port removes the tag; with *is_tagged* the host has a trunk port, and tags its frames itself.
    """

    name: str
    physnet: str
    vlan: int | None
    ip: IPv4Interface
    mac: str
    is_tagged: bool = False

    @property
    def wire(self) -> tuple[str, int | None]:
        """The physnet and the VLAN id that it speaks on, None for untagged."""
        return self.physnet, self.vlan


@dataclass(frozen=True)
class Topology:
    """A whole lab. All names that it refers to exist in it, and names of machines are unique.

    All its bridges have the same kind of *datapath*, one of `DATAPATHS`.
    """

    name: str
    physnets: tuple[str, ...]
    networks: tuple[Network, ...] = ()
    chassis: tuple[ChassisPlan, ...] = ()
    vms: tuple[VmPlan, ...] = ()
    hosts: tuple[HostPlan, ...] = ()
    datapath: str = field(default_factory=datapath.default)

    def named(self, name: str) -> Topology:
        """Return the same lab with another *name*; raises TopologyError if that is not allowed."""
        check_name(name)
        return replace(self, name=name)

    def wire_by_machine(self) -> dict[str, tuple[str, int | None]]:
        """Return the wire of each VM and host, by its name."""
        wire_by_network = {network.name: network.wire for network in self.networks}
        found = {vm.name: wire_by_network[vm.network] for vm in self.vms}
        return found | {host.name: host.wire for host in self.hosts}

    def reach(self) -> dict[tuple[str, str], bool]:
        """Return for each ordered pair of machines whether the one should reach the other.

        They should if they have the same wire, and are on one chassis or the physical switch carries it.
        """
        wire = self.wire_by_machine()
        plan_by_chassis = {plan.name: plan for plan in self.chassis}
        place = {vm.name: plan_by_chassis[vm.chassis] for vm in self.vms}
        outside = {name for name, at in wire.items() if name not in place or place[name].is_on(at)}
        return {
            (one, other): wire[one] == wire[other]
            and ({one, other} <= outside or (one in place and place[one] is place.get(other)))
            for one, other in permutations(wire, 2)
        }


def check_name(name: str) -> None:
    """Raise TopologyError if a lab cannot have this *name*, which its namespaces and directory have too."""
    if not _NAME.match(name):
        raise TopologyError(f"lab name '{name}': give {_NAME_RULE}")


def default() -> Topology:
    """Return the default topology: three chassis, three networks, seven VMs, two bare-metal hosts."""
    text = resources.files("trunkline.lab").joinpath("default.yaml").read_text(encoding="utf-8")
    return parse(text, "default.yaml")


def read(path: Path) -> Topology:
    """Return the topology in the file *path*; raises TopologyError, with file and key, if it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TopologyError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TopologyError(f"{path}: cannot be read: it is not UTF-8 at byte {error.start}") from error
    return parse(text, str(path))


def parse(text: str, origin: str) -> Topology:
    """Return the topology that the YAML *text* describes; errors call it *origin*.

    >>> parse("{name: tiny, physnets: [p1], chassis: [{name: c1, mappings: {p9: br-p}}]}", "tiny.yaml")
    Traceback (most recent call last):
    ...
    trunkline.lab.error.TopologyError: tiny.yaml: chassis[0].mappings: no physnet 'p9' in physnets (p1)
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML does not catch Python's errors for a date such as 2025-13-45, or for too many brackets.
        raise TopologyError(f"{origin}: not YAML: {' '.join(str(error).split())}") from error
    root = _Item(origin, "", document)
    root.only("name", "physnets", "networks", "chassis", "vms", "hosts")
    physnets = tuple(
        item.text(_PHYSNET, "1 to 12 of letters, digits, '-', '_'") for item in root.items("physnets")
    )
    networks = tuple(_network(item, physnets) for item in root.items("networks"))
    chassis = tuple(_chassis(item, physnets) for item in root.items("chassis"))
    chassis_names = tuple(plan.name for plan in chassis)
    network_names = tuple(network.name for network in networks)
    vms = tuple(_vm(item, chassis_names, network_names) for item in root.items("vms"))
    hosts = tuple(_host(item, physnets) for item in root.items("hosts"))
    topology = Topology(root.get("name").name(), physnets, networks, chassis, vms, hosts)
    if not chassis:
        raise root.get("chassis").refused("give one or more, as [{name: c1, mappings: {p1: br-p1}}]")
    _check_unique(topology, root)
    return topology


@dataclass(frozen=True)
class _Item:
    """A value of the file and the key that leads to it."""

    origin: str
    key: str
    value: Any

    def refused(self, reason: str) -> TopologyError:
        return TopologyError(
            f"{self.origin}: {self.key}: {reason}" if self.key else f"{self.origin}: {reason}"
        )

    def only(self, *names: str) -> None:
        if not isinstance(self.value, dict):
            raise self.refused(f"give a mapping of {', '.join(names)}")
        for name in self.value:
            if name not in names:
                raise self.refused(f"there is no key '{name}' here; there are {', '.join(names)}")

    def get(self, name: str) -> _Item:
        return _Item(self.origin, f"{self.key}.{name}" if self.key else name, self.value.get(name))

    def items(self, name: str) -> list[_Item]:
        item = self.get(name)
        if item.value is None:
            return []
        if not isinstance(item.value, list):
            raise item.refused("give a list")
        return [_Item(self.origin, f"{item.key}[{n}]", value) for n, value in enumerate(item.value)]

    def text(self, pattern: re.Pattern[str], rule: str) -> str:
        if not isinstance(self.value, str) or not pattern.match(self.value):
            given = "it is missing" if self.value is None else f"'{self.value}' is not that"
            raise self.refused(f"give {rule}; {given}")
        return self.value

    def name(self) -> str:
        return self.text(_NAME, _NAME_RULE)

    def one_of(self, names: Iterable[str], kind: str) -> str:
        known = tuple(names)
        if self.value not in known:
            given = "it is missing" if self.value is None else f"no {kind} '{self.value}'"
            raise self.refused(
                f"{given} in {kind if kind.endswith('s') else kind + 's'} ({', '.join(known)})"
            )
        return str(self.value)

    def vlan(self) -> int | None:
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 1 <= self.value <= 4094:
            raise self.refused(f"give a VLAN id of 1 to 4094; '{self.value}' is not that")
        return self.value

    def vlan_or_untagged(self) -> int:
        if self.value == 0 and not isinstance(self.value, bool):
            return 0
        found = self.vlan()
        if found is None:
            raise self.refused("give a VLAN id of 1 to 4094, or 0 for untagged frames; it is missing")
        return found

    def ip(self) -> IPv4Interface:
        try:
            if "/" not in str(self.value):
                raise ValueError("the prefix length is missing")
            return IPv4Interface(self.value)
        except ValueError as error:
            raise self.refused(f"give an IPv4 address with its prefix, as 10.0.0.11/24: {error}") from error

    def mac(self, default: str) -> str:
        if self.value is None:
            return default
        mac = self.text(_MAC, "a MAC in lower case, as '02:00:00:00:00:01', in quotes")
        if int(mac[:2], 16) & 1:
            raise self.refused(f"{mac} is a multicast address; give a unicast one")
        return mac


def _network(item: _Item, physnets: tuple[str, ...]) -> Network:
    item.only("name", "type", "physical_network", "segment")
    kind = item.get("type").one_of(("vlan", "flat"), "type")
    segment = item.get("segment").vlan()
    if (kind == "vlan") != (segment is not None):
        raise item.get("segment").refused(
            "a vlan network has one" if kind == "vlan" else "a flat network has none"
        )
    return Network(
        item.get("name").name(), kind, item.get("physical_network").one_of(physnets, "physnet"), segment
    )


def _chassis(item: _Item, physnets: tuple[str, ...]) -> ChassisPlan:
    item.only("name", "mappings", "vlans")
    mappings = item.get("mappings")
    if not isinstance(mappings.value, dict):
        raise mappings.refused("give a mapping of physnet to bridge, as {physnet1: br-phys1}")
    for physnet in mappings.value:
        _Item(item.origin, mappings.key, physnet).one_of(physnets, "physnet")
        bridge = mappings.get(physnet)
        bridge.text(_BRIDGE, "a bridge name of 1 to 15 characters")
        if bridge.value == INTEGRATION_BRIDGE:
            raise bridge.refused(f"{bridge.value} is the bridge that the agent creates; give another")
        if list(mappings.value.values()).count(bridge.value) > 1:
            raise bridge.refused(f"{bridge.value} has two physnets; give each a bridge of its own")
    vlans = item.get("vlans")
    if vlans.value is not None and not isinstance(vlans.value, dict):
        raise vlans.refused("give a mapping of physnet to a list of VLAN ids, as {physnet1: [101, 102]}")
    carried = []
    for physnet in vlans.value or {}:
        _Item(item.origin, vlans.key, physnet).one_of(mappings.value, "mapping")
        carried.append((physnet, tuple(each.vlan_or_untagged() for each in vlans.items(physnet))))
    return ChassisPlan(item.get("name").name(), tuple(mappings.value.items()), tuple(carried))


def _vm(item: _Item, chassis: tuple[str, ...], networks: tuple[str, ...]) -> VmPlan:
    item.only("name", "chassis", "network", "ip", "mac")
    network = item.get("network").one_of(networks, "network")
    address = item.get("ip").ip()
    mac = item.get("mac").mac(_mac(networks.index(network) + 1, address))
    return VmPlan(
        item.get("name").name(), item.get("chassis").one_of(chassis, "chassis"), network, address, mac
    )


def _host(item: _Item, physnets: tuple[str, ...]) -> HostPlan:
    item.only("name", "physnet", "vlan", "tagged", "ip", "mac")
    tagged = item.get("tagged")
    vlan = item.get("vlan").vlan()
    if tagged.value not in (None, True, False):
        raise tagged.refused("give true or false")
    if tagged.value and vlan is None:
        raise tagged.refused("a host that tags needs a vlan")
    address = item.get("ip").ip()
    mac = item.get("mac").mac(_mac(0xF0, address))
    physnet = item.get("physnet").one_of(physnets, "physnet")
    return HostPlan(item.get("name").name(), physnet, vlan, address, mac, bool(tagged.value))


def _mac(group: int, address: IPv4Interface) -> str:
    """Return a locally administered MAC made of *group* and the address, for captures to be readable."""
    return ":".join(f"{byte:02x}" for byte in (0x02, group & 0xFF, *address.packed))


def _check_unique(topology: Topology, root: _Item) -> None:
    names_in_use = [plan.name for group in (topology.chassis, topology.vms, topology.hosts) for plan in group]
    for kind, names in (
        ("physnets", list(topology.physnets)),
        ("networks", [network.name for network in topology.networks]),
        ("chassis, vms and hosts", names_in_use),
    ):
        for name in names:
            if names.count(name) > 1:
                raise root.refused(f"the name '{name}' is used twice in {kind}")
    if "switch" in names_in_use:
        raise root.refused("the name 'switch' is reserved for the physical switch")
    wires = [network.wire for network in topology.networks]
    for network in topology.networks:
        if wires.count(network.wire) > 1:
            tag = f"VLAN {network.segment}" if network.segment else "untagged traffic"
            raise root.refused(f"networks: {tag} of {network.physical_network} belongs to two networks")
