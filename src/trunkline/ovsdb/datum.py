"""Columns of a replica's rows as plain values, read without the IDL's conversions.

The IDL turns a reference to a row that it has not loaded into nothing, and copies a set of 1,000 references
several times to hand it out; what the server sent is in the row's data as it came.
"""

from __future__ import annotations

from typing import Any


def one(row: Any, column: str) -> Any:
    """Return the value of *column*, None where it is optional and empty; a reference is the row's UUID."""
    for atom in row._data[column].values:
        return atom.value
    return None


def every(row: Any, column: str) -> frozenset[Any]:
    """Return the values of the set *column*; references are UUIDs."""
    return frozenset(atom.value for atom in row._data[column].values)


def pairs(row: Any, column: str) -> dict[str, str]:
    """Return the map *column*."""
    return {key.value: value.value for key, value in row._data[column].values.items()}
