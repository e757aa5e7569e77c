"""A monitor: some rows of a database, and their changes, as a server sends them (ovsdb-server(7)).

A `Monitor` lives as long as its connection. `trunkline.northbound.watch` starts the next one from where the
last one ended.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from trunkline.core.error import InvalidValueError, Place
from trunkline.northbound.operation import Uuid, decoded
from trunkline.northbound.rpc import Notification, RequestError, UnreachableError, sensible
from trunkline.northbound.schema import Shape, shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline.northbound.operation import Row
    from trunkline.northbound.rpc import Rpc

Rows: TypeAlias = "dict[str, dict[Uuid, Row]]"
"""Rows by table and UUID."""

LOAD_TIMEOUT_S = 60.0
"""How long a server may take to send the rows that there are at first."""

_ROWS, _SERVER = "rows", "server"
"""The names of the two monitors of a connection: of the rows asked for, and of the server's own state."""

_NO_TRANSACTION = "00000000-0000-0000-0000-000000000000"


class RowChange(NamedTuple):
    """A change of a row of *table*: *old* is None if it is new, and *new* is None if it is gone.

    A row is also new if it meets the condition only now, and gone if it no longer does. Both rows have all
    columns that were asked for. Do not write to them.
    """

    table: str
    id: Uuid
    old: Row | None
    new: Row | None


class Point(NamedTuple):
    """How much of a database's history was seen: the last transaction; and a cluster's id and log index."""

    transaction: str = _NO_TRANSACTION
    cluster: str | None = None
    log_index: int = 0


class Update(NamedTuple):
    """Rows as the server sends them, `<table-updates2>`; *is_whole* if they are all its rows."""

    tables: Mapping[str, Mapping[str, Any]]
    is_whole: bool = False


class ColumnType(NamedTuple):
    """How a column's values are sent: *is_differential* if a change has only the items that come and go."""

    shape: Shape
    default: Any
    is_differential: bool

    @classmethod
    def of(cls, type_: Any) -> ColumnType:
        """Return the one of the column type *type_* (RFC 7047 section 3.2, `<type>`)."""
        form = shape(type_)
        key = type_["key"] if isinstance(type_, dict) else type_
        atom = _DEFAULTS[key["type"] if isinstance(key, dict) else key]
        empty: list[Any] = ["map" if form is Shape.MAP else "set", []]
        is_one = isinstance(type_, str) or type_.get("max", 1) == 1
        return cls(form, atom if form is Shape.ONE else empty, not is_one)

    def value(self, text: Any) -> Any:
        """Return the value that the JSON *text* stands for."""
        return decoded(text, self.shape)

    def changed(self, old: Any, difference: Any) -> Any:
        """Return what *old* becomes by the JSON *difference* (ovsdb-server(7), section 4.1.14)."""
        items = self.value(difference)
        if not self.is_differential:
            return items
        if self.shape is Shape.SET:
            return sorted(set(old).symmetric_difference(items))
        gone = {key for key, item in items.items() if old.get(key) == item}
        return dict(sorted((key, item) for key, item in {**old, **items}.items() if key not in gone))


_DEFAULTS = {"string": "", "integer": 0, "real": 0.0, "boolean": False, "uuid": ["uuid", _NO_TRANSACTION]}
"""The values that a server leaves out of a new row (RFC 7047 section 5.2.1)."""

_SERVER_TYPES = {
    name: ColumnType.of(type_)
    for name, type_ in {
        "name": "string",
        "schema": {"key": "string", "min": 0},
        "connected": "boolean",
        "cid": {"key": "uuid", "min": 0},
        "index": {"key": "integer", "min": 0},
    }.items()
}
"""Some columns of `_Server:Database`, by which a server says what it serves (ovsdb-server(5))."""

Types: TypeAlias = "Mapping[str, Mapping[str, ColumnType]]"


def column_types(schema: Mapping[str, Any], columns_by_table: Mapping[str, list[str]]) -> Types:
    """Return the types of some columns by *schema* (RFC 7047 section 3.2).

    Raises:
        InvalidValueError: the schema does not have one of them.
    """
    found: dict[str, dict[str, ColumnType]] = {}
    for table, columns in columns_by_table.items():
        known = schema["tables"].get(table, {"columns": {}})["columns"]
        for column in columns:
            if column not in known:
                raise InvalidValueError(f"there is no column `{column}` in table {table}", Place(table))
        found[table] = {column: ColumnType.of(known[column]["type"]) for column in columns}
    return found


def row_changes(rows: Rows, update: Update, types: Types) -> Iterator[RowChange]:
    """Yield the changes that *update* makes to *rows*.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: *update* is invalid, or is of other rows.
    """
    for table, known in rows.items():
        told = update.tables.get(table, {})
        for id_ in [id_ for id_ in known if id_ not in told] if update.is_whole else ():
            yield RowChange(table, id_, known[id_], None)
        for text, change in told.items():
            id_ = Uuid(text)
            old = known.get(id_)
            new = _row(types[table], old, change)
            if old != new:
                yield RowChange(table, id_, old, new)


