"""A watch of one table, and a writer: a benchmark's two connections to a database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from process import BenchError, now_s

from trunkline.northbound.operation import Row, select
from trunkline.northbound.rpc import Rpc
from trunkline.northbound.watch import RowChange, Watch

TIMEOUT_S = 600.0
CATCH_UP_S = 0.05


class TableWatch:
    """The *columns* of *table* of *database* at *remote*, kept current.

    The first of *columns* names a row.
    """

    def __init__(self, remote: str, database: str, table: str, columns: list[str]) -> None:
        self._watch = Watch(partial(Rpc.connect, remote), database, [select(table, only=columns)])
        self._table = table
        self._name = columns[0]
        self.row_by_name: dict[str, Row] = {}
        self._watch.wait_until(lambda _: True, TIMEOUT_S)
        self._take(RowChange(table, id_, None, row) for id_, row in self._watch.rows[table].items())

    def close(self) -> None:
        """Close the connection."""
        self._watch.close()

    def until(self, is_so: Callable[[Iterable[Row]], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Return as soon as `is_so(rows)` for the server's rows; raises `BenchError` in the end."""
        deadline = now_s() + timeout_s
        while not is_so(self._watch.rows[self._table].values()):
            changes = self._watch.changes(max(0.0, deadline - now_s()))
            if not changes:
                raise BenchError(f"after {timeout_s:g} s still not: {what}")
            self._take(changes)

    def until_up(self, names: Sequence[str], *, is_up: bool, timeout_s: float = TIMEOUT_S) -> None:
        """Return as soon as `up` of every row in *names* is what *is_up* says."""
        waiting = set(names)

        def is_so(_: Iterable[Row]) -> bool:
            waiting.difference_update(
                [name for name in waiting if (self.row_by_name.get(name, {}).get("up") is True) is is_up]
            )
            return not waiting

        self.until(is_so, f"{len(waiting)} ports up: {is_up}", timeout_s)

    def catch_up(self) -> None:
        """Take in what has arrived; it looks for as long as `CATCH_UP_S`."""
        while changes := self._watch.changes(CATCH_UP_S):
            self._take(changes)

    def _take(self, changes: Iterable[RowChange]) -> None:
        for change in changes:
            if change.old is not None:
                self.row_by_name.pop(change.old[self._name], None)
            if change.new is not None:
                self.row_by_name[change.new[self._name]] = change.new


class Writer:
    """A connection that writes to *database* at *remote*."""

    def __init__(self, remote: str, database: str) -> None:
        self._rpc = Rpc.connect(remote, TIMEOUT_S)
        self._database = database

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()

    def transact(self, *operations: Mapping[str, Any]) -> list[Any]:
        """Return the results of *operations*; raises `BenchError` if the database refuses."""
        results: list[Any] = self._rpc.request("transact", [self._database, *operations], TIMEOUT_S)
        for result in results:
            if result and "error" in result:
                raise BenchError(json.dumps(result))
        return results
