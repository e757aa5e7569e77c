"""Numbered packets at a steady rate between the machines of a lab: how many of them were lost, and when."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.lab.machine import Machine

RATE_PPS = 1000
"""Packets a second in each stream: what issue 4 asks for."""

_PORT = 7411
_NUMBER = struct.Struct(">I")
# A thread that was kept waiting catches up by bursts that no socket's buffer (212,992 bytes) overflows at.
_BURST = 16


class Lost(NamedTuple):
    """What became of a stream: *gap_s* is the longest time in which nothing of it arrived."""

    sent: int
    lost: int
    gap_s: float


@dataclass
class _Stream:
    sender: socket.socket
    receiver: socket.socket
    address: tuple[str, int]
    arrived: set[int] = field(default_factory=set)
    last_s: float = 0.0
    gap_s: float = 0.0

    def take(self, now_s: float) -> None:
        """Take in all that has arrived."""
        while True:
            try:
                data = self.receiver.recv(64)
            except BlockingIOError:
                return
            self.arrived.add(*_NUMBER.unpack(data))
            if self.last_s:
                self.gap_s = max(self.gap_s, now_s - self.last_s)
            self.last_s = now_s


class Streams:
    """UDP from the first to the second machine of each of *pairs*, `RATE_PPS` each, until the block ends.

    `lost` has the outcome by pair then. Both ends are the kernel's own IP stacks, ARP included.
    """

    def __init__(self, pairs: Sequence[tuple[Machine, Machine]]) -> None:
        self.lost: dict[tuple[str, str], Lost] = {}
        self._names = [(source.name, to.name) for source, to in pairs]
        self._streams = [_stream(source, to, _PORT + number) for number, (source, to) in enumerate(pairs)]
        self._sent = 0
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_sent(100)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending = True
        self._thread.join()
        for name, stream in zip(self._names, self._streams, strict=True):
            self.lost[name] = Lost(self._sent, self._sent - len(stream.arrived), stream.gap_s)
            stream.sender.close()
            stream.receiver.close()

    @property
    def sent(self) -> int:
        """How many packets each stream has sent so far."""
        return self._sent

    def arrived(self) -> dict[tuple[str, str], int]:
        """Return how many packets of each stream have arrived so far."""
        return {name: len(stream.arrived) for name, stream in zip(self._names, self._streams, strict=True)}

    def wait_sent(self, more: int) -> None:
        """Return when each stream has sent as many *more*: the time unit of a test that watches them."""
        until, deadline_s = self._sent + more, time.monotonic() + more / RATE_PPS * 5 + 10
        while self._sent < until:
            assert time.monotonic() < deadline_s, "the streams have stopped"
            self._thread.join(more / RATE_PPS / 10)

    def _run(self) -> None:
        start_s = time.monotonic()
        while not self._is_ending:
            now_s = time.monotonic()
            for number in range(self._sent, min(int((now_s - start_s) * RATE_PPS), self._sent + _BURST)):
                for stream in self._streams:
                    stream.sender.sendto(_NUMBER.pack(number), stream.address)
                self._sent = number + 1
            receivers = [stream.receiver for stream in self._streams]
            ready = select.select(receivers, [], [], 1 / RATE_PPS)[0]
            now_s = time.monotonic()
            for stream in self._streams:
                if stream.receiver in ready:
                    stream.take(now_s)
        deadline_s = time.monotonic() + 2
        while time.monotonic() < deadline_s and any(len(s.arrived) < self._sent for s in self._streams):
            for stream in self._streams:
                stream.take(time.monotonic())


def _stream(source: Machine, to: Machine, port: int) -> _Stream:
    sender = source.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver = to.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.setblocking(False)
    receiver.bind((to.ip, port))
    return _Stream(sender, receiver, (to.ip, port))
