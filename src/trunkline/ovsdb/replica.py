"""A replica: a database's rows in memory, kept current by the server, and which of them changed."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import ovs.db.idl
import ovs.poller
import ovs.stream
import ovs.timeval

from trunkline.northbound.fit import fit
from trunkline.ovsdb import lookup, parser
from trunkline.ovsdb.patience import Patience
from trunkline.ovsdb.touched import Touched
from trunkline.ovsdb.tracking_idl import TrackingIdl, known_clauses
from trunkline.ovsdb.write import Outcome, ending, refusal
from trunkline.runtime import private

lookup.install()
private.use_parser(parser.Parser)


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
        self._idl = TrackingIdl(
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
        self.is_connected = False
        """Whether the latest `run` found the server connected, its rows there, and the lock, if any, ours."""
        self._are_conditions_met: bool | None = None
        self.error: str | None = None

    def close(self) -> None:
        """End the connection; the rows stay as they are."""
        self._idl.close()
        self.is_connected = False
        self._are_conditions_met = None

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
    def has_tried_all(self) -> bool:
        """Whether a connection to every address of every remote was tried, and none is there."""
        remotes = [remote.strip() for remote in self.remotes.split(",") if remote.strip()]
        tries = self._idl.attempts
        return not self.is_connected and all(lookup.were_all_tried(each, tries[each]) for each in remotes)

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
        if self._are_conditions_met is None:
            states = [table.condition_state for table in self._idl.tables.values()]
            is_open = any(state.new is not None or state.requested is not None for state in states)
            self._are_conditions_met = self.is_connected and not is_open
        return self._are_conditions_met

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
        self._are_conditions_met = None
        self.is_connected = bool(
            self._idl.is_monitoring
            and (self._idl.has_lock or self._idl.lock_name is None)
            and self._idl.is_connected
            and self._idl.is_current
        )
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
        self._are_conditions_met = None
        if self.has(table):
            self._idl.cond_change(table, known_clauses(condition, self._idl.fit.lacking.get(table, ())))

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
