"""Flow monitoring: what others change in a switch's flows (OpenFlow 1.4.0 section 7.3.5.17).

Open vSwitch puts updates into the same queue as everything else on a connection, so their order is the order
of the changes. If the monitor is requested before the flows are read, nothing is missed: a change before the
read shows in the read, and a change after it comes as an update after it. Changes by the connection's own
bundles come abbreviated to their xid.

An update says which flow is at a key now. A flow that replaces another is reported as added; the replaced one
is not reported.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from trunkline.core.plan import COOKIE_BYTES
from trunkline.openflow.bundle import Scope
from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import HEADER_BYTES, MULTIPART_REQUEST, message

_FLOW_MONITOR = 16
_MONITOR_ID = 1
_ADD_MONITOR, _MODIFY_MONITOR = 0, 1
_ALL_TABLES = 0xFF
_ANY = 0xFFFFFFFF
_EMPTY_MATCH = bytes((0, 1, 0, 4, 0, 0, 0, 0))

_AS_IT_IS, _ON_ADD, _ON_REMOVE, _ON_MODIFY, _WITH_INSTRUCTIONS = 1, 2, 4, 8, 16
_FLAGS = _ON_ADD | _ON_REMOVE | _ON_MODIFY | _WITH_INSTRUCTIONS

_INITIAL, _ADDED, _REMOVED, _MODIFIED, _ABBREVIATED, _PAUSED, _RESUMED = range(7)
_SHORT_BYTES = 8
_FULL_BYTES = 24 + _SHORT_BYTES

_multipart_kind = struct.Struct(">H").unpack_from
_update = struct.Struct(">HH").unpack_from
_match_length = struct.Struct(">H").unpack_from


class Updates(NamedTuple):
    """What a switch reported in one message.

    *changes* gives the present body at each key (as in `message.encode`), or None if no flow in scope is
    there. It is also None if a foreign flow was added, because that may have replaced a flow in scope.
    *is_paused*: the switch reports nothing more until it resumes. *is_complete*: this and all earlier
    messages have reported every change; if it is false, the flows have to be read again.
    """

    changes: dict[bytes, bytes | None]
    is_paused: bool = False
    is_complete: bool = True


def request(xid: int) -> bytes:
    """Return the request for every change, in any table, that this connection does not make itself."""
    return _request(xid, _FLAGS, _ADD_MONITOR)


def listing_request(xid: int) -> bytes:
    """Return the request for all flows as they are now, and for every later change as with `request`.

    It replaces the previous request: Open vSwitch ends that monitor and starts another at once.
    """
    return _request(xid, _FLAGS | _AS_IT_IS, _MODIFY_MONITOR)


def _request(xid: int, flags: int, command: int) -> bytes:
    head = (_FLOW_MONITOR, 0, _MONITOR_ID, _ANY, _ANY, flags, _ALL_TABLES, command)
    return message(MULTIPART_REQUEST, xid, struct.pack(">HH4xIIIHBB", *head) + _EMPTY_MATCH)


def is_update(reply: bytes) -> bool:
    """Return whether the multipart *reply*, a whole message, reports changes of flows."""
    return len(reply) >= HEADER_BYTES + 8 and _multipart_kind(reply, HEADER_BYTES)[0] == _FLOW_MONITOR


def updates(reply: bytes, scope: Scope, *, was_paused: bool = False) -> Updates:
    """Return what *reply* reports about flows in *scope*; *was_paused*: `is_paused` of the last message.

    Open vSwitch pauses when 128 kB of updates wait to be read. Until it resumes, it leaves out what others
    add and modify, and does not abbreviate; reports of that time are ignored. Raises only `DecodeError`: if a
    length is wrong or an event is unknown.
    """
    found: dict[bytes, bytes | None] = {}
    is_paused, is_complete = was_paused, True
    at, end = HEADER_BYTES + 8, len(reply)
    while at < end:
        length, event = _update(reply, at) if end - at >= _SHORT_BYTES else (0, 0)
        if length < _SHORT_BYTES or at + length > end or event > _RESUMED:
            raise DecodeError("flow update has a wrong length or event; read the flows again")
        if event == _PAUSED:
            is_paused = True
        elif event == _RESUMED:
            is_paused = is_complete = False
        elif event != _ABBREVIATED:
            key, body = _flow(reply[at : at + length])
            is_ours = int.from_bytes(body[:COOKIE_BYTES], "big") & scope.mask == scope.cookie
            if not is_paused and (is_ours or event != _REMOVED):
                found[key] = body if is_ours and event != _REMOVED else None
        at += length
    return Updates(found, is_paused, is_complete)


def _flow(update: bytes) -> tuple[bytes, bytes]:
    """Return the key and body of the flow in a full *update*."""
    (match_length,) = _match_length(update, 26) if len(update) >= _FULL_BYTES else (0,)
    instructions = 24 + (match_length + 7 & ~7)
    if match_length < 4 or instructions > len(update):
        raise DecodeError("flow update has a wrong length; read the flows again")
    return update[4:5] + update[10:12] + update[28 : 24 + match_length], update[16:24] + update[instructions:]
