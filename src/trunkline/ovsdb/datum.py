"""Columns of a replica's rows as plain values, read without the conversions of the IDL.

The IDL leaves out references to rows that it has not loaded, and copies a set of 1,000 references several
times to return it. The data of the row has what the server sent. A column is named by the class of its table,
such as `BridgeRow.name`: see `trunkline.ovsdb.row`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunkline.ovsdb.row import Map, R, T, Value, Values
from trunkline.runtime.private import data_of


def one(row: R, column: Value[R, T]) -> T:
    """Return the value of *column*, None if it is optional and empty; a reference is the UUID of the row."""
    value: T = data_of(row).one(column)
    return value


def several(row: R, columns: Iterable[Value[R, Any]]) -> list[Any]:
    """Return what `one` returns for each of *columns*, in less time."""
    values: list[Any] = data_of(row).several(columns)
    return values


def every(row: R, column: Values[R, T]) -> frozenset[T]:
    """Return the values of the set *column*; references are UUIDs."""
    values: frozenset[T] = data_of(row).every(column)
    return values


def pairs(row: R, column: Map[R]) -> dict[str, str]:
    """Return the map *column*."""
    values: dict[str, str] = data_of(row).pairs(column)
    return values
