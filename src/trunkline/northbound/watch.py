"""A watch: some rows of a database and their changes, across lost connections and members of a cluster.

    with nb.watch(select("Port", ("chassis", "==", "c1"), only=("name", "up"))) as watch:
        while True:
            for change in watch.changes(timeout_s=60):
                ...

Whoever has the watch lends it the time to work: it has no thread, and nothing happens between two calls. The
server may end the connection meanwhile. The next call connects again, and asks for what has changed since.
The caller sees the net changes and no gap: a row that came and went in between is not told, and one that has
changed twice is told once.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from trunkline.core.error import InvalidValueError
from trunkline.northbound.monitor import Monitor, Point, RowChange, Rows, Update, apply, row_changes
from trunkline.northbound.rpc import UnreachableError, sensible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from trunkline.northbound.operation import Operation
    from trunkline.northbound.rpc import Rpc

__all__ = ["RowChange", "Rows", "Watch"]

CONNECT_TIMEOUT_S = 5.0
"""What an attempt to connect is given, also by a call that has less time left."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class Watch:
    """The rows that *selects* find in *database*, as of the last call; a context manager that closes it.

    A select has one condition at most. Several selects of one table, which must ask for the same columns, are
    the rows that any of them finds. *connect* returns a connection, given a time limit in seconds.

    A call connects if it must. That takes its own time, which does not count: up to `CONNECT_TIMEOUT_S` for
    each remote, and up to `monitor.LOAD_TIMEOUT_S` for the rows to arrive.

    Raises:
        InvalidValueError: *selects* are not such.
    """

    def __init__(self, connect: Callable[[float], Rpc], database: str, selects: Sequence[Operation]) -> None:
        self._requests = _requests(selects)
        self.rows: Rows = {table: {} for table in self._requests}
        """By table and UUID, as Python values (`trunkline.northbound.operation`). Not to be written to."""
        self._connect = connect
        self._database = database
        self._monitor: Monitor | None = None
        self._point = Point()
        self._is_loaded = False
        self._failures = 0
        self._next_attempt_s = 0.0
        self._failure = ""

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The rows stay, and a further call makes a new one."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def changes(self, timeout_s: float) -> list[RowChange]:
        """Return what has changed since the last call, as soon as anything has; [] if nothing in *timeout_s*.

        At first that is every row that there is. What the server tells in one message comes at once, such
        as all that a transaction changes.

        Raises:
            InvalidValueError: the database has no such table or column.
            RequestError: it refuses the request, such as for a value of a condition.
            UnreachableError: there was no connection in the end; the text has a reason for each remote. The
                next call tries again, so nothing is lost.
        """
        deadline_s = time.monotonic() + timeout_s
        while (batch := self._batch(deadline_s)) is not None:
            if batch:
                return batch
        return []

    def wait_until(self, is_so: Callable[[Rows], bool], timeout_s: float) -> bool:
        """Return True as soon as `is_so(rows)` for the rows that there are, False if not in *timeout_s*.

        *is_so* is asked when the rows are loaded and after each change. `changes` does not tell again what
        came meanwhile. Raises as `changes` does.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (self._is_loaded and is_so(self.rows)):
            if self._batch(deadline_s) is None:
                return False
        return True

    def _batch(self, deadline_s: float) -> list[RowChange] | None:
        """Return what the server's next message changes, which may be nothing; None if none comes in time."""
        while True:
            if self._monitor is None:
                self._wait_for_attempt(deadline_s)
            try:
                update = self._start() if self._monitor is None else self._monitor.next(deadline_s)
                return None if update is None else self._taken(update)
            except UnreachableError as error:
                self._lose(error)
                if time.monotonic() >= deadline_s:
                    raise
            except BaseException:
                self.close()
                raise

    def _wait_for_attempt(self, deadline_s: float) -> None:
        """Return when it is time to connect again; raise why the last attempt failed if that is too late."""
        now_s = time.monotonic()
        if self._next_attempt_s > now_s:
            time.sleep(max(min(self._next_attempt_s, deadline_s) - now_s, 0.0))
            if self._next_attempt_s > deadline_s:
                raise UnreachableError(self._failure)

    def _start(self) -> Update:
        """Connect, and return what there is, or what has changed since the connection before."""
        rpc = self._connect(CONNECT_TIMEOUT_S)
        self._monitor = Monitor(rpc, self._database, self._requests, self._point)
        return self._monitor.start(CONNECT_TIMEOUT_S)

    def _taken(self, update: Update) -> list[RowChange]:
        """Bring the rows up to date with *update*, and return what that changes."""
        assert self._monitor is not None
        # If *update* makes no sense, the next connection starts with all rows.
        self._point = self._point._replace(transaction=Point().transaction)
        with sensible(self._monitor.remote):
            changes = apply(self.rows, row_changes(self.rows, update, self._monitor.types))
        self._point = self._monitor.point
        self._is_loaded = True
        self._failures = 0
        return changes

    def _lose(self, error: UnreachableError) -> None:
        """Close the connection, which *error* has ended, and say when the next one may be tried."""
        self.close()
        longest_s = min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S)
        # Many clients lose the same server at once. They need not all come back at once.
        self._next_attempt_s = time.monotonic() + random.uniform(0, longest_s)
        self._failures += 1
        self._failure = str(error)


def _requests(selects: Sequence[Operation]) -> dict[str, list[dict[str, Any]]]:
    """Return *selects* as `<monitor-cond-requests>`, by which a row need meet one of the conditions only."""
    requests: dict[str, list[dict[str, Any]]] = {}
    for each in selects:
        columns = [column for column in each["columns"] if column != "_uuid"]
        if len(each["where"]) > 1:
            raise InvalidValueError("a select that is watched has one condition at most; use several selects")
        (request,) = requests.setdefault(each["table"], [{"columns": columns, "where": []}])
        if request["columns"] != columns:
            raise InvalidValueError(f"two selects of {each['table']} are watched for other columns")
        request["where"] += each["where"] or [True]
    return requests
