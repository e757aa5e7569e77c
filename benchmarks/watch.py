"""A watch: one connection to a database that is told of each change of some columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from process import BenchError, now_s

from trunkline.northbound.rpc import Rpc

TIMEOUT_S = 600.0
CATCH_UP_S = 0.05
Rows = dict[str, dict[str, Any]]


class Watch:
    """The *columns* of *table* of *database* at *remote*, kept current (RFC 7047 section 4.1.5).

    The first of *columns* names a row.
    """

    def __init__(self, remote: str, database: str, table: str, columns: list[str]) -> None:
        self._rpc = Rpc.connect(remote, TIMEOUT_S)
        self._table = table
        self._name = columns[0]
        self.rows: Rows = {}
        self.row_by_name: Rows = {}
        self._take(self._rpc.request("monitor", [database, None, {table: {"columns": columns}}], TIMEOUT_S))

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()

    def until(self, is_so: Callable[[Rows], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Return as soon as the server's rows are such that *is_so*; raises `BenchError` in the end."""
        deadline = now_s() + timeout_s
        while not is_so(self.rows):
            notification = self._rpc.notification(max(0.0, deadline - now_s()))
            if notification is None:
                raise BenchError(f"after {timeout_s:g} s still not: {what}")
            self._take(notification.params[1])

    def until_up(self, names: Sequence[str], *, is_up: bool, timeout_s: float = TIMEOUT_S) -> None:
        """Return as soon as `up` of every row in *names* is what *is_up* says."""
        waiting = set(names)

        def is_so(_: Rows) -> bool:
            waiting.difference_update(
                [name for name in waiting if (self.row_by_name.get(name, {}).get("up") is True) is is_up]
            )
            return not waiting

        self.until(is_so, f"{len(waiting)} ports up: {is_up}", timeout_s)

    def catch_up(self) -> None:
        """Take in what has arrived; it looks for as long as `CATCH_UP_S`."""
        while (notification := self._rpc.notification(CATCH_UP_S)) is not None:
            self._take(notification.params[1])

    def _take(self, updates: Mapping[str, Any]) -> None:
        for row_id, change in updates.get(self._table, {}).items():
            old = self.rows.pop(row_id, None)
            if old is not None:
                self.row_by_name.pop(old[self._name], None)
            if "new" in change:
                self.rows[row_id] = self.row_by_name[change["new"][self._name]] = change["new"]


class Writer:
    """A connection that writes to *database* at *remote*."""

    def __init__(self, remote: str, database: str) -> None:
        self._rpc = Rpc.connect(remote, TIMEOUT_S)
        self._database = database

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()

    def transact(self, *operations: Mapping[str, Any]) -> list[Any]:
        """Return the results of *operations*; raises `BenchError` where the database refuses."""
        results: list[Any] = self._rpc.request("transact", [self._database, *operations], TIMEOUT_S)
        for result in results:
            if result and "error" in result:
                raise BenchError(json.dumps(result))
        return results
