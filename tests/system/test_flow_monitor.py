"""What others change in a real switch's flows, as a session hears of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.catalogue import MAC, catalogue, flow
from model.openflow_switch import FlowMap, Switch, apply, connected, heard, installed, running, settled, until
from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Field, Flow, Output
from trunkline.core.pipeline import Band, Owner
from trunkline.core.plan import Plan
from trunkline.openflow.event import BundleApplied, FlowsDrifted, FlowsRead, FlowsUnknown
from trunkline.openflow.message import encode
from trunkline.openflow.session import Session
from trunkline.openflow.text import text

pytestmark = pytest.mark.system

OURS = flow((Field.IN_PORT(1),), (Output(2),))
KEY, BODY = encode(OURS)
FOREIGN = OURS._replace(cookie=5)
ABSENT = encode(OURS._replace(match=(Field.IN_PORT(7),))).key


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    with running(tmp_path) as switch:
        yield switch


@pytest.fixture
def connection(switch: Switch) -> Iterator[Session]:
    with connected(switch) as connection:
        yield connection


def drift(connection: Session) -> dict[bytes, bytes | None]:
    return until(connection, FlowsDrifted).changes


def by_hand(switch: Switch, *flows: Flow) -> None:
    switch.ofctl("--bundle", "add-flows", "br-int", "-", stdin="\n".join(map(text, flows)))


def many(count: int) -> FlowMap:
    owner = cookie(Owner.L2, Subject.PORT)
    return dict(
        encode(Flow(Band.LOCAL_MAC, (Field.METADATA(7), Field.ETH_DST(MAC + number)), (Output(1),), owner))
        for number in range(count)
    )


def test_flow_deleted_by_hand_is_reported(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 7: a flow removed by hand."""
    apply(connection, {KEY: BODY}, {})
    switch.ofctl("del-flows", "br-int", "in_port=1")
    assert drift(connection) == {KEY: None}


