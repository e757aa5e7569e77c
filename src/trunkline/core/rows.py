"""The rows: what both databases say about this chassis, indexed, and which subjects a change touches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import IPAddress, Network, Port, Uplink, Vif
from trunkline.core.pipeline import Subject
from trunkline.core.seat import Seat, rival_fault, seat
from trunkline.core.stake import Stakes

K = TypeVar("K")
V = TypeVar("V")


class MacId(NamedTuple):
    """A MAC in a network."""

    network_id: UUID
    mac: int


class AddressId(NamedTuple):
    """An IP address in a network."""

    network_id: UUID
    address: IPAddress


SubjectId: TypeAlias = tuple[Subject, UUID | MacId | str | None]
"""What a view is about: the chassis, a network, a port, a shared MAC, or the iface-id of a VIF."""

CHASSIS: SubjectId = (Subject.CHASSIS, None)


@dataclass
class Changes:
    """Rows that came, changed (the new value) or went (None), by their id."""

    networks: dict[UUID, Network | None] = field(default_factory=dict)
    ports: dict[UUID, Port | None] = field(default_factory=dict)
    vifs: dict[str, tuple[Vif, ...]] = field(default_factory=dict)
    uplinks: dict[str, Uplink | None] = field(default_factory=dict)
    whole_physnets: frozenset[str] | None = None
    """The physical networks of which all networks are known; None: as before."""


class Rows:
    """The rows that concern the chassis named *chassis*, and where its ports are."""

    def __init__(self, chassis: str) -> None:
        self.chassis = chassis
        self.networks: dict[UUID, Network] = {}
        self.ports: dict[UUID, Port] = {}
        self.vifs: dict[str, tuple[Vif, ...]] = {}
        self.uplinks: dict[str, Uplink] = {}
        self.awake: frozenset[UUID] = frozenset()
        self.whole_physnets: frozenset[str] = frozenset()
        self._seats: dict[UUID, Seat] = {}
        self._port_id_by_name: dict[str, UUID] = {}
        self._owner_id_by_mac: dict[MacId, UUID] = {}
        self._ports_by_network: Index[UUID, UUID] = Index()
        self._locals_by_network: Index[UUID, UUID] = Index()
        self._networks_by_physnet: Index[str, UUID] = Index()
        self._open_by_physnet: Index[str, UUID] = Index()
        self._vlans_by_physnet: Index[str, UUID] = Index()
        self._subports_by_parent: Index[str, UUID] = Index()
        self._ids_by_address: Index[AddressId, UUID] = Index()
        self._stakes = Stakes()
        self._listers_by_mac: Index[MacId, UUID] = Index()
        self._dirty: dict[SubjectId, None] = {CHASSIS: None}

    # -- what changes ------------------------------------------------------------------------------

    def change(self, changes: Changes) -> None:
        """Take *changes* over, and mark every subject whose view may differ for it."""
        for physnet, uplink in changes.uplinks.items():
            if self.uplinks.get(physnet) == uplink:
                continue
            _replace(self.uplinks, physnet, uplink)
            self._mark(CHASSIS)
            for network_id in self._networks_by_physnet[physnet]:
                self.mark_network(network_id)
        for network_id, network in changes.networks.items():
            self._change_network(network_id, network)
        if changes.whole_physnets is not None:
            differing, self.whole_physnets = (
                changes.whole_physnets ^ self.whole_physnets,
                changes.whole_physnets,
            )
            self._mark_open(differing)
        unseated: set[UUID] = set()
        for port_id, port in changes.ports.items():
            unseated |= self._change_port(port_id, port)
        unseated |= self._stakes.settle()
        for iface_id, vifs in changes.vifs.items():
            if self.vifs.get(iface_id, ()) == vifs:
                continue
            _replace(self.vifs, iface_id, vifs or None)
            self._mark((Subject.VIF, iface_id))
            unseated |= self.carried_by(iface_id)
        for port_id in unseated:
            self._reseat(port_id)

    def wake(self, port_id: UUID) -> None:
        """Let the port with *port_id*, which waits here as the additional chassis of a migration, speak."""
        self.awake |= {port_id}
        port = self.ports.get(port_id)
        if port is not None:
            for sharing_id in self.carried_by(port.name):
                self._reseat(sharing_id)

    def _change_network(self, network_id: UUID, network: Network | None) -> None:
        old = self.networks.get(network_id)
        if old == network:
            return
        _replace(self.networks, network_id, network)
        self._reindex_network(network_id, old, network)
        self.mark_network(network_id)
        if (old.mtu if old else None) != (network.mtu if network else None):
            for port_id in self._ports_by_network[network_id]:
                self._mark_vifs(self.ports[port_id])
        if (old is not None and old.is_transparent) != (network is not None and network.is_transparent):
            for port_id in list(self._ports_by_network[network_id]):
                for subport_id in list(self._subports_by_parent[self.ports[port_id].name]):
                    self._reseat(subport_id)

    def _reindex_network(self, network_id: UUID, old: Network | None, new: Network | None) -> None:
        with_vlans = {each.physnet for each in (old, new) if each and each.physnet in self._vlans_by_physnet}
        self._networks_by_physnet.move(network_id, old.physnet if old else None, new.physnet if new else None)
        self._open_by_physnet.move(
            network_id,
            old.physnet if old and old.is_open else None,
            new.physnet if new and new.is_open else None,
        )
        self._vlans_by_physnet.move(
            network_id,
            old.physnet if old and old.vlan_id else None,
            new.physnet if new and new.vlan_id else None,
        )
        for each in (old, new):
            if each and (each.physnet in self._vlans_by_physnet) != (each.physnet in with_vlans):
                self._mark_open((each.physnet,))

    def _change_port(self, port_id: UUID, port: Port | None) -> set[UUID]:
        """Replace the port; return the ports whose seats may differ for it."""
        old = self.ports.get(port_id)
        if old == port:
            return set()
        unseated = {port_id}
        is_as_carrier = old is not None and port is not None and _carriage(old) == _carriage(port)
        for each in (old, port):
            if each is not None:
                self._mark_vifs(each)
                if not is_as_carrier:
                    unseated |= self.carried_by(each.name)
        _replace(self.ports, port_id, port)
        self._reindex(port_id, old, port)
        if port is None or self.chassis not in port.requested_chassis[1:]:
            self.awake -= {port_id}
        return unseated

    def _reindex(self, port_id: UUID, old: Port | None, new: Port | None) -> None:
        if old is not None and new is not None and _indexed(old) == _indexed(new):
            return
        self._stakes.replace(old, new)
        self._readdress(port_id, old, new)
        self._ports_by_network.move(port_id, old.network_id if old else None, new.network_id if new else None)
        self._subports_by_parent.move(port_id, old.parent if old else None, new.parent if new else None)
        if old is not None:
            _forget(self._port_id_by_name, old.name, port_id)
            _forget(self._owner_id_by_mac, MacId(old.network_id, old.mac), port_id)
            for mac_id in _listed(old):
                self._listers_by_mac.move(port_id, mac_id, None)
        if new is not None:
            self._port_id_by_name[new.name] = port_id
            self._owner_id_by_mac[MacId(new.network_id, new.mac)] = port_id
            for mac_id in _listed(new):
                self._listers_by_mac.move(port_id, None, mac_id)
        for each in (old, new):
            if each is not None:
                self._mark_macs(each)
        if old is not None and new is not None and _receipt(old) != _receipt(new):
            self._mark((Subject.NETWORK, new.network_id))

    def _readdress(self, port_id: UUID, old: Port | None, new: Port | None) -> None:
        """Note the addresses that are the port's alone; mark who gets, or loses, the only rival for one."""
        before, after = _addresses(old), _addresses(new)
        if before == after:
            return
        index = self._ids_by_address
        for address_id in before:
            index.move(port_id, address_id, None)
            self._mark_ports(index[address_id], 1)
        for address_id in after:
            index.move(port_id, None, address_id)
            self._mark_ports(index[address_id], 2)

    def _mark_ports(self, port_ids: set[UUID], count: int) -> None:
        """Mark these ports where they are just *count*."""
        if len(port_ids) == count:
            for port_id in port_ids:
                self._mark((Subject.PORT, port_id))

    # -- seats -------------------------------------------------------------------------------------

    def _reseat(self, port_id: UUID) -> None:
        port = self.ports.get(port_id)
        old = self._seats.get(port_id)
        new = self._seat(port) if port is not None else None
        _replace(self._seats, port_id, new)
        self._mark((Subject.PORT, port_id))
        if old == new:
            return
        self._relocate(port_id, _local_network_id(old), _local_network_id(new))
        if port is not None:
            self._mark_macs(port)
            if any(seat is not None and seat.sleeping_ofport is not None for seat in (old, new)):
                self._mark((Subject.VIF, port.name))

    def _relocate(self, port_id: UUID, old_id: UUID | None, new_id: UUID | None) -> None:
        """Let the port be local in the network *new_id* and no longer in *old_id*; None is not local."""
        if old_id is None and new_id is None:
            return
        touched = {id_ for id_ in (old_id, new_id) if id_ is not None}
        was_here = {id_: bool(self._locals_by_network[id_]) for id_ in touched}
        self._locals_by_network.move(port_id, old_id, new_id)
        for network_id in touched:
            self._mark((Subject.NETWORK, network_id))
            if bool(self._locals_by_network[network_id]) != was_here[network_id]:
                self.mark_network(network_id)

    def _seat(self, port: Port) -> Seat:
        carrier = self.carrier(port)
        if port.parent is not None and carrier is port:
            return Seat(port.network_id, is_remote=port.is_enabled)
        vifs = self.vifs.get(carrier.name, ())
        found = seat(port, carrier, vifs, self.chassis, is_awake=carrier.id in self.awake)
        if found.outlet is None or port.parent is None:
            return found
        network = self.networks.get(carrier.network_id)
        is_transparent = network is not None and network.is_transparent
        fault = rival_fault(port, carrier, self._stakes.holders(port), is_parent_transparent=is_transparent)
        return found if fault is None else Seat(port.network_id, fault=fault)

    # -- marks -------------------------------------------------------------------------------------

    def _mark(self, subject: SubjectId) -> None:
        self._dirty[subject] = None

    def mark_chassis(self) -> None:
        """Have what belongs to no network computed again."""
        self._mark(CHASSIS)
        for iface_id in self.vifs:
            self._mark((Subject.VIF, iface_id))

    def mark_network(self, network_id: UUID) -> None:
        """Mark the network and all that is in it: what they share with it has changed."""
        self._mark((Subject.NETWORK, network_id))
        for port_id in self._ports_by_network[network_id]:
            self._mark((Subject.PORT, port_id))
            for mac_id in _listed(self.ports[port_id]):
                self._mark((Subject.MAC, mac_id))

    def _mark_open(self, physnets: Iterable[str]) -> None:
        """Mark the transparent flat networks of *physnets*: whether they may carry tags has changed."""
        for physnet in physnets:
            for network_id in self._open_by_physnet[physnet]:
                self.mark_network(network_id)

    def _mark_vifs(self, port: Port) -> None:
        """Mark the VIF that is *port*'s, and the one that carries it."""
        if port.name in self.vifs:
            self._mark((Subject.VIF, port.name))
        if port.parent in self.vifs:
            self._mark((Subject.VIF, port.parent))

    def _mark_macs(self, port: Port) -> None:
        """Mark the shared MACs that *port* has a part in, and the ports that own them."""
        own = MacId(port.network_id, port.mac)
        if not port.allowed_pairs and own not in self._listers_by_mac:
            return
        for mac_id in {own, *_listed(port)}:
            self._mark((Subject.MAC, mac_id))
            owner_id = self._owner_id_by_mac.get(mac_id)
            if owner_id is not None:
                self._mark((Subject.PORT, owner_id))

    # -- questions ---------------------------------------------------------------------------------

    @property
    def is_clean(self) -> bool:
        """True when no view waits to be computed."""
        return not self._dirty

    def is_local(self, port_id: UUID) -> bool:
        """Return whether the port with *port_id* has its VIF here and may speak."""
        found = self._seats.get(port_id)
        return found is not None and found.outlet is not None

    def port_named(self, name: str) -> Port | None:
        """Return the port of that name, None where none is known."""
        port_id = self._port_id_by_name.get(name)
        return None if port_id is None else self.ports[port_id]

    def carried_by(self, iface_id: str) -> set[UUID]:
        """Return the ports that a VIF with *iface_id* carries: the one of that name and its sub-ports."""
        port_id = self._port_id_by_name.get(iface_id)
        return self._subports_by_parent[iface_id] | ({port_id} if port_id is not None else set())

    def has_link(self, port: Port) -> bool:
        """Return whether frames pass the VIF that *port* uses here."""
        return not self.is_cut_off(self.carrier(port).name)

    def is_cut_off(self, iface_id: str) -> bool:
        """Return whether the VIF that is used with *iface_id* is here and lets no frames pass."""
        vifs = self.vifs.get(iface_id, ())
        return bool(vifs) and vifs[0].link_fault is not None

    def local_ports(self, physnets: Iterable[str] | None = None) -> Iterable[UUID]:
        """Yield the ids of the ports that are local in networks on *physnets*; None: in all of them."""
        networks = (
            self.local_networks()
            if physnets is None
            else (network_id for physnet in physnets for network_id in self._networks_by_physnet[physnet])
        )
        for network_id in networks:
            yield from self._locals_by_network[network_id]

    def shares_tags(self, network: Network) -> bool:
        """Return whether a tag of *network*'s VMs is that of a VLAN network, or may be for all we know."""
        is_alone = network.physnet in self.whole_physnets and network.physnet not in self._vlans_by_physnet
        return network.is_open and not is_alone

    def carried(self, network_id: UUID) -> Network | None:
        """Return the network as it may be carried: transparent only where its VMs' tags are nobody else's."""
        network = self.networks.get(network_id)
        if network is None or not self.shares_tags(network):
            return network
        return network._replace(is_transparent=False)

    def carrier(self, port: Port) -> Port:
        """Return the port whose VIF *port* uses: its parent where it has one that is known, else itself."""
        parent_id = None if port.parent is None else self._port_id_by_name.get(port.parent)
        return port if parent_id is None else self.ports[parent_id]

    def sleeping(self) -> list[UUID]:
        """Return the ports that migrate here and wait for their VIFs to speak."""
        return [port_id for port_id, at in self._seats.items() if at.sleeping_ofport is not None]

    def local_networks(self) -> Iterable[UUID]:
        """Yield the ids of the networks that have local ports."""
        return (network_id for network_id in self._locals_by_network if network_id in self.networks)

    def mtu_of(self, iface_id: str) -> int | None:
        """Return the MTU that a VIF with *iface_id* needs: the largest of the networks that it carries.

        None where that of its own port's network is not managed.
        """
        port_id = self._port_id_by_name.get(iface_id)
        own = None if port_id is None else self.networks.get(self.ports[port_id].network_id)
        if own is None or own.mtu is None:
            return None
        networks = (self.networks.get(self.ports[id_].network_id) for id_ in self.carried_by(iface_id))
        return max(each.mtu for each in networks if each is not None and each.mtu is not None)

    def subjects(self) -> Iterable[SubjectId]:
        """Yield every subject that has, or could have, a view; a fresh computation is over all of these."""
        yield CHASSIS
        yield from ((Subject.NETWORK, network_id) for network_id in self.networks)
        yield from ((Subject.PORT, port_id) for port_id in self.ports)
        yield from ((Subject.MAC, mac_id) for mac_id in self._listers_by_mac)
        yield from ((Subject.VIF, iface_id) for iface_id in self.vifs)

    def subjects_of_network(self, network_id: UUID) -> Iterable[SubjectId]:
        """Yield the subjects whose views belong to the network with *network_id*."""
        yield (Subject.NETWORK, network_id)
        yield from ((Subject.PORT, port_id) for port_id in self._ports_by_network[network_id])
        yield from (
            (Subject.MAC, mac_id) for mac_id in self._listers_by_mac if mac_id.network_id == network_id
        )


