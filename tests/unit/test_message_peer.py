"""A session against a peer that says just what a test tells it to, over a real socket."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import ovs.poller
import ovs.timeval
import pytest

from trunkline.bridge import upkeep
from trunkline.bridge.upkeep import Upkeep
from trunkline.core.plan import plan
from trunkline.openflow import attempts, message
from trunkline.openflow.error import NotReady
from trunkline.openflow.event import (
    BundleRefused,
    CaughtUp,
    Connected,
    Disconnected,
    Event,
    FlowsDrifted,
    FlowsRead,
    FlowsUnknown,
    Refusal,
)
from trunkline.openflow.message import message as build
from trunkline.openflow.session import Session

HEADER = struct.Struct(">BBHI")


class Peer:
    """The far end of a session's socket."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(10)
        self.session = Session(f"unix:{path}", cookie=0, cookie_mask=0)
        self.connection = self.accept()

    def accept(self) -> socket.socket:
        self.listener.setblocking(False)
        while True:
            self.session.run()
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                continue
            connection.settimeout(10)
            return connection

    def close(self) -> None:
        self.session.close()
        self.connection.close()
        self.listener.close()

    def say(self, *messages: bytes) -> list[Event]:
        """Send *messages*, and return what the session makes of them."""
        self.connection.sendall(b"".join(messages))
        return self.session.run() + self.session.run()

    def hear(self) -> tuple[int, int, bytes]:
        """Return kind, xid and payload of the session's next message."""
        self.session.run()
        head = self.connection.recv(8, socket.MSG_WAITALL)
        _version, kind, length, xid = HEADER.unpack(head)
        return kind, xid, self.connection.recv(length - 8, socket.MSG_WAITALL) if length > 8 else b""

    def hear_kinds(self, count: int) -> list[int]:
        """Return the kinds of the session's next *count* messages, read by as many as have come each time.

        Echo requests are left out: the session sends one if this process was slow.
        """
        kinds: list[int] = []
        data = b""
        while len(kinds) < count:
            self.session.run()
            came = self.connection.recv(1 << 20)
            assert came, "the session has closed the connection"
            data, at = data + came, 0
            while at + HEADER.size <= len(data):
                _version, kind, length, _xid = HEADER.unpack_from(data, at)
                if at + length > len(data):
                    break
                kinds += [kind] if kind != message.ECHO_REQUEST else []
                at += length
            data = data[at:]
        return kinds


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path / "s.mgmt")
    yield peer
    peer.close()


@pytest.fixture
def ready(peer: Peer) -> Peer:
    assert peer.hear()[0] == message.HELLO
    assert peer.say(message.hello(1)) == [Connected()]
    assert peer.hear()[::2] == (message.SET_CONFIG, b"\0\3\xff\xff")
    assert peer.hear()[0] == message.MULTIPART_REQUEST, "the session asks for the changes that others make"
    return peer


def test_nothing_is_sent_before_the_handshake(peer: Peer) -> None:
    assert not peer.session.is_ready
    with pytest.raises(NotReady, match="is not connected"):
        peer.session.read_flows()
    with pytest.raises(NotReady):
        peer.session.send_bundle(plan({}, {}))
    with pytest.raises(NotReady):
        peer.session.packet_out(b"", ())


def test_echo_request_is_answered_with_its_own_bytes(ready: Peer) -> None:
    ready.say(build(message.ECHO_REQUEST, 77, b"payload"))
    assert ready.hear() == (message.ECHO_REPLY, 77, b"payload")


def test_message_in_pieces_is_one_message(peer: Peer) -> None:
    hello = message.hello(1)
    assert [event for at in range(len(hello)) for event in peer.say(hello[at : at + 1])] == [Connected()]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (struct.pack(">BBHI", 4, 0, 8, 1), "OpenFlow10, OpenFlow11, OpenFlow12, OpenFlow13"),
        (build(message.ERROR, 1, struct.pack(">HH", 0, 0)), "OFPHFC_INCOMPATIBLE"),
        (b"HTTP/1.1 400 Bad Request\r\n", "closed"),
        (bytes(8), "does not speak OpenFlow"),
    ],
)
def test_peer_that_is_no_switch_is_left_with_a_reason(peer: Peer, said: bytes, reason: str) -> None:
    events = peer.say(said)
    if not events:
        peer.connection.shutdown(socket.SHUT_RDWR)
        events = peer.session.run()
    (event,) = events
    assert isinstance(event, Disconnected)
    assert reason in event.reason


