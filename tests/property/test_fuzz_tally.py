"""A tally of a switch that says anything: counts, or why there are none, and never an error."""

from __future__ import annotations

import socket
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.openflow.tally import Count, Tally

IN_PORT = bytes.fromhex("8000000400000001")


def message(version: int, kind: int, payload: bytes, lie: int = 0) -> bytes:
    return struct.pack(">BBHI", version, kind, max(0, 8 + len(payload) + lie), 1) + payload


HELLO = message(6, 0, b"")
MATCH = struct.pack(">HH", 1, 4 + len(IN_PORT)) + IN_PORT + bytes(4)
_STATS = (
    bytes(2)
    + (28).to_bytes(2)
    + bytes.fromhex("80020208 00000003 00000000".replace(" ", ""))
    + bytes.fromhex("80020808")
    + (7).to_bytes(8)
)
_FLOW_V15 = struct.pack(">HxxBxH8xQ", 24 + len(MATCH) + len(_STATS), 90, 80, 0xC) + MATCH + _STATS
_FLOW_V14 = struct.pack(">HBxIIH10xQQQ", 48 + len(MATCH), 90, 9, 0, 80, 0xC, 7, 420) + MATCH
FLOWS = {6: _FLOW_V15, 5: _FLOW_V14}


def reply(version: int, *flows: bytes) -> bytes:
    return message(version, 19, struct.pack(">HH4x", 1, 0) + b"".join(flows))


def asked(answer: bytes) -> Tally:
    """Return the tally after *answer*, after which the switch closes the connection."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "s"
        server.bind(str(path))
        server.listen()
        tally = Tally(f"unix:{path}")
        tally.ask()
        tally.run()
        peer, _ = server.accept()
        with peer:
            peer.sendall(answer)
            tally.run()
        while tally.is_under_way:
            tally.run()
        return tally


_MESSAGES = st.builds(
    message,
    st.sampled_from([5, 6, 255]),
    st.sampled_from([0, 1, 2, 19, 255]),
    st.binary(max_size=90),
    st.sampled_from([0, 0, 0, -9, 1000]),
)
_REPLIES = st.builds(
    lambda version, at, byte: (
        HELLO + reply(version, FLOWS[version][:at] + bytes((byte,)) + FLOWS[version][at + 1 :])
    ),
    st.sampled_from([5, 6]),
    st.integers(0, 83),
    st.integers(0, 255),
)


@given(st.one_of(_REPLIES, st.lists(st.one_of(_MESSAGES, st.binary(max_size=30))).map(b"".join)))
@example(b"")
def test_a_switch_that_says_anything_is_asked_without_an_error(answer: bytes) -> None:
    tally = asked(answer)
    assert tally.failure is None or tally.counts == []


@pytest.mark.parametrize(("version", "idle_s"), [(6, 3.0), (5, None)])
def test_flows_are_counted_by_each_version(version: int, idle_s: float | None) -> None:
    tally = asked(message(version, 0, b"") + reply(version, FLOWS[version], FLOWS[version]))
    assert tally.counts == [Count(90, 80, 0xC, 7, idle_s, IN_PORT)] * 2
    assert tally.failure is None


def test_an_older_switch_is_told_what_to_allow() -> None:
    assert asked(message(4, 0, b"")).failure == (
        "it allows neither OpenFlow14 nor OpenFlow15; add one to the bridge's protocols"
    )
