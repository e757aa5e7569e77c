"""Numbered packets at a steady rate between the machines of a lab: how many of them were lost, and when.

Beside them go as many through plain bridges of the same switches, which no fault touches: what a packet of
those was lost at the same time as, is the doing of the machine that all of it runs on.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Self

from plain_bridge import Pair, switches_between

from trunkline.lab.machine import NIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trunkline.lab.machine import Machine

RATE_PPS = 1000
"""Packets a second in each stream: at this rate none may be lost."""

NEAR = 100
"""So many numbers before and after a packet that a control stream lost, others are lost at the same time."""

_PORT = 7411
_NUMBER = struct.Struct(">I")
# A thread that was kept waiting catches up by bursts that no socket's buffer (212,992 bytes) overflows at.
_BURST = 16
# What a busy machine does not take from a port in time is lost: ovs-vswitchd takes so many packets from it
# at a time, and they take room in a socket's buffer, one of this size 1,280 bytes instead of 768. So a
# control's port has more to bear than any other, and loses first.
_PER_PORT = 2
_FILLING = bytes(500)


class Lost(NamedTuple):
    """What became of a stream: *gap_s* is the longest time in which nothing of it arrived.

    *lost* is what nothing but a fault explains; *excused* was lost while a control stream lost packets, too.
    """

    sent: int
    lost: int
    gap_s: float
    excused: int = 0


@dataclass
class _Stream:
    sender: socket.socket
    receiver: socket.socket
    address: tuple[str, int]
    filling: bytes = b""
    arrived: set[int] = field(default_factory=set)
    last_s: float = 0.0
    gap_s: float = 0.0

    def take(self, now_s: float) -> None:
        """Take in all that has arrived."""
        while True:
            try:
                data = self.receiver.recv(_NUMBER.size)
            except BlockingIOError:
                return
            self.arrived.add(*_NUMBER.unpack(data))
            if self.last_s:
                self.gap_s = max(self.gap_s, now_s - self.last_s)
            self.last_s = now_s

    def missing(self, sent: int) -> set[int]:
        """Return the numbers of those of the *sent* packets that have not arrived."""
        return set(range(sent)) - self.arrived


class Streams:
    """UDP from the first to the second machine of each of *pairs*, `RATE_PPS` each, until the block ends.

    `lost` has the outcome by pair then. Both ends are the kernel's own IP stacks, but they ask for no MAC:
    a station that gets no answer for some seconds stops sending, and that is no loss of the switch's. While
    ovs-vswitchd is away, the kernel's datapath has no flow for ARP, and a station asks twice a minute.
    The *controls* are pairs on plain bridges, by the name of the switch: a pair is judged by those of the
    switches between its machines. No port takes in more than `_PER_PORT` of the streams.
    """

    def __init__(
        self, pairs: Sequence[tuple[Machine, Machine]], controls: Mapping[str, Pair] | None = None
    ) -> None:
        self.lost: dict[tuple[str, str], Lost] = {}
        self._lost_by_pair: dict[tuple[str, str], set[int]] = {}
        self._stream_by_pair = {
            Pair(source, to): _stream(source, to, _PORT + number) for number, (source, to) in enumerate(pairs)
        }
        self._controls_by_switch = {
            name: [_stream(*pair, _PORT + number, _FILLING) for number in range(_PER_PORT)]
            for name, pair in (controls or {}).items()
        }
        self._streams = [*self._stream_by_pair.values(), *chain(*self._controls_by_switch.values())]
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
        for pair, stream in self._stream_by_pair.items():
            missing = stream.missing(self._sent)
            lost = self._lost_by_pair[_names(pair)] = missing - self._excused(switches_between(*pair))
            self.lost[_names(pair)] = Lost(self._sent, len(lost), stream.gap_s, len(missing - lost))
        for stream in self._streams:
            stream.sender.close()
            stream.receiver.close()

    @property
    def sent(self) -> int:
        """How many packets each stream has sent so far."""
        return self._sent

    def lost_since(self, first: int) -> dict[tuple[str, str], int]:
        """Return how many of the packets *first* and later are `Lost.lost`, when the block has ended."""
        return {
            pair: sum(number >= first for number in numbers) for pair, numbers in self._lost_by_pair.items()
        }

    def wait_sent(self, more: int) -> None:
        """Return when each stream has sent as many *more*: the time unit of a test that watches them."""
        until, deadline_s = self._sent + more, time.monotonic() + more / RATE_PPS * 5 + 10
        while self._sent < until:
            assert time.monotonic() < deadline_s, "the streams have stopped"
            self._thread.join(more / RATE_PPS / 10)

    def _excused(self, switches: Iterable[str]) -> set[int]:
        """Return the numbers at which a control stream of one of *switches* lost packets, or nearly so."""
        controls = chain(*(self._controls_by_switch.get(name, ()) for name in switches))
        lost = {number for control in controls for number in control.missing(self._sent)}
        return {near for number in lost for near in range(number - NEAR, number + NEAR + 1)}

    def _run(self) -> None:
        start_s = time.monotonic()
        while not self._is_ending:
            now_s = time.monotonic()
            for number in range(self._sent, min(int((now_s - start_s) * RATE_PPS), self._sent + _BURST)):
                for stream in self._streams:
                    stream.sender.sendto(_NUMBER.pack(number) + stream.filling, stream.address)
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


def _names(pair: Pair) -> tuple[str, str]:
    return pair.source.name, pair.to.name


def _stream(source: Machine, to: Machine, port: int, filling: bytes = b"") -> _Stream:
    source.run(["ip", "neighbour", "replace", to.ip, "lladdr", to.mac, "dev", NIC, "nud", "permanent"])
    sender = source.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver = to.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.setblocking(False)
    receiver.bind((to.ip, port))
    return _Stream(sender, receiver, (to.ip, port), filling)
