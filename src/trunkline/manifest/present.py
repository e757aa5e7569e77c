"""The present rows of the northbound, at one moment, with which a manifest is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.spelling import meant
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import NotFoundError, no_such
from trunkline.northbound.schema import SET

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from trunkline.manifest.wanted import Wanted
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.conflict import Written
    from trunkline.northbound.operation import Condition, Operation, Row

FEW = 20
"""How many ports are looked for one by one: a look at a port costs the server 0.4 µs, to read one 10."""


_COMPARED = ("name", "network", "mac", "addresses", "iface_id", "parent", "parent_vlan", "options")


class Present(NamedTuple):
    """All networks, and the ports that were asked for or all of them, by name.

    A port's `network` is a name, too.
    """

    networks: Mapping[str, Row]
    ports: Mapping[str, Row]
    has_all_ports: bool

    def rows(self, table: str) -> Mapping[str, Row]:
        """Return the rows of *table*."""
        return self.networks if table == "Network" else self.ports


def present(nb: Northbound, wanted: Collection[Wanted], pruned: str | None = None) -> Present:
    """Return what there is of *wanted*, and of the set *pruned*."""
    names = [row.name for row in wanted if row.table == "Port"]
    if len(names) > FEW:
        return _present(nb, [select("Port")], has_all_ports=True)
    selects = [select("Port", ("name", "==", name)) for name in names]
    if pruned is not None:
        selects.append(select("Port", ("external_ids", "includes", {SET: pruned})))
    return _present(nb, selects, has_all_ports=False)


def widened(nb: Northbound, there: Present, written: Iterable[Written], gone: Collection[str]) -> Present:
    """Return *there*, and all other ports that may be in the way of those *written*, or of those *gone*.

    Of ports that *there* does not have, only what rows are compared by is read.
    """
    if there.has_all_ports:
        return there
    conditions: set[Condition] = {("parent", "==", name) for name in gone}
    for _, row in written:
        names = {row["iface_id"], row["parent"]} - {None}
        conditions |= {("name", "==", name) for name in names}
        conditions |= {("iface_id", "==", name) for name in (row["name"], row["iface_id"]) if name}
        conditions |= {("parent", "==", name) for name in (row["name"], row["parent"]) if name}
        conditions |= {("addresses", "includes", (address,)) for address in row["addresses"]}
        if row["mac"]:
            conditions.add(("mac", "==", row["mac"]))
    if not conditions:
        return there
    selects = [select("Port", each, only=_COMPARED) for each in sorted(conditions)]
    if len(selects) > FEW:
        selects = [select("Port", only=_COMPARED)]
    more = _present(nb, selects, has_all_ports=False)
    return there._replace(ports={**more.ports, **there.ports})


def chosen(nb: Northbound, set_: str | None, network: str | None) -> Present:
    """Return the networks and ports of the set *set_*, and of the network *network*; all where None.

    Raises:
        NotFoundError: there is no such network, or no row of that set.
    """
    there = _present(nb, [select("Port")], has_all_ports=True)
    if network is not None and network not in there.networks:
        raise no_such("Network", network)
    sets = {set_of(row) for rows in (there.networks, there.ports) for row in rows.values()} - {None}
    if set_ is not None and set_ not in sets:
        hint = meant(set_, [str(each) for each in sets]) if sets else "no row is in any set"
        raise NotFoundError(f"no row is in set {set_!r}; {hint}")

    def is_chosen(row: Row, of: str) -> bool:
        return set_ in (None, set_of(row)) and network in (None, of)

    return there._replace(
        networks={name: row for name, row in there.networks.items() if is_chosen(row, name)},
        ports={name: row for name, row in there.ports.items() if is_chosen(row, row["network"])},
    )


def _present(nb: Northbound, selects: Iterable[Operation], *, has_all_ports: bool) -> Present:
    networks, *found = nb.read(select("Network"), *selects)
    names = {row["_uuid"]: row["name"] for row in networks}
    ports = {row["name"]: row for rows in found for row in rows}
    for row in ports.values():
        row["network"] = names[row["network"]]
    return Present({row["name"]: row for row in networks}, ports, has_all_ports)


def ports_in(nb: Northbound, there: Present, networks: Collection[str]) -> Iterator[Row]:
    """Yield the name, network, chassis and `up` of each port of *networks*, which are there."""
    if not networks:
        return
    if there.has_all_ports:
        yield from (row for row in there.ports.values() if row["network"] in networks)
        return
    name_by_id = {there.networks[name]["_uuid"]: name for name in networks}
    only = ("name", "network", "chassis", "up")
    selects = [select("Port", ("network", "==", id_), only=only) for id_ in name_by_id]
    for rows in nb.read(*(selects if len(selects) <= FEW else [select("Port", only=only)])):
        for row in rows:
            if row["network"] in name_by_id:
                yield row | {"network": name_by_id[row["network"]]}


def set_of(row: Mapping[str, Any]) -> str | None:
    """Return the set that *row* is of, None if it is of none."""
    found: str | None = row["external_ids"].get(SET)
    return found
