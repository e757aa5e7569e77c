"""A tally: what the flows of a bridge have counted, asked over a connection of its own.

OpenFlow 1.5 also says how long ago a flow matched a frame (OXS_OF_IDLE_TIME, section 7.2.4.2), so it is
preferred; 1.4 does not. Nothing blocks, except `await_all`.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

import ovs.poller
import ovs.timeval

from trunkline.openflow import message
from trunkline.openflow.channel import READ_BUDGET_BYTES, Channel
from trunkline.openflow.error import DecodeError

_V14 = message.VERSION
_V15 = 6
_VERSIONS = (_V14, _V15)
_FLOW_STATS = 1
"""OFPMP_FLOW of OpenFlow 1.4, and OFPMP_FLOW_DESC of 1.5: the request is the same."""

_REQUEST_AT, _ENTRIES_AT = message.HEADER_BYTES, message.HEADER_BYTES + 8

_entry_v14 = struct.Struct(">HB9xH10xQQ8xHH").unpack_from
_entry_v15 = struct.Struct(">HxxBxH8xQHH").unpack_from
_ENTRY_V14_BYTES, _MATCH_V14_AT = 56, 48
_ENTRY_V15_BYTES, _MATCH_V15_AT = 28, 24

_OXS_BASIC = 0x8002
_IDLE, _PACKETS = 1, 4


class Count(NamedTuple):
    """What a flow has counted; *idle_s* is how long ago it last matched, None if the switch does not say.

    *match* has the fields of its match in OXM, as `oxm.match_terms` reads them.
    """

    table: int
    priority: int
    cookie: int
    packets: int
    idle_s: float | None
    match: bytes


class Tally:
    """The counts of the flows of the bridge at *target* whose cookie is *cookie* under *mask*.

    They are in *counts* once `is_under_way` is False again after `ask`. *failure* says why there are none.
    """

    def __init__(self, target: str, cookie: int = 0, mask: int = 0) -> None:
        self.counts: list[Count] = []
        self.failure: str | None = None
        self._which = (cookie, mask)
        self._target = target
        self._channel = Channel(target)

    @property
    def is_under_way(self) -> bool:
        """Whether `ask` was called, and the answer is not complete yet."""
        return self._channel.is_connecting or self._channel.is_open

    def ask(self) -> None:
        """Begin to ask."""
        self.counts, self.failure = [], None
        error = self._channel.open()
        if error:
            self._end(f"cannot connect ({errno.errorcode.get(error, error)})")

    def run(self) -> None:
        """Continue as far as possible without waiting, by a few milliseconds' work at most."""
        if self._channel.is_connecting:
            error = self._channel.connect()
            if error == errno.EAGAIN:
                return
            if error:
                self._end(f"cannot connect ({errno.errorcode.get(error, error)})")
                return
            versions = sum(1 << version for version in _VERSIONS)
            self._send(max(_VERSIONS), message.HELLO, struct.pack(">HHI", 1, 8, versions))
        self._receive()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        self._channel.wait(poller)

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def _receive(self) -> None:
        budget = READ_BUDGET_BYTES
        while self._channel.is_open and budget > 0:
            count, why = self._channel.read()
            budget -= count
            try:
                for version, kind, _, received in self._channel.messages():
                    self._handle(version, kind, received)
            except DecodeError as error:
                why = str(error)
            if why is not None and self._channel.is_open:
                self._end(why)
            if not count:
                return

    def _handle(self, version: int, kind: int, received: bytes) -> None:
        if kind == message.HELLO:
            common = message.offered_versions(version, received[_REQUEST_AT:]) & set(_VERSIONS)
            if common:
                request = message.flow_stats_request(1, *self._which)
                self._send(max(common), message.MULTIPART_REQUEST, request[_REQUEST_AT:])
            else:
                self._end("it allows neither OpenFlow14 nor OpenFlow15; add one to the bridge's protocols")
        elif kind == message.ERROR:
            self._end("it refused the question")
        elif kind == message.ECHO_REQUEST:
            self._send(version, message.ECHO_REPLY, received[_REQUEST_AT:])
        elif kind == message.MULTIPART_REPLY:
            is_last = message.is_last_part(received)
            self.counts += _counts_v15(received) if version == _V15 else _counts_v14(received)
            if is_last:
                self._end(None)

    def _send(self, version: int, kind: int, payload: bytes) -> None:
        header = struct.pack(">BBHI", version, kind, message.HEADER_BYTES + len(payload), 1)
        self._channel.queue(header + payload)
        why = self._channel.flush()
        if why is not None:
            self._end(why)

    def _end(self, failure: str | None) -> None:
        self.failure = failure
        if failure is not None:
            self.counts = []
        self._channel.close()


