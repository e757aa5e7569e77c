"""Flows that the switch itself takes away after a time, whatever becomes of who sent them."""

from __future__ import annotations

import struct

from trunkline.core.flow import Flow
from trunkline.openflow.message import FLOW_MOD, encode, message

_ADD = 0
_DELETE = 3
_ALL_TABLES = 0xFF
_NOT_BUFFERED = b"\xff" * 4
_TO_ALL = b"\xff" * 8
_NO_FLAGS = bytes(4)
_OXM_MATCH = 1
_ALL_BITS = (1 << 64) - 1

# Cookie, its mask, table, command, idle and hard timeout, priority (OpenFlow 1.4.0 section 7.3.4.1).
_head = struct.Struct(">QQBBHHH").pack


def add(xid: int, flow: Flow, hard_timeout_s: int) -> bytes:
    """Return the order to have *flow* for *hard_timeout_s* (1 to 65535) from now on.

    If the flow is there already, its time begins anew.
    """
    key, body = encode(flow)
    head = _head(int.from_bytes(body[:8]), 0, key[0], _ADD, 0, hard_timeout_s, flow.priority)
    return message(FLOW_MOD, xid, head + _NOT_BUFFERED + _TO_ALL + _NO_FLAGS + _match(key[3:]) + body[8:])


def delete(xid: int, cookie: int) -> bytes:
    """Return the order to delete all flows that have exactly this *cookie*."""
    head = _head(cookie, _ALL_BITS, _ALL_TABLES, _DELETE, 0, 0, 0)
    return message(FLOW_MOD, xid, head + _NOT_BUFFERED + _TO_ALL + _NO_FLAGS + _match(b""))


def _match(fields: bytes) -> bytes:
    length = 4 + len(fields)
    return struct.pack(">HH", _OXM_MATCH, length) + fields + bytes(-length % 8)
