"""The northbound is brought to what Neutron says, beside other writers and rows that cannot be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.neutron.comparison import compare
from trunkline.neutron.desired import Row
from trunkline.neutron.present import OWNED, Scope, watched
from trunkline.neutron.resource import Binding, Port, Resources, Segment
from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import insert, select
from trunkline.northbound.step import Change, Create, Delete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served
    from trunkline.neutron.comparison import Result
    from trunkline.neutron.present import Present

pytestmark = pytest.mark.system


def segment(number: int, **changes: Any) -> Segment:
    return Segment(f"s{number}", f"n{number}", "blue", "vlan", "physnet1", 100 + number)._replace(**changes)


def port(number: int, segment_id: str = "s1", **changes: Any) -> Port:
    bound = Binding("c1", is_active=True, vif_type="ovs", segment_id=segment_id)
    mac = f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}"
    return Port(f"p{number}", mac, "DOWN", bindings=(bound,))._replace(**changes)


class Neutron:
    """What Neutron's database holds; it may be read while another thread changes it."""

    def __init__(self, *rows: Segment | Port) -> None:
        self._rows = {row.id: row for row in rows}
        self._lock = Lock()

    def put(self, *rows: Segment | Port) -> None:
        with self._lock:
            self._rows |= {row.id: row for row in rows}

    def drop(self, *ids: str) -> None:
        with self._lock:
            for id_ in ids:
                del self._rows[id_]

    def read(self) -> Resources:
        with self._lock:
            rows = list(self._rows.values())
        return Resources(
            [row for row in rows if isinstance(row, Segment)], [row for row in rows if isinstance(row, Port)]
        )

    def some(self, scope: Scope) -> Resources:
        """Return what is of *scope*."""
        segments, ports = self.read()
        return Resources(
            [each for each in segments if each.id in scope.segment_ids],
            [each for each in ports if scope.port_ids & {each.id, each.parent_id}],
        )


@pytest.fixture
def client(nb: Served) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as opened:
        opened.transact([insert("Chassis", {"name": name, "hostname": name}) for name in ("c1", "c2")])
        yield opened


def names(client: Northbound) -> set[str]:
    return {row["name"] for row in (*client.networks(), *client.ports())}


def bring(client: Northbound, neutron: Neutron, **options: Any) -> Result:
    """Compare, and see that a second comparison finds nothing to do."""
    result = compare(client, neutron.read, **options)
    assert compare(client, neutron.read).changed == ()
    return result


def test_rows_come_change_and_go(client: Northbound) -> None:
    neutron = Neutron(segment(1), segment(2), port(1), port(2, addresses=("192.0.2.2",)))
    assert len(bring(client, neutron).changed) == 4
    neutron.put(segment(1, segmentation_id=777), port(1, segment_id="s2"))
    assert set(bring(client, neutron).changed) == {Row("Network", "s1"), Row("Port", "p1")}
    assert (client.network("s1")["segmentation_id"], client.port("p1")["network"]) == (777, "s2")
    neutron.drop("s1", "p2")
    assert set(bring(client, neutron).changed) == {Row("Network", "s1"), Row("Port", "p2")}
    assert names(client) == {"s2", "p1"}


def test_two_networks_swap_their_vlans_in_one_transaction(client: Northbound) -> None:
    neutron = Neutron(segment(1), segment(2))
    bring(client, neutron)
    neutron.put(segment(1, segmentation_id=102), segment(2, segmentation_id=101))
    assert not bring(client, neutron).faults
    assert [row["segmentation_id"] for row in client.networks()] == [102, 101]


def test_a_dry_comparison_writes_nothing(client: Northbound) -> None:
    result = compare(client, Neutron(segment(1), port(1)).read, is_dry=True)
    assert (set(result.changed), names(client)) == ({Row("Network", "s1"), Row("Port", "p1")}, set())


def test_rows_and_columns_of_others_are_never_touched(client: Northbound) -> None:
    mine = NetworkSpec(name="mine", network_type="vlan", physical_network="physnet1", segmentation_id=5)
    client.write([Create(mine), Create(PortSpec(name="mine1", network="mine", mac="02:00:00:00:00:01"))])
    neutron = Neutron(segment(1), port(1))
    bring(client, neutron)
    client.write(
        [
            Change("Network", "s1", {"unknown_unicast": "drop"}),
            Change("Port", "p1", {"options": {"announce": "false"}}),
        ]
    )
    assert bring(client, neutron).changed == ()
    neutron.drop("s1", "p1")
    bring(client, neutron)
    assert names(client) == {"mine", "mine1"}


