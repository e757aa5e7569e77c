"""A session against a real ovs-vswitchd, with dummy devices and in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model.catalogue import MAC, catalogue, flow
from model.openflow_switch import FlowMap, Switch, apply, connected, installed, running, until
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject, cookie
from trunkline.core.flow import (
    Action,
    Field,
    Flow,
    Goto,
    Match,
    Output,
    PushVlan,
    Resubmit,
)
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.core.plan import advance, plan
from trunkline.openflow import attempts, message
from trunkline.openflow.event import (
    BundleApplied,
    BundleRefused,
    Connected,
    Disconnected,
    Event,
    FlowsRead,
    Refusal,
)
from trunkline.openflow.message import Counters, encode
from trunkline.openflow.session import Session
from trunkline.openflow.text import encoded_text, text

pytestmark = pytest.mark.system


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    with running(tmp_path) as switch:
        yield switch


@pytest.fixture
def connection(switch: Switch) -> Iterator[Session]:
    with connected(switch) as connection:
        yield connection


def counters(connection: Session) -> dict[bytes, Counters]:
    connection.read_flows()
    return until(connection, FlowsRead).counters()


def encoded(*flows: Flow) -> FlowMap:
    flow_by_key = dict(encode(flow) for flow in flows)
    assert len(flow_by_key) == len(flows), "the flows of a test have keys of their own"
    return flow_by_key


def test_flows_are_read_back_with_the_bytes_that_were_sent(connection: Session) -> None:
    """DESIGN.md, Lifecycle 2: installed flows are compared with desired ones, here by their bytes."""
    flows = catalogue()
    matched = {term.field for each in flows.values() for term in each.match}
    assert matched == set(Field)
    desired = dict(encode(each) for each in flows.values())
    apply(connection, desired, {})
    assert installed(connection) == desired


def test_texts_are_what_ovs_ofctl_prints_and_takes(switch: Switch, connection: Session) -> None:
    flows = catalogue()
    desired = dict(encode(each) for each in flows.values())
    texts = [text(each) for each in flows.values()]
    assert texts == [encoded_text(key, body) for key, body in desired.items()]
    switch.ofctl("--bundle", "add-flows", "br-int", "-", stdin="\n".join(texts))
    assert installed(connection) == desired

    printed = switch.ofctl("--no-stats", "--no-names", "dump-flows", "br-int").splitlines()
    squeezed = [line.strip().replace(", ", ",").replace(" actions=", ",actions=") for line in printed]
    # ovs-ofctl leaves table 0 out.
    assert sorted(squeezed) == sorted(line.replace("table=0,", "") for line in texts)


def test_modified_flow_keeps_its_counters_and_others_are_not_touched(connection: Session) -> None:
    """DESIGN.md, Lifecycle 2: flows that did not change keep their counters."""
    changed, kept = flow((Field.IN_PORT(1),), (Output(2),)), flow((Field.IN_PORT(2),), (Output(1),))
    apply(connection, encoded(changed, kept), {})
    for in_port in (1, 2):
        connection.packet_out(bytes(60), (Resubmit(Table.CLASSIFY),), in_port)
    before = counters(connection)
    while min(count.duration_s for count in before.values()) < 0.05:
        before = counters(connection)

    desired = encoded(changed._replace(actions=(Output(0xFFFE),)), kept)
    present = installed(connection)
    difference = plan(desired, present)
    assert list(difference.modifies) == [encode(changed).key]
    assert len(difference) == 1
    apply(connection, desired, present)

    after = counters(connection)
    assert installed(connection) == desired
    assert {key: now.packet_count for key, now in after.items()} == {
        encode(each).key: 1 for each in (changed, kept)
    }
    assert all(now.duration_s >= before[key].duration_s for key, now in after.items())


def test_flow_with_a_new_cookie_replaces_the_old_one(connection: Session) -> None:
    match: Match = (Field.IN_PORT(1),)
    present = encoded(flow(match, key=1))
    apply(connection, present, {})
    desired = encoded(flow(match, key=2))
    difference = plan(desired, present)
    assert difference.adds == desired
    apply(connection, desired, present)
    assert installed(connection) == desired


@pytest.mark.parametrize(
    ("match", "actions", "reason"),
    [
        # Refused as the message is parsed, which Open vSwitch alone would follow by committing the rest.
        ((Field.METADATA(9),), (Field.ARP_SPA.set(1),), "OFPBAC_MATCH_INCONSISTENT"),
        ((Field.ARP_SPA(1),), (), "OFPBMC_BAD_PREREQ"),
        ((Field.REG6(1), Field.REG6(2)), (), "OFPBMC_DUP_FIELD"),
    ],
)
def test_one_bad_flow_refuses_the_whole_bundle_and_is_named(
    connection: Session, match: Match, actions: tuple[Action, ...], reason: str
) -> None:
    """DESIGN.md, Lifecycle 3: a bundle that the switch refuses names its flow."""
    present = encoded(flow((Field.IN_PORT(1),)), flow((Field.IN_PORT(2),)))
    apply(connection, present, {})
    bad = flow(match, actions)
    desired = encoded(flow((Field.IN_PORT(1),), (Output(2),)), flow((Field.IN_PORT(3),)), bad)
    bundle_id = connection.send_bundle(plan(desired, present))
    refused = until(connection, BundleRefused)
    assert refused == BundleRefused(bundle_id, (Refusal(encode(bad).key, reason),))
    assert installed(connection) == present


def test_full_table_refuses_the_commit_and_names_the_flow(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 3, if the switch finds out only as it commits."""
    limit = ("--", "--id=@t", "create", "Flow_Table", "flow_limit=1", "overflow_policy=refuse")
    switch.vsctl("set", "Bridge", "br-int", "flow_tables:0=@t", *limit)
    first, second = flow((Field.IN_PORT(1),)), flow((Field.IN_PORT(2),))
    other = flow((Field.METADATA(3),), band=Band.LOCAL_MAC)
    present = encoded(first)
    apply(connection, present, {})
    bundle_id = connection.send_bundle(plan(encoded(other, first, second), present))
    refused = until(connection, BundleRefused)
    assert refused == BundleRefused(bundle_id, (Refusal(encode(second).key, "OFPFMFC_TABLE_FULL"),))
    assert installed(connection) == present


