"""A watch: some rows of a database and their changes. It survives lost connections and members of a cluster.

    with nb.watch(select("Port", ("chassis", "==", "c1"), only=("name", "up"))) as watch:
        while True:
            for change in watch.changes(timeout_s=60):
                ...

A watch has no thread: it works only while it is called. If the server ends the connection between two calls,
the next call connects again, and asks for what has changed since. The caller gets the net changes, without a
gap: a row that has come and gone again is not among them, and a row that has changed twice is there once.
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
"""The time limit for each remote when a call connects, even if the call itself has less time left."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class Watch:
    """The rows that *selects* find in *database*, as of the last call; a context manager that closes it.

    A select has one condition at most. A row is watched if any of the selects of its table finds it; those
    must ask for the same columns. *connect* returns a connection, given a time limit in seconds.

    A call connects if there is no connection. It may then exceed its own time limit, by up to
    `CONNECT_TIMEOUT_S` for each remote, and `monitor.LOAD_TIMEOUT_S` for the rows to arrive.

    Raises:
        InvalidValueError: a select has several conditions, or two of one table ask for different columns.
    """

    def __init__(self, connect: Callable[[float], Rpc], database: str, selects: Sequence[Operation]) -> None:
        self._requests = _requests(selects)
        self.rows: Rows = {table: {} for table in self._requests}
        """By table and UUID, as Python values (`trunkline.northbound.operation`). Do not write to them."""
        self.resumed_s: float | None = None
        """When a lost connection was last made again, by `time.monotonic`; None if none was lost."""
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
        """Close the connection. The rows stay, and the next call connects again."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def changes(self, timeout_s: float) -> list[RowChange]:
        """Wait for changes since the last call, and return them; [] if there are none within *timeout_s*.

        The first call returns all rows, as new. All changes of one transaction come together.

        Raises:
            InvalidValueError: the database has no such table or column.
            RequestError: the server refuses the request, for example because of a value in a condition.
            UnreachableError: there is no connection when *timeout_s* is over; the text has a reason for each
                remote. The next call tries again, and no change is lost.
        """
        deadline_s = time.monotonic() + timeout_s
        while (batch := self._batch(deadline_s)) is not None:
            if batch:
                return batch
        return []

    def wait_until(self, is_so: Callable[[Rows], bool], timeout_s: float) -> bool:
        """Return True as soon as `is_so(rows)` is true, False if it is not within *timeout_s*.

        It is called when the rows are loaded, and after each change. The changes that come while this waits
        are not returned by `changes` again. Raises as `changes` does.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (self._is_loaded and is_so(self.rows)):
            if self._batch(deadline_s) is None:
                return False
        return True

    def _batch(self, deadline_s: float) -> list[RowChange] | None:
        """Return the changes by the server's next message, perhaps none; None if no message comes in time."""
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
        """Wait until it is time to connect again; if that is after the deadline, raise the last failure."""
        now_s = time.monotonic()
        if self._next_attempt_s > now_s:
            time.sleep(max(min(self._next_attempt_s, deadline_s) - now_s, 0.0))
            if self._next_attempt_s > deadline_s:
                raise UnreachableError(self._failure)

    def _start(self) -> Update:
        """Connect, and return all rows, or what has changed since the last connection."""
        rpc = self._connect(CONNECT_TIMEOUT_S)
        self._monitor = Monitor(rpc, self._database, self._requests, self._point)
        update = self._monitor.start(CONNECT_TIMEOUT_S)
        if self._is_loaded:
            self.resumed_s = time.monotonic()
        return update

    def _taken(self, update: Update) -> list[RowChange]:
        """Apply *update* to the rows, and return the changes."""
        assert self._monitor is not None
        # If *update* cannot be read, the next connection starts with all rows.
        self._point = self._point._replace(transaction=Point().transaction)
        with sensible(self._monitor.remote):
            changes = apply(self.rows, row_changes(self.rows, update, self._monitor.types))
        self._point = self._monitor.point
        self._is_loaded = True
        self._failures = 0
        return changes

    def _lose(self, error: UnreachableError) -> None:
        """Close the connection, which *error* has ended, and set when the next attempt may be made."""
        self.close()
        longest_s = min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S)
        # Many clients lose a server at the same moment. They should not all come back at the same moment.
        self._next_attempt_s = time.monotonic() + random.uniform(0, longest_s)
        self._failures += 1
        self._failure = str(error)


def _requests(selects: Sequence[Operation]) -> dict[str, list[dict[str, Any]]]:
    """Return *selects* as `<monitor-cond-requests>`, which a row meets if it meets any of the conditions."""
    requests: dict[str, list[dict[str, Any]]] = {}
    for each in selects:
        columns = [column for column in each["columns"] if column != "_uuid"]
        if len(each["where"]) > 1:
            raise InvalidValueError("a select that is watched has one condition at most; use several selects")
        (request,) = requests.setdefault(each["table"], [{"columns": columns, "where": []}])
        if request["columns"] != columns:
            raise InvalidValueError(f"two selects of table {each['table']} ask for different columns")
        request["where"] += each["where"] or [True]
    return requests
