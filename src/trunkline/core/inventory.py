"""The inventory: everything that an agent knows, and which subjects a change of it touches."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar
from uuid import UUID

from trunkline.core.mark import Marks
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.relation import Relations, listed_macs
from trunkline.core.seat import (
    Seat,
    Seats,
    iface_id_fault,
    is_sleeping,
    local_network_id,
    own_parent_fault,
    rival_fault,
    seat,
)
from trunkline.core.subject import CHASSIS, MacSubject, NetworkSubject, PortSubject, SubjectId, VifSubject

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Changes:
    """Rows that were added or changed (the new value) or deleted (None), by their id."""

    networks: dict[UUID, Network | None] = field(default_factory=dict)
    ports: dict[UUID, Port | None] = field(default_factory=dict)
    vifs: dict[str, tuple[Vif, ...]] = field(default_factory=dict)
    uplinks: dict[str, Uplink | None] = field(default_factory=dict)
    whole_physnets: frozenset[str] | None = None
    """The physical networks whose networks are all known; None: the same as before."""


class Inventory:
    """The networks, ports, VIFs and uplinks that the chassis named *chassis* knows from both databases.

    `change` takes changes over, seats the ports that they concern, and marks every subject whose view may
    differ because of them. `trunkline.core.outcome` computes the views.
    """

    def __init__(self, chassis: str, revision: int = 0) -> None:
        self.chassis = chassis
        self.networks: dict[UUID, Network] = {}
        self.ports: dict[UUID, Port] = {}
        self.vifs: dict[str, tuple[Vif, ...]] = {}
        self.uplinks: dict[str, Uplink] = {}
        self.awake: frozenset[UUID] = frozenset()
        self.whole_physnets: frozenset[str] = frozenset()
        self.relations = Relations()
        self.seats = Seats()
        self.marks = Marks(revision)

    # -- what changes ------------------------------------------------------------------------------

    def change(self, changes: Changes) -> None:
        """Take *changes* over, and mark every subject whose view may differ because of them."""
        for physnet, uplink in changes.uplinks.items():
            if self.uplinks.get(physnet) == uplink:
                continue
            _replace(self.uplinks, physnet, uplink)
            self.marks.mark(CHASSIS)
            for network_id in self.relations.networks_by_physnet[physnet]:
                self.mark_network(network_id)
        for network_id, network in changes.networks.items():
            self._change_network(network_id, network)
        if changes.whole_physnets is not None:
            differing = changes.whole_physnets ^ self.whole_physnets
            self.whole_physnets = changes.whole_physnets
            for physnet in differing:
                for network_id in self.relations.open_by_physnet[physnet]:
                    self.mark_network(network_id)
        unseated: set[UUID] = set()
        for port_id, port in changes.ports.items():
            unseated |= self._change_port(port_id, port)
        unseated |= self.relations.stakes.settle()
        for iface_id, vifs in changes.vifs.items():
            if self.vifs.get(iface_id, ()) == vifs:
                continue
            _replace(self.vifs, iface_id, vifs or None)
            self.marks.mark(VifSubject(iface_id))
            unseated |= self.carried_by(iface_id)
        for port_id in unseated:
            self._reseat(port_id)

    def wake(self, port_id: UUID) -> None:
        """Let the port with *port_id*, which migrates here and waited, send."""
        self.awake |= {port_id}
        port = self.ports.get(port_id)
        if port is not None:
            for sharing_id in self.carried_by(port.iface_id):
                self._reseat(sharing_id)

    def _change_network(self, network_id: UUID, network: Network | None) -> None:
        old = self.networks.get(network_id)
        if old == network:
            return
        relations = self.relations
        _replace(self.networks, network_id, network)
        for open_id in relations.replace_network(network_id, old, network):
            self.mark_network(open_id)
        self.mark_network(network_id)
        if (old.mtu if old else None) != (network.mtu if network else None):
            for port_id in relations.ports_by_network[network_id]:
                self._mark_vifs(self.ports[port_id])
        if (old is not None and old.is_transparent) != (network is not None and network.is_transparent):
            for port_id in list(relations.ports_by_network[network_id]):
                for subport_id in list(relations.subports_by_parent[self.ports[port_id].name]):
                    self._reseat(subport_id)

    def _change_port(self, port_id: UUID, port: Port | None) -> set[UUID]:
        """Replace the port; return the ports whose seats may differ because of it."""
        old = self.ports.get(port_id)
        if old == port:
            return set()
        unseated = {port_id}
        is_as_carried = old is not None and port is not None and _cargo(old) == _cargo(port)
        is_as_carrier = old is not None and port is not None and _carriage(old) == _carriage(port)
        for each in (old, port):
            if each is not None:
                if not is_as_carried:
                    self._mark_vifs(each)
                if not is_as_carrier:
                    unseated |= self.relations.subports_by_parent[each.name] | self.carried_by(each.iface_id)
        _replace(self.ports, port_id, port)
        self.marks.mark_all(self.relations.replace_port(port_id, old, port))
        if old is not None and port is not None and _receipt(old) != _receipt(port):
            self.marks.mark(NetworkSubject(port.network_id))
        if self.awake and (port is None or self.chassis not in port.requested_chassis[1:]):
            self.awake -= {port_id}
        return unseated

    # -- seats -------------------------------------------------------------------------------------

    def _reseat(self, port_id: UUID) -> None:
        port = self.ports.get(port_id)
        new = self._seat(port) if port is not None else None
        old = self.seats.replace(port_id, new)
        self.marks.mark(PortSubject(port_id))
        if old == new:
            return
        if (old is not None and old.outlet is not None) or (new is not None and new.outlet is not None):
            self._mark_locals(local_network_id(old), local_network_id(new))
        if port is not None:
            if _place(old) != _place(new):
                self._mark_shared_macs(port)
            if is_sleeping(old) or is_sleeping(new):
                self.marks.mark(VifSubject(port.iface_id))

    def _seat(self, port: Port) -> Seat:
        carrier = self.carrier(port)
        vifs = self.vifs.get(carrier.iface_id, ())
        if port.parent is not None and carrier is port:
            fault = own_parent_fault(port) if vifs and port.is_enabled else None
            return Seat(port.network_id, is_remote=port.is_enabled, fault=fault)
        holder = self.port_of_vif(carrier.iface_id) if vifs else None
        if holder is not None and holder is not carrier:
            fault = iface_id_fault(port, holder) if carrier is port and port.is_enabled else None
            return Seat(port.network_id, is_remote=port.is_enabled and carrier.is_enabled, fault=fault)
        found = seat(port, carrier, vifs, self.chassis, is_awake=carrier.id in self.awake)
        if found.outlet is None or port.parent is None:
            return found
        network = self.networks.get(carrier.network_id)
        is_transparent = network is not None and network.is_transparent
        holders = self.relations.stakes.holders(port)
        fault = rival_fault(port, carrier, holders, is_parent_transparent=is_transparent)
        return found if fault is None else Seat(port.network_id, fault=fault)

    # -- marks -------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """The number of changes so far; an inventory for another chassis name continues from *revision*."""
        return self.marks.revision

    @property
    def is_clean(self) -> bool:
        """True if no view waits to be computed."""
        return self.marks.are_empty

    def mark_chassis(self) -> None:
        """Mark everything that belongs to no network."""
        self.marks.mark(CHASSIS)
        self.marks.mark_all(map(VifSubject, self.vifs))

    def mark_network(self, network_id: UUID) -> None:
        """Mark the network and everything in it, because something that they share has changed."""
        self.marks.mark_all(self.subjects_of_network(network_id))

    def _mark_vifs(self, port: Port) -> None:
        """Mark the VIF of *port*, and its parent's VIF."""
        for iface_id in (port.iface_id, self.carrier(port).iface_id):
            if iface_id in self.vifs:
                self.marks.mark(VifSubject(iface_id))

    def _mark_locals(self, old_id: UUID | None, new_id: UUID | None) -> None:
        """Mark the networks in which a port was, and is, local. If it was the last local port of one, or is
        the first, mark everything in that network.
        """
        locals_by_network = self.seats.locals_by_network
        for network_id in (old_id, new_id):
            if network_id is not None:
                self.marks.mark(NetworkSubject(network_id))
        if old_id == new_id:
            return
        if old_id is not None and not locals_by_network[old_id]:
            self.mark_network(old_id)
        if new_id is not None and len(locals_by_network[new_id]) == 1:
            self.mark_network(new_id)

    def _mark_shared_macs(self, port: Port) -> None:
        """Mark the shared MACs that *port* lists or owns."""
        self.marks.mark_all(listed_macs(port))
        if self.relations.is_listed(port.network_id, port.mac):
            self.marks.mark(MacSubject(port.network_id, port.mac))

    # -- questions ---------------------------------------------------------------------------------

    def subjects(self) -> Iterable[SubjectId]:
        """Yield every subject that has, or could have, a view; a fresh computation covers all of these."""
        yield CHASSIS
        yield from map(NetworkSubject, self.networks)
        yield from map(PortSubject, self.ports)
        yield from self.relations.listers_by_mac
        yield from map(VifSubject, self.vifs)

    def subjects_of_network(self, network_id: UUID) -> Iterable[SubjectId]:
        """Yield the subjects whose views belong to the network with *network_id*."""
        yield NetworkSubject(network_id)
        yield from map(PortSubject, self.relations.ports_by_network[network_id])
        yield from self.relations.macs_by_network[network_id]

    def is_local(self, port_id: UUID) -> bool:
        """Return whether the port with *port_id* has its VIF here and may send."""
        return self.seats.is_local(port_id)

    def sleeping(self) -> list[UUID]:
        """Return the ports that migrate here and wait for the first frame of their VIFs."""
        return list(self.seats.sleeping)

    def is_sleeping(self, port_id: UUID) -> bool:
        """Return whether the port migrates here and waits for the first frame of its VIF."""
        return port_id in self.seats.sleeping

    def local_networks(self) -> Iterable[UUID]:
        """Yield the ids of the networks that have local ports."""
        return (network_id for network_id in self.seats.locals_by_network if network_id in self.networks)

    def local_ports(self, physnets: Iterable[str] | None = None) -> Iterable[UUID]:
        """Yield the ids of the local ports of networks on *physnets*; None: of all networks."""
        networks = (
            self.local_networks()
            if physnets is None
            else chain.from_iterable(self.relations.networks_by_physnet[physnet] for physnet in physnets)
        )
        for network_id in networks:
            yield from self.seats.locals_by_network[network_id]

    def port_named(self, name: str) -> Port | None:
        """Return the port with that name, or None if none is known."""
        port_id = self.relations.port_id_by_name.get(name)
        return None if port_id is None else self.ports[port_id]

    def carrier(self, port: Port) -> Port:
        """Return the port whose VIF *port* uses: its parent if that is known, or else itself."""
        parent = None if port.parent is None else self.port_named(port.parent)
        return port if parent is None else parent

    def port_of_vif(self, iface_id: str) -> Port | None:
        """Return the port whose VIF has *iface_id*, None if none is known.

        Of several, it is the one with that name, or the one that was created first. A sub-port has no VIF of
        its own: it comes last.
        """
        ids = self.relations.ids_by_iface_id[iface_id]
        ports = (self.ports[port_id] for port_id in ids)
        return min(
            ports, key=lambda port: (port.parent is not None, port.name != iface_id, port.key), default=None
        )

    def carried_by(self, iface_id: str) -> Set[UUID]:
        """Return the ports that a VIF with *iface_id* may carry: those that have it, and their sub-ports."""
        ids = self.relations.ids_by_iface_id[iface_id]
        names = (self.ports[port_id].name for port_id in ids)
        return set(ids).union(*(self.relations.subports_by_parent[name] for name in names))

    def has_link(self, port: Port) -> bool:
        """Return whether frames can pass the VIF that *port* uses here."""
        return not self.is_cut_off(self.carrier(port).iface_id)

    def is_cut_off(self, iface_id: str) -> bool:
        """Return whether the VIF in use for *iface_id* is here but lets no frames pass."""
        vifs = self.vifs.get(iface_id, ())
        return bool(vifs) and vifs[0].link_fault is not None

    def carried(self, network_id: UUID) -> Network | None:
        """Return the network as it may be carried: transparent only if no other network has its VMs' tags."""
        network = self.networks.get(network_id)
        if network is None or not (network.is_open and self._shares_tags(network)):
            return network
        return network._replace(is_transparent=False)

    def _shares_tags(self, network: Network) -> bool:
        """Return whether a tag of *network*'s VMs (any tag) is, or could be, that of a VLAN network."""
        has_vlans = network.physnet in self.relations.vlans_by_physnet
        return has_vlans or network.physnet not in self.whole_physnets

    def mtu_of(self, iface_id: str) -> int | None:
        """Return the MTU that a VIF with *iface_id* needs: the largest of the networks that it carries.

        Return None if the MTU of its own port's network is not managed.
        """
        port = self.port_of_vif(iface_id)
        own = None if port is None else self.networks.get(port.network_id)
        if own is None or own.mtu is None:
            return None
        networks = (self.networks.get(self.ports[id_].network_id) for id_ in self.carried_by(iface_id))
        return max(each.mtu for each in networks if each is not None and each.mtu is not None)


def _place(seat: Seat | None) -> tuple[object, ...] | None:
    """Return the parts of a port's seat that matter to a shared MAC."""
    return None if seat is None else (seat.outlet, seat.is_remote)


def _receipt(port: Port) -> tuple[bool, ...]:
    """Return the parts of *port* that decide which unknown unicast and control frames it receives."""
    return port.is_secured, port.takes_unknown_macs, port.passes_control


def _cargo(port: Port) -> tuple[object, ...]:
    """Return the parts of *port* that matter to the VIF that carries it."""
    macs = port.mac, port.allowed_pairs, port.takes_unknown_macs
    return port.name, port.iface_id, port.parent, port.network_id, port.key, macs


def _carriage(port: Port) -> tuple[object, ...]:
    """Return the parts of *port* that matter to its sub-ports, which share its VIF, and to its rivals."""
    place = port.name, port.iface_id, port.key, port.parent, port.network_id
    return *place, port.is_enabled, port.requested_chassis, port.chassis


def _replace(values: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