def test_foreign_flows_are_neither_read_nor_deleted_nor_modified(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 2: only our own cookies are touched."""
    ours = flow((Field.IN_PORT(1),), (Output(2),))
    switch.ofctl("add-flow", "br-int", text(ours._replace(cookie=5)))
    switch.ofctl("add-flow", "br-int", "table=99,priority=7,ip,nw_tos=4,actions=dec_ttl,LOCAL")
    before = switch.ofctl("--no-stats", "dump-flows", "br-int")
    assert installed(connection) == {}

    key, body = encode(ours)
    apply(connection, {}, {key: body})
    apply(connection, {key: body}, {key: body[:8]})
    assert switch.ofctl("--no-stats", "dump-flows", "br-int") == before


def test_foreign_flows_of_every_kind_can_be_spelled(switch: Switch) -> None:
    switch.ofctl("add-flow", "br-int", "table=99,priority=7,ip,nw_tos=4,tun_id=9,actions=dec_ttl,LOCAL")
    everyone = Session(switch.target("br-int"), cookie=0, cookie_mask=0)
    until(everyone, Connected)
    ((key, body),) = installed(everyone).items()
    everyone.close()
    decoded = message.decode(key, body)
    assert (decoded.table, decoded.priority, decoded.cookie) == (99, 7, 0)
    assert encoded_text(key, body).endswith("actions=dec_ttl,LOCAL")


def test_flow_with_4000_outputs_is_installed(connection: Session) -> None:
    """DESIGN.md section 4: 2,000 local ports in one network must work."""
    desired = encoded(flow((Field.METADATA(7),), tuple(map(Output, range(1, 4001)))))
    assert len(next(iter(desired.values()))) > 64000
    apply(connection, desired, {})
    assert installed(connection) == desired


def test_22000_flows_are_installed_in_one_bundle_and_read_back(connection: Session) -> None:
    actions = (Field.REG7.set(7), Goto(Table.EGRESS))
    owner = cookie(Owner.L2, Subject.PORT)
    desired = dict(
        encode(
            Flow(Band.LOCAL_MAC, (Field.METADATA(7), Field.ETH_DST(MAC + number)), actions, owner + number)
        )
        for number in range(22000)
    )
    apply(connection, desired, {})
    assert installed(connection) == desired
    apply(connection, {}, desired)
    assert installed(connection) == {}


def test_bundles_are_applied_in_the_order_in_which_they_were_sent(connection: Session) -> None:
    states = [encoded(flow((Field.IN_PORT(number),))) for number in (1, 2, 3)]
    present: FlowMap = {}
    ids = []
    for desired in states:
        difference = plan(desired, present)
        ids.append(connection.send_bundle(difference))
        advance(present, difference)
    applied: list[Event] = []
    while len(applied) < len(ids):
        applied += connection.run()
    assert applied == [BundleApplied(bundle_id) for bundle_id in ids]
    assert installed(connection) == states[-1] == present


def test_empty_bundle_is_acknowledged(connection: Session) -> None:
    apply(connection, {}, {})


def test_packet_out_reaches_the_pipeline_and_the_port(switch: Switch, connection: Session) -> None:
    apply(connection, encoded(flow((Field.IN_PORT(1),), (Output(2),))), {})
    connection.packet_out(bytes(60), (Resubmit(Table.CLASSIFY),), in_port=1)
    connection.packet_out(bytes(60), (PushVlan(101), Output(2)))
    assert [now.packet_count for now in counters(connection).values()] == [1]
    assert "tx pkts=2, bytes=124" in switch.ofctl("dump-ports", "br-int", "2")


def test_killed_switch_is_found_again_without_its_flows(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 7: ovs-vswitchd gone, all of it back on return."""
    desired = encoded(flow((Field.IN_PORT(1),)))
    apply(connection, desired, {})
    switch.kill_vswitchd()
    assert until(connection, Disconnected).reason
    assert not connection.is_ready
    switch.start_vswitchd()
    until(connection, Connected)
    present = installed(connection)
    assert present == {}
    apply(connection, desired, present)
    assert installed(connection) == desired


def test_switch_that_comes_later_is_waited_for(switch: Switch) -> None:
    switch.vsctl("del-br", "br-int")
    connection = Session(switch.target("br-int"), cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    assert connection.run() == []
    switch.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=dummy")
    until(connection, Connected)
    connection.close()


def test_silent_switch_is_given_up_and_found_again(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PROBE_INTERVAL_MS", 1000)
    connection = Session(switch.target("br-int"), cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    until(connection, Connected)
    with switch.stopped():
        assert until(connection, Disconnected).reason == "no answer to an echo request"
    until(connection, Connected)
    connection.close()


def test_bridge_without_openflow_14_is_named_in_the_reason(switch: Switch) -> None:
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow10,OpenFlow13")
    connection = Session(switch.target("br-int"), cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    reason = until(connection, Disconnected).reason
    assert "it offers OpenFlow10, OpenFlow13" in reason
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow13,OpenFlow14")
    while not connection.is_ready:
        connection.run()
    connection.close()
