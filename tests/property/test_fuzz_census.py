"""A census of a switch that says anything: an answer or none, and never an error."""

from __future__ import annotations

import socket
import struct
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.openflow.census import Census

HELLO = struct.pack(">BBHI", 5, 0, 8, 1)
_KINDS = st.sampled_from([0, 1, 17, 19, 18, 255])
_MESSAGES = st.builds(
    lambda version, kind, payload, lie: (
        struct.pack(">BBHI", version, kind, max(0, 8 + len(payload) + lie), 1) + payload
    ),
    st.integers(0, 255),
    _KINDS,
    st.binary(max_size=40),
    st.sampled_from([0, 0, 0, -9, 1000]),
)


def asked(answer: bytes) -> int | None:
    """Return how many flows there are by *answer*, after which the switch closes the connection."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "s"
        server.bind(str(path))
        server.listen()
        census = Census(f"unix:{path}")
        census.ask()
        census.run()
        peer, _ = server.accept()
        with peer:
            peer.sendall(answer)
            census.run()
        while census.is_under_way:
            census.run()
        return census.flows


@given(st.lists(st.one_of(_MESSAGES, st.binary(max_size=30))).map(b"".join))
@example(HELLO)
@example(b"")
def test_a_switch_that_says_anything_is_asked_without_an_error(answer: bytes) -> None:
    found = asked(answer)
    assert found is None or 0 <= found < 1 << 32


def test_flows_are_counted_by_each_version() -> None:
    count = (77).to_bytes(4)
    # OpenFlow 1.5 lists statistics by their names (OXS), here the packets before the flows.
    listed = bytes(2) + (28).to_bytes(2) + bytes.fromhex("80020a08") + bytes(8) + bytes.fromhex("80020604")
    for version, kind, begin in (
        (1, 17, bytes(16)),
        (4, 19, bytes(20)),
        (5, 19, bytes(20)),
        (6, 19, bytes(4) + listed),
    ):
        payload = struct.pack(">HH", 2, 0) + begin + count + bytes(4)
        hello = struct.pack(">BBHI", version, 0, 8, 1)
        reply = struct.pack(">BBHI", version, kind, 8 + len(payload), 1) + payload
        assert asked(hello + reply) == 77
