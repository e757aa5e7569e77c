"""A replica: a database's rows in memory, kept current by the server, and which of them changed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
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
from trunkline.ovsdb.touched import Touched
from trunkline.runtime import private
from trunkline.runtime.log import Log

lookup.install()
private.use_parser(parser.Parser)

log = Log("replica")

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
"""How long to wait after a database refused a write, the first time and at most."""


_NONSENSE = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    ovs.db.error.Error,
)
"""What the IDL raises at a message that is not what it asked for."""

_NO_TRANSACTION = str(UUID(int=0))


class _TrackingIdl(private.Idl):
    """The IDL, with a list of the rows that it touches, and rows whose columns stay as they came.

    *judge* says whether a database with the schema of the server can be read.
    """

    change_seqno: int

    def __init__(self, remotes: str, helper: ovs.db.idl.SchemaHelper, judge: Callable[[Any], Fit]) -> None:
        self.fit = Fit()
        self.refusal: str | None = None
        """Why the server refuses to send the rows that it was asked for last; None if it does not."""
        self._judge = judge
        self._ids_by_table: dict[Any, set[UUID]] = {}
        super().__init__(remotes, helper, SHORTEST_MS)
        self.table_by_name: dict[str, Any] = dict(self.tables)

    def run(self) -> bool:
        """Read what the server sent; return whether that changed the rows.

        The IDL relies on a server that keeps to RFC 7047. If another program sends something else, that ends
        the connection, and everything is read again at the next one.
        """
        before = self.change_seqno
        try:
            is_changed = bool(super().run())
            self._heed_refusal()
            return is_changed
        except _NONSENSE as error:
            # The IDL counts a change before it has read it.
            self.change_seqno = before
            reason = f"its server's answers are invalid ({error!r}); is it an ovsdb-server?"
            if self.fit.reason != reason:
                log.error("database not read", database=self.database, reason=reason)
            self.fit = Fit(reason)
            self.last_id = _NO_TRANSACTION
            self.force_reconnect()
            return False

    def _heed_refusal(self) -> None:
        """If the server refuses to send rows, connect and ask again; that is a misfit until it does not."""
        error = self.refused
        if error is not None:
            reason = f"its server refuses to send rows: {refusal(json.dumps(error))}"
            if self.refusal != reason:
                log.error("database not read", database=self.database, reason=reason)
            self.refusal = reason
            self.force_reconnect()
        elif self.is_monitoring and self.is_current:
            self.refusal = None

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        """Note the row; the IDL calls this for each row that a message changes."""
        self._ids_by_table.setdefault(private.table_of(row), set()).add(row.uuid)

    def take_touched(self) -> dict[str, set[UUID]]:
        """Return the ids of the rows that were touched since the last call, by table."""
        touched, self._ids_by_table = self._ids_by_table, {}
        return {table.name: row_ids for table, row_ids in touched.items()}

    def accepts(self, database: str, schema: str) -> bool:
        """Return whether *schema* fits; log why it does not."""
        old, self.fit = self.fit, self._judge(json.loads(schema))
        if self.fit.reason not in (None, old.reason):
            log.error("database not read", database=database, reason=self.fit.reason)
        for name, known in self.table_by_name.items():
            # Of a table that the server does not have, not even a column may be asked for.
            if len(self.fit.lacking.get(name, [])) < len(known.columns):
                self.tables[name] = known
            elif self.tables.pop(name, None) is not None:
                known.rows.clear()
        self.leave_out({table: self.fit.lacking.get(table, []) for table in self.tables})
        for name in self.tables:
            self._forget_clauses(name, self.fit.lacking.get(name, ()))
        return self.fit.reason is None

    def _forget_clauses(self, table: str, lacking: Collection[str]) -> None:
        """Leave out of the conditions what is about *lacking* columns: the server would refuse it."""
        state = self.tables[table].condition_state
        acked, new = _known(state.acked, lacking), state.new
        if acked != state.acked:
            state.init(acked)
            state.request()
            state.ack()
            self.last_id = _NO_TRANSACTION
        if new is not None:
            state.init(_known(new, lacking))

    def row_data(self, table: Any) -> Columns:
        """Return the columns of a new row of *table*, each at its default."""
        # Kept with the table: at each connection the IDL makes new tables for the server's own database.
        default_by_column = vars(table).get("default_by_column")
        if default_by_column is None:
            default_by_column = table.default_by_column = defaults(table)
        return Columns(table, default_by_column)


def _known(condition: Iterable[Any], lacking: Collection[str]) -> list[Any]:
    """Return *condition* without the clauses about columns that are *lacking*.

    >>> _known([["name", "==", "vm1"], ["iface_id", "==", "vm1"]], ["iface_id"]), _known([True], [])
    ([['name', '==', 'vm1']], [True])
    """
    return [each for each in condition if isinstance(each, bool) or each[0] not in lacking] or [False]


class Outcome(Enum):
    """How a write ended."""

    DONE = "done"
    AGAIN = "again"
    """The database has changed, or went away: read it again and write anew."""
    FAILED = "failed"


class Replica:
    """The tables and columns in *columns_by_table* of the database at *remotes* (comma separated).

    *schema* is the schema of the database as JSON. That of the server may have more in it, and may lack the
    columns that are *optional* (table, column); if it does not fit otherwise, the database is not read
    (`misfit`). If a *lock* is named, the replica is connected only while it holds that lock, which one client
    of a server has at a time (RFC 7047 section 4.1.8). Nothing here blocks: call `run` each time that the
    poller prepared by `wait` wakes.
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
        # A Unix socket ends with its server; probing it is of use only if there is another remote to go to.
        self._is_beside = "," not in remotes and not ovs.stream.stream_or_pstream_needs_probes(remotes)
        self._transaction: Any = None
        self._question: private.Question | None = None
        self.error: str | None = None

    def close(self) -> None:
        """End the connection; the rows stay as they are."""
        self._idl.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server is connected, the rows are its present ones, and the lock, if any, is ours."""
        return bool(
            self._idl.is_monitoring
            and (self._idl.has_lock or self._idl.lock_name is None)
            and self._idl.is_connected
            and self._idl.is_current
        )

    @property
    def misfit(self) -> str | None:
        """Why the database of the server that answered last is not read; None if it is."""
        return self._idl.fit.reason or self._idl.refusal

    @property
    def unknown_hosts(self) -> dict[str, str]:
        """Why host names of the remotes were not found, by host name; none while the server is there."""
        return {} if self.is_connected else lookup.failures(self.remotes)

    @property
    def failures(self) -> dict[str, str]:
        """Why there is no connection, for each remote that was tried; none while there is one."""
        return self._idl.failures

    @property
    def local_address(self) -> str | None:
        """The IP address of this end of the connection; None for a Unix socket, and while there is none."""
        if not self.is_connected:
            return None
        end = self._idl.socket
        return str(end.getsockname()[0]) if end.family in (socket.AF_INET, socket.AF_INET6) else None

    def lacks(self, table: str, column: str) -> bool:
        """Return whether the database of the server does not have that column."""
        return column in self._idl.fit.lacking.get(table, ())

    def has(self, table: str) -> bool:
        """Return whether the server knows that table."""
        return table in self._idl.tables

    @property
    def probe_interval_ms(self) -> int:
        """How long the server may be silent before it is probed; 0: without limit."""
        return 0 if self._is_beside else self._patience.interval_ms

    @property
    def is_contended(self) -> bool:
        """Whether another client holds the lock; it is ours as soon as that one releases it."""
        return bool(self._idl.is_lock_contended and not self._idl.has_lock)

    @property
    def is_synced(self) -> bool:
        """Whether all rows were read at least once; they may be old if the server is away."""
        return self._synced_session is not None

    @property
    def session(self) -> int | None:
        """A number of the connection that the rows came by, another one for each; None before the first."""
        return self._synced_session

    @property
    def are_conditions_met(self) -> bool:
        """Whether the server has sent all rows that the latest conditions ask for."""
        if not self.is_connected:
            return False
        for table in self._idl.tables.values():
            if table.condition_state.new is not None or table.condition_state.requested is not None:
                return False
        return True

    def rows(self, table: str) -> Mapping[UUID, Any]:
        """Return the rows of *table* by id."""
        rows: Mapping[UUID, Any] = self._idl.table_by_name[table].rows
        return rows

    @property
    def everything(self) -> Touched:
        """Every row that is there, as if it had just come."""
        return Touched({table: set(self.rows(table)) for table in self._known})

    def table(self, name: str) -> Any:
        """Return the table of that name, for a transaction to insert into."""
        return self._idl.tables[name]

    def run(self) -> Touched:
        """Read what the server sent; return the rows that it touched.

        After a reconnection these are all rows that there were or are: the server does not say which went
        meanwhile.
        """
        self._idl.run()
        self._patience.watch(ovs.timeval.msec(), is_connected=self._idl.is_connected)
        self._idl.set_probe_interval(self.probe_interval_ms)
        touched = self._idl.take_touched()
        if not self.is_connected:
            # A dump that is not whole would look as if rows had gone; once it is, all rows are touched.
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
        """Ask the server for an answer that comes after all that is committed now: see `is_caught_up`.

        Before ovsdb-server answers a request, it sends all that was committed before. If it is away, it is
        asked when it is back.
        """
        self._question = private.Question()
        if self.is_connected:
            self._question.send(self._idl)

    @property
    def is_caught_up(self) -> bool:
        """Whether the rows show all that was committed when `catch_up` was called."""
        return self._question is None or self._question.is_answered

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` or `outcome` has something to do."""
        self._idl.wait(poller)
        if self._transaction is not None:
            self._transaction.wait(poller)

    def restrict(self, table: str, condition: Iterable[Any]) -> None:
        """Restrict *table* to rows that match any clause of *condition* (RFC 7047 section 5.1): see `ask`.

        A clause about a column that the server does not have would match nothing.
        """
        if self.has(table):
            self._idl.cond_change(table, _known(condition, self._idl.fit.lacking.get(table, ())))

    def ask(self) -> None:
        """Ask the server for what `restrict` said, once it has answered the last such request."""
        self._idl.send_cond_change()

    # -- writing -----------------------------------------------------------------------------------

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way; there is one at a time."""
        return self._transaction is not None

    def begin(self, comment: str) -> Any:
        """Return a new transaction, to be filled and sent by `commit`; the database logs *comment*."""
        transaction = ovs.db.idl.Transaction(self._idl)
        transaction.add_comment(comment)
        return transaction

    def commit(self, transaction: Any) -> None:
        """Send *transaction*; `outcome` tells how it ended."""
        transaction.commit()
        self._transaction = transaction

    def outcome(self) -> Outcome | None:
        """Return how the write ended, once; None while it is under way, and if there is none."""
        outcome = None if self._transaction is None else ending(self._transaction)
        if outcome is not None:
            transaction, self._transaction = self._transaction, None
            self.error = refusal(transaction.get_error()) if outcome is Outcome.FAILED else self.error
        return outcome


def refusal(error: str | None) -> str | None:
    """Return in words why a server refused a write; *error* is its answer as JSON (RFC 7047 section 3.1).

    >>> refusal('{"details":"No row has it.","error":"referential integrity violation"}')
    'referential integrity violation: No row has it.'
    >>> refusal("no JSON")
    'no JSON'
    """
    try:
        answer = json.loads(error or "")
    except ValueError:
        return error
    if not isinstance(answer, dict) or "error" not in answer:
        return error
    return ": ".join(str(answer[key]) for key in ("error", "details") if answer.get(key))


def ending(transaction: Any) -> Outcome | None:
    """Return how *transaction*, which was sent, has ended; None while it is under way."""
    kind = ovs.db.idl.Transaction
    status = transaction.commit()
    if status == kind.INCOMPLETE:
        return None
    if status in (kind.SUCCESS, kind.UNCHANGED):
        return Outcome.DONE
    return Outcome.AGAIN if status in (kind.TRY_AGAIN, kind.NOT_LOCKED) else Outcome.FAILED
