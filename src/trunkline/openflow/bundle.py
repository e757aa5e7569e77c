"""Flow changes as one ordered, atomic bundle (OpenFlow 1.4.0 sections 6.8 and 7.3.9)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from trunkline.core.plan import COOKIE_BYTES, Plan
from trunkline.openflow.message import BUNDLE_ADD, BUNDLE_CONTROL, FLOW_MOD, VERSION, message

OPEN_REQUEST = 0
OPEN_REPLY = 1
COMMIT_REQUEST = 4
COMMIT_REPLY = 5
DISCARD_REQUEST = 6

_ATOMIC_ORDERED = 3

_NO_TIMEOUTS = bytes(4)
_ADD = b"\0" + _NO_TIMEOUTS
_MODIFY_STRICT = b"\2" + _NO_TIMEOUTS
_DELETE_STRICT = b"\4" + _NO_TIMEOUTS

# No buffer, any output port and group; then no flags, no importance.
_TO_ALL = b"\xff" * 12 + bytes(4)
_OXM_MATCH = 1
_ALL_BITS = b"\xff" * COOKIE_BYTES
_NO_BITS = bytes(COOKIE_BYTES)

# The message that adds to a bundle, and the header of the flow_mod inside it.
_add_head = struct.Struct(">BBHII2xHBBHI").pack
_match_head = struct.Struct(">HH").pack
_ADD_BYTES = 16
_FLOW_MOD_BYTES = 48
_PADS = tuple(bytes(-(length + 4) % 8) for length in range(8))


class Scope(NamedTuple):
    """The flows that a bundle may delete: those whose cookie equals *cookie* under *mask*."""

    cookie: int
    mask: int


def control(kind: int, xid: int, bundle_id: int) -> bytes:
    """Return the bundle control message of *kind* for *bundle_id*, 32 bits."""
    return message(BUNDLE_CONTROL, xid, struct.pack(">IHH", bundle_id, kind, _ATOMIC_ORDERED))


def flow_mods(plan: Plan, scope: Scope, bundle_id: int, first_xid: int) -> Iterator[bytes]:
    """Yield the messages that put *plan* into the open bundle *bundle_id*: deletes, modifies, adds.

    Their xids count up from *first_xid*, in the order of `keys`. An add replaces any flow with its key. A
    modify only changes a flow that has the modify's own cookie, and keeps its counters. A delete only deletes
    a flow in *scope*. So a foreign flow is neither modified nor deleted.
    """
    xid = first_xid
    cookie, mask = scope.cookie.to_bytes(COOKIE_BYTES, "big"), scope.mask.to_bytes(COOKIE_BYTES, "big")
    for key in plan.deletes:
        yield _bundled(bundle_id, xid, _DELETE_STRICT, key, cookie, mask, b"")
        xid += 1
    for key, body in plan.modifies.items():
        instructions = body[COOKIE_BYTES:]
        yield _bundled(bundle_id, xid, _MODIFY_STRICT, key, body[:COOKIE_BYTES], _ALL_BITS, instructions)
        xid += 1
    for key, body in plan.adds.items():
        yield _bundled(bundle_id, xid, _ADD, key, body[:COOKIE_BYTES], _NO_BITS, body[COOKIE_BYTES:])
        xid += 1


def keys(plan: Plan) -> list[bytes]:
    """Return the keys of *plan* in the order in which a bundle changes them: deletes, modifies, adds."""
    return [*plan.deletes, *plan.modifies, *plan.adds]


def _bundled(
    bundle_id: int,
    xid: int,
    command: bytes,
    key: bytes,
    cookie: bytes,
    cookie_mask: bytes,
    instructions: bytes,
) -> bytes:
    fields = key[3:]
    width = len(fields)
    pad = _PADS[width & 7]
    length = _FLOW_MOD_BYTES + 4 + width + len(pad) + len(instructions)
    head = _add_head(
        *(VERSION, BUNDLE_ADD, _ADD_BYTES + length, xid, bundle_id, _ATOMIC_ORDERED),
        *(VERSION, FLOW_MOD, length, xid),
    )
    body = (cookie, cookie_mask, key[:1], command, key[1:3], _TO_ALL, _match_head(_OXM_MATCH, 4 + width))
    return b"".join((head, *body, fields, pad, instructions))
