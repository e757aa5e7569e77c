"""A switch that misbehaves without bounds: a real one, behind a socket that does it wrong."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay import Relay

_BUNDLE_CONTROL = 33
_COMMIT_REQUEST = 4
_ERROR = 1
_ECHO_REQUEST, _ECHO_REPLY = 2, 3
_MULTIPART_REQUEST, _MULTIPART_REPLY = 18, 19
_FLOWS = 1
_HEADER = struct.Struct(">BBHI")
_NONSENSE = _HEADER.pack(5, _MULTIPART_REPLY, 17, 0) + struct.pack(">HHxxxx", 16, 0) + b"?"


class UnrulySwitch(Relay):
    """Stands in for the management socket *path* from its construction to `close`.

    While *is_refusing*, each commit of a bundle is answered by an error that names no flow, and not carried
    out. While *is_babbling*, invalid updates of flows come as fast as they are read. While
    *is_hanging_up*, each connection ends when the switch has said hello. While it is `silent`, it says no
    more than that it lives, so nobody gives it up. *commits*, *connections*, *readings* of all flows and what
    was *babbled* are counted.
    """

    def __init__(self, path: Path) -> None:
        self.commits = 0
        self.connections = 0
        self.is_refusing = self.is_hanging_up = False
        self.babbled = 0
        self.readings = 0
        self.is_babbling = threading.Event()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._voice = threading.Lock()
        self._path = path
        real = path.with_suffix(".real")
        path.rename(real)
        super().__init__(path, real)

    def close(self) -> None:
        """Put the real socket back, and end the connections that were carried through."""
        self._real.rename(self._path)
        super().close()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Keep back all answers for the block, but those to echo requests."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def carry(self, source: socket.socket, to: socket.socket, *, is_asking: bool) -> None:
        """Carry what *source* sends to *to*, message by message."""
        if is_asking:
            self.connections += 1
            self._carry_questions(source, to)
        else:
            self._carry_answers(source, to)

    def _carry_questions(self, agent: socket.socket, switch: socket.socket) -> None:
        while message := _message(agent):
            _, kind, _, xid = _HEADER.unpack_from(message)
            is_commit = kind == _BUNDLE_CONTROL and message[12:14] == _COMMIT_REQUEST.to_bytes(2)
            self.commits += is_commit
            self.readings += kind == _MULTIPART_REQUEST and message[8:10] == _FLOWS.to_bytes(2)
            if kind == _ECHO_REQUEST:
                self._say(agent, message[:1] + bytes([_ECHO_REPLY]) + message[2:])
            elif is_commit and self.is_refusing:
                # OFPET_BUNDLE_FAILED, OFPBFC_UNKNOWN: of the commit itself, and so of no flow.
                self._say(agent, _HEADER.pack(5, _ERROR, 12, xid) + struct.pack(">HH", 17, 0))
            else:
                switch.sendall(message)

    def _carry_answers(self, switch: socket.socket, agent: socket.socket) -> None:
        threading.Thread(target=self._babble, args=(agent,), daemon=True).start()
        while message := _message(switch):
            self._may_answer.wait()
            self._say(agent, message)
            if self.is_hanging_up:
                return

    def _babble(self, agent: socket.socket) -> None:
        try:
            while self.is_babbling.wait():
                self._say(agent, _NONSENSE * 50)
                self.babbled += 50
        except OSError:
            return  # the connection ended

    def _say(self, agent: socket.socket, message: bytes) -> None:
        with self._voice:
            agent.sendall(message)


def _message(source: socket.socket) -> bytes:
    """Return the next OpenFlow message from *source*, empty at its end."""
    head = source.recv(_HEADER.size, socket.MSG_WAITALL)
    if len(head) < _HEADER.size:
        return b""
    _, _, length, _ = _HEADER.unpack(head)
    return head + (source.recv(length - len(head), socket.MSG_WAITALL) if length > len(head) else b"")