def test_flows_come_in_parts_and_only_for_the_latest_question(ready: Peer) -> None:
    ready.session.read_flows()
    _, old_xid, _ = ready.hear()
    ready.session.read_flows()
    kind, xid, _ = ready.hear()
    assert kind == message.MULTIPART_REQUEST
    last, more = (struct.pack(">HHxxxx", 1, flags) for flags in (0, 1))
    assert ready.say(build(message.MULTIPART_REPLY, old_xid, last)) == []
    assert ready.say(build(message.MULTIPART_REPLY, xid, more)) == []
    (event,) = ready.say(build(message.MULTIPART_REPLY, xid, last))
    assert isinstance(event, FlowsRead)
    assert event.flow_by_key == {}
    assert event.counters() == {}


def test_statistics_that_make_no_sense_end_the_connection(ready: Peer) -> None:
    ready.session.read_flows()
    _, xid, _ = ready.hear()
    (event,) = ready.say(build(message.MULTIPART_REPLY, xid, struct.pack(">HHxxxx", 1, 0) + b"?"))
    assert isinstance(event, Disconnected)
    assert not ready.session.is_ready


def test_large_bundle_never_waits_for_a_switch_that_does_not_read(ready: Peer) -> None:
    many = {struct.pack(">BHI", 0, 1, number): bytes(8) for number in range(20_000)}
    ready.session.send_bundle(plan(many, {}))
    for _ in range(100):
        assert ready.session.run() == []
    kinds = ready.hear_kinds(len(many) + 2)
    assert kinds == [message.BUNDLE_CONTROL, *[message.BUNDLE_ADD] * len(many), message.BARRIER_REQUEST]


def test_bundle_is_discarded_and_never_committed_after_an_error(ready: Peer) -> None:
    """DESIGN.md, Lifecycle 3: a bundle that the switch refuses names its flow."""
    key = bytes((0, 0, 1))
    bundle_id = ready.session.send_bundle(plan({key: bytes(8)}, {}))
    xids = [ready.hear()[1] for _ in range(3)]
    error = build(message.ERROR, xids[1], struct.pack(">HH", 5, 1))
    events = ready.say(error, build(message.BARRIER_REPLY, xids[2]))
    assert events == [BundleRefused(bundle_id, (Refusal(key, "OFPFMFC_TABLE_FULL"),))]
    kind, _, payload = ready.hear()
    assert (kind, struct.unpack(">IHH", payload)[1]) == (message.BUNDLE_CONTROL, 6)


def test_bundle_that_is_filled_bit_by_bit_is_refused_by_the_flow_at_fault(ready: Peer) -> None:
    """DESIGN.md, Lifecycle 3; other messages may come between two parts of a bundle."""
    first, second = bytes((0, 0, 1)), bytes((0, 0, 2))
    bundle_id = ready.session.open_bundle()
    ready.session.add_to_bundle(bundle_id, plan({first: bytes(8)}, {}))
    ready.session.read_flows()
    ready.session.add_to_bundle(bundle_id, plan({}, {}))
    ready.session.add_to_bundle(bundle_id, plan({second: bytes(8)}, {}))
    ready.session.run()
    heard = [ready.hear() for _ in range(4)]
    kinds = (message.BUNDLE_CONTROL, message.BUNDLE_ADD, message.MULTIPART_REQUEST, message.BUNDLE_ADD)
    assert sorted(kind for kind, _, _ in heard) == sorted(kinds)
    last_xid = max(xid for kind, xid, _ in heard if kind == message.BUNDLE_ADD)
    assert ready.say(build(message.ERROR, last_xid, struct.pack(">HH", 5, 1))) == []
    ready.session.close_bundle(bundle_id)
    kind, barrier_xid, _ = ready.hear()
    assert kind == message.BARRIER_REQUEST
    events = ready.say(build(message.BARRIER_REPLY, barrier_xid))
    assert events == [BundleRefused(bundle_id, (Refusal(second, "OFPFMFC_TABLE_FULL"),))]


