"""Whatever comes and goes, a chassis ends with just the rows that it needs, and asks for none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from model.drawn import randoms, rounds
from trunkline.ovsdb.interest import Carried, Clause, Interest

CHASSIS = "c1"
EDITS = 40
NAMES = [f"p{number}" for number in range(8)]
NETWORK_IDS = [UUID(int=number) for number in range(1, 5)]
PHYSNETS = ["physnet1", "physnet2"]


@dataclass(frozen=True)
class PortRow:
    """What clauses can name of a row of `Port`."""

    id: UUID
    name: str
    network_id: UUID
    parent: str | None
    chassis: str | None
    iface_id: str | None

    @property
    def carried(self) -> Carried:
        return Carried(self.parent or self.name, self.name, self.network_id, self.iface_id or self.name)

    def matches(self, clause: Clause) -> bool:
        column, function, value = clause
        assert function == "=="
        if column == "network":
            return bool(value == ["uuid", str(self.network_id)])
        return bool(getattr(self, column) == value)


@dataclass
class Server:
    """A northbound: all rows, and the conditions of the one session, from which follows what is loaded."""

    ports: dict[str, PortRow] = field(default_factory=dict)
    explicit_ids: set[UUID] = field(default_factory=set)
    open_ids: set[UUID] = field(default_factory=set)
    physnet_by_id: dict[UUID, str] = field(default_factory=lambda: dict.fromkeys(NETWORK_IDS, PHYSNETS[0]))
    networks: list[Clause] = field(default_factory=list)
    condition: list[Clause] = field(default_factory=lambda: [["chassis", "==", CHASSIS]])
    messages: int = 0
    rows_made: int = 0

    def new_id(self) -> UUID:
        """Return the id of a row that was never there."""
        self.rows_made += 1
        return UUID(int=1000 + self.rows_made)

    @property
    def loaded_ports(self) -> dict[UUID, PortRow]:
        rows = self.ports.values()
        return {row.id: row for row in rows if any(row.matches(clause) for clause in self.condition)}

    @property
    def loaded_networks(self) -> set[UUID]:
        found = {UUID(value[1]) for column, _, value in self.networks if column == "_uuid"}
        return found | self.of(value for column, _, value in self.networks if column == "physical_network")

    def of(self, physnets: Iterable[str]) -> set[UUID]:
        """Return the networks of *physnets*."""
        wanted = set(physnets)
        return {id_ for id_, physnet in self.physnet_by_id.items() if physnet in wanted}


@dataclass
class Session:
    """The chassis' end: its VIFs, and what it was told last."""

    server: Server
    interest: Interest = field(default_factory=lambda: Interest(CHASSIS))
    vifs: set[str] = field(default_factory=set)
    told_ports: set[UUID] = field(default_factory=set)
    told_networks: set[UUID] = field(default_factory=set)

    def plug(self, name: str) -> None:
        self.vifs ^= {name}
        self.interest.set_vif(name, is_here=name in self.vifs)

    def settle(self) -> None:
        """Tell the interest what is loaded, and the server what to load, until neither has news."""
        for _ in range(20):
            self.tell()
            if not self.look():
                assert not self.interest.has_deferred_rows
                return
        raise AssertionError("it asks for ever")

    def look(self, *, is_patient: bool = False) -> bool:
        """Ask for what is missing; return whether there was anything to ask for."""
        conditions = self.interest.conditions(is_patient=is_patient)
        if conditions:
            self.ask(conditions)
        return bool(conditions)

    def tell(self) -> None:
        networks, ports = self.server.loaded_networks, self.server.loaded_ports
        for network_id in networks | self.told_networks:
            is_explicit = network_id in networks and network_id in self.server.explicit_ids
            is_open = network_id in networks and network_id in self.server.open_ids
            whole = self.server.physnet_by_id[network_id] if is_open else None
            self.interest.set_network(network_id, is_explicit=is_explicit, whole_physnet=whole)
        for port_id in ports.keys() | self.told_ports:
            row = ports.get(port_id)
            self.interest.set_port(port_id, row.carried if row else None)
        self.told_networks, self.told_ports = networks, set(ports)

    def ask(self, conditions: dict[str, list[Clause]]) -> None:
        new = (
            conditions.get("Network", self.server.networks),
            conditions.get("Port", self.server.condition),
        )
        assert new != (self.server.networks, self.server.condition), "asked for what was asked for before"
        self.server.networks, self.server.condition = new
        self.server.messages += 1

    @property
    def needed(self) -> tuple[set[UUID], set[UUID]]:
        """The networks and the ports that should be loaded, by the rule and from all rows."""
        rows = self.server.ports.values()
        networks = {row.network_id for row in rows if self.has_vif(row.carried.carrier)}
        explicit_ids = networks & self.server.explicit_ids
        asked = {
            vif
            for vif in self.vifs
            if (owner := self.owner(vif)) is None or owner.network_id not in explicit_ids
        }
        ports = {
            row.id
            for row in rows
            if row.chassis == CHASSIS
            or row.network_id in explicit_ids
            or (row.parent is not None and self.has_vif(row.parent))
            or asked & {row.name, row.iface_id}
        }
        whole = (self.server.physnet_by_id[id_] for id_ in networks & self.server.open_ids)
        return networks | self.server.of(whole), ports

    def owner(self, vif: str) -> PortRow | None:
        """Return the port whose VIF has that iface-id because it is the port's name."""
        row = self.server.ports.get(vif)
        is_owner = row is not None and row.carried.iface_id == row.carried.carrier == vif
        return row if is_owner else None

    def has_vif(self, name: str) -> bool:
        """Return whether the VIF of the port called *name* is here; of none, it would have that name."""
        row = self.server.ports.get(name)
        iface_id = name if row is None else row.carried.iface_id
        return iface_id in self.vifs and (iface_id == name or self.owner(iface_id) is None)


