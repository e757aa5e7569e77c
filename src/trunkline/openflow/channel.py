"""The bytes to and from one switch, sent in large pieces, and cut into messages when they are read.

Nothing blocks. If a method finds that the connection has ended, it returns why, and the caller closes it.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from typing import Any

import ovs.poller
import ovs.stream

from trunkline.openflow.inbox import Inbox, Received

_CHUNK_BYTES = 1 << 18
# The most that one turn reads and writes: about 2,000 flows read (8 ms), 7,000 flows sent.
READ_BUDGET_BYTES = 1 << 18
_WRITE_BUDGET_BYTES = 1 << 20

_LAST_XID = 0xFFFFFFFF


class Channel:
    """A stream to the switch at *target*; each `open` makes a new one."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._next_xid = 1
        self._stream: Any = None
        self.close()

    def open(self) -> int:
        """Begin to connect; return 0 or the error number."""
        error, stream = ovs.stream.Stream.open(self._target)
        if not error:
            self._stream = stream
        return int(error)

    def connect(self) -> int:
        """Return 0 once the connection is made, EAGAIN until then, or another error number."""
        error = int(self._stream.connect())
        self.is_open = not error
        return error

    @property
    def is_connecting(self) -> bool:
        """Whether `open` was called, and the connection is not made yet."""
        return self._stream is not None and not self.is_open

    @property
    def has_unsent(self) -> bool:
        """Whether data is queued for which the switch had no room yet."""
        return bool(self._outbox)

    def next_xid(self, count: int = 1) -> int:
        """Return the first of *count* consecutive message numbers; none of them is 0."""
        if self._next_xid + count > _LAST_XID:
            self._next_xid = 1
        first = self._next_xid
        self._next_xid += count
        return first

    def queue(self, data: bytes) -> None:
        """Queue *data* for the next `flush`."""
        self._outbox.append(memoryview(data))

    def flush(self) -> str | None:
        """Send what is queued, as far as there is room; return why the connection ended, or None."""
        budget = _WRITE_BUDGET_BYTES
        while self._outbox and budget > 0:
            self._join()
            count = self._stream.send(self._outbox[0][:_CHUNK_BYTES])
            if count == -errno.EAGAIN:
                return None
            if count < 0:
                return _reason(-count)
            budget -= count
            if count == len(self._outbox[0]):
                self._outbox.popleft()
            else:
                self._outbox[0] = self._outbox[0][count:]
        return None

    def _join(self) -> None:
        """Join the small messages at the front: 1,000 announcements should not take 1,000 system calls."""
        size, some = 0, []
        while self._outbox and size + len(self._outbox[0]) <= _CHUNK_BYTES:
            some.append(self._outbox.popleft())
            size += len(some[-1])
        if some:
            self._outbox.appendleft(memoryview(b"".join(some)) if len(some) > 1 else some[0])

    def read(self) -> tuple[int, str | None]:
        """Read once; return the number of bytes, and why the connection ended, or None."""
        error, data = self._stream.recv(_CHUNK_BYTES)
        if error == errno.EAGAIN:
            return 0, None
        if error or not data:
            return 0, _reason(error)
        self._inbox.add(data)
        return len(data), None

    def messages(self) -> Iterator[Received]:
        """Yield the messages that were read completely, until the channel is closed.

        Raises `DecodeError` if what was read is not OpenFlow.
        """
        while self.is_open and (received := self._inbox.take()) is not None:
            yield received

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when there is something to read, room to send, or the connection is made."""
        if self._stream is None:
            return
        if not self.is_open:
            self._stream.connect_wait(poller)
            return
        self._stream.recv_wait(poller)
        if self._outbox:
            self._stream.send_wait(poller)

    def close(self) -> None:
        """End the connection, if there is one, and drop data that was not sent or not yet handled."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self.is_open = False
        self._inbox = Inbox(self._target)
        self._outbox: deque[memoryview] = deque()


def _reason(error: int) -> str:
    """Return why a connection ended with *error*; 0 stands for the end of the stream."""
    is_closed = error in (0, errno.EPIPE, errno.ECONNRESET)
    return "closed by the switch" if is_closed else os.strerror(error)
