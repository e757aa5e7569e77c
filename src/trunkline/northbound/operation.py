"""Database operations (RFC 7047 section 5.2) and the values in them, to and from plain Python.

A column's value is a str, int or bool; None if an optional column is empty; a sorted list for a set; a dict
for a map; a `Uuid` for a reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from trunkline.northbound.schema import Shape, columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Row: TypeAlias = dict[str, Any]
"""A row, or some columns of it, by column name."""

Operation: TypeAlias = dict[str, Any]
Condition: TypeAlias = tuple[str, str, Any]
"""A column, an RFC 7047 function such as `==` or `includes`, and a value."""


class Uuid(str):
    """The UUID of a row, as text."""

    __slots__ = ()


class NamedUuid(str):
    """The name that an insert of the same transaction gives to its row's UUID."""

    __slots__ = ()


_PLAIN = frozenset({str, int, bool})
"""The types of most values, which are JSON as they are."""


def encoded(value: Any) -> Any:
    """Return *value* as JSON.

    >>> encoded(None), encoded(["a"]), encoded({"a": "b"}), encoded(Uuid("u")), encoded(5)
    (['set', []], ['set', ['a']], ['map', [['a', 'b']]], ['uuid', 'u'], 5)
    """
    if value.__class__ in _PLAIN:
        return value
    match value:
        case None:
            return ["set", []]
        case Uuid():
            return ["uuid", str(value)]
        case NamedUuid():
            return ["named-uuid", str(value)]
        case dict():
            return ["map", [[encoded(key), encoded(item)] for key, item in value.items()]]
        case list() | tuple():
            return ["set", [encoded(item) for item in value]]
        case _:
            return value


def encoded_row(row: Mapping[str, Any]) -> Row:
    """Return *row* as JSON."""
    return {column: value if value.__class__ in _PLAIN else encoded(value) for column, value in row.items()}


def decoded_row(table: str, row: Mapping[str, Any]) -> Row:
    """Return *row*, JSON of some or all columns of *table*, as Python values in the schema's order."""
    return {name: read(row[name]) for name, read in _readers(table, row)}


def decoded_rows(operation: Operation, result: Mapping[str, Any]) -> list[Row]:
    """Return the rows of *result*, the answer to the select *operation*, with all columns that it asks for.

    Raises:
        LookupError, TypeError, ValueError: *result* is no such answer.
    """
    readers = _readers(operation["table"], operation["columns"])
    return [{name: read(row[name]) for name, read in readers} for row in result["rows"]]


def decoded(value: Any, shape: Shape) -> Any:
    """Return *value*, JSON of a column of this *shape*, as a Python value.

    >>> decoded("a", Shape.SET), decoded(["set", []], Shape.OPTIONAL), decoded(["uuid", "u"], Shape.ONE)
    (['a'], None, 'u')
    """
    return _READERS[shape](value)


def _readers(table: str, wanted: Collection[str]) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return the columns *wanted*, those of the schema first and in its order, with what reads a value."""
    known = columns(table)
    found = [(name, _READERS[column.shape]) for name, column in known.items() if name in wanted]
    return found + [(name, _atom) for name in wanted if name not in known]


def _map(value: Any) -> dict[Any, Any]:
    return dict(sorted((_atom(key), _atom(item)) for key, item in value[1])) if value[1] else {}


def _set(value: Any) -> list[Any]:
    if value.__class__ is not list or value[0] != "set":
        return [_atom(value)]
    return sorted(map(_atom, value[1])) if value[1] else []


def _optional(value: Any) -> Any:
    if value.__class__ is not list or value[0] != "set":
        return _atom(value)
    return _atom(value[1][0]) if value[1] else None


def _atom(value: Any) -> Any:
    return Uuid(value[1]) if value.__class__ is list and value[0] == "uuid" else value


_READERS: Mapping[Shape, Callable[[Any], Any]] = {
    Shape.MAP: _map,
    Shape.SET: _set,
    Shape.OPTIONAL: _optional,
    Shape.ONE: _atom,
}
"""What reads a value of a column, by its shape."""


def _where(conditions: Iterable[Condition]) -> list[list[Any]]:
    return [[column, function, encoded(value)] for column, function, value in conditions]


def select(table: str, *conditions: Condition, only: Sequence[str] = ()) -> Operation:
    """Return the operation that reads the rows of *table* that meet *conditions*; *only* those columns."""
    wanted = list(only) or ["_uuid", *columns(table)]
    return {"op": "select", "table": table, "where": _where(conditions), "columns": wanted}


def insert(table: str, row: Mapping[str, Any], uuid_name: str | None = None) -> Operation:
    """Return the operation that inserts *row*; a `NamedUuid(uuid_name)` in the transaction refers to it."""
    operation: Operation = {"op": "insert", "table": table, "row": encoded_row(row)}
    return operation if uuid_name is None else operation | {"uuid-name": uuid_name}


ABORT: Operation = {"op": "abort"}
"""The operation that aborts a transaction, after its checks: for a transaction that is only tried."""


def update(table: str, *conditions: Condition, row: Mapping[str, Any]) -> Operation:
    """Return the operation that writes *row*'s columns to every row that meets all *conditions*."""
    return {"op": "update", "table": table, "where": _where(conditions), "row": encoded_row(row)}


def increment(table: str, column: str) -> Operation:
    """Return the operation that adds one to *column* of every row of *table*."""
    return {"op": "mutate", "table": table, "where": [], "mutations": [[column, "+=", 1]]}


def delete(table: str, *conditions: Condition) -> Operation:
    """Return the operation that deletes the rows of *table* that meet all *conditions*."""
    return {"op": "delete", "table": table, "where": _where(conditions)}


def expect(
    table: str, *conditions: Condition, rows: Sequence[Mapping[str, Any]], only: Sequence[str]
) -> Operation:
    """Return the operation that aborts the transaction unless the rows that meet *conditions* are *rows*.

    Only the columns *only* are compared. The operation is a `wait` with no time to wait, so the database's
    error is "timed out".
    """
    return {
        "op": "wait",
        "table": table,
        "where": _where(conditions),
        "columns": list(only),
        "until": "==",
        "rows": [encoded_row(row) for row in rows],
        "timeout": 0,
    }
