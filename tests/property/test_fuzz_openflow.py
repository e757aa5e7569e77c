"""A session with a switch that answers anything: it ends, and begins again, and raises nothing."""

from __future__ import annotations

import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ovs.poller
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.core.plan import Plan
from trunkline.openflow import message, port
from trunkline.openflow.event import Connected, Event
from trunkline.openflow.session import Session

TYPES = st.sampled_from(
    [
        message.HELLO,
        message.ERROR,
        message.ECHO_REQUEST,
        message.PACKET_IN,
        message.MULTIPART_REPLY,
        message.BARRIER_REPLY,
        message.BUNDLE_CONTROL,
        message.GET_CONFIG_REPLY,
        port.PORT_STATUS,
        4,  # an experimenter's
        255,
    ]
)
XIDS = st.integers(0, 8)
MESSAGES = st.builds(
    lambda kind, xid, payload: message.message(kind, xid, payload), TYPES, XIDS, st.binary(max_size=80)
)
MULTIPART = st.builds(
    lambda xid, kind, flags, payload: message.message(
        message.MULTIPART_REPLY, xid, struct.pack(">HHxxxx", kind, flags) + payload
    ),
    XIDS,
    st.sampled_from([0, 1, 13, 16, 0xFFFF]),
    st.integers(0, 1),
    st.binary(max_size=120),
)
STREAMS = st.lists(st.one_of(MESSAGES, MULTIPART, st.binary(max_size=30)), max_size=8).map(b"".join)


class Peer:
    """A socket of ours in the place of the switch."""

    def __init__(self, path: Path) -> None:
        self.target = f"unix:{path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(5)

    def accept(self) -> socket.socket:
        near, _ = self._listener.accept()
        near.settimeout(5)
        return near

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with tempfile.TemporaryDirectory(prefix="tl-f-") as folder:
        peer = Peer(Path(folder) / "s")
        yield peer
        peer.close()


def turned(session: Session, kind: type[Event] | None = None) -> list[Event]:
    """Run *session* until an event of *kind*, or until it has nothing more to do at once."""
    events: list[Event] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = session.run()
        events += found
        if kind is None and not found:
            break
        if kind is not None and any(isinstance(event, kind) for event in events):
            break
        if kind is not None:
            poller = ovs.poller.Poller()
            session.wait(poller)
            poller.timer_wait(100)
            poller.block()
    return events


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(STREAMS)
def test_a_session_survives_whatever_a_switch_may_say(peer: Peer, stream: bytes) -> None:
    session = Session(peer.target, cookie=0, cookie_mask=0)
    turned(session)
    with peer.accept() as near:
        near.sendall(message.hello(1))
        assert any(isinstance(event, Connected) for event in turned(session, Connected))
        session.read_flows()
        session.read_ports()
        session.read_fragments()
        session.send_bundle(Plan({b"\0" * 3: b"\0" * 8}, {}, {}))
        near.sendall(stream)
        turned(session)
    turned(session)
    session.close()


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200))
def test_a_session_survives_whatever_answers_in_the_place_of_a_switch(peer: Peer, stream: bytes) -> None:
    session = Session(peer.target, cookie=0, cookie_mask=0)
    turned(session)
    with peer.accept() as near:
        near.sendall(stream)
        turned(session)
    turned(session)
    session.close()
