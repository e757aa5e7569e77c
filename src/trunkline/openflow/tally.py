"""What flows have counted, from the flow statistics of OpenFlow 1.5, or of 1.4 if the switch allows no 1.5.

OpenFlow 1.5 also says how long ago a flow matched a frame (OXS_OF_IDLE_TIME, section 7.2.4.2); 1.4 does not.
The request has the same bytes in both, but for the version.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from trunkline.openflow import message
from trunkline.openflow.error import DecodeError

_V15 = 6

VERSIONS = (_V15, message.VERSION)
"""The wire versions whose flow statistics are understood here, the best one first."""

_ENTRIES_AT = message.HEADER_BYTES + 8

_entry_v14 = struct.Struct(">HBxIIH10xQQ8xHH").unpack_from
_entry_v15 = struct.Struct(">HxxBxH8xQHH").unpack_from
_ENTRY_V14_BYTES, _MATCH_V14_AT = 56, 48
_ENTRY_V15_BYTES, _MATCH_V15_AT = 28, 24

_OXS_BASIC = 0x8002
_DURATION, _IDLE, _PACKETS = 0, 1, 4


class Count(NamedTuple):
    """What a flow has counted in the *age_s* that it has been there.

    *idle_s* is how long ago it last matched, None if the switch does not say. *match* has the fields of its
    match in OXM, as `oxm.match_terms` reads them.
    """

    table: int
    priority: int
    cookie: int
    packets: int
    idle_s: float | None
    match: bytes
    age_s: float = 0.0


def counts(reply: bytes) -> list[Count]:
    """Return what the flows in the flow statistics *reply* have counted, a whole message.

    Raises `DecodeError` if it is cut short, or a length in it is wrong.
    """
    return _counts_v15(reply) if reply[0] == _V15 else _counts_v14(reply)


def _counts_v14(reply: bytes) -> list[Count]:
    counts = []
    at, end = _ENTRIES_AT, len(reply)
    while at < end:
        if end - at < _ENTRY_V14_BYTES:
            raise DecodeError("flow statistics are cut short; ask again")
        length, table, seconds, nanoseconds, priority, cookie, packets, _, match_length = _entry_v14(
            reply, at
        )
        match = _match(reply, at, at + _MATCH_V14_AT, match_length, at + length)
        counts.append(Count(table, priority, cookie, packets, None, match, seconds + nanoseconds / 1e9))
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
        packets, idle_s, age_s = _stats(reply, stats, at + length)
        counts.append(Count(table, priority, cookie, packets, idle_s, match, age_s))
        at += length
    return counts


def _match(reply: bytes, at: int, match: int, match_length: int, end: int) -> bytes:
    """Return the fields of the match at *match*, of the entry from *at* to *end*, if that is one."""
    if match_length < 4 or not at < match + match_length <= end <= len(reply):
        raise DecodeError("flow statistics have a wrong length; ask again")
    return reply[match + 4 : match + match_length]


def _stats(reply: bytes, at: int, most: int) -> tuple[int, float | None, float]:
    """Return the packets, the idle time and the age of the flow whose statistics begin at *at*."""
    packets, age_s = 0, 0.0
    idle_s: float | None = None
    end = min(at + int.from_bytes(reply[at + 2 : at + 4]), most)
    at += 4
    while at + 12 <= end:
        kind, field, size = struct.unpack_from(">HBB", reply, at)
        if kind == _OXS_BASIC and field >> 1 == _PACKETS:
            packets = int.from_bytes(reply[at + 4 : at + 12])
        elif kind == _OXS_BASIC and field >> 1 == _IDLE:
            idle_s = _seconds(reply, at + 4)
        elif kind == _OXS_BASIC and field >> 1 == _DURATION:
            age_s = _seconds(reply, at + 4)
        at += 4 + size
    return packets, idle_s, age_s


def _seconds(reply: bytes, at: int) -> float:
    seconds, nanoseconds = struct.unpack_from(">II", reply, at)
    return float(seconds + nanoseconds / 1e9)
