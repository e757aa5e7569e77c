"""A session against a real ovs-vswitchd, with dummy devices and in a directory of its own."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import ovs.poller
import pytest

from trunkline.core.flow import (
    Action,
    Controller,
    Field,
    Flow,
    Goto,
    Match,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Term,
)
from trunkline.core.pipeline import COOKIE_OURS, COOKIE_OURS_MASK, Band, Owner, Subject, Table, cookie
from trunkline.core.plan import advance, plan
from trunkline.openflow import message, session
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

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
E = TypeVar("E", bound=Event)
FlowMap = dict[bytes, bytes]


class Switch:
    """An ovsdb-server and an ovs-vswitchd of our own, with one bridge, br-int, of dummy ports 1 and 2."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = f"unix:{folder}/db.sock"
        self.target = f"unix:{folder}/br-int.mgmt"
        self.environment = os.environ | {f"OVS_{name}DIR": str(folder) for name in ("RUN", "LOG", "DB")}
        self.run("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA)
        remote = f"--remote=punix:{folder}/db.sock"
        self.daemon("ovsdb-server", f"{folder}/conf.db", remote)
        self.vsctl("--no-wait", "init")
        self.start()
        self.vsctl(
            "add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=dummy", "fail_mode=secure"
        )
        for ofport in ("1", "2"):
            port = f"p{ofport}"
            kind = ("--", "set", "Interface", port, "type=dummy", f"ofport_request={ofport}")
            self.vsctl("add-port", "br-int", port, *kind)

    def run(self, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            command,
            env=self.environment,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def daemon(self, program: str, *arguments: str) -> None:
        pidfile = f"--pidfile={self.folder}/{program}.pid"
        self.run(
            program, *arguments, "--detach", "--no-chdir", pidfile, f"--log-file={self.folder}/{program}.log"
        )

    def vsctl(self, *arguments: str) -> str:
        return self.run("ovs-vsctl", f"--db={self.database}", "--timeout=20", *arguments)

    def ofctl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.run("ovs-ofctl", "-O", "OpenFlow14", *arguments, stdin=stdin)

    def start(self) -> None:
        self.daemon("ovs-vswitchd", self.database, "--enable-dummy=override")

    def signal(self, number: signal.Signals, program: str = "ovs-vswitchd") -> None:
        pidfile = self.folder / f"{program}.pid"
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), number)


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    switch = Switch(tmp_path)
    try:
        yield switch
    finally:
        switch.signal(signal.SIGKILL)
        switch.signal(signal.SIGKILL, "ovsdb-server")


