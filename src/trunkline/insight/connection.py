"""One OpenFlow connection to a bridge on which flows are asked for and awaited; it changes nothing.

The agent's session is never asked for this: it does other work, and may be down. A command asks once or
now and then and exits, so start-up time is what counts, as in `northbound/rpc.py`. An agent that is asked
from afar makes such a connection too, and goes on with it as `trunkline.insight.waiting` says.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import TrunklineError
from trunkline.host.unix_path import short
from trunkline.insight.waiting import Wait, Work, finished
from trunkline.openflow import message, monitor, port, tally
from trunkline.openflow.error import DecodeError
from trunkline.openflow.inbox import Inbox
from trunkline.openflow.reason import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from trunkline.openflow.inbox import Received
    from trunkline.openflow.message import Counters
    from trunkline.openflow.port import Port

_CHUNK_BYTES = 1 << 18
_CLOSED = "the switch closed the connection; see the log of ovs-vswitchd"


class SwitchError(TrunklineError):
    """A bridge cannot be asked: its socket is not there, not open to this user, or does not answer.

    *number* is the `errno` of what failed, None if it was no system call.
    """

    def __init__(self, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.number = number


class RefusedError(SwitchError):
    """The switch answers that it does not do what it was asked to."""


class InstalledFlow(NamedTuple):
    """A flow on the switch: its bytes, as of `message.encode`, and what was counted for it."""

    key: bytes
    body: bytes
    counters: Counters

    @property
    def table(self) -> int:
        """The table's id."""
        return self.key[0]

    @property
    def priority(self) -> int:
        """The priority, 0–65535."""
        return int.from_bytes(self.key[1:3])

    @property
    def cookie(self) -> int:
        """The cookie, 64 bits."""
        return int.from_bytes(self.body[:8])

    @property
    def is_drop(self) -> bool:
        """Whether the flow does nothing, and so drops what matches it."""
        return len(self.body) == 8

    @property
    def has_dropped(self) -> bool:
        """Whether frames were dropped by it."""
        return self.is_drop and self.counters.packet_count > 0


