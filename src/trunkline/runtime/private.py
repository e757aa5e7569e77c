"""What is private to the `ovs` package and used, or overridden: here alone, under names of ours.

The package promises none of it. So the installed one is checked when this module is imported: one that
differs raises `PackageError` before anything rests on it. See `trunkline.runtime.package`.
"""

from __future__ import annotations

import errno
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, ClassVar
from uuid import UUID

from trunkline.runtime.package import check


@contextmanager
def _no_eventlet() -> Iterator[None]:
    """Have nobody load eventlet.

    `ovs.poller` loads it if it is installed, only to ask whether it replaced `select`: it did not, here, and
    takes 0.2 s of the start.
    """
    if "eventlet" in sys.modules:
        yield
        return
    sys.modules["eventlet"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["eventlet"]


with _no_eventlet():
    check()
    import ovs.db.idl
    import ovs.json
    import ovs.jsonrpc
    import ovs.poller
    import ovs.reconnect
    import ovs.socket_util
    import ovs.stream
    import ovs.unixctl.server

from trunkline.runtime.log import Log  # noqa: E402 - it loads the package

log = Log("tls")

# -- the replica of a database -----------------------------------------------------------------------

data_of: Callable[[Any], Any] = attrgetter("_data")
"""The columns of a row as the server has them: what `Idl.row_data` made."""

table_of: Callable[[Any], Any] = attrgetter("_table")
"""The table of a row."""


class RowData(ovs.db.idl.ColumnDefaultDict):  # type: ignore[misc]
    """Datum by column of one row, for the IDL."""

    __slots__ = ()

    @property
    def table(self) -> Any:
        """The table of the row."""
        return self._table


class _Rows(dict[UUID, Any]):
    """The rows of a table, for the IDL; its own kind holds several of an id, and takes four times as long."""

    indexes: ClassVar[dict[str, Any]] = {}


tls_failure_by_remote: dict[str, str] = {}
"""Why TLS to a remote failed last, in more words than the error number that goes through the package."""


class _Attempts(ovs.reconnect.Reconnect):  # type: ignore[misc]
    """The attempts of a session to connect, which keep why the last one to each remote ended."""

    end_by_remote: dict[str, str]

    def disconnected(self, now: int, error: int) -> None:
        """Take note of why the connection to the remote of now ended, or could not be made."""
        self.end_by_remote[self.get_name()] = (
            os.strerror(error)
            if error > 0
            else "the server closed the connection"
            if error == ovs.jsonrpc.EOF
            else "no answer"
        )
        super().disconnected(now, error)


class Idl(ovs.db.idl.Idl):  # type: ignore[misc]
    """The IDL, for a kind of it that says which schema it reads, and how it keeps what the server sends."""

    def __init__(self, remotes: str, helper: Any, probe_interval_ms: int) -> None:
        super().__init__(remotes, helper, probe_interval=probe_interval_ms, leader_only=False)
        self._session.reconnect.__class__ = _Attempts
        self._session.reconnect.end_by_remote = {}
        for table in self.tables.values():
            table.rows = _Rows()

    def accepts(self, database: str, schema: str) -> bool:
        """Return whether *schema*, the JSON of the server's, is to be read as *database*."""
        raise NotImplementedError

    def row_data(self, table: Any) -> Any:
        """Return a `RowData` for a row of *table* that is new, with a method `receive` for its columns."""
        raise NotImplementedError

    def leave_out(self, columns_by_table: dict[str, list[str]]) -> None:
        """Do not ask the server for these columns."""
        self.readonly = columns_by_table

    @property
    def database(self) -> str:
        """The name of the database that is read."""
        return str(self._db.name)

    @property
    def is_connected(self) -> bool:
        """Whether the server is there."""
        return bool(self._session.is_connected())

    @property
    def failures(self) -> dict[str, str]:
        """Why there is no connection, by remote, as far as it was tried; none while there is one."""
        if self.is_connected:
            return {}
        ends: dict[str, str] = self._session.reconnect.end_by_remote
        return {remote: tls_failure_by_remote.get(remote, reason) for remote, reason in ends.items()}

    @property
    def is_monitoring(self) -> bool:
        """Whether the server has sent the rows that there are."""
        return bool(self.state == ovs.db.idl.Idl.IDL_S_MONITORING)

    @property
    def session(self) -> int:
        """A number that each connection has of its own."""
        return int(self._session.get_seqno())

    @property
    def is_current(self) -> bool:
        """Whether the rows are of the present connection."""
        return bool(self._session.get_seqno() == self._last_seqno)

    @property
    def socket(self) -> Any:
        """The socket of the connection, while there is one."""
        return self._session.rpc.stream.socket

    @property
    def database_ids(self) -> dict[str, UUID]:
        """The UUID of the server's own row of each of its databases, by name (ovsdb-server(5))."""
        tables = self.server_tables or {}
        rows = tables[self._server_db_table].rows if self._server_db_table in tables else {}
        return {row.name: row_id for row_id, row in rows.items()}

    def set_probe_interval(self, interval_ms: int) -> None:
        """Ask a server that is silent for that long whether it is there."""
        self._session.reconnect.set_probe_interval(interval_ms)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Wake *poller* for the session, and at once for a condition that can be sent.

        The `ovs` package's own spins while a condition waits for a server that is away.
        """
        if self.cond_changed and self._session.is_connected() and self._request_id is None:
            poller.immediate_wake()
        self._session.wait(poller)
        self._session.recv_wait(poller)

    # The names that Python makes of `__check_server_db` and the like.

    def _Idl__check_server_db(self) -> bool:  # noqa: N802
        """Whether the server has the database, and in a form that can be read; it is tried again if not."""
        if not ovs.db.idl.Idl._Idl__check_server_db(self):
            return False
        for row in self.server_tables[self._server_db_table].rows.values():
            if row.name == self._db.name and row.schema:
                return self.accepts(row.name, row.schema[0])
        return True

    def _Idl__create_row(self, table: Any, row_id: UUID) -> Any:  # noqa: N802
        return ovs.db.idl.Row(self, table, row_id, self.row_data(table))

    def _Idl__add_default(self, table: Any, row_update: Any) -> None:  # noqa: N802
        """Leave out what the server left out: the row's data knows the defaults."""

    @staticmethod
    def _Idl__row_update(table: Any, row: Any, row_json: dict[str, Any]) -> bool:  # noqa: N802
        """Keep *row_json* for when it is asked for; return that the row may differ."""
        row._data.receive(row_json)
        return True


class Question:
    """A request that changes nothing, among the transactions that the IDL has under way."""

    def __init__(self) -> None:
        self._status = ovs.db.idl.Transaction.UNCOMMITTED

    @property
    def is_answered(self) -> bool:
        """Whether the server has answered it."""
        return bool(self._status == ovs.db.idl.Transaction.SUCCESS)

    def send(self, idl: Idl) -> None:
        """Send it, unless it is under way or answered; the IDL says of one that was lost to try it again."""
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
    """Let all connections to databases parse JSON with *parser* from now on."""
    ovs.json.Parser = parser
    ovs.json.PARSER = ovs.json.PARSER_PY


# -- streams -----------------------------------------------------------------------------------------

Opened = tuple[int, Any]
"""An error number, and the socket if that is 0."""


class TlsStream(ovs.stream.SSLStream):  # type: ignore[misc]
    """The stream over TLS, which waits for the handshake without a busy loop, and says why it failed."""

    _awaits_peer = False

    def connect(self) -> int:
        """Return 0 when the connection and its TLS handshake are done, EAGAIN while they are not."""
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
        """Wake *poller* when what *wait* names can be done."""
        if self._awaits_peer:
            # A socket in the handshake is writable all the time: waiting for that would be a busy loop.
            poller.fd_wait(self.socket, ovs.poller.POLLIN)
            return
        # What OpenSSL has decrypted already does not make the socket readable again.
        if wait == ovs.stream.Stream.W_RECV and self.socket.pending():
            poller.immediate_wake()
        super().wait(poller, wait)


def open_streams(
    method: str, kind: type[Any], open_by: Callable[[str, Callable[[str], Opened]], Opened]
) -> None:
    """Have streams to `METHOD:PLACE` be of *kind*, and *open_by* open each.

    *open_by* is called with the place, and with what opens a socket to a place.
    """

    class Stream(kind):  # type: ignore[misc]
        @staticmethod
        def _open(suffix: str, dscp: int) -> Opened:
            return open_by(suffix, lambda place: kind._open(place, dscp))

    ovs.stream.Stream.register_method(method, Stream)


class Reconnect(ovs.reconnect.Reconnect):  # type: ignore[misc]
    """The attempts to connect, which may be less than 1 s apart: the least that `set_backoff` takes."""

    def __init__(self, now_ms: int, gap_ms: int) -> None:
        super().__init__(now_ms)
        self.min_backoff = self.max_backoff = gap_ms

    def put_off(self, gap_ms: int) -> None:
        """Have the next attempt be that long after the last one."""
        self.backoff = gap_ms


# -- the control socket ------------------------------------------------------------------------------


class ControlConnection(ovs.unixctl.server.UnixctlConnection):  # type: ignore[misc]
    """One connection to the control socket."""

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._request_id is not None


class ControlServer(ovs.unixctl.server.UnixctlServer):  # type: ignore[misc]
    """The server of the control socket, for a kind of it that says how its connections are run."""

    @classmethod
    def listener(cls, path: str) -> Opened:
        """Return what listens on *path*, for the constructor."""
        error, server = ovs.unixctl.server.UnixctlServer.create(path)
        return error, None if error else server._listener

    @property
    def connections(self) -> list[Any]:
        """The connections that there are."""
        return list(self._conns)

    def accept(self, kind: type[ControlConnection]) -> int:
        """Take a connection, to be one of *kind*; return 0, or the number of the error."""
        error, stream = self._listener.accept()
        if not error:
            self._conns.append(kind(ovs.jsonrpc.Connection(stream)))
        return int(error)

    def drop(self, connection: ControlConnection) -> None:
        """End *connection*."""
        connection._close()
        self._conns.remove(connection)
