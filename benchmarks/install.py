"""Install: what a flow costs: encoded, installed in one bundle, and read back, each against a peer.

The peers are os-ken, for encoding, and `ovs-ofctl --bundle add-flows`, for installing, with its start and its
parsing of text.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import ovs.poller
from os_ken.ofproto import ofproto_v1_4_parser as osken
from os_ken.ofproto.ofproto_protocol import ProtocolDesc
from process import do
from series import Results
from switch import Switch

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject, cookie
from trunkline.core.flow import Field, Flow, Goto
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.core.plan import plan
from trunkline.openflow.event import BundleApplied, Connected, Event, FlowsRead
from trunkline.openflow.message import VERSION, encode
from trunkline.openflow.session import Session
from trunkline.openflow.text import text

FLOWS = 22_000
Say = Callable[[str], None]
E = TypeVar("E", bound=Event)


def flows() -> list[Flow]:
    """Return flows of the commonest kind: two match terms, two actions."""
    owner = cookie(Owner.L2, Subject.PORT)
    return [
        Flow(
            Band.LOCAL_MAC,
            (Field.METADATA(7), Field.ETH_DST(0x020000000000 + number)),
            (Field.REG7.set(number), Goto(Table.EGRESS)),
            owner + number,
        )
        for number in range(FLOWS)
    ]


def osken_encode(flow: Flow) -> object:
    """Build and serialise the flow_mod of *flow* with os-ken."""
    (_, network, _), (_, mac, _) = flow.match
    datapath = ProtocolDesc(version=VERSION)
    actions = [osken.OFPActionSetField(reg7=flow.cookie & 0xFFFFFFFF)]
    return osken.OFPFlowMod(
        datapath,
        cookie=flow.cookie,
        table_id=flow.table,
        priority=flow.priority,
        match=osken.OFPMatch(metadata=network, eth_dst=mac.to_bytes(6, "big").hex(":")),
        instructions=[
            osken.OFPInstructionActions(datapath.ofproto.OFPIT_APPLY_ACTIONS, actions),
            osken.OFPInstructionGotoTable(Table.EGRESS),
        ],
    ).serialize()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def until(session: Session, kind: type[E]) -> E:
    while True:
        for event in session.run():
            assert isinstance(event, kind), event
            return event
        poller = ovs.poller.Poller()
        session.wait(poller)
        poller.block()


def install(results: Results, say: Say, rounds: int) -> None:
    """Record flows per second of each kind of work, *rounds* times in turn, on a switch with nothing else."""
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
    switch = Switch(folder / "switch")
    try:
        _measure(results, switch, rounds)
    finally:
        switch.close()
        shutil.rmtree(folder)
    say(f"install: {rounds} rounds of {FLOWS:,} flows")


def _measure(results: Results, switch: Switch, rounds: int) -> None:
    all_flows = flows()
    texts = "\n".join(text(flow) for flow in all_flows)
    target = f"unix:{switch.folder}/br-int.mgmt"
    session = Session(target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    until(session, Connected)

    def add() -> None:
        session.send_bundle(plan(dict(encode(flow) for flow in all_flows), {}))
        until(session, BundleApplied)

    def read() -> None:
        session.read_flows()
        assert len(until(session, FlowsRead).flow_by_key) == FLOWS

    def add_flows() -> None:
        do(["ovs-ofctl", "-O", "OpenFlow14", "--bundle", "add-flows", target, "-"], switch.environment, texts)

    def clear() -> None:
        session.send_bundle(plan({}, dict(encode(flow) for flow in all_flows)))
        until(session, BundleApplied)

    def record(case: str, contender: str, work: Callable[[], object], count: int = FLOWS) -> None:
        rate = count / seconds(work)
        results.record(case, f"{FLOWS:,} flows", contender, "flows/s", rate, is_rate=True)

    tenth = all_flows[: FLOWS // 10]
    for _ in range(rounds):
        record("encode", "trunkline", lambda: [encode(flow) for flow in all_flows])
        record("encode", "os-ken", lambda: [osken_encode(flow) for flow in tenth], len(tenth))
        record("install", "trunkline", add)
        record("read back", "trunkline", read)
        record("delete", "trunkline", clear)
        record("install", "ovs-ofctl", add_flows)
        switch.clear()
        session.close()
        session = Session(target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
        until(session, Connected)
    session.close()
