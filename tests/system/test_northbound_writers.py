"""Unique keys under concurrent writers, and bulk creation."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.core.error import InvalidValueError
from trunkline.northbound.client import NetworkSpec, Northbound, NotFoundError, PortSpec, RefusedError
from trunkline.northbound.duplicate import FEW
from trunkline.northbound.operation import update

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served
    from trunkline.northbound.operation import Operation

pytestmark = pytest.mark.system

WRITERS, PORTS_EACH = 8, 125
RACES = 20


def a_network(name: str = "web", **changes: Any) -> NetworkSpec:
    return NetworkSpec(**({"name": name, "network_type": "flat", "physical_network": name} | changes))


def a_port(number: int, **changes: Any) -> PortSpec:
    mac = (0x020000000000 + number).to_bytes(6, "big").hex(":")
    return PortSpec(**({"name": f"port{number}", "network": "web", "mac": mac} | changes))


def _write(remote: str, writer: int, barrier: Any) -> None:
    with Northbound.connect(remote) as northbound:
        barrier.wait()
        for number in range(writer * PORTS_EACH, (writer + 1) * PORTS_EACH):
            northbound.create(ports=[a_port(number)])


def test_eight_writers_create_a_thousand_ports_with_no_key_twice_and_none_lost(nb: Served) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WRITERS)
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()])
        writers = [context.Process(target=_write, args=(nb.remote, n, barrier)) for n in range(WRITERS)]
        for process in writers:
            process.start()
        for process in writers:
            process.join(100)
        assert [process.exitcode for process in writers] == [0] * WRITERS
        ports = northbound.ports()
    assert {port["name"] for port in ports} == {f"port{n}" for n in range(WRITERS * PORTS_EACH)}
    assert {port["unique_key"] for port in ports} == set(range(1, WRITERS * PORTS_EACH + 1))


def test_many_rows_are_created_in_one_transaction_networks_and_their_ports_together(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()], [a_port(number) for number in range(2000)])
        assert northbound.row_counts() == {"Network": 1, "Port": 2000, "Chassis": 0}
        northbound.create([a_network("db")], [a_port(2000, network="db")])
        assert northbound.port("port2000")["unique_key"] == 2001


def test_of_many_rows_all_are_created_or_none(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()], [a_port(7)])
        with pytest.raises(
            RefusedError, match="port 'port7' already has MAC 02:00:00:00:00:07 in network 'web'"
        ):
            northbound.create([a_network("db")], [a_port(number, name=f"vm{number}") for number in range(20)])
        assert northbound.row_counts() == {"Network": 1, "Port": 1, "Chassis": 0}


def test_a_key_counter_that_was_set_back_is_named_and_no_key_is_given_twice(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()], [a_port(1)])
        northbound.transact([update("NB_Global", row={"next_port_key": 1})])
    with (
        Northbound.connect(nb.remote) as northbound,
        pytest.raises(
            RefusedError, match="key 1 is that of port 'port1': NB_Global:next_port_key was set back"
        ),
    ):
        northbound.create(ports=[a_port(2)])


def test_a_network_deleted_under_a_writer_is_not_found(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()])
        northbound.delete_networks(["web"])
        with pytest.raises(NotFoundError, match="no network is called 'web'"):
            northbound.create(ports=[a_port(1)])


def addresses(first: int, count: int) -> tuple[str, ...]:
    return tuple(f"10.0.{number >> 8}.{number & 255}" for number in range(first, first + count))


MANY = FEW + 1


@pytest.mark.parametrize("count", [1, MANY])
def test_an_address_that_another_port_of_the_network_has_is_refused_among_few_and_many(
    nb: Served, count: int
) -> None:
    own, free = addresses(1, count), addresses(300, count)
    with Northbound.connect(nb.remote) as northbound:
        northbound.create(
            [a_network(), a_network("db")], [a_port(1, addresses=own), a_port(2, network="db", addresses=own)]
        )
        with pytest.raises(RefusedError, match=f"port 'port1' of the same network already has {own[-1]}"):
            northbound.create(ports=[a_port(3, addresses=(*free, own[-1]))])
        northbound.create(ports=[a_port(3, addresses=free)])
        with pytest.raises(RefusedError, match="port 'port1' of the same network already has"):
            northbound.set_port("port3", {"addresses": [*free[1:], *own]})
        with pytest.raises(RefusedError, match="port 'port1' of the same network already has"):
            northbound.set_port("port2", {"network": "web"})
        northbound.set_port("port3", {"addresses": own, "options": {"allow-duplicate-ip": "true"}})
        assert northbound.port("port3")["addresses"] == sorted(own)


@pytest.mark.parametrize("count", [1, MANY])
def test_two_ports_have_one_address_if_either_allows_it_whichever_comes_first(nb: Served, count: int) -> None:
    own, meant = addresses(1, count), {"allow-duplicate-ip": "true"}
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()], [a_port(1, addresses=own, options=meant)])
        northbound.create(ports=[a_port(2, addresses=own)])
        northbound.create(ports=[a_port(3, addresses=own, options=meant)])
        with pytest.raises(RefusedError, match="port 'port2' of the same network already has"):
            northbound.create(ports=[a_port(4, addresses=own)])
        with pytest.raises(RefusedError, match="port 'port2' of the same network already has"):
            northbound.set_port("port1", {"options": {"allow-duplicate-ip": ""}})


@pytest.mark.parametrize("count", [1, MANY])
def test_of_two_that_want_an_address_for_themselves_at_once_one_is_refused(nb: Served, count: int) -> None:
    """One creates a port with it, another takes back that a port that is there allows others."""
    own, meant = addresses(1, count), {"allow-duplicate-ip": "true"}
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()], [a_port(1, addresses=own, options=meant)])
        for _ in range(RACES):
            done = race(
                nb.remote,
                lambda northbound: northbound.create(ports=[a_port(2, addresses=own)]),
                lambda northbound: northbound.set_port("port1", {"options": {"allow-duplicate-ip": ""}}),
            )
            assert sorted(done) == [False, True]
            northbound.set_port("port1", {"options": meant})
            if northbound.row_counts()["Port"] > 1:
                northbound.delete_ports(["port2"])


def test_many_networks_addresses_are_looked_for_at_once(nb: Served) -> None:
    names = [f"net{number}" for number in range(MANY)]
    with Northbound.connect(nb.remote) as northbound:
        first = [a_port(n, network=name, addresses=addresses(7, 1)) for n, name in enumerate(names)]
        northbound.create([a_network(name) for name in names], first)
        more = [a_port(50 + n, network=name, addresses=addresses(8, 1)) for n, name in enumerate(names)]
        with pytest.raises(RefusedError, match="port 'port3' of the same network already has"):
            northbound.create(ports=[*more, a_port(99, network="net3", addresses=addresses(7, 1))])
        northbound.create(ports=more)
        assert northbound.row_counts()["Port"] == 2 * MANY


def test_two_ports_of_one_request_may_share_an_address_if_one_says_so(nb: Served) -> None:
    meant = {"allow-duplicate-ip": "true"}
    one, two = a_port(1, addresses=addresses(1, 1)), a_port(2, addresses=addresses(1, 1))
    with Northbound.connect(nb.remote) as northbound:
        with pytest.raises(InvalidValueError, match="two of the ports asked for have"):
            northbound.create([a_network()], [one, two])
        northbound.create([a_network()], [one, a_port(2, addresses=addresses(1, 1), options=meant)])


Give = Callable[[Northbound], None]


def race(remote: str, *writes: Give) -> list[bool]:
    """Let each of *writes* be done at once, over a connection of its own; return which were not refused."""
    start = Barrier(len(writes))

    def is_done(write: Give) -> bool:
        with Northbound.connect(remote) as northbound:
            start.wait()
            try:
                write(northbound)
            except RefusedError:
                return False
            return True

    with ThreadPoolExecutor(len(writes)) as pool:
        return list(pool.map(is_done, writes))


@pytest.mark.parametrize("count", [1, MANY])
def test_one_of_two_writers_that_give_one_address_at_once_is_refused(nb: Served, count: int) -> None:
    """One creates a port with it, another gives it to a port that is there."""
    own = addresses(1, count)
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network()], [a_port(1)])
        for _ in range(RACES):
            done = race(
                nb.remote,
                lambda its: its.create(ports=[a_port(10, addresses=own)]),
                lambda its: its.set_port("port1", {"addresses": own}),
            )
            assert sorted(done) == [False, True]
            northbound.set_port("port1", {"addresses": []})
            northbound.delete_ports([row["name"] for row in northbound.ports() if row["name"] != "port1"])


def test_one_of_two_writers_that_give_one_tag_of_a_trunk_at_once_is_refused(nb: Served) -> None:
    networks = [a_network(name) for name in ("web", "db", "app")]
    with Northbound.connect(nb.remote) as northbound:
        northbound.create(networks, [a_port(1), a_port(2, network="db")])
        for _ in range(RACES):
            done = race(
                nb.remote,
                lambda its: its.create(ports=[a_port(3, network="app", parent="port1", parent_vlan=7)]),
                lambda its: its.set_port("port2", {"parent": "port1", "parent_vlan": 7}),
            )
            assert sorted(done) == [False, True]
            northbound.set_port("port2", {"parent": None})
            northbound.delete_ports([row["name"] for row in northbound.ports() if row["name"] == "port3"])


def test_a_parent_that_is_deleted_while_it_gets_a_sub_port_leaves_no_orphan(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([a_network(), a_network("db")])
        for _ in range(RACES):
            northbound.create(ports=[a_port(1)])
            done = race(
                nb.remote,
                lambda its: its.create(ports=[a_port(2, network="db", parent="port1", parent_vlan=7)]),
                lambda its: its.delete_ports(["port1"]),
            )
            assert sorted(done) == [False, True]
            northbound.delete_ports([row["name"] for row in northbound.ports()])


class Watched(Northbound):
    """A connection that counts how often the database has to look through a whole table."""

    looks = 0

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        asked = (operation for operation in operations if operation["op"] != "insert")
        self.looks += sum("_uuid" not in [column for column, *_ in each.get("where", ())] for each in asked)
        return super().transact(operations)


def test_many_rows_cost_the_database_as_many_looks_as_a_few(nb: Served) -> None:
    """A look at a whole table for each row kept it busy for 16 s with 4,000 sub-ports."""

    def looks(count: int) -> int:
        names = [f"net{number}" for number in range(count)]
        subs = [
            a_port(
                number + 1, network=name, parent="port0", parent_vlan=number + 1, addresses=addresses(1, 1)
            )
            for number, name in enumerate(names)
        ]
        with Watched.connect(nb.remote) as northbound:
            assert isinstance(northbound, Watched)
            northbound.create([a_network(), *(a_network(name) for name in names)], [a_port(0)])
            northbound.create(ports=subs)
            northbound.delete_ports(["port0", *(spec.name for spec in subs)])
            northbound.delete_networks(["web", *names])
            return northbound.looks

    assert looks(4 * MANY) == looks(MANY)
