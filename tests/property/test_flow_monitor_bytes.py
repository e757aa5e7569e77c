"""What a switch reports, over bytes that no switch would send."""

from __future__ import annotations

import struct
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from trunkline.openflow import message, monitor
from trunkline.openflow.bundle import Scope
from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import PacketIn

EVERYONE = Scope(0, 0)
HEADS = st.tuples(
    st.sampled_from([8, 24, 32, 40, 48]), st.integers(0, 8), st.binary(min_size=22, max_size=44)
)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """Return a reply of entries whose lengths and events are likely, and whose contents are not."""
    entries = [
        struct.pack(">HH", length, event) + rest[: length - 4]
        for length, event, rest in draw(st.lists(HEADS))
    ]
    return message.message(
        message.MULTIPART_REPLY, 0, struct.pack(">HHxxxx", 16, 0) + b"".join(entries) + draw(st.binary())
    )


@given(st.one_of(replies(), st.binary()), st.booleans())
def test_updates_raise_only_decode_errors(reply: bytes, was_paused: bool) -> None:
    with suppress(DecodeError):
        found = monitor.updates(reply, EVERYONE, was_paused=was_paused)
        assert all(len(key) >= 3 for key in found.changes)
        assert all(body is None or len(body) >= 8 for body in found.changes.values())


@given(st.binary(), st.binary(max_size=40))
def test_packet_ins_raise_only_decode_errors(payload: bytes, fields: bytes) -> None:
    match = struct.pack(">HH", 1, 4 + len(fields)) + fields + payload
    for received in (payload, message.message(message.PACKET_IN, 0, bytes(16) + match)):
        with suppress(DecodeError):
            assert isinstance(message.packet_in(received), PacketIn)
