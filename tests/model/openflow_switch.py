"""A real ovs-vswitchd to hold a session against, and how to wait for what the session says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import ovs.poller

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.core.plan import plan
from trunkline.lab.journal import Journal
from trunkline.lab.namespace import HERE
from trunkline.lab.switchd import Devices, Switchd
from trunkline.openflow.event import BundleApplied, Connected, Event, FlowsDrifted, FlowsRead
from trunkline.openflow.session import Session

E = TypeVar("E", bound=Event)
FlowMap = dict[bytes, bytes]


class Switch(Switchd):
    """An Open vSwitch in *folder*, with one bridge, br-int, of dummy ports 1 and 2."""

    def __init__(self, folder: Path) -> None:
        super().__init__(HERE, folder, Journal(folder), Devices.DUMMIES)
        self.start()
        bridge = ("--", "set", "Bridge", "br-int", "datapath_type=dummy", "fail_mode=secure")
        self.vsctl("add-br", "br-int", *bridge)
        for ofport in ("1", "2"):
            port = f"p{ofport}"
            kind = ("--", "set", "Interface", port, "type=dummy", f"ofport_request={ofport}")
            self.vsctl("add-port", "br-int", port, *kind)


@contextmanager
def running(folder: Path) -> Iterator[Switch]:
    """A switch whose files are in *folder*, until the block ends."""
    switch = Switch(folder)
    try:
        yield switch
    finally:
        switch.kill()


@contextmanager
def connected(switch: Switch) -> Iterator[Session]:
    """A session with *switch* for the cookies that are ours, until the block ends."""
    connection = Session(switch.target("br-int"), cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    until(connection, Connected)
    yield connection
    connection.close()


def heard(connection: Session, last: type[object], timeout_s: float = 60) -> list[Event]:
    """Run *connection* until an event of the kind *last*; return all that came, perhaps more."""
    deadline = time.monotonic() + timeout_s
    events: list[Event] = []
    while True:
        events += connection.run()
        if any(isinstance(event, last) for event in events):
            return events
        assert time.monotonic() < deadline, f"no {last} within {timeout_s:g} s"
        poller = ovs.poller.Poller()
        connection.wait(poller)
        poller.timer_wait(1000)
        poller.block()


def until(connection: Session, kind: type[E], timeout_s: float = 60) -> E:
    """Run *connection* until an event of *kind*, and return that; any other event fails the test."""
    event, *others = heard(connection, kind, timeout_s)
    assert isinstance(event, kind), f"{type(event)} while waiting for {kind}"
    assert not others, f"{list(map(type, others))} after {kind}"
    return event


def settled(connection: Session) -> tuple[list[Event], FlowMap]:
    """Read the flows; return the events before them, and them."""
    connection.read_flows()
    *events, read = heard(connection, FlowsRead)
    assert isinstance(read, FlowsRead), f"{type(read)} after the flows"
    return events, read.flow_by_key


def installed(connection: Session) -> FlowMap:
    """Return the flows that the switch holds now, whoever put them there."""
    events, flow_by_key = settled(connection)
    assert all(isinstance(event, FlowsDrifted) for event in events), f"{list(map(type, events))}"
    return flow_by_key


def apply(connection: Session, desired: FlowMap, present: FlowMap) -> None:
    bundle_id = connection.send_bundle(plan(desired, present))
    assert until(connection, BundleApplied) == BundleApplied(bundle_id)