def _row(types: Mapping[str, ColumnType], old: Row | None, change: Mapping[str, Any]) -> Row | None:
    """Return the row *old* after *change*, a `<row-update2>`; None if it is deleted."""
    if "delete" in change:
        return None
    inserted = change.get("initial", change.get("insert"))
    if inserted is not None:
        return {name: each.value(inserted.get(name, each.default)) for name, each in types.items()}
    known = dict(old)  # type: ignore[arg-type]  # None is no row to modify: a TypeError
    return known | {name: types[name].changed(known[name], value) for name, value in change["modify"].items()}


class Monitor:
    """The rows of *database* that *requests* (`<monitor-cond-requests>`) ask for, over the connection *rpc*.

    *point* is how much of their history was seen; *types* are the types of their columns.
    """

    def __init__(self, rpc: Rpc, database: str, requests: Mapping[str, Any], point: Point) -> None:
        self.point = point
        self.types: Types = {}
        self._rpc = rpc
        self._database = database
        self._requests = requests
        self._server: Rows = {"Database": {}}

    @property
    def remote(self) -> str:
        """Where the server is."""
        return self._rpc.remote

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()

    def start(self, timeout_s: float) -> Update:
        """Return the present rows, or those that have changed since *point*.

        A member of a cluster that is behind *point* has *timeout_s* to catch up.

        Raises:
            InvalidValueError: the database has no such table or column.
            RequestError: the server refuses the request.
            UnreachableError: the server is lost, is cut off from its cluster, or did not catch up.
        """
        columns = {"columns": list(_SERVER_TYPES), "where": [["name", "==", self._database]]}
        self._take_server(
            self._rpc.request("monitor_cond", ["_Server", _SERVER, {"Database": [columns]}], timeout_s)
        )
        deadline_s = time.monotonic() + timeout_s
        while self._is_behind():
            notification = self._rpc.notification(deadline_s - time.monotonic())
            if notification is None:
                raise UnreachableError(f"{self.remote}: is behind the rest of its cluster")
            self._update(notification)
        row = self._server_row()
        with sensible(self.remote):
            self.types = column_types(
                json.loads(row["schema"]),
                {table: requests[0]["columns"] for table, requests in self._requests.items()},
            )
        self.point = self.point._replace(cluster=row["cid"], log_index=row["index"])
        return self._first()

    def _first(self) -> Update:
        asked = [self._database, _ROWS, self._requests]
        try:
            result = self._load("monitor_cond_since", [*asked, self.point.transaction])
        except RequestError as error:
            if error.reason != "unknown method":  # before Open vSwitch 2.12
                raise
            return Update(self._load("monitor_cond", asked), is_whole=True)
        with sensible(self.remote):
            was_found, transaction, tables = result
            self.point = self.point._replace(transaction=transaction)
            return Update(tables, is_whole=not was_found)

    def next(self, deadline_s: float) -> Update | None:
        """Return the next update of the rows, None if none comes by *deadline_s* (`time.monotonic`).

        Raises:
            UnreachableError: the server is lost, or is cut off from its cluster.
        """
        while (notification := self._rpc.notification(deadline_s - time.monotonic())) is not None:
            update = self._update(notification)
            if update is not None:
                return update
        return None

    def _update(self, notification: Notification) -> Update | None:
        """Return the update of the rows that *notification* is, None if it is about the server."""
        with sensible(self.remote):
            match notification:
                case Notification("update3", [_, transaction, tables]):
                    self.point = self.point._replace(transaction=transaction)
                    return Update(tables)
                case Notification("update2", [name, tables]) if name == _ROWS:
                    return Update(tables)
                case Notification("update2", [_, tables]):
                    self._take_server(tables)
                    index = self._server_row()["index"]
                    self.point = self.point._replace(log_index=max(self.point.log_index, index))
                    return None
        raise UnreachableError(f"{self.remote}: sends {notification.method!r}, which was not asked for")

    def _load(self, method: str, params: list[Any]) -> Any:
        return self._rpc.request(method, params, LOAD_TIMEOUT_S)

    def _take_server(self, tables: Mapping[str, Any]) -> None:
        """Update what is known of the server; raise UnreachableError if it no longer serves the database."""
        with sensible(self.remote):
            apply(self._server, row_changes(self._server, Update(tables), {"Database": _SERVER_TYPES}))
        self._server_row()

    def _server_row(self) -> Row:
        """Return the server's row of the database; raise UnreachableError if it does not serve it now."""
        rows = list(self._server["Database"].values())
        if not rows:
            raise UnreachableError(f"{self.remote}: does not serve {self._database}")
        row = rows[0]
        if not row["connected"] or row["schema"] is None:
            raise UnreachableError(f"{self.remote}: is cut off from its cluster")
        with sensible(self.remote):
            return row | {"index": int(row["index"] or 0)}

    def _is_behind(self) -> bool:
        """Return whether this member of the cluster lacks transactions that another member has sent here."""
        row = self._server_row()
        is_same: bool = row["cid"] == self.point.cluster
        return is_same and row["index"] < self.point.log_index


def apply(rows: Rows, changes: Iterator[RowChange] | list[RowChange]) -> list[RowChange]:
    """Apply all of *changes* to *rows*, or none if computing them raises; return them."""
    done = list(changes)
    for change in done:
        if change.new is None:
            rows[change.table].pop(change.id, None)
        else:
            rows[change.table][change.id] = change.new
    return done
