"""One OpenFlow connection to a bridge on which flows are asked for and awaited; it changes nothing.

The agent's session is never asked for this: it does other work, and may be down. A command asks once or
now and then and exits, so start-up time is what counts, as in `northbound/rpc.py`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import TrunklineError
from trunkline.host.unix_path import short
from trunkline.openflow import message
from trunkline.openflow.error import DecodeError
from trunkline.openflow.inbox import Inbox
from trunkline.openflow.reason import reason

if TYPE_CHECKING:
    from types import TracebackType

    from trunkline.openflow.inbox import Received
    from trunkline.openflow.message import Counters

_CHUNK_BYTES = 1 << 18
_LONGEST_BLOCK_S = 1.0
_CLOSED = "the switch closed the connection; see the log of ovs-vswitchd"


class SwitchError(TrunklineError):
    """A bridge cannot be asked: its socket is not there, not open to this user, or does not answer."""


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


class Connection:
    """A connection to the bridge whose management socket is *path*; a context manager that closes it.

    Raises:
        SwitchError: the socket cannot be opened, or what answers does not speak OpenFlow 1.4.
    """

    def __init__(self, path: Path, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._next_xid = 1
        self._inbox = Inbox(path)
        self._socket = _opened(path)
        try:
            self._greet()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def flows(self, cookie: int = 0, cookie_mask: int = 0, table: int | None = None) -> list[InstalledFlow]:
        """Return the flows whose cookie equals *cookie* under *cookie_mask*; in *table* alone if it is given.

        The switch does the choosing. Raises `SwitchError` if it does not answer in time, or not with sense.
        """
        xid = self._xid()
        self._send(message.flow_stats_request(xid, cookie, cookie_mask, table))
        body_by_key: dict[bytes, bytes] = {}
        counters: dict[bytes, Counters] = {}
        deadline_s = time.monotonic() + self._timeout_s
        try:
            while True:
                reply = self._reply(message.MULTIPART_REPLY, xid, deadline_s).data
                message.flow_entries(reply, body_by_key)
                counters |= message.counters(reply)
                if message.is_last_part(reply):
                    return [InstalledFlow(key, body, counters[key]) for key, body in body_by_key.items()]
        except DecodeError as error:
            raise SwitchError(f"{self._path}: {error}") from error

    def _greet(self) -> None:
        self._send(message.hello(self._xid()))
        received = self._reply(message.HELLO, None, time.monotonic() + self._timeout_s)
        offered = message.offered_versions(received.version, received.data[message.HEADER_BYTES :])
        if message.VERSION not in offered:
            names = ", ".join(f"OpenFlow1{version - 1}" for version in sorted(offered)) or "none"
            raise SwitchError(
                f"{self._path} does not allow OpenFlow14 (it offers {names}); "
                "add it to the bridge's protocols"
            )

    def _xid(self) -> int:
        self._next_xid += 1
        return self._next_xid

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(data)
        except OSError as error:
            raise SwitchError(f"{self._path}: {_words(error)}") from error

    def _reply(self, kind: int, xid: int | None, deadline_s: float) -> Received:
        """Return the next message of *kind* (with *xid*, if one is given); echo requests are answered."""
        while True:
            received = self._message(deadline_s)
            payload = received.data[message.HEADER_BYTES :]
            if received.kind == kind and xid in (None, received.xid):
                return received
            if received.kind == message.ECHO_REQUEST:
                self._send(message.message(message.ECHO_REPLY, received.xid, payload))
            elif received.kind == message.ERROR and len(payload) >= 4:
                why = reason(*struct.unpack_from(">HH", payload))
                raise SwitchError(f"{self._path}: the switch refused the question: {why}")

    def _message(self, deadline_s: float) -> Received:
        try:
            while (received := self._inbox.take()) is None:
                self._inbox.add(self._received(deadline_s))
        except DecodeError as error:
            raise SwitchError(str(error)) from error
        return received

    def _received(self, deadline_s: float) -> bytes:
        """Return what comes next; a signal is seen at least once a second."""
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._socket.settimeout(min(left_s, _LONGEST_BLOCK_S))
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except TimeoutError:
                continue
            except OSError as error:
                raise SwitchError(f"{self._path}: {_words(error)}") from error
            if not data:
                raise SwitchError(f"{self._path}: {_CLOSED}")
            return data
        raise SwitchError(
            f"{self._path}: no answer within {self._timeout_s:g} s; is ovs-vswitchd stopped or very busy?"
        )


def _opened(path: Path) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX)
    try:
        with short(path) as place:
            stream.connect(place)
    except OSError as error:
        stream.close()
        raise SwitchError(f"cannot open {path}: {_words(error)}") from error
    return stream


def _words(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied; {permission_remedy()}"
    if error.errno == errno.ENOENT:
        return "there is no such socket; is the bridge there (ovs-vsctl list-br), and ovs-vswitchd running?"
    if error.errno == errno.ECONNREFUSED:
        return "nobody listens there; is ovs-vswitchd running?"
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return _CLOSED
    return os.strerror(error.errno) if error.errno else str(error)


def permission_remedy() -> str:
    """Return what an operator does who may not open a socket of Open vSwitch."""
    return "join the group trunkline (usermod -aG trunkline $USER), or use sudo"
