"""What a chassis loads of a real northbound, while rows and VIFs change faster than the server answers."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Any

import ovs.poller
import pytest

from trunkline.northbound.rpc import Rpc
from trunkline.northbound.schema import DATABASE
from trunkline.ovsdb.interest import MANY_NETWORKS
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.runtime.private import data_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

CHASSIS = "c1"
NETWORKS = [f"net{number}" for number in range(4)]
PORTS = [f"p{number}" for number in range(10)]
PARENTS = PORTS[:3]
TIMEOUT_S = 60.0

Row = dict[str, Any]


class Database:
    """The northbound, written and read past the program's own rules."""

    def __init__(self, remote: str) -> None:
        self.rpc = Rpc.connect(remote, TIMEOUT_S)
        self.keys = iter(range(1, 1 << 20))
        self.cfg = 0

    def transact(self, *operations: Row) -> list[Any]:
        results: list[Any] = self.rpc.request("transact", [DATABASE, *operations], TIMEOUT_S)
        assert not any("error" in (result or {}) for result in results), results
        return results

    def rows(self, table: str, columns: list[str]) -> list[Row]:
        found: list[Row] = self.transact({"op": "select", "table": table, "where": [], "columns": columns})[
            0
        ]["rows"]
        return found

    def add_network(self, name: str, vlan_id: int) -> None:
        row = {"name": name, "unique_key": vlan_id, "network_type": "vlan", "physical_network": "physnet1"}
        self.transact({"op": "insert", "table": "Network", "row": row | {"segmentation_id": vlan_id}})

    def edit(self, random: Random) -> None:
        """Turn a network from explicit to learned or back, or replace, change or delete a port."""
        if random.random() < 0.2:
            row: Row = {"remote_ports": random.choice(["explicit", "learned"])}
            where = [["name", "==", random.choice(NETWORKS)]]
            self.transact({"op": "update", "table": "Network", "where": where, "row": row})
            return
        name, key = random.choice(PORTS), next(self.keys)
        is_there = any(row["name"] == name for row in self.rows("Port", ["name"]))
        network_id = {row["name"]: row["_uuid"] for row in self.rows("Network", ["name", "_uuid"])}
        row = {
            "network": network_id[random.choice(NETWORKS)],
            "mac": (0x020000000000 + key).to_bytes(6).hex(":"),
            "parent": random.choice([["set", []], ["set", []], *PARENTS]),
            "chassis": random.choice([["set", []], CHASSIS, "c2"]),
        }
        where = [["name", "==", name]]
        delete = {"op": "delete", "table": "Port", "where": where}
        insert = {"op": "insert", "table": "Port", "row": row | {"name": name, "unique_key": key}}
        if not is_there:
            self.transact(insert)
        else:
            update = {"op": "update", "table": "Port", "where": where, "row": row}
            self.transact(*random.choice([(delete,), (delete, insert), (update,)]))

    def needed(self, vifs: set[str]) -> tuple[set[str], set[str]]:
        """Return the networks and the ports that a chassis with *vifs* needs, by their names."""
        networks = {row["_uuid"][1]: row for row in self.rows("Network", ["_uuid", "name", "remote_ports"])}
        ports = self.rows("Port", ["name", "network", "parent", "chassis"])
        carried = [
            port for port in ports if (port["parent"] if port["parent"] in PORTS else port["name"]) in vifs
        ]
        network_ids = {port["network"][1] for port in carried}
        whole_ids = {id_ for id_ in network_ids if networks[id_]["remote_ports"] != "learned"}
        names = {port["name"] for port in carried} | {port["name"] for port in ports if port["name"] in vifs}
        names |= {p["name"] for p in ports if p["chassis"] == CHASSIS or p["network"][1] in whole_ids}
        return {networks[id_]["name"] for id_ in network_ids}, names

    def ask_for_a_sign(self) -> int:
        """Change what every chassis sees; return its new value: anyone who sees it saw all before it."""
        self.cfg += 1
        self.transact({"op": "update", "table": "NB_Global", "where": [], "row": {"nb_cfg": self.cfg}})
        return self.cfg


