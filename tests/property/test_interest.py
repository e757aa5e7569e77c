"""Whatever comes and goes, a chassis ends with just the rows that it needs, and asks for none twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.ovsdb.interest import Carried, Clause, Interest

CHASSIS = "c1"
SEEDS = st.integers(0, 2**48)
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

    @property
    def carried(self) -> Carried:
        return Carried(self.parent or self.name, self.name, self.network_id)

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
        self.interest.take_vif(name, is_here=name in self.vifs)

    def settle(self) -> None:
        """Tell the interest what is loaded, and the server what to load, until neither has news."""
        for _ in range(20):
            self.tell()
            if not self.look():
                assert not self.interest.has_put_off
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
            self.interest.take_network(network_id, is_explicit=is_explicit, whole_physnet=whole)
        for port_id in ports.keys() | self.told_ports:
            row = ports.get(port_id)
            self.interest.take_port(port_id, row.carried if row else None)
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
        reachable = [row for row in rows if row.carried.carrier in self.vifs or row.name in self.vifs]
        networks = {row.network_id for row in reachable if row.carried.carrier in self.vifs}
        ports = {
            row.id
            for row in rows
            if row.chassis == CHASSIS or row.network_id in networks & self.server.explicit_ids
        }
        whole = (self.server.physnet_by_id[id_] for id_ in networks & self.server.open_ids)
        return networks | self.server.of(whole), ports | {row.id for row in reachable}


def edit(random: Random, session: Session) -> None:
    """Change one thing: a VIF, a port or a network."""
    server = session.server
    kind = random.randrange(5)
    if kind == 4:
        server.open_ids ^= {random.choice(NETWORK_IDS)}
        server.physnet_by_id[random.choice(NETWORK_IDS)] = random.choice(PHYSNETS)
    elif kind == 0:
        server.explicit_ids ^= {random.choice(NETWORK_IDS)}
    elif kind == 1:
        session.plug(random.choice(NAMES))
    else:
        name = random.choice(NAMES)
        old = server.ports.pop(name, None)
        if old is None or random.random() < 0.7:
            server.ports[name] = PortRow(
                old.id if old and random.random() < 0.7 else UUID(int=random.getrandbits(64)),
                name,
                random.choice(NETWORK_IDS),
                random.choice([None, None, *NAMES[:3]]),
                random.choice([None, CHASSIS, "c2"]),
            )


@settings(max_examples=200)
@given(SEEDS)
def test_what_is_loaded_in_the_end_follows_from_what_is_there_alone(seed: int) -> None:
    random = Random(seed)
    session = Session(Server())
    for _ in range(EDITS):
        for _ in range(random.randint(1, 3)):
            edit(random, session)
            if random.random() < 0.3:
                session.tell()
            if random.random() < 0.3:
                session.look(is_patient=True)
        session.settle()
        assert (session.server.loaded_networks, set(session.server.loaded_ports)) == session.needed
        assert session.server.of(session.interest.whole_physnets) <= session.server.loaded_networks