def test_bundle_of_a_connection_that_ended_takes_nothing_more(ready: Peer) -> None:
    bundle_id = ready.session.open_bundle()
    ready.connection.close()
    (event,) = ready.session.run()
    assert isinstance(event, Disconnected)
    ready.session.add_to_bundle(bundle_id, plan({bytes(3): bytes(8)}, {}))
    ready.session.close_bundle(bundle_id)
    ready.connection = ready.accept()
    assert ready.hear()[0] == message.HELLO
    assert ready.say(message.hello(1)) == [Connected()]


def test_error_that_answers_nothing_of_ours_ends_nothing(ready: Peer) -> None:
    assert ready.say(build(message.ERROR, 4_000_000, struct.pack(">HH", 1, 1))) == []
    assert ready.session.is_ready


def test_ended_connection_is_made_again(ready: Peer) -> None:
    ready.connection.close()
    (event,) = ready.session.run()
    assert event == Disconnected("closed by the switch")
    poller = ovs.poller.Poller()
    ready.session.wait(poller)
    assert 0 <= poller.timeout <= attempts.RETRY_MS
    ready.connection = ready.accept()
    assert ready.hear()[0] == message.HELLO
    assert ready.say(message.hello(1)) == [Connected()]


def test_switch_that_reports_no_changes_is_used_without(peer: Peer) -> None:
    peer.hear()
    assert peer.say(message.hello(1)) == [Connected()]
    peer.hear()
    kind, xid, _ = peer.hear()
    assert kind == message.MULTIPART_REQUEST
    assert peer.say(build(message.ERROR, xid, struct.pack(">HH", 1, 2))) == []
    assert peer.session.is_ready


def test_update_that_makes_no_sense_leaves_the_flows_unknown(ready: Peer) -> None:
    update = build(message.MULTIPART_REPLY, 0, struct.pack(">HHxxxx", 16, 0) + b"?")
    assert ready.say(update) == [FlowsUnknown()]
    assert ready.session.is_ready


