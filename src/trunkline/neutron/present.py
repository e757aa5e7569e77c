"""What the northbound holds now of the rows that the driver makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.neutron.desired import SET_NAME, Row
from trunkline.neutron.host import Hosts
from trunkline.northbound.operation import select
from trunkline.northbound.schema import SET

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trunkline.northbound.client import Northbound

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

    *segment_ids* are all segments of those networks, and of the networks of those ports.
    """

    network_ids: frozenset[str] = frozenset()
    port_ids: frozenset[str] = frozenset()
    segment_ids: frozenset[str] = frozenset()


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
    rows_by_name = {Row("Network", row["name"]): row for row in networks.values()}
    for row in ports:
        if row["network"] in networks:
            row["network"] = networks[row["network"]]["name"]
            rows_by_name[Row("Port", row["name"])] = row
    own = {row: value for row, value in rows_by_name.items() if value["external_ids"].get(SET) == SET_NAME}
    others = {row: value for row, value in rows_by_name.items() if row not in own}
    known = {row["name"] for row in chassis}
    return Present(own, others, Hosts([*chassis, *(row for row in expected if row["name"] not in known)]))