def test_flow_changed_by_hand_is_reported_with_its_new_body(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 7: a flow changed by hand."""
    apply(connection, {KEY: BODY}, {})
    switch.ofctl("--strict", "mod-flows", "br-int", "priority=100,in_port=1,actions=LOCAL")
    assert drift(connection) == dict([encode(OURS._replace(actions=(Output(0xFFFE),)))])


def test_flow_added_by_hand_under_our_cookie_is_reported(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 7: a flow that does not belong here."""
    by_hand(switch, OURS)
    assert drift(connection) == {KEY: BODY}


def test_flow_replaced_by_a_foreign_one_is_reported_as_gone(switch: Switch, connection: Session) -> None:
    apply(connection, {KEY: BODY}, {})
    by_hand(switch, FOREIGN)
    assert drift(connection) == {KEY: None}
    assert installed(connection) == {}


def test_flow_that_expires_is_reported_as_gone(switch: Switch, connection: Session) -> None:
    switch.ofctl("add-flow", "br-int", f"hard_timeout=1,{text(OURS)}")
    assert drift(connection) == {KEY: BODY}
    assert drift(connection) == {KEY: None}


def test_foreign_flows_are_never_reported_with_a_body(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 2: only our own cookies are touched."""
    by_hand(switch, FOREIGN)
    switch.ofctl("mod-flows", "br-int", "in_port=1,actions=LOCAL")
    switch.ofctl("del-flows", "br-int", "in_port=1")
    assert settled(connection) == ([FlowsDrifted({KEY: None})], {})


def test_own_bundles_are_not_reported(connection: Session) -> None:
    changed = encode(OURS._replace(actions=(Output(0xFFFE),))).body
    recookied = encode(flow((Field.IN_PORT(1),), (Output(2),), key=2)).body
    present: FlowMap = {}
    for desired in ({KEY: BODY}, {KEY: changed}, {KEY: recookied}, many(5000), {}):
        apply(connection, desired, present)
        assert settled(connection) == ([], desired)
        present = desired


def test_updates_have_the_bytes_that_flows_are_encoded_in(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 2: installed flows are compared with desired ones, here by their bytes."""
    flows = list(catalogue().values())
    desired = dict(map(encode, flows))
    seen: dict[bytes, bytes | None] = {}
    for start in range(0, len(flows), 200):
        by_hand(switch, *flows[start : start + 200])
        while len(seen) < len(flows[: start + 200]):
            seen |= drift(connection)
    assert seen == desired == installed(connection)

    switch.ofctl("mod-flows", "br-int", "table=0,actions=IN_PORT")
    drifts, flow_by_key = settled(connection)
    changes = [each.changes for each in drifts if isinstance(each, FlowsDrifted)]
    assert desired | dict(pair for each in changes for pair in each.items()) == flow_by_key != desired


def test_wipe_of_5000_flows_is_known_without_blocking(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 7: all of it back, after a pause of the monitor too."""
    desired = many(5000)
    apply(connection, desired, {})
    switch.ofctl("del-flows", "br-int")
    *drifts, unknown = heard(connection, FlowsUnknown)
    seen = {
        key: body for each in drifts if isinstance(each, FlowsDrifted) for key, body in each.changes.items()
    }
    assert (unknown, seen) == (FlowsUnknown(), dict.fromkeys(desired))
    assert settled(connection) == ([], {})

    by_hand(switch, OURS)
    assert drift(connection) == {KEY: BODY}, "monitoring goes on after a pause"


def test_change_before_a_read_is_in_it_and_one_after_it_is_reported(
    switch: Switch, connection: Session
) -> None:
    by_hand(switch, OURS)
    events, flow_by_key = settled(connection)
    assert (events, flow_by_key) == ([FlowsDrifted({KEY: BODY})], {KEY: BODY})
    switch.ofctl("del-flows", "br-int")
    assert drift(connection) == {KEY: None}


@pytest.mark.parametrize(
    "command",
    [
        ("set-controller", "br-int", "tcp:127.0.0.1:1"),
        ("set", "Bridge", "br-int", "fail_mode=standalone"),
    ],
)
def test_flush_by_a_change_of_controller_or_fail_mode_is_reported(
    switch: Switch, connection: Session, command: tuple[str, ...]
) -> None:
    """DESIGN.md, Lifecycle 7: Open vSwitch flushes all flows then, without anybody deleting one."""
    apply(connection, {KEY: BODY}, {})
    switch.vsctl(*command)
    drifts, flow_by_key = settled(connection)
    # A bridge that is standalone gets a flow of Open vSwitch's own besides.
    assert {KEY: None}.items() <= {
        pair for each in drifts if isinstance(each, FlowsDrifted) for pair in each.changes.items()
    }
    assert flow_by_key == {}


def is_read(connection: Session) -> bool:
    """Check the flows; return whether they were read because of it, and what was read was told last."""
    connection.check_flows()
    events = []
    for _ in range(2):
        # The answer to a check comes before that to a bundle, and a read that it leads to before the next.
        connection.send_bundle(Plan({}, {}, {ABSENT: BODY}))
        events += heard(connection, BundleApplied)
    return any(isinstance(event, FlowsRead) for event in events)


def test_a_check_reads_flows_only_if_they_differ_from_those_of_the_last_one(
    switch: Switch, connection: Session
) -> None:
    desired = many(2500)
    apply(connection, desired, {})
    assert is_read(connection), "nothing is known before"
    assert not is_read(connection)
    switch.ofctl("add-flow", "br-int", "cookie=5,table=9,actions=drop")
    assert is_read(connection), "of whatever cookie"
    assert not is_read(connection)
    apply(connection, desired | {KEY: BODY}, desired)
    assert is_read(connection), "by its own bundle, too"
    assert not is_read(connection)
    switch.ofctl("--strict", "mod-flows", "br-int", "priority=100,in_port=1,actions=LOCAL")
    assert is_read(connection), "instructions are looked at"
    assert not is_read(connection)


def test_a_check_leaves_the_monitor_as_it_is(switch: Switch, connection: Session) -> None:
    for _ in range(3):
        is_read(connection)
    by_hand(switch, OURS)
    assert drift(connection) == {KEY: BODY}, "once, and by the monitor that there was"


def test_frames_change_no_listing(switch: Switch, connection: Session) -> None:
    apply(connection, {KEY: BODY}, {})
    assert is_read(connection)
    switch.appctl("netdev-dummy/receive", "p1", "ff" * 6 + "02" * 6 + "0800")
    until_counted(connection)
    assert not is_read(connection)


def until_counted(connection: Session) -> None:
    """Return when the flow at KEY has counted a frame; Open vSwitch counts when revalidators look."""
    deadline = time.monotonic() + 60
    packets = 0
    while not packets:
        assert time.monotonic() < deadline, "not counted within 60 s"
        connection.read_flows()
        read = heard(connection, FlowsRead)[-1]
        assert isinstance(read, FlowsRead)
        packets = read.counters()[KEY].packet_count