def await_all(*tallies: Tally, timeout_s: float = 10.0) -> None:
    """Ask all *tallies*, and return when they are complete; one that is not in time has failed."""
    end_ms = ovs.timeval.msec() + int(timeout_s * 1000)
    for tally in tallies:
        tally.ask()
    while pending := [tally for tally in tallies if tally.is_under_way]:
        poller = ovs.poller.Poller()
        for tally in pending:
            tally.run()
            tally.wait(poller)
        if ovs.timeval.msec() >= end_ms:
            for tally in pending:
                tally.close()
                tally.counts, tally.failure = [], f"no answer within {timeout_s:g} s"
        elif any(tally.is_under_way for tally in pending):
            poller.timer_wait_until(end_ms)
            poller.block()


def _counts_v14(reply: bytes) -> list[Count]:
    counts = []
    at, end = _ENTRIES_AT, len(reply)
    while at < end:
        if end - at < _ENTRY_V14_BYTES:
            raise DecodeError("flow statistics are cut short; ask again")
        length, table, priority, cookie, packets, _, match_length = _entry_v14(reply, at)
        match = _match(reply, at, at + _MATCH_V14_AT, match_length, at + length)
        counts.append(Count(table, priority, cookie, packets, None, match))
        at += length
    return counts


def _counts_v15(reply: bytes) -> list[Count]:
    """Return the counts in a reply of OpenFlow 1.5; the statistics of a flow come after its match."""
    counts = []
    at, end = _ENTRIES_AT, len(reply)
    while at < end:
        if end - at < _ENTRY_V15_BYTES:
            raise DecodeError("flow statistics are cut short; ask again")
        length, table, priority, cookie, _, match_length = _entry_v15(reply, at)
        match = _match(reply, at, at + _MATCH_V15_AT, match_length, at + length)
        stats = at + _MATCH_V15_AT + (match_length + 7 & ~7)
        counts.append(Count(table, priority, cookie, *_stats(reply, stats, at + length), match))
        at += length
    return counts


def _match(reply: bytes, at: int, match: int, match_length: int, end: int) -> bytes:
    """Return the fields of the match at *match*, of the entry from *at* to *end*, if that is one."""
    if match_length < 4 or not at < match + match_length <= end <= len(reply):
        raise DecodeError("flow statistics have a wrong length; ask again")
    return reply[match + 4 : match + match_length]


def _stats(reply: bytes, at: int, most: int) -> tuple[int, float | None]:
    """Return the packets and the idle time of the flow whose statistics begin at *at*."""
    packets, idle_s = 0, None
    end = min(at + int.from_bytes(reply[at + 2 : at + 4]), most)
    at += 4
    while at + 12 <= end:
        kind, field, size = struct.unpack_from(">HBB", reply, at)
        if kind == _OXS_BASIC and field >> 1 == _PACKETS:
            packets = int.from_bytes(reply[at + 4 : at + 12])
        elif kind == _OXS_BASIC and field >> 1 == _IDLE:
            seconds, nanoseconds = struct.unpack_from(">II", reply, at + 4)
            idle_s = seconds + nanoseconds / 1e9
        at += 4 + size
    return packets, idle_s
