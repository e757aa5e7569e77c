"""The private parts of the `ovs` package that Trunkline uses or overrides, under names of ours.

Only this file uses them. The package does not promise them, so the import of this module checks the installed
package, and raises `PackageError` if it differs. See `trunkline.runtime.package`.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, ClassVar
from uuid import UUID

import ovs.db.idl
import ovs.json
import ovs.jsonrpc
import ovs.poller
import ovs.reconnect
import ovs.socket_util
import ovs.stream
import ovs.unixctl.server

from trunkline.runtime.log import Log
from trunkline.runtime.package import check

check()

log = Log("tls")

# -- the replica of a database -----------------------------------------------------------------------

data_of: Callable[[Any], Any] = attrgetter("_data")
"""The columns of a row as the server sent them, in the form that `Idl.row_data` made."""

table_of: Callable[[Any], Any] = attrgetter("_table")
"""The table of a row."""


class UnsentRow:
    """A row that no server has sent, for `data_of`; *data* are its columns."""

    def __init__(self, uuid: UUID, data: RowData) -> None:
        self.uuid = uuid
        self._data = data


class RowData(ovs.db.idl.ColumnDefaultDict):  # type: ignore[misc]
    """The data of one row by column, for the IDL."""

    __slots__ = ()

    @property
    def table(self) -> Any:
        """The table of the row."""
        return self._table


class _Rows(dict[UUID, Any]):
    """The rows of a table, for the IDL; the package's own class has indexes and takes four times as long."""

    indexes: ClassVar[dict[str, Any]] = {}


tls_failure_by_remote: dict[str, str] = {}
"""The last TLS failure of each remote, in words; the package only passes on an error number."""


class _Attempts(ovs.reconnect.Reconnect):  # type: ignore[misc]
    """The attempts of a session to connect: how many to each remote have ended, and why the last one did."""

    end_by_remote: dict[str, str]
    count_by_remote: Counter[str]

    def disconnected(self, now: int, error: int) -> None:
        """Take note of why the connection to the present remote ended, or could not be made."""
        self.end_by_remote[self.get_name()] = (
            os.strerror(error)
            if error > 0
            else "the server closed the connection"
            if error == ovs.jsonrpc.EOF
            else "no answer"
        )
        self.count_by_remote[self.get_name()] += 1
        super().disconnected(now, error)


class _Session(ovs.jsonrpc.Session):  # type: ignore[misc]
    """A session that keeps the last error that the server answered; the IDL does not pass it on."""

    last_error: Any = None

    def recv(self) -> Any:
        """Return the next message, or None."""
        message = super().recv()
        if message is not None and message.type == ovs.jsonrpc.Message.T_ERROR:
            self.last_error = message.error
        return message


_REQUESTED = (
    ovs.db.idl.Idl.IDL_S_DATA_MONITOR_COND_SINCE_REQUESTED,
    ovs.db.idl.Idl.IDL_S_DATA_MONITOR_COND_REQUESTED,
    ovs.db.idl.Idl.IDL_S_DATA_MONITOR_REQUESTED,
)
"""The states in which the server has been asked for rows, and has not sent them."""


