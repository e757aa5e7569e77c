"""Unique keys under concurrent writers, and bulk creation."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.core.error import InvalidValueError
from trunkline.ovsdb.duplicate import FEW
from trunkline.ovsdb.northbound import NetworkSpec, Northbound, NotFoundError, PortSpec, RefusedError
from trunkline.ovsdb.operation import update

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

WRITERS, PORTS_EACH = 8, 125


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


def test_two_ports_of_one_request_may_share_an_address_where_one_says_so(nb: Served) -> None:
    meant = {"allow-duplicate-ip": "true"}
    one, two = a_port(1, addresses=addresses(1, 1)), a_port(2, addresses=addresses(1, 1))
    with Northbound.connect(nb.remote) as northbound:
        with pytest.raises(InvalidValueError, match="two of the ports asked for have"):
            northbound.create([a_network()], [one, two])
        northbound.create([a_network()], [one, a_port(2, addresses=addresses(1, 1), options=meant)])


def _create(northbound: Northbound, count: int) -> None:
    northbound.create(ports=[a_port(10, addresses=addresses(1, count))])


def _set(northbound: Northbound, count: int) -> None:
    northbound.set_port("port1", {"addresses": addresses(1, count)})


@pytest.mark.parametrize("count", [1, MANY])
def test_of_two_writers_who_give_one_address_at_once_one_is_refused(nb: Served, count: int) -> None:
    """One creates a port with it, another gives it to a port that is there."""
    start = Barrier(2)

    def write(give: Callable[[Northbound, int], None]) -> bool:
        with Northbound.connect(nb.remote) as northbound:
            start.wait()
            try:
                give(northbound, count)
            except RefusedError:
                return False
            return True

    with Northbound.connect(nb.remote) as northbound, ThreadPoolExecutor(2) as pool:
        northbound.create([a_network()], [a_port(1)])
        for _ in range(20):
            assert sorted(pool.map(write, (_create, _set))) == [False, True]
            northbound.set_port("port1", {"addresses": []})
            northbound.delete_ports([row["name"] for row in northbound.ports() if row["name"] != "port1"])
