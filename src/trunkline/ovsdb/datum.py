"""Columns of a replica's rows as plain values, read without the IDL's conversions.

The IDL turns a reference to a row that it has not loaded into nothing, and copies a set of 1,000 references
several times to hand it out; what the server sent is in the row's data as it came. A column is named by the
class of its table, such as `BridgeRow.name`: see `trunkline.ovsdb.row`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunkline.ovsdb.row import Map, R, T, Value, Values
from trunkline.runtime.private import data_of


def one(row: R, column: Value[R, T]) -> T:
    """Return the value of *column*, None where it is optional and empty; a reference is the row's UUID."""
    value: T = data_of(row).one(column)
    return value


def several(row: R, columns: Iterable[Value[R, Any]]) -> list[Any]:
    """Return what `one` does for each of *columns*, for less."""
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