class Connection:
    """A connection to the bridge whose management socket is *path*; a context manager opens and closes it.

    It speaks the highest of the wire *versions* that the bridge allows.

    Raises:
        SwitchError: the socket cannot be opened, or what answers speaks none of these versions.
    """

    def __init__(
        self, path: Path, timeout_s: float = 10.0, versions: Sequence[int] = (message.VERSION,)
    ) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._versions = versions
        self._version = max(versions)
        self._next_xid = 1
        self._inbox = Inbox(path)
        self._is_greeted = False
        self._is_watched = False
        self._reports: list[bytes] = []
        self._socket = _opened(path)
        try:
            self._send(message.hello(self._xid(), versions))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def flows(self, cookie: int = 0, cookie_mask: int = 0, table: int | None = None) -> list[InstalledFlow]:
        """Return the flows whose cookie equals *cookie* under *cookie_mask*; in *table* alone if it is given.

        The switch does the choosing. Raises `SwitchError` if it does not answer in time, or not with sense.
        """
        return finished(self.reading(cookie, cookie_mask, table))

    def reading(
        self, cookie: int = 0, cookie_mask: int = 0, table: int | None = None
    ) -> Work[list[InstalledFlow]]:
        """Do what `flows` does, and yield what is waited for instead of waiting."""
        found: list[InstalledFlow] = []
        yield from self.read(found.extend, cookie, cookie_mask, table)
        return found

    def read(
        self,
        take: Callable[[list[InstalledFlow]], None],
        cookie: int = 0,
        cookie_mask: int = 0,
        table: int | None = None,
    ) -> Work[None]:
        """Have *take* the flows that `flows` returns, some hundreds at a time, and yield between them."""

        def take_flows(reply: bytes) -> None:
            body_by_key: dict[bytes, bytes] = {}
            message.flow_entries(reply, body_by_key)
            counters = message.counters(reply)
            take([InstalledFlow(key, body, counters[key]) for key, body in body_by_key.items()])

        yield from self._read(take_flows, message.flow_stats_request(self._xid(), cookie, cookie_mask, table))

    def reports(self) -> list[bytes]:
        """Return what the switch has reported of changes of flows (`monitor.updates`) since the last call.

        That is all until now, but nothing from before the first call. Raises as `flows` does, and
        `RefusedError` if the switch does not report.
        """
        return finished(self._reported())

    def _reported(self) -> Work[list[bytes]]:
        end_s = time.monotonic() + self._timeout_s
        yield from self._greet(end_s)
        if not self._is_watched:
            self._send(monitor.request(self._xid()))
        xid = self._xid()
        # It answers in order: what comes before this answer is from before.
        self._send(message.message(message.BARRIER_REQUEST, xid))
        yield from self._reply(message.BARRIER_REPLY, xid, end_s)
        self._is_watched = True
        reports, self._reports = self._reports, []
        return reports

    def count(
        self, take: Callable[[list[tally.Count]], None], cookie: int = 0, cookie_mask: int = 0
    ) -> Work[None]:
        """Have *take* what the flows with the cookie *cookie* under *cookie_mask* have counted.

        That is a few hundred flows at a time, and others may go on between them. Raises as `read` does.
        """
        request = message.flow_stats_request(self._xid(), cookie, cookie_mask)
        yield from self._read(lambda reply: take(tally.counts(reply)), request)

    def ports(self) -> list[Port]:
        """Return the ports of the bridge. Raises as `flows` does."""
        return finished(self.reading_ports())

    def reading_ports(self) -> Work[list[Port]]:
        """Return the ports of the bridge. Raises as `read` does."""
        found: list[Port] = []
        yield from self._read(lambda reply: found.extend(port.ports(reply)), port.request(self._xid()))
        return found

    def reading_fragment_handling(self) -> Work[str]:
        """Return how the bridge handles fragments, as `ovs-ofctl get-frags` says. Raises as `read` does."""
        end_s = time.monotonic() + self._timeout_s
        yield from self._greet(end_s)
        xid = self._xid()
        self._send(message.message(message.GET_CONFIG_REQUEST, xid))
        reply = yield from self._reply(message.GET_CONFIG_REPLY, xid, end_s)
        try:
            return message.fragment_handling(reply.data)
        except DecodeError as error:
            raise SwitchError(f"{self._path}: {error}") from error

    def _read(self, take: Callable[[bytes], None], request: bytes) -> Work[None]:
        """Send *request*, and have *take* each part of the answer."""
        end_s = time.monotonic() + self._timeout_s
        yield from self._greet(end_s)
        self._send(request)
        try:
            while True:
                reply = yield from self._reply(message.MULTIPART_REPLY, int.from_bytes(request[4:8]), end_s)
                take(reply.data)
                if message.is_last_part(reply.data):
                    return
                yield None
        except DecodeError as error:
            raise SwitchError(f"{self._path}: {error}") from error

    def _greet(self, end_s: float) -> Work[None]:
        """See once that the switch speaks the version that is needed."""
        if self._is_greeted:
            return
        received = yield from self._reply(message.HELLO, None, end_s)
        offered = message.offered_versions(received.version, received.data[message.HEADER_BYTES :])
        common = offered & set(self._versions)
        if not common:
            names = ", ".join(f"OpenFlow1{version - 1}" for version in sorted(offered)) or "none"
            raise SwitchError(
                f"{self._path} does not allow OpenFlow14 (it offers {names}); "
                "add it to the bridge's protocols"
            )
        self._version = max(common)
        self._is_greeted = True

    def _xid(self) -> int:
        self._next_xid += 1
        return self._next_xid

    def _send(self, data: bytes) -> None:
        """Send *data*, a question that the socket's buffer takes whole, in the version that is spoken."""
        try:
            self._socket.sendall(bytes((self._version,)) + data[1:])
        except OSError as error:
            raise SwitchError(f"{self._path}: {_words(error)}") from error

    def _reply(self, kind: int, xid: int | None, end_s: float) -> Work[Received]:
        """Return the next message of *kind* (with *xid*, if one is given); echo requests are answered."""
        while True:
            received = yield from self._message(end_s)
            payload = received.data[message.HEADER_BYTES :]
            if received.kind == message.MULTIPART_REPLY and monitor.is_update(received.data):
                self._reports.append(received.data)
                continue
            if received.kind == kind and xid in (None, received.xid):
                return received
            if received.kind == message.ECHO_REQUEST:
                self._send(message.message(message.ECHO_REPLY, received.xid, payload))
            elif received.kind == message.ERROR and len(payload) >= 4:
                why = reason(*struct.unpack_from(">HH", payload))
                raise RefusedError(f"{self._path}: the switch refused the question: {why}")
            yield None

    def _message(self, end_s: float) -> Work[Received]:
        try:
            while (received := self._inbox.take()) is None:
                self._inbox.add((yield from self._received(end_s)))
        except DecodeError as error:
            raise SwitchError(str(error)) from error
        if time.monotonic() >= end_s:
            raise self._late()
        return received

    def _received(self, end_s: float) -> Work[bytes]:
        """Return what comes next."""
        while time.monotonic() < end_s:
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except BlockingIOError:
                yield Wait(self._socket.fileno(), select.POLLIN, end_s)
                continue
            except OSError as error:
                raise SwitchError(f"{self._path}: {_words(error)}") from error
            if not data:
                raise SwitchError(f"{self._path}: {_CLOSED}")
            return data
        raise self._late()

    def _late(self) -> SwitchError:
        return SwitchError(
            f"{self._path}: no answer within {self._timeout_s:g} s; is ovs-vswitchd stopped or very busy?"
        )


def _opened(path: Path) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX)
    stream.setblocking(False)
    try:
        with short(path) as place:
            stream.connect(place)
    except OSError as error:
        stream.close()
        raise SwitchError(f"cannot open {path}: {_words(error)}", error.errno) from error
    return stream


def _words(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied; {permission_remedy()}"
    if error.errno == errno.ENOENT:
        return (
            "there is no such socket; is the bridge there (ovs-vsctl list-br), and ovs-vswitchd running? "
            "If its sockets are elsewhere, set $OVS_RUNDIR"
        )
    if error.errno == errno.ECONNREFUSED:
        return "nobody listens there; is ovs-vswitchd running?"
    if error.errno == errno.EAGAIN:
        return "it takes no more questions; is ovs-vswitchd stopped or very busy?"
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return _CLOSED
    return os.strerror(error.errno) if error.errno else str(error)


def permission_remedy() -> str:
    """Return what an operator does who may not open a socket of Open vSwitch."""
    return "join the group trunkline (usermod -aG trunkline $USER), or use sudo"