NONSENSE = build(message.MULTIPART_REPLY, 0, struct.pack(">HHxxxx", 16, 0) + b"?")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be well for ten seconds elsewhere must be so for a moment here."""
    monkeypatch.setattr("trunkline.openflow.session.QUIET_S", 0.05)
    monkeypatch.setattr("trunkline.openflow.attempts.SOUND_MS", 50)


@pytest.mark.usefixtures("brief")
def test_what_makes_no_sense_is_a_fault_and_leads_to_one_reading_until_it_ends(ready: Peer) -> None:
    events = [event for _ in range(200) for event in ready.say(NONSENSE)]
    assert 1 <= events.count(FlowsUnknown()) < 10
    assert "flow update" in ready.session.faults["switch messages"]
    rest: list[Event] = []
    while ready.session.faults:
        rest += ready.session.run()
    assert rest[-1:] in ([FlowsUnknown()], []), "the last of it is followed by a reading, too"


def test_messages_that_are_refused_are_passed_over(ready: Peer) -> None:
    for xid in range(1000, 1100):
        assert ready.say(build(message.ERROR, xid, struct.pack(">HH", 1, 5))) == []
    assert ready.session.is_ready


def test_connections_that_end_at_once_are_further_and_further_apart(
    ready: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms, gaps_ms = ovs.timeval.msec(), []
    monkeypatch.setattr("ovs.timeval.msec", lambda: now_ms)
    for _ in range(4):
        ready.connection.close()
        while ready.session.is_ready:
            ready.session.run()
        ended_ms = now_ms
        while not select.select([ready.listener], [], [], 0)[0]:
            now_ms += 10
            ready.session.run()
        gaps_ms.append(now_ms - ended_ms)
        ready.connection = ready.accept()
        ready.hear()
        assert ready.say(message.hello(1)) == [Connected()]
    assert gaps_ms == [100, 200, 400, 800]
    assert "ends soon after it is made" in ready.session.faults["switch connection"]


@pytest.mark.usefixtures("brief")
def test_a_connection_that_holds_ends_the_fault(ready: Peer) -> None:
    for _ in range(2):
        ready.connection.close()
        ready.connection = ready.accept()
        ready.hear()
    assert ready.session.faults
    ready.say(message.hello(1))
    while ready.session.faults:
        ready.session.run()


def test_updates_that_come_together_are_one_event_and_pauses_end_in_one(ready: Peer) -> None:
    head = struct.pack(">HHxxxx", 16, 0)
    added = [head + struct.pack(">HHB5xH4x8sHH4x", 32, 1, table, 100, bytes(8), 1, 4) for table in range(3)]
    paused, resumed = (head + struct.pack(">HHI", 8, event, 0) for event in (5, 6))
    payloads = [added[0], added[1], paused, added[2], resumed]
    drift = FlowsDrifted({bytes((table, 0, 100)): bytes(8) for table in range(2)})
    assert ready.say(*(build(message.MULTIPART_REPLY, 0, each) for each in payloads)) == [
        drift,
        FlowsUnknown(),
    ]


def test_a_switch_whose_monitor_is_paused_is_not_caught_up_whatever_it_answers(ready: Peer) -> None:
    """Open vSwitch answers barriers then, and does not report what others add."""
    head = struct.pack(">HHxxxx", 16, 0)
    paused, resumed = (
        build(message.MULTIPART_REPLY, 0, head + struct.pack(">HHI", 8, event, 0)) for event in (5, 6)
    )
    ready.session.catch_up()
    kind, xid, _ = ready.hear()
    assert kind == message.BARRIER_REQUEST
    assert ready.say(paused, build(message.BARRIER_REPLY, xid)) == [CaughtUp()]
    assert not ready.session.is_caught_up
    assert ready.say(resumed) == [FlowsUnknown()]
    assert ready.session.is_caught_up


def test_an_invalid_packet_in_is_passed_over(ready: Peer) -> None:
    assert ready.say(build(message.PACKET_IN, 0, b"?")) == []
    assert ready.session.is_ready


def test_an_error_about_no_message_of_ours_ends_nothing(ready: Peer) -> None:
    """Open vSwitch 3.1 refuses a flow monitor so: OpenFlow 1.0, xid 0, OFPMOFC_BAD_FLAGS of its own kind."""
    refused = HEADER.pack(1, message.ERROR, 24, 0) + bytes.fromhex("b0c20000 00002320 00010206 00010004")
    assert ready.say(refused) == []
    assert ready.session.is_ready


def test_a_switch_that_leaves_a_check_unanswered_has_its_flows_read_at_the_next(ready: Peer) -> None:
    def asked() -> int:
        ready.session.check_flows()
        kind, _xid, payload = ready.hear()
        assert kind == message.MULTIPART_REQUEST
        return int.from_bytes(payload[:2])

    flow_monitor, flow_statistics = 16, 1
    assert [asked(), asked(), asked()] == [flow_monitor, flow_statistics, flow_statistics]


def test_the_loop_is_woken_for_a_question_long_after_it_may_be_asked(ready: Peer) -> None:
    """An idle loop runs anyway, to ask for an echo, and asks then: it does not wake for this alone."""
    now_s = 1000.0
    kept = Upkeep(lambda name, ofport: False, clock=lambda: now_s)
    kept.run(ready.session, ())
    assert ready.hear()[0] == message.GET_CONFIG_REQUEST
    for later_s, is_asked in ((upkeep.INTERVAL_S - 0.1, False), (0.1, True)):
        assert kept.next_s == 1000.0 + upkeep.INTERVAL_S + upkeep.SLACK_S
        now_s += later_s
        kept.run(ready.session, ())
        ready.session.packet_out(b"frame", ())
        assert ready.hear()[0] == (message.GET_CONFIG_REQUEST if is_asked else message.PACKET_OUT)
    assert kept.next_s == now_s + upkeep.INTERVAL_S + upkeep.SLACK_S
    assert attempts.PROBE_INTERVAL_MS / 1000 < upkeep.INTERVAL_S + upkeep.SLACK_S
