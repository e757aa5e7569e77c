"""The OpenFlow 1.4 messages of a session, as bytes; bundles are in `trunkline.openflow.bundle`.

Every function that builds a message returns the whole message. Layouts: OpenFlow 1.4.0 sections 7.1 to 7.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from trunkline.core.flow import Action, Field, Flow, Term
from trunkline.core.pipeline import Band
from trunkline.openflow import action, oxm
from trunkline.openflow.error import DecodeError, EncodeError, FlowTooLarge
from trunkline.openflow.oxm import Foreign

VERSION = 5
"""OpenFlow 1.4 on the wire."""

HEADER_BYTES = 8
"""The length of the header at the start of every message."""

HELLO = 0
ERROR = 1
ECHO_REQUEST = 2
ECHO_REPLY = 3
FEATURES_REQUEST = 5
FEATURES_REPLY = 6
GET_CONFIG_REQUEST = 7
GET_CONFIG_REPLY = 8
SET_CONFIG = 9
PACKET_IN = 10
PACKET_OUT = 13
FLOW_MOD = 14
MULTIPART_REQUEST = 18
MULTIPART_REPLY = 19
BARRIER_REQUEST = 20
BARRIER_REPLY = 21
BUNDLE_CONTROL = 33
BUNDLE_ADD = 34

_FLOW_STATS = 1
_REPLY_MORE = 1
_ANY = 0xFFFFFFFF
_NO_BUFFER = 0xFFFFFFFF
_ALL_TABLES = 0xFF
_FROM_CONTROLLER = 0xFFFFFFFD
_FRAG_MASK = 3
_FRAG_NX_MATCH = 3  # OFPC_FRAG_NX_MATCH of openflow-1.0.h in Open vSwitch
_FRAG_NAMES = ("normal", "drop", "reassemble", "nx-match")

FRAGMENTS_SHOWN = _FRAG_NAMES[_FRAG_NX_MATCH]
"""The fragment handling that `set_config` sets, as `ovs-ofctl set-frags` spells it."""

_NO_PORTS = (_FROM_CONTROLLER, _ANY)
_OXM_MATCH = 1
_EMPTY_MATCH = bytes((0, 1, 0, 4, 0, 0, 0, 0))

# The size of a bundled flow_mod, or of a flow's entry in a reply, without match fields and instructions.
_FRAMING_BYTES = 16 + 48 + 4
_MAX_BYTES = 0xFFFF


class Encoded(NamedTuple):
    """The bytes of a flow; Open vSwitch sends back the same bytes when the flow is read.

    *key*, unique on a switch: table (1 byte), priority (2 bytes), OXM match fields without padding.
    *body*: cookie (8 bytes), instructions. Numbers are big-endian.
    """

    key: bytes
    body: bytes


class DecodedFlow(NamedTuple):
    """A flow, decoded from its bytes; the terms of the match keep the order that they have in the bytes."""

    table: int
    priority: int
    match: tuple[Term | Foreign, ...]
    actions: tuple[Action | Foreign, ...]
    cookie: int


_KEY_HEAD = {band: struct.pack(">BH", band.table, band.priority) for band in Band}


def encode(flow: Flow) -> Encoded:
    """Return the bytes of *flow*, equal to those that Open vSwitch sends back for it.

    Raises `EncodeError` if a value does not fit its field or a `Goto` is not last, and `FlowTooLarge` if the
    flow does not fit one message (about 4,000 outputs do).

    >>> from trunkline.core.flow import Field, Output
    >>> encode(Flow(Band.DELIVER, (Field.REG7(9),), (Output(3),), 0x7472 << 48)).key.hex(" ", 4)
    '500064 00010e04 00000009'
    """
    band, match, actions, cookie = flow
    fields = oxm.match_bytes(match)
    instructions = action.instructions_bytes(actions)
    if len(instructions) + len(fields) > _MAX_BYTES - _FRAMING_BYTES - 7:
        raise FlowTooLarge(f"{len(actions)} actions do not fit one OpenFlow message; split the flow")
    try:
        return Encoded(_KEY_HEAD[band] + fields, cookie.to_bytes(8, "big") + instructions)
    except OverflowError:
        raise EncodeError(f"cookie {cookie:#x} does not fit 64 bits; make it with core.cookie") from None


def decode(key: bytes, body: bytes) -> DecodedFlow:
    """Return the flow with *key* and *body*: the inverse of `encode`, but the terms keep their order.

    Fields, actions and instructions that Trunkline does not use are `Foreign`. Raises only `DecodeError`: if
    the bytes are cut short, or a length in them is wrong.
    """
    if len(key) < 3 or len(body) < 8:
        raise DecodeError("flow is cut short before its match or instructions; read it again")
    table, priority = struct.unpack_from(">BH", key)
    cookie = int.from_bytes(body[:8], "big")
    return DecodedFlow(
        table, priority, oxm.match_terms(key[3:]), action.instructions_actions(body[8:]), cookie
    )


def message(kind: int, xid: int, payload: bytes = b"") -> bytes:
    """Return a message of *kind* with *payload*; its answer has the same *xid* (32 bits)."""
    return struct.pack(">BBHI", VERSION, kind, HEADER_BYTES + len(payload), xid) + payload


def hello(xid: int, versions: Iterable[int] = (VERSION,)) -> bytes:
    """Return a HELLO that offers the wire *versions*, by default OpenFlow 1.4 alone (section 7.5.1)."""
    return message(HELLO, xid, struct.pack(">HHI", 1, 8, sum(1 << version for version in versions)))


def set_config(xid: int) -> bytes:
    """Return the order to send whole packet-ins, and to let flows see the ports of a first fragment.

    Without it, Open vSwitch sends no packet-in over `.mgmt`. By default it hides the ports and the ICMP type
    of every fragment, so a DHCP answer or a router advertisement in fragments would pass port security (RFC
    7113 section 2).
    """
    return message(SET_CONFIG, xid, struct.pack(">HH", _FRAG_NX_MATCH, 0xFFFF))


def fragment_handling(reply: bytes) -> str:
    """Return how the switch handles fragments, from its configuration *reply*, a whole message.

    The setting belongs to the bridge: all controllers share it. Raises `DecodeError` if the reply is cut
    short.
    """
    if len(reply) < HEADER_BYTES + 4:
        raise DecodeError("switch configuration is cut short; connect again")
    return _FRAG_NAMES[int.from_bytes(reply[HEADER_BYTES : HEADER_BYTES + 2], "big") & _FRAG_MASK]


def offered_versions(version: int, payload: bytes) -> frozenset[int]:
    """Return the wire versions that a HELLO of *version* with *payload* offers.

    Without a version bitmap, it offers all versions up to *version* (section 6.3.1).
    """
    at = 0
    while at + 4 <= len(payload):
        kind, length = struct.unpack_from(">HH", payload, at)
        if kind == 1 and length >= 8 and at + 8 <= len(payload):
            (bitmap,) = struct.unpack_from(">I", payload, at + 4)
            return frozenset(bit for bit in range(32) if bitmap >> bit & 1)
        at += max(8, (length + 7) // 8 * 8)
    return frozenset(range(1, version + 1))


def flow_stats_request(xid: int, cookie: int, cookie_mask: int, table: int | None = None) -> bytes:
    """Return the request for flows in *table* (None: any) with the cookie *cookie* under *cookie_mask*."""
    place = _ALL_TABLES if table is None else table
    head = struct.pack(">HH4xB3xII4xQQ", _FLOW_STATS, 0, place, _ANY, _ANY, cookie, cookie_mask)
    return message(MULTIPART_REQUEST, xid, head + _EMPTY_MATCH)


def is_last_part(reply: bytes) -> bool:
    """Return whether the multipart *reply*, a whole message, is the last part."""
    if len(reply) < HEADER_BYTES + 8:
        raise DecodeError("multipart reply is cut short; connect again")
    return not reply[11] & _REPLY_MORE


class Counters(NamedTuple):
    """The counters of a flow: its age in seconds, and the packets and bytes that it matched."""

    duration_s: float
    packet_count: int
    byte_count: int


_entry = struct.Struct(">HB9xH36xH").unpack_from


def flow_entries(reply: bytes, flow_by_key: dict[bytes, bytes]) -> None:
    """Put the body of each flow in the flow statistics *reply*, a whole message, into *flow_by_key*.

    It slices and does not decode, so a flow costs 2 µs. Raises `DecodeError` if a length is wrong.
    """
    at, end = HEADER_BYTES + 8, len(reply)
    while at < end:
        if end - at < 56:
            raise DecodeError("flow statistics are cut short; connect again")
        length, _table, _priority, match_length = _entry(reply, at)
        instructions = at + 48 + (match_length + 7 & ~7)
        following = at + length
        if match_length < 4 or not at < instructions <= following <= end:
            raise DecodeError("flow statistics have a wrong length; connect again")
        key = reply[at + 2 : at + 3] + reply[at + 12 : at + 14] + reply[at + 52 : at + 48 + match_length]
        flow_by_key[key] = reply[at + 24 : at + 32] + reply[instructions:following]
        at = following


def counters(reply: bytes) -> dict[bytes, Counters]:
    """Return the counters of each flow, by key, from a *reply* that `flow_entries` has accepted."""
    found = {}
    at = HEADER_BYTES + 8
    while at < len(reply):
        length, table, priority, match_length = _entry(reply, at)
        seconds, nanoseconds = struct.unpack_from(">II", reply, at + 4)
        packet_count, byte_count = struct.unpack_from(">QQ", reply, at + 32)
        key = struct.pack(">BH", table, priority) + reply[at + 52 : at + 48 + match_length]
        found[key] = Counters(seconds + nanoseconds / 1e9, packet_count, byte_count)
        at += length
    return found


class PacketIn(NamedTuple):
    """A frame that a flow's `Controller` action sent here, as it was at that point.

    *cookie* and *table* are the flow's. *in_port* is the ofport where the frame came in, or None if it came
    from a packet-out without one.
    """

    cookie: int
    in_port: int | None
    table: int
    frame: bytes


def packet_in(received: bytes) -> PacketIn:
    """Return the content of the packet-in *received*, a whole message (OpenFlow 1.4.0 section 7.4.1).

    Raises only `DecodeError`: if it is cut short, or a length in it is wrong.
    """
    if len(received) < HEADER_BYTES + 20:
        raise DecodeError("packet-in is cut short before its match; the frame is lost")
    table, cookie, kind, match_length = struct.unpack_from(">BQHH", received, HEADER_BYTES + 7)
    fields = HEADER_BYTES + 20
    frame = HEADER_BYTES + 16 + (match_length + 7 & ~7) + 2
    if kind != _OXM_MATCH or match_length < 4 or frame > len(received):
        raise DecodeError("packet-in has a wrong length; the frame is lost")
    terms = oxm.match_terms(received[fields : fields + match_length - 4])
    ports = [term.value for term in terms if isinstance(term, Term) and term.field is Field.IN_PORT]
    in_port = ports[0] if ports and oxm.wire_port(ports[0]) not in _NO_PORTS else None
    return PacketIn(cookie, in_port, table, received[frame:])


def packet_out(xid: int, frame: bytes, actions: tuple[Action, ...], in_port: int | None = None) -> bytes:
    """Return the order to do *actions* with *frame* as if it had come in at *in_port* (None: at no port).

    Raises `EncodeError` if an action is a `Goto`, or if a value or the message does not fit.
    """
    data = action.actions_bytes(actions)
    port = _FROM_CONTROLLER if in_port is None else oxm.wire_port(in_port)
    if len(data) + len(frame) + 24 > _MAX_BYTES:
        raise EncodeError(
            f"frame of {len(frame)} bytes does not fit one OpenFlow message; send a shorter one"
        )
    return message(PACKET_OUT, xid, struct.pack(">IIH6x", _NO_BUFFER, port, len(data)) + data + frame)