def test_a_vlan_of_an_operators_network_is_a_fault_of_that_segment_and_its_ports_alone(
    client: Northbound,
) -> None:
    taken = NetworkSpec(name="mine", network_type="vlan", physical_network="physnet1", segmentation_id=101)
    client.write([Create(taken)])
    ports = [port(number, segment_id="s1" if number % 2 else "s2") for number in range(20)]
    neutron = Neutron(segment(1), segment(2), *ports)
    result = bring(client, neutron)
    assert "network 'mine' already uses VLAN 101" in result.faults[Row("Network", "s1")]
    refused = {Row("Port", each.id) for each in ports if each.bindings[0].segment_id == "s1"}
    assert result.faults.keys() - {Row("Network", "s1")} == refused
    assert names(client) == {
        "mine",
        "s2",
        *(each.id for each in ports if Row("Port", each.id) not in refused),
    }
    # Known to be refused, they do not stand in the way of others.
    neutron.put(port(50, segment_id="s2"))
    assert bring(client, neutron, doubtful=result.faults).faults.keys() == result.faults.keys()
    client.write([Delete("Network", "mine")])
    assert not bring(client, neutron).faults


def test_no_port_of_neutron_is_written_into_what_somebody_else_has_by_the_same_name(
    client: Northbound,
) -> None:
    theirs = NetworkSpec(name="s1", network_type="vlan", physical_network="physnet1", segmentation_id=5)
    trunk = PortSpec(name="p4", network="s1", mac="02:00:00:00:00:01")
    client.write([Create(theirs), Create(trunk)])
    before = client.networks(), client.ports()
    late = port(5, segment_id="s3", parent_id="p4", parent_vlan=7)
    at_s2 = (port(number, segment_id="s2") for number in (3, 4))
    neutron = Neutron(*map(segment, (1, 2, 3)), port(1), *at_s2, late)
    wrong = {Row("Network", "s1"), Row("Port", "p1"), Row("Port", "p4"), Row("Port", "p5")}
    result = bring(client, neutron)
    assert (set(result.faults), set(result.refused)) == (wrong, wrong)
    assert all("not the driver's" in reason for reason in result.faults.values())
    assert names(client) == {"s1", "p4", "s2", "s3", "p3"}
    # Those who know of one port only leave the rows of others alone, too.
    for alone in ("p1", "p4", "p5"):
        scope = Scope(port_ids=frozenset({alone}), segment_ids=frozenset({"s1", "s2", "s3"}))
        faults = compare(client, lambda scope=scope: neutron.some(scope), scope).faults  # type: ignore[misc]
        assert faults.keys() == {Row("Network", "s1"), Row("Port", alone)} | (
            {Row("Port", "p5")} if alone == "p4" else set()
        )
    assert (client.network("s1"), client.port("p4")) == (before[0][0], before[1][0])
    client.write([Delete("Port", "p4"), Delete("Network", "s1")])
    assert not bring(client, neutron).faults


def test_a_network_that_is_no_longer_the_drivers_keeps_its_ports_and_gets_no_other(
    client: Northbound,
) -> None:
    neutron = Neutron(segment(1), port(1))
    bring(client, neutron)
    client.write([Change("Network", "s1", {"external_ids": {}})])
    neutron.put(port(2), segment(1, segmentation_id=777))
    wrong = {Row("Network", "s1"), Row("Port", "p1"), Row("Port", "p2")}
    assert bring(client, neutron).faults.keys() == wrong
    assert (names(client), client.network("s1")["segmentation_id"]) == ({"s1", "p1"}, 101)
    neutron.drop("p1", "p2")
    assert bring(client, neutron).faults.keys() == {Row("Network", "s1")}
    assert names(client) == {"s1"}


def test_one_port_that_the_northbound_refuses_keeps_no_other_out(client: Northbound) -> None:
    neutron = Neutron(segment(1), *(port(number) for number in range(40)))
    bring(client, neutron)
    # Somebody else's port has the address that Neutron gives to another one now.
    client.write(
        [Create(PortSpec(name="alien", network="s1", mac="02:00:00:00:00:09", addresses=("192.0.2.9",)))]
    )
    neutron.put(port(7, addresses=("192.0.2.9",)), port(8, addresses=("192.0.2.8",)))
    result = bring(client, neutron)
    assert result.faults.keys() == {Row("Port", "p7")}
    assert client.port("p8")["addresses"] == ["192.0.2.8"]


