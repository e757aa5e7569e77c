"""Listings: rows of the northbound for somebody who looks, with names in place of references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.name import natural
from trunkline.northbound.default import DEFAULTS, effective
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such
from trunkline.northbound.schema import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.filter import Filter
    from trunkline.northbound.operation import Condition, Operation, Row, Uuid

FEW = 20
"""How many rows are looked for one by one: a look at a port costs the server 0.4 µs, to read one 10."""

SOME = 500
"""How many rows are looked for one by one by their UUIDs, of which the database has an index."""

_SUB_PORT = ("name", "parent", "parent_vlan", "network")


def named(nb: Northbound, table: str, names: Sequence[str]) -> list[Row]:
    """Return the rows of *table* called *names*, each once, in that order, all of the same moment.

    A port also has `sub_ports`: of each, its `name`, `parent_vlan` and `network`.

    Raises:
        NotFoundError: there is none of one of these names.
    """
    names = list(dict.fromkeys(names))
    is_ports = table == "Port"
    rows, networks, sub_ports = _read(
        nb,
        _by_column(table, "name", names),
        [select("Network", only=("_uuid", "name"))] if is_ports else [],
        _by_column("Port", "parent", names, only=_SUB_PORT) if is_ports else [],
    )
    name_by_id = {row["_uuid"]: row["name"] for row in networks}
    found = {row["name"]: _shown(row, name_by_id) for row in rows}
    missing = [name for name in names if name not in found]
    if missing:
        raise no_such(table, *missing)
    for name in names if is_ports else ():
        found[name]["sub_ports"] = []
    for row in sub_ports:
        parent = row.pop("parent")
        if parent in found:
            found[parent]["sub_ports"].append(_shown(row, name_by_id))
    for row in found.values() if is_ports else ():
        row["sub_ports"].sort(key=lambda each: (each["parent_vlan"] or 0, natural(each["name"])))
    return [found[name] for name in names]


def matching(
    nb: Northbound,
    table: str,
    filters: Sequence[Filter] = (),
    *,
    only: Sequence[str] = (),
    is_raw: bool = False,
) -> list[Row]:
    """Return the rows of *table* that all of *filters* accept, by name, with all columns or *only* these.

    Unless *is_raw*, defaults stand in place of empty values, for the filters too. Only rows that the database
    cannot rule out are read; and if it cannot tell for all filters, only what these look at is read of most.

    Raises:
        NotFoundError: a filter names a network that does not exist.
    """
    defaults = {} if is_raw else DEFAULTS[table]
    conditions = [condition for each in filters if (condition := each.condition(table, defaults)) is not None]
    conditions += _references(nb, table, filters)
    looked_at = {"name", *(each.column for each in filters)}
    wanted = looked_at | set(only or columns(table))

    def accepted(names: AbstractSet[str], *wheres: Sequence[Condition]) -> list[tuple[Uuid | None, Row]]:
        """Return the rows at *wheres* that all filters accept, with the columns *names*."""
        only = [name for name in ("_uuid", *columns(table)) if name in names]
        rows, networks = _read(
            nb,
            [select(table, *where, only=only) for where in wheres],
            [select("Network", only=("_uuid", "name"))] if table == "Port" and "network" in names else [],
        )
        name_by_id = {row["_uuid"]: row["name"] for row in networks}
        found = ((row.get("_uuid"), _shown(row, name_by_id)) for row in rows)
        filled = found if is_raw else ((id_, effective(table, row)) for id_, row in found)
        return [(id_, row) for id_, row in filled if all(each.accepts(row) for each in filters)]

    wheres: list[Sequence[Condition]] = [conditions]
    if len(conditions) < len(filters) and looked_at < wanted:
        first = accepted({"_uuid", *looked_at}, conditions)
        if len(first) <= SOME:
            wheres = [[("_uuid", "==", id_)] for id_, _ in first]
    kept = [row for _, row in accepted(wanted, *wheres)] if wheres else []
    return sorted(kept, key=lambda row: natural(str(row["name"])))


def _references(nb: Northbound, table: str, filters: Sequence[Filter]) -> Iterator[Condition]:
    """Yield the conditions of the columns of *table* that refer to networks."""
    for each in filters:
        column = columns(table).get(each.column)
        if column is not None and column.refers_to and each.operator != "~" and each.value:
            (rows,) = nb.read(select(column.refers_to, ("name", "==", each.value), only=("_uuid",)))
            if not rows:
                raise no_such(column.refers_to, each.value)
            yield each.column, "==" if each.operator == "=" else "!=", rows[0]["_uuid"]


def _by_column(table: str, column: str, values: Sequence[str], only: Sequence[str] = ()) -> list[Operation]:
    """Return the selects of the rows of *table* with one of *values* in *column*, or also of others."""
    if len(values) <= FEW:
        return [select(table, (column, "==", value), only=only) for value in values if value]
    conditions: tuple[Condition, ...] = () if column == "name" else ((column, "!=", None),)
    return [select(table, *conditions, only=only)]


def _read(nb: Northbound, *groups: Sequence[Operation]) -> list[list[Row]]:
    """Return the rows that each group of selects finds, all read at the same moment."""
    answers = iter(nb.read(*(each for group in groups for each in group)))
    return [[row for _ in group for row in next(answers)] for group in groups]


def _shown(row: Row, name_by_id: dict[str, str]) -> Row:
    """Return *row* without its UUID, and with its network's name."""
    shown = {column: value for column, value in row.items() if column != "_uuid"}
    if "network" in shown:
        shown["network"] = name_by_id[shown["network"]]
    return shown