class Idl(ovs.db.idl.Idl):  # type: ignore[misc]
    """The IDL; a subclass says which schema it reads and how it keeps what the server sends."""

    def __init__(self, remotes: str, helper: Any, probe_interval_ms: int) -> None:
        super().__init__(remotes, helper, probe_interval=probe_interval_ms, leader_only=False)
        self._session.__class__ = _Session
        self._session.reconnect.__class__ = _Attempts
        self._session.reconnect.end_by_remote = {}
        self._session.reconnect.count_by_remote = Counter()
        for table in self.tables.values():
            table.rows = _Rows()

    def accepts(self, database: str, schema: str) -> bool:
        """Return whether the server's *schema*, as JSON, can be used for *database*."""
        raise NotImplementedError

    def row_data(self, table: Any) -> Any:
        """Return a `RowData` for a new row of *table*; it needs a method `receive` for the row's columns."""
        raise NotImplementedError

    def leave_out(self, columns_by_table: dict[str, list[str]]) -> None:
        """Do not request these columns from the server."""
        self.readonly = columns_by_table

    @property
    def database(self) -> str:
        """The name of the database that is read."""
        return str(self._db.name)

    @property
    def is_connected(self) -> bool:
        """Whether the server is connected."""
        return bool(self._session.is_connected())

    @property
    def failures(self) -> dict[str, str]:
        """Why each remote that was tried is not connected; empty while there is a connection."""
        if self.is_connected:
            return {}
        ends: dict[str, str] = self._session.reconnect.end_by_remote
        return {remote: tls_failure_by_remote.get(remote, reason) for remote, reason in ends.items()}

    @property
    def attempts(self) -> Mapping[str, int]:
        """How many connections to each remote that was tried have ended, or could not be made."""
        counts: Counter[str] = self._session.reconnect.count_by_remote
        return counts

    @property
    def is_monitoring(self) -> bool:
        """Whether the server has sent all rows."""
        return bool(self.state == ovs.db.idl.Idl.IDL_S_MONITORING)

    @property
    def refused(self) -> Any:
        """The error with which the server has just refused to send the rows that it was asked for; or None.

        The `ovs` package takes no notice of it: it would wait for ever, and no longer follow any change.
        """
        error = self._session.last_error  # first, as there seldom is one, and every turn of the loop asks
        if error is None or self._request_id is not None or not (self.is_connected and self.is_current):
            return None
        is_waiting = self.state in _REQUESTED or any(
            table.condition_state.requested is not None for table in self.tables.values()
        )
        return error if is_waiting else None

    @property
    def session(self) -> int:
        """A number that is different for each connection."""
        return int(self._session.get_seqno())

    @property
    def is_current(self) -> bool:
        """Whether the rows come from the present connection."""
        return bool(self._session.get_seqno() == self._last_seqno)

    @property
    def socket(self) -> Any:
        """The socket of the connection, while there is one."""
        return self._session.rpc.stream.socket

    @property
    def database_ids(self) -> dict[str, UUID]:
        """The UUID of the server's own row for each of its databases, by name (ovsdb-server(5))."""
        tables = self.server_tables or {}
        rows = tables[self._server_db_table].rows if self._server_db_table in tables else {}
        return {row.name: row_id for row_id, row in rows.items()}

    def set_probe_interval(self, interval_ms: int) -> None:
        """Probe a server that is silent for *interval_ms*."""
        self._session.reconnect.set_probe_interval(interval_ms)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Wake *poller* for the session, and at once if a condition can be sent.

        The `ovs` package's own method loops without rest while a condition waits for a server that is away.
        """
        if self.cond_changed and self._session.is_connected() and self._request_id is None:
            poller.immediate_wake()
        self._session.wait(poller)
        self._session.recv_wait(poller)

    # Python mangles names such as `__check_server_db` to these.

    def _Idl__check_server_db(self) -> bool:  # noqa: N802
        """Return whether the server has a database that can be read; if not, it is tried again."""
        if not ovs.db.idl.Idl._Idl__check_server_db(self):
            return False
        for row in self.server_tables[self._server_db_table].rows.values():
            if row.name == self._db.name and row.schema:
                return self.accepts(row.name, row.schema[0])
        return True

    def _Idl__create_row(self, table: Any, row_id: UUID) -> Any:  # noqa: N802
        return ovs.db.idl.Row(self, table, row_id, self.row_data(table))

    def _Idl__add_default(self, table: Any, row_update: Any) -> None:  # noqa: N802
        """Do nothing about columns that the server left out: the row's data knows the defaults."""

    @staticmethod
    def _Idl__row_update(table: Any, row: Any, row_json: dict[str, Any]) -> bool:  # noqa: N802
        """Keep *row_json* until it is needed; return True, because the row may differ."""
        row._data.receive(row_json)
        return True


class Question:
    """A request that changes nothing and takes its turn among the IDL's transactions."""

    def __init__(self) -> None:
        self._status = ovs.db.idl.Transaction.UNCOMMITTED

    @property
    def is_answered(self) -> bool:
        """Whether the server has answered it."""
        return bool(self._status == ovs.db.idl.Transaction.SUCCESS)

    def send(self, idl: Idl) -> None:
        """Send it, unless it is under way or answered; if the IDL lost it, this sends it again."""
        kind = ovs.db.idl.Transaction
        if self._status not in (kind.UNCOMMITTED, kind.TRY_AGAIN):
            return
        words = [idl._db.name, {"op": "comment", "comment": "how far is it?"}]
        request = ovs.jsonrpc.Message.create_request("transact", words)
        if not idl._session.send(request):
            idl._outstanding_txns[request.id] = self
            self._status = kind.INCOMPLETE

    def _process_reply(self, _reply: ovs.jsonrpc.Message) -> None:
        self._status = ovs.db.idl.Transaction.SUCCESS


