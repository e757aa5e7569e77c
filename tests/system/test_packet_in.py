"""Frames that a real switch sends to the agent, and that the agent sends through the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model.catalogue import flow
from model.openflow_switch import Switch, apply, connected, installed, running, until
from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Controller, Field, Goto, Output, PushVlan, Resubmit
from trunkline.core.pipeline import Band, Table
from trunkline.openflow.event import PacketIn
from trunkline.openflow.message import encode
from trunkline.openflow.session import Session

pytestmark = pytest.mark.system

FRAME = bytes.fromhex("020000000002 020000000001 88b5") + bytes(range(200))
COOKIE = cookie(Band.VIF.owner, Subject.PORT, 1)


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    with running(tmp_path) as switch:
        yield switch


@pytest.fixture
def connection(switch: Switch) -> Iterator[Session]:
    with connected(switch) as connection:
        yield connection


def receive(switch: Switch, port: str, frame: bytes) -> None:
    switch.appctl("netdev-dummy/receive", port, frame.hex())


def test_frame_from_a_port_arrives_whole_with_its_port_and_flow(switch: Switch, connection: Session) -> None:
    apply(connection, dict([encode(flow((Field.IN_PORT(2),), (Controller(),)))]), {})
    receive(switch, "p2", FRAME)
    assert until(connection, PacketIn) == PacketIn(COOKIE, 2, Table.CLASSIFY, FRAME)


def test_frame_is_cut_to_the_length_asked_for_and_sent_as_it_is_by_then(
    switch: Switch, connection: Session
) -> None:
    actions = (PushVlan(101), Controller(64))
    to_security = flow((Field.IN_PORT(1),), (Field.REG6.set(9), Goto(Table.PORT_SECURITY)))
    present = dict(map(encode, (to_security, flow((Field.REG6(9),), actions, Band.OPEN))))
    apply(connection, present, {})
    receive(switch, "p1", FRAME)
    tagged = FRAME[:12] + bytes.fromhex("8100 0065") + FRAME[12:]
    found = until(connection, PacketIn)
    assert (found.in_port, found.table) == (1, Table.PORT_SECURITY)
    assert found.frame == tagged[: len(found.frame)]
    assert len(found.frame) in (64, len(tagged)), "Open vSwitch may give more than was asked for"


def test_frame_that_matches_nothing_is_not_sent(switch: Switch, connection: Session) -> None:
    """DESIGN.md section 4: a miss drops."""
    receive(switch, "p1", FRAME)
    apply(connection, dict([encode(flow((Field.IN_PORT(2),), (Controller(),)))]), {})
    receive(switch, "p2", FRAME)
    assert until(connection, PacketIn).in_port == 2


def test_frame_sent_back_goes_through_the_pipeline_as_if_it_came_by_its_port(
    switch: Switch, connection: Session
) -> None:
    asleep = dict([encode(flow((Field.IN_PORT(1),), (Controller(),)))])
    apply(connection, asleep, {})
    receive(switch, "p1", FRAME)
    woken = until(connection, PacketIn)

    lookup = flow((Field.REG6(9),), (Output(2),), Band.OPEN)
    first = flow((Field.IN_PORT(1),), (Field.REG6.set(9), Goto(Table.PORT_SECURITY)))
    awake = dict(map(encode, (first, lookup)))
    apply(connection, awake, asleep)
    for actions in ((Resubmit(Table.CLASSIFY),), (Output(0xFFF9),)):
        connection.packet_out(woken.frame, actions, woken.in_port)
    assert installed(connection) == awake
    assert f"tx pkts=2, bytes={2 * len(FRAME)}" in switch.ofctl("dump-ports", "br-int", "2")


def test_packet_out_without_a_port_comes_back_without_one(connection: Session) -> None:
    apply(connection, dict([encode(flow((), (Controller(),)))]), {})
    connection.packet_out(FRAME, (Resubmit(Table.CLASSIFY),))
    assert until(connection, PacketIn) == PacketIn(COOKIE, None, Table.CLASSIFY, FRAME)