class Wiring(NamedTuple):
    """Let what is on a physical network turn open or back, and another network move to *physnet*."""

    open_id: UUID
    moved_id: UUID
    physnet: str

    def edit(self, session: Session) -> None:
        session.server.open_ids ^= {self.open_id}
        session.server.physnet_by_id[self.moved_id] = self.physnet


class Explicitness(NamedTuple):
    """Let a network turn explicit or back."""

    network_id: UUID

    def edit(self, session: Session) -> None:
        session.server.explicit_ids ^= {self.network_id}


class Plug(NamedTuple):
    """Let a VIF come or go."""

    name: str

    def edit(self, session: Session) -> None:
        session.plug(self.name)


class Row(NamedTuple):
    """Let a port come, change or, if it is there, go; what changes is a new row unless it *is_same*."""

    name: str
    goes: bool
    is_same: bool
    network_id: UUID
    parent: str | None
    chassis: str | None
    iface_id: str | None

    def edit(self, session: Session) -> None:
        ports = session.server.ports
        old = ports.pop(self.name, None)
        if old is None or not self.goes:
            id_ = old.id if old is not None and self.is_same else session.server.new_id()
            ports[self.name] = PortRow(
                id_, self.name, self.network_id, self.parent, self.chassis, self.iface_id
            )


class Edit(NamedTuple):
    """One thing that changes, and what the chassis does before the next does."""

    what: Wiring | Explicitness | Plug | Row
    is_told: bool
    asks: bool


def edit(random: Random) -> Edit:
    names, networks, physnets = NAMES, NETWORK_IDS, PHYSNETS
    kinds: list[Callable[[], Wiring | Explicitness | Plug | Row]] = [
        lambda: Plug(random.choice(names)),
        lambda: Explicitness(random.choice(networks)),
        *[
            lambda: Row(
                random.choice(names),
                random.random() < 0.3,
                random.random() < 0.7,
                random.choice(networks),
                random.choice([None, None, *names[:3]]),
                random.choice([None, CHASSIS, "c2"]),
                random.choice([None, None, *names]),
            )
        ]
        * 2,
        lambda: Wiring(random.choice(networks), random.choice(networks), random.choice(physnets)),
    ]
    return Edit(random.choice(kinds)(), random.random() < 0.3, random.random() < 0.3)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Edit]]:
    """Draw up to `EDITS` times one to three edits, after each of which all comes to rest."""
    return [[edit(draw(randoms())) for _ in range(draw(st.integers(1, 3)))] for _ in rounds(draw, EDITS)]


@settings(max_examples=200)
@given(history=histories())
def test_what_is_loaded_in_the_end_follows_from_what_is_there_alone(history: list[list[Edit]]) -> None:
    session = Session(Server())
    for edits in history:
        for each in edits:
            each.what.edit(session)
            if each.is_told:
                session.tell()
            if each.asks:
                session.look(is_patient=True)
        session.settle()
        assert (session.server.loaded_networks, set(session.server.loaded_ports)) == session.needed
        assert session.server.of(session.interest.whole_physnets) <= session.server.loaded_networks
