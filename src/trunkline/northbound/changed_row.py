"""A changed row: how it was, and how it is after a change. Other rows are not looked at here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import Place
from trunkline.northbound.refusal import ChangedError, RefusedError
from trunkline.northbound.schema import FIRST_CHASSIS
from trunkline.northbound.spec import canonical, faults, first_chassis, refuse_faults
from trunkline.northbound.step import Merged

if TYPE_CHECKING:
    from trunkline.northbound.operation import Row
    from trunkline.northbound.spec import Fault
    from trunkline.northbound.step import Change


class ChangedRow(NamedTuple):
    """A row before and after, the columns to write, and the columns that must not change before that."""

    old: Row
    new: Row
    columns: Row
    guarded: tuple[str, ...]

    def writes(self, columns: frozenset[str]) -> bool:
        """Return whether one of *columns* is written."""
        return not columns.isdisjoint(self.columns)


def changed_network(old: Row, change: Change) -> ChangedRow:
    """Return the network *old* after *change*; `network_type` `flat` clears the segmentation id.

    Raises:
        ChangedError: *old* is not as the change's author has seen it.
        InvalidValueError: the network would be wrong by itself.
    """
    return _changed(old, change, *_network_columns(old, change))


def changed_port(old: Row, change: Change) -> ChangedRow:
    """Return the port *old* after *change*, and set the columns that follow from others.

    A `parent` of None clears the tag; the option `first-chassis` follows from `requested_chassis`.

    Raises:
        ChangedError: *old* is not as the change's author has seen it.
        InvalidValueError, AddressError: the port would be wrong by itself.
    """
    return _changed(old, change, *_port_columns(old, change))


def faults_after(old: Row, change: Change) -> tuple[Row, list[Fault]]:
    """Return *old* after *change*, as far as its values are right, and everything that is wrong with it."""
    columns_of = _network_columns if change.table == "Network" else _port_columns
    columns, given, wrong = columns_of(old, change)
    new = old | columns
    return new, [*wrong, *faults(change.table, new, given)]


def _changed(
    old: Row, change: Change, columns: Row, given: Mapping[str, Any], wrong: list[Fault]
) -> ChangedRow:
    refuse_changed(change.table, old, change.given)
    new = old | columns
    refuse_faults(chain(wrong, faults(change.table, new, given)))
    return ChangedRow(old, new, columns, _rests_on(change))


def _network_columns(old: Row, change: Change) -> tuple[Row, Mapping[str, Any], list[Fault]]:
    """Return the columns that *change* writes to *old*, those that are given, and what is wrong."""
    columns = _merged(old, change.columns)
    if columns.get("network_type") == "flat":
        columns.setdefault("segmentation_id", None)
    return columns, {name: value for name, value in columns.items() if value != old[name]}, []


def _port_columns(old: Row, change: Change) -> tuple[Row, Mapping[str, Any], list[Fault]]:
    """Return the same of a port."""
    canonical_columns, wrong = canonical(change.name, change.columns)
    columns = _merged(old, canonical_columns)
    if "parent" in columns and columns["parent"] is None:
        columns["parent_vlan"] = None
    first = first_chassis(columns.get("requested_chassis", old["requested_chassis"]))
    if "requested_chassis" in columns or ("options" in columns and first is not None):
        options = columns["options"] if "options" in columns else old["options"]
        columns["options"] = Merged({FIRST_CHASSIS: first or ""}).into(options)
    return columns, change.columns, wrong


def refuse_other(table: str, row: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise RefusedError unless *row* of *table* has the columns *asked*; of a map, the items of it."""
    for column, value in asked.items():
        there = row[column]
        if isinstance(value, Mapping):
            there = {key: there[key] for key in value if key in there}
        if there != value:
            what = f"its `{column}` is {_said(there)} and not {_said(value)}"
            if column == "network":
                what = "it is in another network"
            raise RefusedError(
                f"{table.lower()} {row['name']!r} exists already, and {what}; change it by `set`, or pick "
                "another name",
                Place(table, row["name"], column),
            )


def _said(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case list():
            return ", ".join(value) or "empty"
        case Mapping():
            return ", ".join(f"{key}={item}" for key, item in value.items()) or "empty"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def refuse_changed(table: str, row: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ChangedError unless *row* of *table* has the columns *given*."""
    for column, seen in given.items():
        if row[column] != seen:
            what = f"its `{column}` is {row[column]!r} and not {seen!r}"
            if column == "network":
                what = "it is in another network"
            raise ChangedError(
                f"{table.lower()} {row['name']!r} has changed meanwhile: {what}; look at it again",
                Place(table, row["name"], column),
            )


def _merged(old: Row, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return *columns*, each merged map with its final items."""
    return {
        column: value.into(old[column]) if isinstance(value, Merged) else value
        for column, value in columns.items()
    }


def _rests_on(change: Change) -> tuple[str, ...]:
    merged = (column for column, value in change.columns.items() if isinstance(value, Merged))
    return (*change.given, *merged)
