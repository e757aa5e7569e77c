"""What comes of a question about flows if the peer is no switch, or not one that can answer."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from model.peer import Peer, says, served
from trunkline.core.cookie import COOKIE_OURS
from trunkline.core.flow import Field, Flow
from trunkline.core.pipeline import Band
from trunkline.insight.connection import Connection, SwitchError
from trunkline.openflow import message

HELLO = message.hello(1)
ONLY_V10 = struct.pack(">BBHI", 1, message.HELLO, 8, 1)


def statistics(xid: int, *flows: Flow, is_last: bool = True) -> bytes:
    """Return a reply to a question about flows, as a switch writes it."""
    entries = b""
    for number, flow in enumerate(flows):
        key, body = message.encode(flow)
        fields = key[3:]
        match = struct.pack(">HH", 1, 4 + len(fields)) + fields
        match += bytes(-len(match) % 8)
        length = 48 + len(match) + len(body) - 8
        head = struct.pack(">HBxIIHHHH4x", length, key[0], 7, 5, flow.priority, 0, 0, 0)
        entries += head + body[:8] + struct.pack(">QQ", number, 60 * number) + match + body[8:]
    head = struct.pack(">HH4x", 1, 0 if is_last else 1)
    return message.message(message.MULTIPART_REPLY, xid, head + entries)


def test_flows_come_in_several_parts_and_echo_requests_in_between_are_answered() -> None:
    flows = [Flow(Band.VIF, (Field.IN_PORT(number),), (), COOKIE_OURS | number) for number in range(3)]
    heard: list[bytes] = []

    def speak(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(HELLO)
        xid = int.from_bytes(connection.recv(1 << 16)[4:8])
        connection.sendall(statistics(xid, *flows[:2], is_last=False))
        connection.sendall(message.message(message.ECHO_REQUEST, 77, b"hey"))
        heard.append(connection.recv(1 << 16))
        # An answer to somebody else's question is passed over.
        connection.sendall(statistics(xid + 1, *flows) + statistics(xid, flows[2]))

    with served(speak) as path, Connection(path) as connection:
        found = connection.flows()
    assert [(flow.table, flow.priority, flow.cookie & 0xFF, flow.is_drop) for flow in found] == [
        (0, Band.VIF.priority, number, True) for number in range(3)
    ]
    assert [flow.counters.packet_count for flow in found] == [0, 1, 0]
    assert found[0].counters.duration_s == pytest.approx(7.000000005)
    assert heard == [message.message(message.ECHO_REPLY, 77, b"hey")]


@pytest.mark.parametrize(
    ("peer", "complaint"),
    [
        (says(), "no answer within 0.2 s"),
        (lambda connection: None, "closed the connection"),
        (says(ONLY_V10), "does not allow OpenFlow14 (it offers OpenFlow10)"),
        (says(b"\0" * 8), "does not speak OpenFlow"),
        (says(HELLO), "no answer within 0.2 s"),
        (says(HELLO, message.message(message.ERROR, 2, struct.pack(">HH", 1, 5))), "OFPBRC_EPERM"),
        (says(HELLO, message.message(message.MULTIPART_REPLY, 3, b"")), "cut short"),
        (says(HELLO, message.message(message.MULTIPART_REPLY, 3, bytes(8) + b"\0" * 56)), "wrong length"),
    ],
)
def test_a_peer_that_is_no_such_switch_is_one_line(peer: Peer, complaint: str) -> None:
    with served(peer) as path, pytest.raises(SwitchError) as refused, Connection(path, 0.2) as connection:
        connection.flows()
    assert complaint in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nobody_who_listens_is_told_from_no_socket(tmp_path: Path) -> None:
    with pytest.raises(SwitchError, match="there is no such socket"):
        Connection(tmp_path / "br-int.mgmt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "br-int.mgmt"))
        with pytest.raises(SwitchError, match="nobody listens there"):
            Connection(tmp_path / "br-int.mgmt")