@pytest.fixture
def connection(switch: Switch) -> Iterator[Session]:
    connection = Session(switch.target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    until(connection, Connected)
    yield connection
    connection.close()


def until(connection: Session, kind: type[E] | Callable[[Event], bool], timeout_s: float = 20) -> E:
    """Run *connection* until an event of *kind*, and return that; any other event fails the test."""
    deadline = time.monotonic() + timeout_s
    while True:
        for event in connection.run():
            assert isinstance(event, kind), f"{event} while waiting for {kind}"  # type: ignore[arg-type]
            return event  # type: ignore[return-value]
        assert time.monotonic() < deadline, f"no {kind} within {timeout_s} s"
        poller = ovs.poller.Poller()
        connection.wait(poller)
        poller.timer_wait(1000)
        poller.block()


def installed(connection: Session) -> FlowMap:
    connection.read_flows()
    return until(connection, FlowsRead).flow_by_key


def counters(connection: Session) -> dict[bytes, Counters]:
    connection.read_flows()
    return until(connection, FlowsRead).counters()


def apply(connection: Session, desired: FlowMap, present: FlowMap) -> None:
    bundle_id = connection.send_bundle(plan(desired, present))
    assert until(connection, BundleApplied) == BundleApplied(bundle_id)


def encoded(*flows: Flow) -> FlowMap:
    flow_by_key = dict(encode(flow) for flow in flows)
    assert len(flow_by_key) == len(flows), "the flows of a test have keys of their own"
    return flow_by_key


def flow(match: Match, actions: tuple[Action, ...] = (), band: Band = Band.VIF, key: int = 1) -> Flow:
    return Flow(band, match, actions, cookie(band.owner, Subject.PORT, key))


MAC = 0x020000000001
ARP = (Field.ETH_TYPE(0x0806),)
IPV4 = (Field.ETH_TYPE(0x0800),)
IPV6 = (Field.ETH_TYPE(0x86DD),)
ICMPV6 = (*IPV6, Field.IP_PROTO(58))
SOLICITATION = (*ICMPV6, Field.ICMPV6_TYPE(135), Field.ICMPV6_CODE(0))
ADVERTISEMENT = (*ICMPV6, Field.ICMPV6_TYPE(136), Field.ICMPV6_CODE(0))
FE80 = 0xFE80 << 112

PLAIN = (
    (Field.IN_PORT, None),
    (Field.METADATA, 0xFFF << 36),
    (Field.REG5, 0x7),
    (Field.REG6, 0xFFFF0000),
    (Field.REG7, 0x80000001),
    (Field.ETH_DST, 1 << 40),
    (Field.ETH_SRC, 0xFFFFFF000000),
    (Field.VLAN_VID, 0x1000),
)
"""Fields that need no other, with a mask for those that may have one."""

LAYERED: tuple[tuple[Match, tuple[tuple[Field, int | None], ...]], ...] = (
    (ARP, ((Field.ARP_SPA, 0xFF0000FF), (Field.ARP_TPA, 0xFFFFFF00), (Field.ARP_OP, None))),
    (ARP, ((Field.ARP_SHA, 0xFF), (Field.ARP_THA, 0xFFFFFF000000))),
    (IPV4, ((Field.IPV4_SRC, 0xFFFF0000), (Field.IPV4_DST, 0xFFFFFFFE), (Field.IP_PROTO, None))),
    (IPV6, ((Field.IPV6_SRC, ((1 << 64) - 1) << 64), (Field.IPV6_DST, 0xFF), (Field.IP_PROTO, None))),
    ((*IPV4, Field.IP_PROTO(6)), ((Field.TCP_SRC, 0xFFFE), (Field.TCP_DST, 0xFF))),
    ((*IPV6, Field.IP_PROTO(6)), ((Field.TCP_SRC, 0xFFFE), (Field.TCP_DST, 0xFF))),
    ((*IPV4, Field.IP_PROTO(17)), ((Field.UDP_SRC, 0xFFFE), (Field.UDP_DST, 0xFF))),
    ((*IPV6, Field.IP_PROTO(17)), ((Field.UDP_SRC, 0xFFFE), (Field.UDP_DST, 0xFF))),
    (ICMPV6, ((Field.ICMPV6_TYPE, None), (Field.ICMPV6_CODE, None))),
    (SOLICITATION, ((Field.ND_TARGET, FE80), (Field.ND_SLL, 0xFF))),
    (ADVERTISEMENT, ((Field.ND_TARGET, FE80), (Field.ND_TLL, 0xFF))),
)
"""Fields that need those before them."""

UNWRITABLE = {Field.ETH_TYPE, Field.IP_PROTO}
"""Fields that Open vSwitch can match but not set."""


def matches() -> Iterator[Match]:
    """Yield matches that hold every field, exact and masked, alone and with others, in random orders."""
    yield tuple(field(0) for field, _ in PLAIN if field is not Field.IN_PORT)
    order = random.Random(14)
    for needed, fields in ((), PLAIN), *LAYERED:
        for count in (1, 2, 3, len(fields)):
            for chosen in itertools.combinations(fields, min(count, len(fields))):
                for is_masked in (False, True):
                    terms = [random_term(order, field, mask if is_masked else None) for field, mask in chosen]
                    extra = order.sample(PLAIN, 2) if needed else []
                    terms += [random_term(order, field, None) for field, _ in extra]
                    terms += needed
                    order.shuffle(terms)
                    yield tuple(terms)


def random_term(order: random.Random, field: Field, mask: int | None) -> Term:
    if field is Field.IN_PORT:
        return field(order.choice((1, 2, 0xFFFE)))
    value = order.randrange(1, 1 << usable_bits(field))
    if field is Field.VLAN_VID:
        return field(0x1000, mask) if mask else field(value | 0x1000)
    return field(value, mask) if mask is None else field(value & mask, mask)


def usable_bits(field: Field) -> int:
    """Return how many bits Open vSwitch keeps of *field*: of an ARP operation, eight."""
    return 8 if field is Field.ARP_OP else field.bits


def writes() -> Iterator[Flow]:
    """Yield a flow for every field that can be set, on a match that allows it."""
    tagged = Field.VLAN_VID(0x1000, 0x1000)
    for needed, fields in ((tagged,), PLAIN), *LAYERED:
        for field, _ in fields:
            if field not in UNWRITABLE:
                value = 2 if field is Field.IN_PORT else (1 << usable_bits(field)) - 1
                match = (*needed, Field.METADATA(len(needed) << 8 | list(Field).index(field)))
                zero = 0x1000 if field is Field.VLAN_VID else 0
                yield flow(match, (field.set(value), field.set(zero), Goto(Table.L2_LOOKUP)), Band.UPLINK)


def orders() -> Iterator[Flow]:
    """Yield a flow for every kind and end of an action list, in every band."""
    ends: tuple[tuple[Action, ...], ...] = (
        (),
        (Output(1),),
        (Output(0xFFFE), Output(0xFFF8)),
        (Controller(), Output(1), Controller(128)),
        (Resubmit(Table.DISPATCH), Output(0xFFFA)),
        (Field.ETH_DST.set(MAC), PushVlan(4094), Output(1), PopVlan(), Output(2)),
        (PushVlan(101), Field.VLAN_VID.set(0x1000), PushVlan(7), PopVlan(), Field.REG5.set(0)),
    )
    for band in Band:
        for number, actions in enumerate(ends):
            yield flow((Field.METADATA(1 << 60 | number),), actions, band)
            if band.table < Table.DISPATCH:
                yield flow((Field.METADATA(1 << 61 | number),), (*actions, Goto(Table.DISPATCH)), band)


def catalogue() -> dict[bytes, Flow]:
    """Return a flow by key for every field, action and band, and many combinations."""
    by_match = (flow(match, (Output(1),), key=number) for number, match in enumerate(matches()))
    return {encode(each).key: each for each in itertools.chain(by_match, writes(), orders())}


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
    switch.ofctl("--bundle", "add-flows", switch.target, "-", stdin="\n".join(texts))
    assert installed(connection) == desired

    printed = switch.ofctl("--no-stats", "--no-names", "dump-flows", switch.target).splitlines()
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
    """DESIGN.md, Lifecycle 3, where the switch finds out only as it commits."""
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
    switch.ofctl("add-flow", switch.target, text(ours._replace(cookie=5)))
    switch.ofctl("add-flow", switch.target, "table=99,priority=7,ip,nw_tos=4,actions=dec_ttl,LOCAL")
    before = switch.ofctl("--no-stats", "dump-flows", switch.target)
    assert installed(connection) == {}

    key, body = encode(ours)
    apply(connection, {}, {key: body})
    apply(connection, {key: body}, {key: body[:8]})
    assert switch.ofctl("--no-stats", "dump-flows", switch.target) == before


def test_foreign_flows_of_every_kind_can_be_spelled(switch: Switch) -> None:
    switch.ofctl("add-flow", switch.target, "table=99,priority=7,ip,nw_tos=4,tun_id=9,actions=dec_ttl,LOCAL")
    everyone = Session(switch.target, cookie=0, cookie_mask=0)
    until(everyone, Connected)
    ((key, body),) = installed(everyone).items()
    everyone.close()
    decoded = message.decode(key, body)
    assert (decoded.table, decoded.priority, decoded.cookie) == (99, 7, 0)
    assert "action(0x" in encoded_text(key, body)


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
    assert "tx pkts=2, bytes=124" in switch.ofctl("dump-ports", switch.target, "2")


def test_killed_switch_is_found_again_without_its_flows(switch: Switch, connection: Session) -> None:
    """DESIGN.md, Lifecycle 7: ovs-vswitchd gone, all of it back on return."""
    desired = encoded(flow((Field.IN_PORT(1),)))
    apply(connection, desired, {})
    switch.signal(signal.SIGKILL)
    assert until(connection, Disconnected).reason
    assert not connection.is_ready
    switch.start()
    until(connection, Connected)
    present = installed(connection)
    assert present == {}
    apply(connection, desired, present)
    assert installed(connection) == desired


def test_switch_that_comes_later_is_waited_for(switch: Switch) -> None:
    switch.vsctl("del-br", "br-int")
    connection = Session(switch.target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    assert connection.run() == []
    switch.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=dummy")
    until(connection, Connected)
    connection.close()


def test_silent_switch_is_given_up_and_found_again(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PROBE_INTERVAL_MS", 1000)
    connection = Session(switch.target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    until(connection, Connected)
    switch.signal(signal.SIGSTOP)
    assert until(connection, Disconnected).reason == "no answer to an echo request"
    switch.signal(signal.SIGCONT)
    until(connection, Connected)
    connection.close()


def test_bridge_without_openflow_14_is_named_in_the_reason(switch: Switch) -> None:
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow10,OpenFlow13")
    connection = Session(switch.target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    reason = until(connection, Disconnected).reason
    assert "it offers OpenFlow10, OpenFlow13" in reason
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow13,OpenFlow14")
    while not connection.is_ready:
        connection.run()
    connection.close()
