"""Ports and their flags on the wire, with os-ken as the oracle."""

from __future__ import annotations

import struct

import pytest
from os_ken.ofproto import ofproto_v1_4_parser as osken
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from trunkline.openflow import port
from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import MULTIPART_REPLY, message
from trunkline.openflow.port import NO_FORWARD, NO_RECEIVE, Port

DATAPATH = ProtocolDesc(version=5)
MAC = bytes.fromhex("0200000000aa")


def described(ofport: int, name: bytes, config: int, properties: bytes = b"") -> bytes:
    head = struct.pack(">IH2x6s2x16sII", ofport, 40 + len(properties), MAC, name, config, 4)
    return head + properties


def test_ports_are_read_with_the_flags_that_keep_frames_from_them() -> None:
    ethernet = struct.pack(">HH4x6I", 0, 32, *range(6))
    reply = message(
        MULTIPART_REPLY,
        7,
        struct.pack(">HH4x", 13, 0)
        + described(1, b"int-br-phys1", 0, ethernet)
        + described(2, b"vnet9", 1 << 5 | 1 << 6 | 1)
        + described(0xFFFFFFFE, b"br-int", 1 << 2 | 1 << 5),
    )
    stats = osken.OFPPortDescStatsReply.parser(DATAPATH, 5, MULTIPART_REPLY, len(reply), 7, reply).body
    found = list(port.ports(reply))
    assert found == [
        Port(1, MAC, "int-br-phys1", 0),
        Port(2, MAC, "vnet9", NO_FORWARD, is_down=True),
        Port(0xFFFFFFFE, MAC, "br-int", NO_RECEIVE | NO_FORWARD),
    ]
    assert [each.words for each in found] == ["", "no-forward", "no-receive,no-forward"]
    assert [(each.port_no, each.name.decode()) for each in stats] == [
        (each.ofport, each.name) for each in found
    ]


@pytest.mark.parametrize(("reason", "is_there"), [(0, True), (1, False), (2, True)])
def test_a_change_of_a_port_says_whether_it_is_there(reason: int, is_there: bool) -> None:
    told = message(port.PORT_STATUS, 0, bytes((reason, *bytes(7))) + described(3, b"a", NO_RECEIVE))
    assert port.status(told) == (Port(3, MAC, "a", NO_RECEIVE), is_there)


def test_unblocking_leaves_the_other_flags() -> None:
    order = osken.OFPPortMod(DATAPATH, 3, "02:00:00:00:00:aa", 0, NO_RECEIVE | NO_FORWARD, properties=[])
    order.set_xid(9)
    order.serialize()
    assert port.unblock(9, Port(3, MAC, "a", NO_RECEIVE)) == bytes(order.buf)


@pytest.mark.parametrize("length", [0, 39, 41, 0xFFFF])
def test_a_port_with_a_wrong_length_is_refused(length: int) -> None:
    entry = bytearray(described(1, b"a", 0))
    entry[4:6] = length.to_bytes(2, "big")
    with pytest.raises(DecodeError):
        list(port.ports(message(MULTIPART_REPLY, 1, struct.pack(">HH4x", 13, 0) + bytes(entry))))
    with pytest.raises(DecodeError):
        port.status(message(port.PORT_STATUS, 1, bytes(8) + bytes(entry)))