def use_parser(parser: type) -> None:
    """Make all connections to databases parse JSON with *parser* from now on."""
    ovs.json.Parser = parser
    ovs.json.PARSER = ovs.json.PARSER_PY


# -- streams -----------------------------------------------------------------------------------------

Opened = tuple[int, Any]
"""An error number, and the socket if that is 0."""


class TlsStream(ovs.stream.SSLStream):  # type: ignore[misc]
    """The TLS stream; it waits for the handshake without a busy loop, and says why it failed."""

    _awaits_peer = False

    def connect(self) -> int:
        """Return 0 when the connection and its TLS handshake are done, EAGAIN before, or an error."""
        self._awaits_peer = False
        error: int = ovs.stream.Stream.connect(self)
        if error:
            return error
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._awaits_peer = True
            return errno.EAGAIN
        except ssl.SSLWantWriteError:
            return errno.EAGAIN
        except OSError as failure:
            tls_failure_by_remote[self.name] = f"TLS failed: {failure}"
            if isinstance(failure, ssl.SSLError):
                log.warning("TLS failed", peer=self.name, error=failure)
            return int(ovs.socket_util.get_exception_errno(failure))
        tls_failure_by_remote.pop(self.name, None)
        return 0

    def wait(self, poller: ovs.poller.Poller, wait: int) -> None:
        """Wake *poller* when the operation *wait* can be done."""
        if self._awaits_peer:
            # During the handshake the socket is always writable, so waiting for that would be a busy loop.
            poller.fd_wait(self.socket, ovs.poller.POLLIN)
            return
        # Data that OpenSSL has already decrypted does not make the socket readable again.
        if wait == ovs.stream.Stream.W_RECV and self.socket.pending():
            poller.immediate_wake()
        super().wait(poller, wait)


def open_streams(
    method: str, kind: type[Any], open_by: Callable[[str, Callable[[str], Opened]], Opened]
) -> None:
    """Use the class *kind* for streams to `METHOD:PLACE`, and open each with *open_by*.

    *open_by* is called with the place, and with a function that opens a socket to a place.
    """

    class Stream(kind):  # type: ignore[misc]
        @staticmethod
        def _open(suffix: str, dscp: int) -> Opened:
            return open_by(suffix, lambda place: kind._open(place, dscp))

    ovs.stream.Stream.register_method(method, Stream)


class Reconnect(ovs.reconnect.Reconnect):  # type: ignore[misc]
    """The attempts to connect; they may be less than 1 s apart, the least that `set_backoff` accepts."""

    def __init__(self, now_ms: int, gap_ms: int) -> None:
        super().__init__(now_ms)
        self.min_backoff = self.max_backoff = gap_ms

    def put_off(self, gap_ms: int) -> None:
        """Make the next attempt *gap_ms* after the last one."""
        self.backoff = gap_ms


# -- the control socket ------------------------------------------------------------------------------


class ControlConnection(ovs.unixctl.server.UnixctlConnection):  # type: ignore[misc]
    """One connection to the control socket."""

    @property
    def is_asked(self) -> bool:
        """Whether a client waits for an answer."""
        return self._request_id is not None


class ControlServer(ovs.unixctl.server.UnixctlServer):  # type: ignore[misc]
    """The server of the control socket; a subclass says how its connections are run."""

    @classmethod
    def listener(cls, path: str) -> Opened:
        """Return the listener on *path*, for the constructor."""
        error, server = ovs.unixctl.server.UnixctlServer.create(path)
        return error, None if error else server._listener

    @property
    def connections(self) -> list[Any]:
        """The present connections."""
        return list(self._conns)

    def accept(self, kind: type[ControlConnection]) -> int:
        """Accept a connection as one of *kind*; return 0 or the error number."""
        error, stream = self._listener.accept()
        if not error:
            self._conns.append(kind(ovs.jsonrpc.Connection(stream)))
        return int(error)

    def drop(self, connection: ControlConnection) -> None:
        """End *connection*."""
        connection._close()
        self._conns.remove(connection)