def test_a_scope_leaves_all_other_rows_alone(client: Northbound) -> None:
    neutron = Neutron(
        segment(1), segment(2), port(1), port(2), port(3, parent_id="p1", parent_vlan=3, segment_id="s2")
    )
    bring(client, neutron)
    neutron.drop("p1", "p2", "p3", "s2")
    scope = Scope(port_ids=frozenset({"p1"}), segment_ids=frozenset({"s1"}))
    assert set(compare(client, lambda: neutron.some(scope), scope).changed) == {
        Row("Port", "p1"),
        Row("Port", "p3"),
    }
    assert names(client) == {"s1", "s2", "p2"}
    scope = Scope(network_ids=frozenset({"n2"}), segment_ids=frozenset({"s2"}))
    assert compare(client, lambda: neutron.some(scope), scope).changed == (Row("Network", "s2"),)
    assert names(client) == {"s1", "p2"}


def test_what_is_watched_may_be_old_when_it_is_compared(client: Northbound) -> None:
    neutron = Neutron(segment(1), port(1), port(2))
    bring(client, neutron)
    asked = [select(table, only=("name", *columns)) for table, columns in OWNED.items()]
    with client.watch(*asked, select("Chassis", only=("name", "hostname", "ready_ports"))) as watch:
        watch.changes(1)
        looks: list[int] = []

        def look(scope: Scope | None) -> Present:
            if looks:
                watch.changes(1)
            looks.append(len(looks))
            return watched(watch.rows, scope)

        assert compare(client, neutron.read, look=look).changed == ()
        client.write([Delete("Port", "p2"), Change("Port", "p1", {"mac": "02:00:00:00:00:01"})])
        neutron.put(port(1, is_enabled=False))
        looks.clear()
        assert compare(client, neutron.read, look=look).changed == (Row("Port", "p1"), Row("Port", "p2"))
    assert looks == [0, 1]
    assert [client.port(name)["mac"] for name in ("p1", "p2")] == [port(1).mac, port(2).mac]


WRITERS, ROUNDS = 8, 12


def test_a_scope_that_names_too_few_segments_is_widened(client: Northbound) -> None:
    neutron = Neutron(segment(1), segment(2), port(1), port(2, "s2", parent_id="p1", parent_vlan=7))
    compare(client, neutron.read)
    neutron.put(segment(2, mtu=1400))
    # The caller knows of the trunk's network, and Neutron of that of its sub-port.
    scope = Scope(port_ids=frozenset({"p1"}), segment_ids=frozenset({"s1"}))
    result = compare(client, neutron.read, scope)
    assert (result.changed, result.faults) == ((Row("Network", "s2"),), {})
    assert client.network("s2")["mtu"] == 1400


def test_writers_at_one_port_leave_it_as_neutron_says_in_the_end(nb: Served, client: Northbound) -> None:
    neutron = Neutron(segment(1), port(1))
    bring(client, neutron)
    scope = Scope(port_ids=frozenset({"p1"}), segment_ids=frozenset({"s1"}))

    def write(writer: int) -> None:
        with Northbound.connect(nb.remote) as own:
            # As after each commit: Neutron's database first, and then whatever it says.
            neutron.put(port(1, mac=f"fa:16:3e:00:01:{writer:02x}"))
            compare(own, lambda: neutron.some(scope), scope)

    with ThreadPoolExecutor(WRITERS) as pool:
        for round_ in range(ROUNDS):
            list(pool.map(write, range(round_ * WRITERS, (round_ + 1) * WRITERS)))
            (_, (now,)) = neutron.read()
            assert client.port("p1")["mac"] == now.mac


def test_of_what_is_watched_a_scope_has_its_ports_and_their_trunks_with_all_networks(
    client: Northbound,
) -> None:
    bring(
        client,
        Neutron(
            *(segment(1), segment(2), port(1), port(2)),
            port(3, parent_id="p1", parent_vlan=3, segment_id="s2"),
        ),
    )
    asked = [select(table, only=("name", *columns)) for table, columns in OWNED.items()]
    with client.watch(*asked, select("Chassis", only=("name", "hostname", "ready_ports"))) as watch:
        watch.changes(1)
        networks = {Row("Network", "s1"), Row("Network", "s2")}
        for scope, ports in (
            (Scope(port_ids=frozenset({"p2"})), {"p2"}),
            (Scope(port_ids=frozenset({"p1"})), {"p1", "p3"}),
            (Scope(port_ids=frozenset({"p3"}), parent_ids=frozenset({"p1"})), {"p1", "p3"}),
        ):
            found = watched(watch.rows, scope).own.keys()
            assert found == networks | {Row("Port", name) for name in ports}
