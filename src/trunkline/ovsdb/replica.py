"""A replica: a database's rows in memory, kept current by the server, and which of them changed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any
from uuid import UUID

import ovs.db.error
import ovs.db.idl
import ovs.poller
import ovs.stream
import ovs.timeval

from trunkline.northbound.fit import Fit, fit
from trunkline.ovsdb import lookup, parser
from trunkline.ovsdb.columns import Columns, defaults
from trunkline.ovsdb.patience import SHORTEST_MS, Patience
from trunkline.runtime import private
from trunkline.runtime.log import Log

lookup.install()
private.use_parser(parser.Parser)

log = Log("replica")

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
"""How long to wait after a database refused a write for good, at first and at most."""


@dataclass
class Touched:
    """The rows that came, changed or went since the last time, by table."""

    row_ids: dict[str, set[UUID]] = field(default_factory=dict)

    def __getitem__(self, table: str) -> set[UUID]:
        return self.row_ids.get(table, set())

    def __bool__(self) -> bool:
        return any(self.row_ids.values())

    def add(self, other: Touched) -> None:
        """Take the rows of *other* in."""
        for table, row_ids in other.row_ids.items():
            self.row_ids.setdefault(table, set()).update(row_ids)

    def parts(self, tables: Iterable[str], size: int) -> Iterator[Touched]:
        """Yield the rows of *tables*, one table after the other, in portions of at most *size*."""
        for table in tables:
            row_ids = iter(self[table])
            while part := set(islice(row_ids, size)):
                yield Touched({table: part})


_NONSENSE = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    ovs.db.error.Error,
)
"""What the IDL raises of a message that is not what it asked for."""

_NO_TRANSACTION = str(UUID(int=0))


class _TrackingIdl(private.Idl):
    """The IDL, with a note of each row that it touches, and rows whose columns stay as they came.

    *judge* says of the server's schema whether it is to be read.
    """

    change_seqno: int

    def __init__(self, remotes: str, helper: ovs.db.idl.SchemaHelper, judge: Callable[[Any], Fit]) -> None:
        self.fit = Fit()
        self._judge = judge
        self._ids_by_table: dict[Any, set[UUID]] = {}
        super().__init__(remotes, helper, SHORTEST_MS)

    def run(self) -> bool:
        """Take in what the server sent; return whether that changed the rows.

        The IDL rests on a server that keeps to RFC 7047. What another program sends ends the connection, and
        all is read anew at the next.
        """
        before = self.change_seqno
        try:
            return bool(super().run())
        except _NONSENSE as error:
            # The IDL counts a change before it has read it.
            self.change_seqno = before
            reason = f"its server's answers make no sense ({error!r}); is it an ovsdb-server?"
            if self.fit.reason != reason:
                log.error("database not read", database=self.database, reason=reason)
            self.fit = Fit(reason)
            self.last_id = _NO_TRANSACTION
            self.force_reconnect()
            return False

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        """Note the row; the IDL calls this for each one that a message changes."""
        self._ids_by_table.setdefault(private.table_of(row), set()).add(row.uuid)

    def take_touched(self) -> dict[str, set[UUID]]:
        """Return the ids of the rows that were touched since the last call, by table."""
        touched, self._ids_by_table = self._ids_by_table, {}
        return {table.name: row_ids for table, row_ids in touched.items()}

    def accepts(self, database: str, schema: str) -> bool:
        """Return whether *schema* fits; say in the log why it does not."""
        old, self.fit = self.fit, self._judge(json.loads(schema))
        if self.fit.reason not in (None, old.reason):
            log.error("database not read", database=database, reason=self.fit.reason)
        self.leave_out({table: self.fit.lacking.get(table, []) for table in self.tables})
        return self.fit.reason is None

    def row_data(self, table: Any) -> Columns:
        """Return the columns of a new row of *table*, each at its default."""
        # They go with the table: the IDL makes those of the server's own database anew at each connection.
        default_by_column = vars(table).get("default_by_column")
        if default_by_column is None:
            default_by_column = table.default_by_column = defaults(table)
        return Columns(table, default_by_column)


class Outcome(Enum):
    """How a write ended."""

    DONE = "done"
    AGAIN = "again"
    """The database has moved on, or went away: look again and compose another."""
    FAILED = "failed"


class Replica:
    """The tables and columns in *columns_by_table* of the database at *remotes* (comma separated).

    *schema* is the database's schema as JSON; the server may know more than it, and lack the columns that
    are *optional* (table, column). One that does not fit otherwise is not read (`misfit`). Where a *lock* is
    named, the replica is connected only while it holds that lock, which one client of a server has at a time
    (RFC 7047 section 4.1.8). Nothing here blocks: call `run` whenever the poller that `wait` prepared wakes.
    """

    def __init__(
        self,
        remotes: str,
        schema: Mapping[str, Any],
        columns_by_table: Mapping[str, list[str]],
        lock: str | None = None,
        optional: Collection[tuple[str, str]] = (),
    ) -> None:
        helper = ovs.db.idl.SchemaHelper(schema_json=dict(schema))
        for table, columns in columns_by_table.items():
            helper.register_columns(table, columns)
        self.remotes = remotes
        self._idl = _TrackingIdl(
            remotes, helper, lambda theirs: fit(schema, theirs, columns_by_table, optional)
        )
        self._idl.set_lock(lock)
        self._known: dict[str, set[UUID]] = {table: set() for table in columns_by_table}
        self._synced_session: int | None = None
        self._patience = Patience()
        # A Unix socket does not outlive its server; only where there is another to go to is it worth asking.
        self._is_beside = "," not in remotes and not ovs.stream.stream_or_pstream_needs_probes(remotes)
        self._transaction: Any = None
        self._question: private.Question | None = None
        self.error: str | None = None

    def close(self) -> None:
        """End the connection; the rows stay as they are."""
        self._idl.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server is there, the rows are those that it has now, and the lock, if any, is ours."""
        return bool(
            self._idl.is_monitoring
            and (self._idl.has_lock or self._idl.lock_name is None)
            and self._idl.is_connected
            and self._idl.is_current
        )

    @property
    def misfit(self) -> str | None:
        """Why the database at the server that answered last is not read; None where it is."""
        return self._idl.fit.reason

    @property
    def unknown_hosts(self) -> dict[str, str]:
        """Why host names of the remotes were not found, by host name; none while the server is there."""
        return {} if self.is_connected else lookup.failures(self.remotes)

    @property
    def failures(self) -> dict[str, str]:
        """Why there is no connection, by remote, as far as it was tried; none while there is one."""
        return self._idl.failures

    @property
    def local_address(self) -> str | None:
        """The IP address by which the server knows this end; None over a Unix socket, or while it is away."""
        if not self.is_connected:
            return None
        end = self._idl.socket
        return str(end.getsockname()[0]) if end.family in (socket.AF_INET, socket.AF_INET6) else None

    def lacks(self, table: str, column: str) -> bool:
        """Return whether the server does not know that column."""
        return column in self._idl.fit.lacking.get(table, ())

    @property
    def probe_interval_ms(self) -> int:
        """How long the server may be silent before it is asked whether it is there; 0: for ever."""
        return 0 if self._is_beside else self._patience.interval_ms

    @property
    def is_contended(self) -> bool:
        """Whether another client holds the lock; it is ours as soon as that one lets go of it."""
        return bool(self._idl.is_lock_contended and not self._idl.has_lock)

    @property
    def is_synced(self) -> bool:
        """Whether the rows were whole at least once; they may be old where the server is gone."""
        return self._synced_session is not None

    @property
    def session(self) -> int | None:
        """A number that each connection that brought the rows has of its own; None before the first."""
        return self._synced_session

    @property
    def are_conditions_met(self) -> bool:
        """Whether the server has sent all rows that the latest conditions ask for."""
        states = (table.condition_state for table in self._idl.tables.values())
        return self.is_connected and all(state.new is None and state.requested is None for state in states)

    def rows(self, table: str) -> Mapping[UUID, Any]:
        """Return the rows of *table* by id."""
        rows: Mapping[UUID, Any] = self._idl.tables[table].rows
        return rows

    @property
    def everything(self) -> Touched:
        """Every row that is there, as if it had just come."""
        return Touched({table: set(self.rows(table)) for table in self._known})

    def table(self, name: str) -> Any:
        """Return the table of that name, for a transaction to insert into."""
        return self._idl.tables[name]

    def run(self) -> Touched:
        """Take in what the server sent, and return the rows that it touched.

        After a reconnection that is every row that there was or is, as the server does not say which went
        meanwhile.
        """
        self._idl.run()
        self._patience.watch(ovs.timeval.msec(), is_connected=self._idl.is_connected)
        self._idl.set_probe_interval(self.probe_interval_ms)
        touched = self._idl.take_touched()
        if not self.is_connected:
            # Half a dump would look like rows that went; what was touched is told again when it is whole.
            return Touched()
        if self._question is not None:
            self._question.send(self._idl)
        session = self._idl.session
        if session != self._synced_session:
            self._synced_session = session
            touched = {table: known | set(self.rows(table)) for table, known in self._known.items()}
        for table, row_ids in touched.items():
            rows = self.rows(table)
            for row_id in row_ids:
                (self._known[table].add if row_id in rows else self._known[table].discard)(row_id)
        return Touched(touched)

    def catch_up(self) -> None:
        """Ask the server for an answer behind all that is committed now; `is_caught_up` tells of it.

        ovsdb-server tells a session of all that was committed before it answers a request of that session.
        Where it is away, it is asked when it is back.
        """
        self._question = private.Question()
        if self.is_connected:
            self._question.send(self._idl)

    @property
    def is_caught_up(self) -> bool:
        """Whether the rows show all that was committed when `catch_up` was called."""
        return self._question is None or self._question.is_answered

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Let *poller* wake when `run` or `outcome` has something to do."""
        self._idl.wait(poller)
        if self._transaction is not None:
            self._transaction.wait(poller)

    def restrict(self, table: str, condition: Iterable[Any]) -> None:
        """Ask for just those rows of *table* that match any clause of *condition* (RFC 7047 section 5.1)."""
        self._idl.cond_change(table, list(condition))

    def ask(self) -> None:
        """Send what `restrict` said; where the server has yet to answer the last such request, after that."""
        self._idl.send_cond_change()

    # -- writing -----------------------------------------------------------------------------------

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way; there is one at a time."""
        return self._transaction is not None

    def begin(self, comment: str) -> Any:
        """Return a new transaction, to be filled and sent by `commit`; *comment* goes to the database log."""
        transaction = ovs.db.idl.Transaction(self._idl)
        transaction.add_comment(comment)
        return transaction

    def commit(self, transaction: Any) -> None:
        """Send *transaction*; `outcome` tells how it ended."""
        transaction.commit()
        self._transaction = transaction

    def outcome(self) -> Outcome | None:
        """Return how the write ended, once; None while it is under way and when there is none."""
        if self._transaction is None:
            return None
        kind = ovs.db.idl.Transaction
        status = self._transaction.commit()
        if status == kind.INCOMPLETE:
            return None
        transaction, self._transaction = self._transaction, None
        if status in (kind.SUCCESS, kind.UNCHANGED):
            return Outcome.DONE
        if status in (kind.TRY_AGAIN, kind.NOT_LOCKED):
            return Outcome.AGAIN
        self.error = transaction.get_error()
        return Outcome.FAILED
