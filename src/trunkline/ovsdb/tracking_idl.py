"""The tracking IDL: the rows as the server sent them, which of them changed, and whether they can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any
from uuid import UUID

import ovs.db.error
import ovs.db.idl

from trunkline.northbound.fit import Fit
from trunkline.ovsdb.columns import Columns, defaults
from trunkline.ovsdb.patience import SHORTEST_MS
from trunkline.ovsdb.write import refusal
from trunkline.runtime import private
from trunkline.runtime.log import Log

log = Log("replica")

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


class TrackingIdl(private.Idl):
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
        acked, new = known_clauses(state.acked, lacking), state.new
        if acked != state.acked:
            state.init(acked)
            state.request()
            state.ack()
            self.last_id = _NO_TRANSACTION
        if new is not None:
            state.init(known_clauses(new, lacking))

    def row_data(self, table: Any) -> Columns:
        """Return the columns of a new row of *table*, each at its default."""
        # Kept with the table: at each connection the IDL makes new tables for the server's own database.
        default_by_column = vars(table).get("default_by_column")
        if default_by_column is None:
            default_by_column = table.default_by_column = defaults(table)
        return Columns(table, default_by_column)


def known_clauses(condition: Iterable[Any], lacking: Collection[str]) -> list[Any]:
    """Return *condition* without the clauses about columns that are *lacking*.

    >>> known_clauses([["name", "==", "vm1"], ["iface_id", "==", "vm1"]], ["iface_id"])
    [['name', '==', 'vm1']]
    >>> known_clauses([True], [])
    [True]
    """
    return [each for each in condition if isinstance(each, bool) or each[0] not in lacking] or [False]
