"""What a flow costs: encoded, installed in one bundle, and read back, each against a peer in the same run.

Run by hand: `python benchmarks/bench_openflow.py`. The peers are os-ken, for encoding, and
`ovs-ofctl --bundle add-flows`, for installing, with its start and its parsing of text. The switch is an
ovs-vswitchd of its own with dummy devices.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import ovs.poller
from os_ken.ofproto import ofproto_v1_4_parser as osken
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from trunkline.core.flow import Field, Flow, Goto
from trunkline.core.pipeline import COOKIE_OURS, COOKIE_OURS_MASK, Band, Owner, Subject, Table, cookie
from trunkline.core.plan import plan
from trunkline.openflow.event import BundleApplied, Connected, Event, FlowsRead
from trunkline.openflow.message import VERSION, encode
from trunkline.openflow.session import Session
from trunkline.openflow.text import text

FLOWS = 22_000
ROUNDS = 5
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
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


def osken_encode(flow: Flow) -> None:
    """Build and serialise the flow_mod of *flow* with os-ken."""
    (_, network, _), (_, mac, _) = flow.match
    datapath = ProtocolDesc(version=VERSION)
    actions = [osken.OFPActionSetField(reg7=flow.cookie & 0xFFFFFFFF)]
    osken.OFPFlowMod(
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


def start(folder: Path) -> dict[str, str]:
    """Start a switch in *folder* and return the environment that reaches it."""
    environment = os.environ | {f"OVS_{name}DIR": str(folder) for name in ("RUN", "LOG", "DB")}
    database = f"unix:{folder}/db.sock"
    detach = ("--detach", "--no-chdir", "--log-file", "--pidfile")
    vsctl = ("ovs-vsctl", f"--db={database}")
    bridge = ("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=dummy", "fail_mode=secure")
    for command in (
        ("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA),
        ("ovsdb-server", f"{folder}/conf.db", f"--remote=punix:{folder}/db.sock", *detach),
        (*vsctl, "--no-wait", "init"),
        ("ovs-vswitchd", database, "--enable-dummy=override", *detach),
        (*vsctl, *bridge),
    ):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return environment


def measure(folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Return the median seconds of each kind of work on all flows (os-ken: on a tenth of them, times ten)."""
    all_flows = flows()
    desired = dict(encode(flow) for flow in all_flows)
    texts = "\n".join(text(flow) for flow in all_flows)
    target = f"unix:{folder}/br-int.mgmt"
    session = Session(target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    until(session, Connected)
    times: dict[str, list[float]] = {}

    def install() -> None:
        session.send_bundle(plan(desired, {}))
        until(session, BundleApplied)

    def read() -> None:
        session.read_flows()
        assert until(session, FlowsRead).flow_by_key == desired

    def add_flows() -> None:
        command = ("ovs-ofctl", "-O", "OpenFlow14", "--bundle", "add-flows", target, "-")
        subprocess.run(command, env=environment, input=texts, text=True, check=True)

    def clear() -> None:
        session.send_bundle(plan({}, desired))
        until(session, BundleApplied)

    def record(name: str, work: Callable[[], object], factor: float = 1) -> None:
        times.setdefault(name, []).append(seconds(work) * factor)

    for _ in range(ROUNDS):
        record("encode", lambda: [encode(flow) for flow in all_flows])
        record("encode, os-ken", lambda: [osken_encode(flow) for flow in all_flows[: FLOWS // 10]], 10)
        record("install", install)
        record("read back", read)
        record("delete", clear)
        record("install, ovs-ofctl", add_flows)
        clear()
    session.close()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            medians = measure(folder, start(folder))
        finally:
            for pidfile in folder.glob("*.pid"):
                os.kill(int(pidfile.read_text()), signal.SIGKILL)
    for work, median in medians.items():
        print(f"{work:20} {median / FLOWS * 1e6:7.2f} µs/flow {median * 1e3:8.0f} ms for {FLOWS:,}")
    print(f"encode:  {medians['encode, os-ken'] / medians['encode']:.0f} times as fast as os-ken")
    ratio = (medians["encode"] + medians["install"]) / medians["install, ovs-ofctl"]
    print(f"encode + install: {ratio:.2f} of the time of ovs-ofctl")


if __name__ == "__main__":
    main()
