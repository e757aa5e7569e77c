"""What the northbound holds now of the rows that the driver makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.neutron.desired import SET_NAME, Row
from trunkline.neutron.host import Hosts
from trunkline.northbound.operation import select
from trunkline.northbound.schema import SET

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.watch import Rows

OWNED = {
    "Network": (
        *("network_type", "physical_network", "segmentation_id", "mtu", "vlan_transparent"),
        "external_ids",
    ),
    "Port": (
        *("network", "mac", "addresses", "enabled", "port_security", "allowed_address_pairs"),
        *("requested_chassis", "parent", "parent_vlan", "external_ids"),
    ),
}
"""The columns that the driver writes; of the others, operators and chassis decide."""


class Scope(NamedTuple):
    """Of which of Neutron's networks and ports the rows are compared.

    *segment_ids* are all segments of those networks, and of the networks of those ports. *parent_ids* are
    the ports of trunks that those ports are on; their rows are only looked at.
    """

    network_ids: frozenset[str] = frozenset()
    port_ids: frozenset[str] = frozenset()
    segment_ids: frozenset[str] = frozenset()
    parent_ids: frozenset[str] = frozenset()


class Present(NamedTuple):
    """What the northbound holds: rows of the driver, rows of others with the same names, and the hosts.

    A port's `network` is the network's name.
    """

    own: Mapping[Row, Mapping[str, Any]]
    others: Mapping[Row, Mapping[str, Any]]
    hosts: Hosts


def read(nb: Northbound, scope: Scope | None, expected: Collection[Mapping[str, Any]] = ()) -> Present:
    """Return the rows of *scope*, all for None, and their networks; chassis *expected* count, too."""
    columns = {
        "Network": ("_uuid", "name", *OWNED["Network"]),
        "Port": ("name", "up", "chassis", *OWNED["Port"]),
    }
    if scope is None:
        asked = [select(table, only=only) for table, only in columns.items()]
    else:
        asked = [
            *(select("Network", ("name", "==", id_), only=columns["Network"]) for id_ in scope.segment_ids),
            *(
                select("Port", (column, "==", id_), only=columns["Port"])
                for id_ in scope.port_ids
                for column in ("name", "parent")
            ),
            *(select("Port", ("name", "==", id_), only=columns["Port"]) for id_ in scope.parent_ids),
        ]
    chassis, *found = nb.read(select("Chassis", only=("name", "hostname", "ready_ports")), *asked)
    rows_by_table: dict[str, list[dict[str, Any]]] = {"Network": [], "Port": []}
    for question, rows in zip(asked, found, strict=True):
        rows_by_table[question["table"]] += rows
    networks = {row["_uuid"]: row for row in rows_by_table["Network"]}
    ports = rows_by_table["Port"]
    missing = {row["network"] for row in ports} - networks.keys()
    if missing:
        wanted = (select("Network", ("_uuid", "==", id_), only=columns["Network"]) for id_ in sorted(missing))
        networks |= {row["_uuid"]: row for rows in nb.read(*wanted) for row in rows}
    known = {row["name"] for row in chassis}
    hosts = Hosts([*chassis, *(row for row in expected if row["name"] not in known)])
    return _present(networks, ((row["name"], row) for row in ports), hosts)


def watched(rows: Rows, scope: Scope | None = None) -> Present:
    """Return what *rows* hold, all of the northbound as a watch has it; of ports, the columns in `OWNED`.

    Of ports, those of *scope* and those that they are on, all for None. With 10,000 ports that takes 0.1 s of
    CPU less than to read them, and 11 MB less of memory; to look for some among them takes 1 ms.
    """
    ids = None if scope is None else scope.port_ids | scope.parent_ids
    ports = (
        (row["name"], {column: row[column] for column in OWNED["Port"]})
        for row in rows["Port"].values()
        if ids is None or row["name"] in ids or row["parent"] in ids
    )
    return _present(rows["Network"], ports, Hosts(rows["Chassis"].values()))


def _present(
    networks: Mapping[Any, Mapping[str, Any]], ports: Iterable[tuple[str, dict[str, Any]]], hosts: Hosts
) -> Present:
    """Return what there is; *networks* are by UUID, as *ports* name them."""
    rows_by_name: dict[Row, Mapping[str, Any]] = {
        Row("Network", row["name"]): row for row in networks.values()
    }
    for name, row in ports:
        if row["network"] in networks:
            row["network"] = networks[row["network"]]["name"]
            rows_by_name[Row("Port", name)] = row
    own = {row: value for row, value in rows_by_name.items() if value["external_ids"].get(SET) == SET_NAME}
    others = {row: value for row, value in rows_by_name.items() if row not in own}
    return Present(own, others, hosts)
