"""The columns of a replica's row as the server sent them; each is converted only when the IDL asks for it.

The IDL itself checks and converts every column of every row that it receives: 60 µs for a port, which was
half of the time to load one. The agent reads a row once, into values of its own, and writes few rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID

import ovs.db.data
import ovs.db.error

from trunkline.runtime.log import Log
from trunkline.runtime.private import RowData

log = Log("columns")
_ABSENT = object()


class Columns(RowData):
    """The data of one row of *table* by column, for the IDL; *received* has the JSON not converted yet.

    A column that the server left out, or that does not fit its own schema, has its default (RFC 7047 section
    5.2.1), from *default_by_column*: these are the `defaults` of the table, shared by its rows.
    """

    __slots__ = ("_default_by_column", "received")

    def __init__(self, table: Any, default_by_column: dict[str, Any]) -> None:
        super().__init__(table)
        self.received: dict[str, Any] = {}
        self._default_by_column = default_by_column

    def __len__(self) -> int:
        return len(self.table.columns)

    def __missing__(self, column: str) -> Any:
        kind = self.table.columns[column].type
        json = self.received.pop(column, _ABSENT)
        if json is _ABSENT:
            return _default(kind)
        try:
            datum = ovs.db.data.Datum.from_json(kind, json)
        except ovs.db.error.Error as error:
            log.warning("column with an invalid value", table=self.table.name, column=column, reason=error)
            datum = _default(kind)
        self[column] = datum
        return datum

    def receive(self, json_by_column: dict[str, Any]) -> None:
        """Replace the columns in *json_by_column* by what the server sent.

        The dictionary of a new row is kept as it is, so the caller must not change it.
        """
        if not self.received and not dict.__len__(self):
            self.received = json_by_column
            return
        for column in json_by_column:
            self.pop(column, None)
        self.received.update(json_by_column)

    def one(self, column: str) -> Any:
        """Return the only value of *column*; None if there is none."""
        json = self.received.get(column, _ABSENT)
        if json is _ABSENT:
            datum = self.get(column)
            if datum is None:
                return self._default_by_column[column]
            for atom in datum.values:
                return atom.value
            return None
        return _first(json) if type(json) is list else json

    def several(self, columns: Iterable[str]) -> list[Any]:
        """Return what `one` returns for each of *columns*."""
        if dict.__len__(self):
            return [self.one(column) for column in columns]
        json_by_column = self._default_by_column | self.received
        values = [json_by_column[column] for column in columns]
        return [_first(value) if type(value) is list else value for value in values]

    def every(self, column: str) -> frozenset[Any]:
        """Return the values of the set *column*."""
        datum = self.get(column)
        if datum is not None:
            return frozenset([atom.value for atom in datum.values])
        json = self.received.get(column)
        if json is None:
            return frozenset()
        if type(json) is not list:
            return frozenset((json,))
        atoms = json[1] if json[0] == "set" else [json]
        return frozenset([_uuid(atom[1]) if type(atom) is list else atom for atom in atoms])

    def pairs(self, column: str) -> dict[str, str]:
        """Return the map *column*, of strings."""
        datum = self.get(column)
        if datum is not None:
            return {key.value: value.value for key, value in datum.values.items()}
        json = self.received.get(column)
        return {} if json is None else dict(json[1])


def defaults(table: Any) -> dict[str, Any]:
    """Return what `Columns.one` returns for each column of *table* that the server left out."""
    values = {column: _default(each.type).values for column, each in table.columns.items()}
    return {column: next((atom.value for atom in atoms), None) for column, atoms in values.items()}


def _first(json: list[Any]) -> Any:
    """Return the only value of the set *json*, None if it is empty; or the reference, if it is one."""
    if json[0] == "set":
        if not json[1]:
            return None
        first = json[1][0]
        return _uuid(first[1]) if type(first) is list else first
    return _uuid(json[1])


def _default(kind: Any) -> Any:
    """Return the default of a column of type *kind*; `Datum.default` wraps a required one's atom twice."""
    if kind.n_min == 0 or kind.is_map():
        return ovs.db.data.Datum.default(kind)
    atom = ovs.db.data.Atom(kind.key.type, kind.key.type.default)
    return ovs.db.data.Datum(kind, {atom: None})


@lru_cache(maxsize=4096)
def _uuid(text: str) -> UUID:
    """Return the UUID *text*; it is cached, as every port of a network has the same reference to it."""
    return UUID(text)
