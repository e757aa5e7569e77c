"""Fit: whether a database has the tables and columns that a client reads and writes. It may have others.

The kinds of columns are compared. Limits, such as a range, are not: the reader of a value checks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.northbound.schema import Shape, shape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Fit(NamedTuple):
    """Why the database does not fit, None if it does; and the optional columns that it lacks, by table."""

    reason: str | None = None
    lacking: Mapping[str, list[str]] = {}


def fit(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    columns_by_table: Mapping[str, Collection[str]],
    optional: Collection[tuple[str, str]] = (),
) -> Fit:
    """Return how a database of the schema *theirs* fits a client of *ours* that needs *columns_by_table*.

    Both schemas are JSON as in RFC 7047 section 3.2. A column in *optional* (table, column) may be missing.

    >>> ours = {"tables": {"T": {"columns": {"n": {"type": "integer"}, "s": {"type": "string"}}}}}
    >>> theirs = {"tables": {"T": {"columns": {"n": {"type": {"key": "integer", "min": 0}}}}}}
    >>> fit(ours, theirs, {"T": ["s"]}).reason
    'there is no column s in table T'
    >>> fit(ours, theirs, {"T": ["s"]}, {("T", "s")}).lacking
    {'T': ['s']}
    >>> fit(ours, {"tables": {}}, {"T": ["s"]}, {("T", "s")}).lacking
    {'T': ['s']}
    >>> fit(ours, theirs, {"T": ["n"]}).reason
    'column n of table T holds an optional integer there, and an integer here'
    """
    lacking: dict[str, list[str]] = {}
    for table, names in columns_by_table.items():
        if table not in theirs["tables"]:
            if not all((table, name) in optional for name in names):
                return Fit(f"there is no table {table}")
            lacking[table] = list(names)
            continue
        known, there = ours["tables"][table]["columns"], theirs["tables"][table]["columns"]
        for name in names:
            if name not in there and (table, name) in optional:
                lacking.setdefault(table, []).append(name)
            elif name not in there:
                return Fit(f"there is no column {name} in table {table}")
            elif _kind(there[name]["type"]) != _kind(known[name]["type"]):
                kinds = _kind(there[name]["type"]), _kind(known[name]["type"])
                return Fit(f"column {name} of table {table} holds {kinds[0]} there, and {kinds[1]} here")
    return Fit(None, lacking)


def _kind(type_: Any) -> str:
    key = _atom(type_["key"] if isinstance(type_, dict) else type_)
    match shape(type_):
        case Shape.MAP:
            return f"a map from {key} to {_atom(type_['value'])}"
        case Shape.SET:
            return f"a set of {key}s"
        case Shape.OPTIONAL:
            return f"an optional {key}"
        case _:
            return f"{'an' if key[0] in 'aeiou' else 'a'} {key}"


def _atom(type_: Any) -> str:
    return str(type_["type"] if isinstance(type_, dict) else type_)
