"""Assumed rows: the northbound as it would be if some of its rows were others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from trunkline.northbound.operation import encoded_row
from trunkline.ovsdb.columns import Columns, defaults
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.touched import Touched
from trunkline.runtime.private import UnsentRow, data_of

Assumed = Mapping[str, Mapping[UUID, Mapping[str, Any] | None]]
"""The columns of rows as they would be, None of one that would be gone: by table, then by the row's id."""


class AssumingReplica(NorthboundReplica):
    """The northbound at *remotes*, as it would be with the rows *assumed*.

    Of these, it has those that the server would send: the ones that meet the conditions of `restrict`.
    """

    def __init__(self, remotes: str, chassis: str, assumed: Assumed) -> None:
        self._assumed: dict[str, dict[UUID, UnsentRow | None]] = {}
        self._sent: dict[str, dict[UUID, UnsentRow]] = {}
        self._news = Touched()
        super().__init__(remotes, chassis)
        for table, columns_by_id in assumed.items():
            known = self._idl.table_by_name[table]
            default_by_column = defaults(known)
            for row_id, columns in columns_by_id.items():
                row = None
                if columns is not None:
                    data = Columns(known, default_by_column)
                    data.receive(encoded_row(columns))
                    row = UnsentRow(row_id, data)
                self._assumed.setdefault(table, {})[row_id] = row
        # As before, but these rows were not known then.
        self.restrict("Port", [["chassis", "==", chassis]])

    def rows(self, table: str) -> Any:
        """Return the rows of *table* by id."""
        there = super().rows(table)
        assumed = self._assumed.get(table)
        return there if assumed is None else _Overlaid(there, assumed.keys(), self._sent.get(table, {}))

    def restrict(self, table: str, condition: Iterable[Any]) -> None:
        """Restrict *table* to rows that match any clause of *condition*, those that are assumed as well."""
        clauses = list(condition)
        super().restrict(table, clauses)
        wanted: dict[str, set[Any]] = {}
        for clause in clauses:
            if isinstance(clause, list):
                column, _, value = clause
                wanted.setdefault(column, set()).add(UUID(value[1]) if isinstance(value, list) else value)
        before = self._sent.get(table, {})
        self._sent[table] = {
            row_id: row
            for row_id, row in self._assumed.get(table, {}).items()
            if row is not None and _meets(row, wanted)
        }
        self._news.add(Touched({table: before.keys() ^ self._sent[table].keys()}))

    def run(self) -> Touched:
        """Read what the server sent; return the rows that changed, those that are assumed as well."""
        touched = super().run()
        if self.is_connected:
            touched.add(self._news)
            self._news = Touched()
        return touched


def _meets(row: UnsentRow, wanted: Mapping[str, set[Any]]) -> bool:
    """Return whether *row* has one of the values *wanted* in one of the columns."""
    return any(
        (row.uuid if column == "_uuid" else data_of(row).one(column)) in values
        for column, values in wanted.items()
    )


class _Overlaid(Mapping[UUID, Any]):
    """The rows *there*, but for those with one of *ids*: of these, the ones that are *sent*."""

    def __init__(self, there: Mapping[UUID, Any], ids: Iterable[UUID], sent: Mapping[UUID, Any]) -> None:
        self._there, self._ids, self._sent = there, ids, sent

    def __getitem__(self, row_id: UUID) -> Any:
        return (self._sent if row_id in self._ids else self._there)[row_id]

    def __iter__(self) -> Iterator[UUID]:
        yield from self._sent
        yield from (row_id for row_id in self._there if row_id not in self._ids)

    def __len__(self) -> int:
        return sum(1 for _ in self)
