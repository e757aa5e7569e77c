from __future__ import annotations

import struct

import pytest
from os_ken.ofproto import ofproto_v1_4_parser as osken
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from trunkline.openflow import message
from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import PacketIn, packet_in

FRAME = bytes(range(64))


def sent(fields: bytes, frame: bytes = FRAME) -> bytes:
    match = struct.pack(">HH", 1, 4 + len(fields)) + fields
    match += bytes(-len(match) % 8)
    head = struct.pack(">IHBBQ", 0xFFFFFFFF, len(frame), 1, 10, 7)
    return message.message(message.PACKET_IN, 0, head + match + bytes(2) + frame)


@pytest.mark.parametrize(
    ("fields", "in_port"),
    [
        ("80000004 00000005", 5),
        ("80000408 0000000000000007 80000004 00000005", 5),
        ("80000004 fffffffe", 0xFFFE),
        ("80000004 fffffffd", None),
        ("80000004 ffffffff", None),
        ("80000004 00ffffff", None),
        ("80000408 0000000000000007", None),
        ("", None),
    ],
)
def test_packet_in_has_its_port_or_none(fields: str, in_port: int | None) -> None:
    assert packet_in(sent(bytes.fromhex(fields))) == PacketIn(7, in_port, 10, FRAME)


def test_osken_reads_the_same_of_a_packet_in() -> None:
    received = sent(bytes.fromhex("80000004 00000005"))
    ours = packet_in(received)
    theirs = osken.OFPPacketIn.parser(
        ProtocolDesc(version=message.VERSION), *struct.unpack_from(">BBHI", received), received
    )
    assert ours == (theirs.cookie, theirs.match["in_port"], theirs.table_id, theirs.data)


def test_empty_frame_is_a_frame() -> None:
    assert packet_in(sent(b"", b"")).frame == b""


@pytest.mark.parametrize(
    "received",
    [
        sent(b"")[:27],
        sent(b"", b"")[:-1],
        sent(bytes.fromhex("80000004")),
        sent(b"").replace(b"\0\1\0\4", b"\0\1\0\3"),
        sent(b"").replace(b"\0\1\0\4", b"\0\0\0\4"),
    ],
)
def test_packet_in_that_makes_no_sense_is_refused(received: bytes) -> None:
    with pytest.raises(DecodeError):
        packet_in(received)
