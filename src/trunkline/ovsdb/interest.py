"""Which rows of the northbound a chassis needs, and by which clauses it asks the server for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Set
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import Port
from trunkline.ovsdb.datum import one
from trunkline.ovsdb.nb_row import PortRow

Clause = list[Any]
"""A column, a function and a value (RFC 7047 section 5.1)."""

MANY_NETWORKS = 8
"""From how many new networks on, the ports of a quarter of them are asked for first."""

K = TypeVar("K", bound=Hashable)


class Carried(NamedTuple):
    """A loaded port: the name of the port whose VIF carries it (its parent or itself), and its network.

    *iface_id* is that of its own VIF.
    """

    carrier: str
    name: str
    network_id: UUID
    iface_id: str


class Clauses(Generic[K]):
    """Clauses for one column, by the value that each asks for; *clause* makes one.

    *asked* are those of the last request to the server. Values that are needed and not among them are
    *missing*; those among them that are no longer needed are *spare*.
    """

    def __init__(self, clause: Callable[[K], Clause]) -> None:
        self._clause = clause
        self.asked: dict[K, Clause] = {}
        self.missing: set[K] = set()
        self.spare: set[K] = set()

    def set_needed(self, value: K, is_needed: bool) -> None:
        """Note whether the rows with *value* are needed."""
        if is_needed:
            self.spare.discard(value)
            if value not in self.asked:
                self.missing.add(value)
        else:
            self.missing.discard(value)
            if value in self.asked:
                self.spare.add(value)

    @property
    def is_current(self) -> bool:
        """Whether the last request had the clauses that are needed, and no others."""
        return not self.missing and not self.spare

    def renew(self) -> list[Clause]:
        """Return the clauses that are needed, for a request now; those that stay are the same objects."""
        for value in self.spare:
            del self.asked[value]
        for value in self.missing:
            self.asked[value] = self._clause(value)
        self.missing.clear()
        self.spare.clear()
        return list(self.asked.values())


class Interest:
    """The rows that the chassis named *chassis* needs; they follow from its VIFs and from what is loaded.

    These are: the ports that VIFs name, their sub-ports, the networks of both, all ports of those networks
    that are explicit, and the ports that the chassis holds. If one of the networks carries every tag of its
    physical network, they include all networks of that. A port that is loaded with its network is not asked
    for by its iface-id as well, which is its name or what it has instead. An event costs what it concerns:
    there is no pass over VIFs, ports or clauses.

    A condition can only be replaced as a whole, and the server then compares every row of the table with the
    old and the new one (12 ms of its CPU for 10,000 ports). So a clause that is not needed, and by which no
    row is loaded, may stay until something else has to be asked for: a VIF whose port is loaded with its
    network can go and come back without a message. And the sub-ports of such a VIF, which few have, can be
    asked for later: see *has_deferred_rows*.
    """

    def __init__(self, chassis: str) -> None:
        self._held: Clause = ["chassis", "==", chassis]
        self._iface_ids: set[str] = set()
        self._carried: dict[UUID, Carried] = {}
        self._ids_by_carrier: Index[str, UUID] = Index()
        self._ids_by_name: Index[str, UUID] = Index()
        self._ids_by_iface_id: Index[str, UUID] = Index()
        self._carriers_here: set[str] = set()
        self._local_ids_by_network: Index[UUID, UUID] = Index()
        self._explicit_ids: set[UUID] = set()
        self._networks: Clauses[UUID] = Clauses(lambda id_: ["_uuid", "==", ["uuid", str(id_)]])
        self._whole_physnet_by_id: dict[UUID, str] = {}
        self._local_ids_by_whole_physnet: Index[str, UUID] = Index()
        self._physnets: Clauses[str] = Clauses(lambda physnet: ["physical_network", "==", physnet])
        self._members: Clauses[UUID] = Clauses(lambda id_: ["network", "==", ["uuid", str(id_)]])
        self._names: Clauses[str] = Clauses(lambda name: ["name", "==", name])
        self._others: Clauses[str] = Clauses(lambda iface_id: ["iface_id", "==", iface_id])
        self._parents: Clauses[str] = Clauses(lambda name: ["parent", "==", name])
        self._is_surplus_loaded = self._must_ask = False
        self.first_ports: list[Clause] = []
        """The part of the last condition for ports that can be asked for first; all of it, if it is small.

        The server can then look up the ports of many networks while those of the first are computed here.
        """

    # -- events ------------------------------------------------------------------------------------

    def set_vif(self, iface_id: str, *, is_here: bool) -> None:
        """Note whether a VIF with *iface_id* is here."""
        if (iface_id in self._iface_ids) == is_here:
            return
        self._iface_ids ^= {iface_id}
        ids = self._ids_by_iface_id[iface_id]
        for carrier in {iface_id, *(self._carried[port_id].name for port_id in ids)}:
            self._update_carrier(carrier)
        self._update_iface_id(iface_id)

    def set_port(self, port_id: UUID, port: Carried | None) -> None:
        """Note what the port is now; None: it is not loaded."""
        old = self._carried.get(port_id)
        if old == port:
            return
        if old is not None:
            del self._carried[port_id]
            self._index(port_id, old, is_loaded=False)
        if port is not None:
            self._carried[port_id] = port
            self._index(port_id, port, is_loaded=True)
            spare = self._names.spare
            if port.carrier in self._parents.spare or port.name in spare or port.iface_id in spare:
                self._look_for_surplus({port_id})

    def set_network(self, network_id: UUID, *, is_explicit: bool, whole_physnet: str | None = None) -> None:
        """Note whether the network is loaded and explicit.

        *whole_physnet* is the physical network whose networks all have to be loaded because of this one.
        """
        if self._whole_physnet_by_id.get(network_id) != whole_physnet:
            self._update_physnet(network_id, is_needed=False)
            self._whole_physnet_by_id.pop(network_id, None)
            if whole_physnet is not None:
                self._whole_physnet_by_id[network_id] = whole_physnet
            self._update_network(network_id)
        if (network_id in self._explicit_ids) == is_explicit:
            return
        self._explicit_ids ^= {network_id}
        self._update_network(network_id)
        for port_id in self._local_ids_by_network[network_id]:
            self._update_iface_id(self._carried[port_id].iface_id)

    # -- what to ask for ---------------------------------------------------------------------------

    @property
    def has_deferred_rows(self) -> bool:
        """Whether sub-ports of VIFs here have yet to be asked for."""
        return bool(self._parents.missing)

    @property
    def whole_physnets(self) -> frozenset[str]:
        """The physical networks whose networks were all asked for in the last request."""
        return frozenset(self._physnets.asked)

    def ask_again(self) -> None:
        """Let the next request have a condition for ports, even if it is the one before."""
        self._must_ask = True

    def conditions(self, *, is_patient: bool = False) -> dict[str, list[Clause]]:
        """Return, by table, the conditions for the next request; none if those before will do.

        If it *is_patient*, sub-ports alone do not make a request.
        """
        found: dict[str, list[Clause]] = {}
        if not (self._networks.is_current and self._physnets.is_current):
            found["Network"] = self._networks.renew() + self._physnets.renew()
        if (
            found
            or self._must_ask
            or not self._members.is_current
            or self._names.missing
            or (self._parents.missing and not is_patient)
            or (self._is_surplus_loaded and (self._names.spare or self._parents.spare))
        ):
            new, names, others = (
                len(self._members.missing),
                self._names.asked.copy(),
                self._others.asked.copy(),
            )
            narrow = [self._held, *self._names.renew(), *self._others.renew(), *self._parents.renew()]
            # New ones come last.
            members = self._members.renew()
            found["Port"] = self.first_ports = members + narrow
            if new >= MANY_NETWORKS:
                # A port that was asked for by iface-id must not be dropped before it comes with its network.
                covered = [clause for name, clause in names.items() if name not in self._names.asked]
                covered += [clause for name, clause in others.items() if name not in self._others.asked]
                self.first_ports = members[: new // 4 - new] + narrow + covered
        self._is_surplus_loaded = self._must_ask = False
        return found

    # -- what follows ------------------------------------------------------------------------------

    def _index(self, port_id: UUID, port: Carried, *, is_loaded: bool) -> None:
        """Enter the port among those that are loaded, or take it out."""
        for index, key in (
            (self._ids_by_carrier, port.carrier),
            (self._ids_by_name, port.name),
            (self._ids_by_iface_id, port.iface_id),
        ):
            index.move(port_id, None if is_loaded else key, key if is_loaded else None)
        if port.carrier in self._carriers_here:
            self._place(port_id, port, is_here=is_loaded)
        for name in {port.name, *(self._carried[id_].name for id_ in self._ids_by_iface_id[port.iface_id])}:
            self._update_carrier(name)

    def _owner(self, iface_id: str) -> Carried | None:
        """Return the port that has *iface_id* because that is its name, None if there is none.

        Any other port with that iface-id has no VIF then.
        """
        named = (self._carried[port_id] for port_id in self._ids_by_name[iface_id])
        return next((port for port in named if port.iface_id == port.carrier == iface_id), None)

    def _update_carrier(self, name: str) -> None:
        """Note whether the VIF of the port called *name* is here; a port that is not known has its name."""
        iface_ids = {self._carried[port_id].iface_id for port_id in self._ids_by_name[name]} or {name}
        own = {iface_id for iface_id in iface_ids if iface_id == name or self._owner(iface_id) is None}
        is_here = not self._iface_ids.isdisjoint(own)
        if (name in self._carriers_here) == is_here:
            return
        self._carriers_here ^= {name}
        self._parents.set_needed(name, is_here)
        for port_id in self._ids_by_carrier[name]:
            self._place(port_id, self._carried[port_id], is_here=is_here)
        if not is_here:
            self._look_for_surplus(self._ids_by_carrier[name])

    def _place(self, port_id: UUID, port: Carried, *, is_here: bool) -> None:
        """Enter the port among those that a VIF here carries, or take it out."""
        id_ = port.network_id
        self._local_ids_by_network.move(port_id, None if is_here else id_, id_ if is_here else None)
        self._update_network(port.network_id)
        self._update_iface_id(port.iface_id)

    def _update_network(self, network_id: UUID) -> None:
        is_needed = bool(self._local_ids_by_network[network_id])
        self._networks.set_needed(network_id, is_needed)
        self._update_physnet(network_id, is_needed=is_needed)
        is_whole_needed = is_needed and network_id in self._explicit_ids
        # Other clauses were left out because of this one, which is no longer needed before it was asked for.
        self._is_surplus_loaded |= not is_whole_needed and network_id in self._members.missing
        self._members.set_needed(network_id, is_whole_needed)

    def _update_physnet(self, network_id: UUID, *, is_needed: bool) -> None:
        """Note whether this network makes all networks of its physical network needed."""
        index, physnet = self._local_ids_by_whole_physnet, self._whole_physnet_by_id.get(network_id)
        if physnet is not None:
            index.move(network_id, None if is_needed else physnet, physnet if is_needed else None)
            self._physnets.set_needed(physnet, physnet in index)

    def _update_iface_id(self, iface_id: str) -> None:
        """Note whether the ports with *iface_id* have to be asked for.

        The database keeps two ports from having the same name, and nobody from writing one `iface_id` twice.
        """
        owner = self._owner(iface_id)
        is_covered = owner is not None and self._is_loaded_by_network(owner)
        is_needed = iface_id in self._iface_ids and not is_covered
        for clauses in (self._names, self._others):
            clauses.set_needed(iface_id, is_needed)
        if not is_needed and iface_id in self._names.spare:
            self._look_for_surplus(self._ids_by_iface_id[iface_id] | self._ids_by_name[iface_id])

    def _is_loaded_by_network(self, port: Carried) -> bool:
        return port.network_id in self._explicit_ids and bool(self._local_ids_by_network[port.network_id])

    def _look_for_surplus(self, port_ids: Set[UUID]) -> None:
        """Note whether one of these ports may be loaded only by a clause that is no longer needed."""
        ports = (self._carried[port_id] for port_id in port_ids)
        self._is_surplus_loaded |= not all(self._is_loaded_by_network(port) for port in ports)


def carried(row: PortRow | None) -> Carried | None:
    """Return what carries the port of *row*, None if there is none."""
    if row is None:
        return None
    name = one(row, PortRow.name)
    iface_id = one(row, PortRow.iface_id) or name
    return Carried(one(row, PortRow.parent) or name, name, one(row, PortRow.network), iface_id)


def carried_by(port: Port) -> Carried:
    """Return what carries *port*."""
    return Carried(port.parent or port.name, port.name, port.network_id, port.iface_id)
