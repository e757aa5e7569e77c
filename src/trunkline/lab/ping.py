"""ICMP echo from the IP stacks of the lab: one series, or every pair at once."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.lab.error import WaitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.lab.namespace import Namespace

_ECHO_REPLY, _UNREACHABLE, _ECHO_REQUEST = 0, 3, 8


@dataclass(frozen=True)
class PingResult:
    """How many echo requests were sent, and how many of them were answered, each counted once."""

    sent: int
    received: int

    @property
    def lost(self) -> int:
        """The requests without an answer."""
        return self.sent - self.received


@dataclass(frozen=True)
class Probe:
    """An echo request from a namespace's IP stack to an IPv4 address."""

    source: Namespace
    address: str


class PingSeries:
    """Echo requests from *source* to *address*, one every *interval_s* seconds, from construction to `stop`.

    With *count*, the series ends by itself after so many. `stop` waits up to *timeout_s* for answers.
    """

    def __init__(
        self,
        source: Namespace,
        address: str,
        *,
        interval_s: float = 0.02,
        count: int | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._address = address
        self._interval_s = interval_s
        self._count = count
        self._timeout_s = timeout_s
        self._token = os.urandom(8)
        self._answered: set[int] = set()
        self._sent = 0
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._socket = source.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"ping {address}", daemon=True)
        self._thread.start()

    @property
    def sent(self) -> int:
        """How many requests have been sent so far."""
        return self._sent

    def wait_sent(self, count: int, timeout_s: float = 10.0) -> None:
        """Wait until *count* requests in all have been sent; raises WaitError if that takes too long."""
        with self._progress:
            if not self._progress.wait_for(lambda: self._sent >= count, timeout_s):
                raise WaitError(f"the pings to {self._address} stopped after {self._sent}")

    def stop(self) -> PingResult:
        """Send no more, wait for what is still under way, and return the counts."""
        self._stopping.set()
        return self.wait()

    def wait(self) -> PingResult:
        """Return the counts when *count* requests are sent and answered, or lost."""
        self._thread.join()
        return PingResult(self._sent, len(self._answered))

    def _run(self) -> None:
        with self._socket, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            next_s = time.monotonic()
            while not self._stopping.is_set() and self._sent != self._count:
                _send(self._socket, self._address, self._sent, self._token)
                with self._progress:
                    self._sent += 1
                    self._progress.notify_all()
                next_s += self._interval_s
                while (left_s := next_s - time.monotonic()) > 0:
                    if len(self._answered) == self._count:
                        return
                    self._receive(selector, left_s)
            deadline = time.monotonic() + self._timeout_s
            while len(self._answered) < self._sent and (left_s := deadline - time.monotonic()) > 0:
                self._receive(selector, left_s)

    def _receive(self, selector: selectors.BaseSelector, timeout_s: float) -> None:
        for _ in selector.select(timeout_s):
            kind, number = _answer(self._socket.recv(65536), self._token)
            if kind == _ECHO_REPLY:
                self._answered.add(number)


def reached(probes: Sequence[Probe], *, timeout_s: float = 5.0) -> list[bool]:
    """Send all *probes* at once and return, for each, whether it was answered.

    A probe ends with its answer, after *timeout_s* seconds, or when the kernel reports that the address is
    unreachable (after three ARP requests, a second apart).
    """
    token = os.urandom(8)
    open_ = set(range(len(probes)))
    answered: set[int] = set()
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        socket_by_source = {
            source: source.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            for source in {probe.source for probe in probes}
        }
        try:
            for opened in socket_by_source.values():
                opened.setblocking(False)
                selector.register(opened, selectors.EVENT_READ)
            for number, probe in enumerate(probes):
                if not _send(socket_by_source[probe.source], probe.address, number, token):
                    open_.discard(number)
            while open_ and (left_s := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left_s):
                    assert isinstance(key.fileobj, socket.socket)
                    kind, number = _answer(key.fileobj.recv(65536), token)
                    if kind in (_ECHO_REPLY, _UNREACHABLE):
                        open_.discard(number)
                    if kind == _ECHO_REPLY:
                        answered.add(number)
        finally:
            for opened in socket_by_source.values():
                opened.close()
    return [number in answered for number in range(len(probes))]


def _send(sender: socket.socket, address: str, number: int, token: bytes) -> bool:
    """Send echo request *number*; return False if the kernel has no route to *address*: it is lost."""
    body = token + struct.pack("!I", number)
    draft = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, 0, number & 0xFFFF) + body
    packet = draft[:2] + struct.pack("!H", _checksum(draft)) + draft[4:]
    try:
        sender.sendto(packet, (address, 0))
    except OSError:
        return False
    return True


def _answer(packet: bytes, token: bytes) -> tuple[int, int]:
    """Return the ICMP type of an IPv4 *packet* and the number of our request it is about; (-1, 0) if none.

    Source: RFC 792; an unreachable message carries the request's IP header and what follows it.
    """
    icmp = packet[(packet[0] & 0x0F) * 4 :]
    kind = icmp[0]
    if kind == _UNREACHABLE:
        inner = icmp[8:]
        icmp = inner[(inner[0] & 0x0F) * 4 :] if inner else b""
    elif kind != _ECHO_REPLY:
        return -1, 0
    if icmp[8:16] != token or len(icmp) < 20:
        return -1, 0
    return kind, int.from_bytes(icmp[16:20], "big")


def _checksum(data: bytes) -> int:
    """Return the internet checksum of *data*, which has an even length (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF
