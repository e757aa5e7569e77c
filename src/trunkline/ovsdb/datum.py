"""Columns of a replica's rows as plain values, read without the IDL's conversions.

The IDL turns a reference to a row that it has not loaded into nothing, and copies a set of 1,000 references
several times to hand it out; what the server sent is in the row's data as it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunkline.runtime.private import data_of


def one(row: Any, column: str) -> Any:
    """Return the value of *column*, None where it is optional and empty; a reference is the row's UUID."""
    return data_of(row).one(column)


def several(row: Any, columns: Iterable[str]) -> list[Any]:
    """Return what `one` does for each of *columns*, for less."""
    values: list[Any] = data_of(row).several(columns)
    return values


def every(row: Any, column: str) -> frozenset[Any]:
    """Return the values of the set *column*; references are UUIDs."""
    values: frozenset[Any] = data_of(row).every(column)
    return values


def pairs(row: Any, column: str) -> dict[str, str]:
    """Return the map *column*."""
    values: dict[str, str] = data_of(row).pairs(column)
    return values