def _local_network_id(seat: Seat | None) -> UUID | None:
    return seat.network_id if seat is not None and seat.outlet is not None else None


def _indexed(port: Port) -> Port:
    """Return *port* without what its chassis writes of it, which concerns no other port of the network."""
    return port._replace(chassis=None, is_up=False)


def _receipt(port: Port) -> tuple[bool, ...]:
    """Return what says which of its network's frames for nobody, or for everybody, *port* receives."""
    return port.is_secured, port.takes_unknown_macs, port.passes_control


def _addresses(port: Port | None) -> tuple[AddressId, ...]:
    """Return the addresses that no other port should have; none where *port* may share them."""
    if port is None or port.may_share_addresses:
        return ()
    return tuple([AddressId(port.network_id, address) for address in port.addresses])


def _carriage(port: Port) -> tuple[object, ...]:
    """Return all that the sub-ports of *port*, which share its VIF, see of it."""
    return port.name, port.parent, port.network_id, port.is_enabled, port.requested_chassis, port.chassis


def _forget(values: dict[K, V], key: K, value: V) -> None:
    """Drop *key*, unless another value than *value* has taken its place."""
    if values.get(key) == value:
        del values[key]


def _listed(port: Port) -> set[MacId]:
    """Return the MACs, other than its own, that *port*'s allowed pairs list."""
    return {MacId(port.network_id, pair.mac) for pair in port.allowed_pairs if pair.mac != port.mac}


def _replace(values: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