@pytest.fixture
def database(nb: Served) -> Iterator[Database]:
    database = Database(nb.remote)
    for number, name in enumerate(NETWORKS):
        database.add_network(name, 101 + number)
    yield database
    database.rpc.close()


@pytest.fixture
def replica(nb: Served) -> Iterator[NorthboundReplica]:
    replica = NorthboundReplica(nb.remote, CHASSIS)
    yield replica
    replica.close()


def go_on(replica: NorthboundReplica) -> bool:
    """Take in what the server sent and ask for what follows; return whether that was all."""
    replica.changes(replica.run())
    return replica.is_synced and replica.are_conditions_met and not replica.request_rows()


def settle(replica: NorthboundReplica, cfg: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not (go_on(replica) and replica.nb_cfg == cfg):
        assert time.monotonic() < deadline, "the rows that are needed were not all loaded"
        poller = ovs.poller.Poller()
        replica.wait(poller)
        poller.timer_wait(1000)
        poller.block()


def loaded(replica: NorthboundReplica) -> tuple[set[str], set[str]]:
    networks, ports = (
        {str(data_of(row).one("name")) for row in replica.rows(table).values()}
        for table in ("Network", "Port")
    )
    return networks, ports


@pytest.mark.parametrize("seed", range(3))
def test_what_is_loaded_in_the_end_is_what_the_vifs_need(
    database: Database, replica: NorthboundReplica, seed: int
) -> None:
    random = Random(seed)
    vifs: set[str] = set()
    for _ in range(60):
        for _ in range(random.randint(1, 6)):
            if random.random() < 0.4:
                name = random.choice(PORTS)
                vifs ^= {name}
                replica.set_vif(name, is_here=name in vifs)
            else:
                database.edit(random)
            for _ in range(random.randrange(3)):
                go_on(replica)
        settle(replica, database.ask_for_a_sign())
        assert loaded(replica) == database.needed(vifs)


def test_a_vif_whose_network_is_loaded_goes_and_comes_back_without_a_message(
    database: Database, replica: NorthboundReplica
) -> None:
    random = Random(0)
    while len(database.rows("Port", ["name"])) < len(PORTS):
        database.edit(random)
    everywhere = {"parent": ["set", []], "network": database.rows("Network", ["_uuid"])[0]["_uuid"]}
    database.transact({"op": "update", "table": "Port", "where": [], "row": everywhere})
    database.transact({"op": "update", "table": "Network", "where": [], "row": {"remote_ports": "explicit"}})
    for name in PORTS[:2]:
        replica.set_vif(name, is_here=True)
    settle(replica, database.ask_for_a_sign())
    assert loaded(replica)[1] == set(PORTS)
    for is_here in (False, True):
        replica.set_vif(PORTS[0], is_here=is_here)
        assert not replica.request_rows()
        assert replica.are_conditions_met


def test_the_ports_of_many_networks_come_in_two_parts_and_none_goes_meanwhile(
    database: Database, replica: NorthboundReplica
) -> None:
    names = [f"many{number}" for number in range(2 * MANY_NETWORKS)]
    for number, name in enumerate(names):
        database.add_network(name, 201 + number)
    id_by_name = {row["name"]: row["_uuid"] for row in database.rows("Network", ["name", "_uuid"])}
    for number, name in enumerate(names):
        for host in ("here", "there"):
            key = next(database.keys)
            mac = (0x020000000000 + key).to_bytes(6).hex(":")
            row = {"name": f"{host}{number}", "unique_key": key, "network": id_by_name[name], "mac": mac}
            database.transact({"op": "insert", "table": "Port", "row": row})
        replica.set_vif(f"here{number}", is_here=True)
    cfg, most = database.ask_for_a_sign(), 0
    deadline = time.monotonic() + TIMEOUT_S
    while not (go_on(replica) and replica.nb_cfg == cfg):
        assert time.monotonic() < deadline
        ports = loaded(replica)[1]
        assert len(ports) >= most, "a port went and has to come again"
        most = len(ports)
        poller = ovs.poller.Poller()
        replica.wait(poller)
        poller.timer_wait(1000)
        poller.block()
    assert loaded(replica)[1] == {
        f"{host}{number}" for host in ("here", "there") for number in range(len(names))
    }
