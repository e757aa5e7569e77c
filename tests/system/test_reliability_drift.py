"""Drift of every kind on a chassis with its agent: noticed, repaired in time, counted and logged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import ovs.poller
import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until

from model.process import cpu_s, share
from trunkline.agent.wiring_contest import REPAIRS_PER_S
from trunkline.bridge.drift import CONTEST_HOLD_S, CONTEST_TURNS, LINES_PER_S
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.core.pipeline import Table
from trunkline.core.plan import Plan
from trunkline.northbound.client import PortSpec
from trunkline.openflow.event import BundleApplied, Connected, FlowsDrifted, FlowsRead
from trunkline.openflow.session import Session
from trunkline.ovsdb.replica import Replica

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"
FOREIGN = "cookie=0x99,table=50,priority=7,metadata=99,actions=drop"
INTRUDER = "cookie=0x74720301ffffffff,table=50,priority=7,metadata=9,actions=drop"


def wired(site: Site) -> DummyChassis:
    chassis = site.chassis()
    # Nothing but what the switch tells of may show a drift.
    chassis.set(**{"trunkline-audit-interval": "0"})
    site.network()
    for name in ("a", "b", "remote"):
        site.port(name)
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    return chassis


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    """For what is remembered for a while after it is over."""
    return wired(site)


@pytest.fixture(scope="module")
def lasting_site() -> Iterator[Site]:
    """For what leaves no trace."""
    with opened() as site:
        wired(site)
        yield site


@pytest.fixture
def lasting(lasting_site: Site) -> Iterator[DummyChassis]:
    chassis = lasting_site.all[0]
    chassis.switch.ofctl("add-flow", "br-int", FOREIGN)
    assert works(chassis)
    yield chassis
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x99/-1")
    chassis.check()


def works(chassis: DummyChassis) -> bool:
    return chassis.receive_once("a", HELLO) == {"b": [HELLO], NIC: [ethernet(BROADCAST, A, 101)]}


def ours(chassis: DummyChassis, bridge: str = "br-int") -> list[str]:
    """Return our flows as ovs-ofctl prints them without counters, sorted."""
    lines = chassis.switch.ofctl("--no-stats", "--no-names", "dump-flows", bridge).splitlines()
    return sorted(line.strip() for line in lines if "cookie=0x7472" in line)


def repaired(site: Site, what: str, harm: Callable[[], object], is_whole: Callable[[], object]) -> None:
    """Do *harm* and assert that it is repaired when the chassis answers a request that is made after it.

    So nothing is waited for. That nothing else has to wake the agent is what `test_agent_rest` holds.
    """
    harm()
    started = time.monotonic()
    site.sync()
    print(
        f"figure: {what}: answered {(time.monotonic() - started) * 1000:.0f} ms after the command had ended"
    )
    assert is_whole(), f"{what} repaired"


@pytest.mark.parametrize(
    ("what", "command", "count"),
    [
        ("flow deleted", ["del-flows", "br-int", "table=80"], 3),
        ("flow changed", ["mod-flows", "br-int", "table=80,actions=drop"], 2),
        ("flow added under our cookie", ["add-flow", "br-int", INTRUDER], 1),
        ("flow replaced by a foreign one", ["add-flow", "br-int", "cookie=5,table=80,priority=1"], 0),
    ],
)
def test_rule_7_a_flow_touched_by_hand_is_repaired_counted_and_logged(
    lasting_site: Site, lasting: DummyChassis, what: str, command: list[str], count: int
) -> None:
    """DESIGN.md, Lifecycle 7: a flow removed or changed by hand: repaired."""
    if not count:
        flow = next(line for line in ours(lasting) if "table=80" in line).partition(", ")[2]
        command[-1] = f"cookie=5,{flow}"
        count = 1
    before, repairs = ours(lasting), lasting.agent.status()["repairs"]
    lines = lasting.agent.log.count("flow drifted")
    assert before
    repaired(lasting_site, what, lambda: lasting.switch.ofctl(*command), lambda: ours(lasting) == before)
    assert lasting.agent.status()["repairs"] == repairs + count
    assert lasting.agent.log.count("flow drifted") == lines + count
    assert works(lasting)
    assert "cookie=0x99," in lasting.switch.ofctl("dump-flows", "br-int"), "foreign flows stay"


def test_rule_7_a_wiped_bridge_of_2000_flows_is_whole_again(
    lasting_site: Site, lasting: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 7: all of it back."""
    macs = [f"02:77:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(1000)]
    lasting_site.nb.create(ports=[PortSpec(name=mac, network="net1", mac=mac) for mac in macs])
    lasting_site.sync()
    before = ours(lasting)
    assert len(before) > 2000
    repaired(
        lasting_site,
        "wipe",
        lambda: lasting.switch.ofctl("del-flows", "br-int"),
        lambda: ours(lasting) == before,
    )
    assert works(lasting)
    lasting_site.nb.delete_ports(macs)


class Contest(NamedTuple):
    """How often a flow was deleted, and in how many seconds."""

    deletions: int
    taken_s: float


def is_contested(chassis: DummyChassis) -> bool:
    return "flows are contested" in chassis.agent.log


def contest(chassis: DummyChassis, at_least: int, for_s: float) -> Contest:
    """Delete a flow of ours each time that the agent has put it back: *at_least* so often, and *for_s*.

    On a slow machine the first turns may come no faster than a contest allows: it goes on until it is one.
    """
    session = Session(
        f"unix:{chassis.switch.rundir}/br-int.mgmt", cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK
    )
    target: tuple[bytes, bytes] | None = None
    count, is_there, is_busy = 0, False, False
    start_s = time.monotonic()
    while count < at_least or time.monotonic() < start_s + for_s or not is_contested(chassis):
        for event in session.run():
            match event:
                case Connected():
                    session.read_flows()
                case FlowsRead(flow_by_key=flow_by_key):
                    target = next(flow for flow in flow_by_key.items() if flow[0][0] == Table.DISPATCH)
                    is_there = True
                case FlowsDrifted(changes) if target is not None and changes.get(target[0]):
                    is_there = True
                case BundleApplied():
                    is_busy = False
        if is_there and not is_busy and target is not None:
            session.send_bundle(Plan({}, {}, dict([target])))
            count, is_there, is_busy = count + 1, False, True
        poller = ovs.poller.Poller()
        session.wait(poller)
        poller.timer_wait(20)
        poller.block()
    session.close()
    return Contest(count, time.monotonic() - start_s)


def test_a_program_that_changes_flows_again_and_again_keeps_neither_the_agent_nor_its_log_busy(
    site: Site, chassis: DummyChassis
) -> None:
    before, lines = ours(chassis), len(chassis.agent.log.splitlines())
    agent = chassis.agent.process.pid
    used_s = cpu_s(agent)
    # Each is put back.
    count, taken_s = contest(chassis, 2 * CONTEST_TURNS + 1, 3.0)
    used = (cpu_s(agent) - used_s) / taken_s
    said = chassis.agent.log.splitlines()[lines:]
    print(f"figure: contest: {count} deletions in {taken_s:.1f} s, {used:.0%} of a CPU, {len(said)} lines")
    assert "again and again" in chassis.faults["flows"]
    # The turn that makes it a contest, one at each end, and the deletion that is not repaired yet.
    assert count <= CONTEST_TURNS + taken_s / CONTEST_HOLD_S + 4
    assert share(agent) < 0.5, "it waits, and does not ask again and again whether it is time"
    assert len(said) < CONTEST_TURNS + taken_s * LINES_PER_S
    until(lambda: ours(chassis) == before, "repaired")
    # A contest must not delay what the northbound asks for meanwhile, nor go on after its author stopped.
    site.port("c")
    chassis.plug("c")
    site.await_up("c")
    until(lambda: "flows" not in chassis.faults, "over")
    until(lambda: "flows" not in site.nb.chassis("c1")["faults"], "over, as told to the northbound")


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ("patch port on br-int deleted", ["del-port", "int-br-phys1"]),
        ("patch port on the provider bridge deleted", ["del-port", "phy-br-phys1"]),
        ("patch port turned elsewhere", ["set", "Interface", "int-br-phys1", "options:peer=nowhere"]),
        ("trunks of the uplink changed", ["set", "Port", "phy-br-phys1", "trunks=7"]),
        ("fail_mode changed", ["set", "Bridge", "br-int", "fail_mode=standalone"]),
        ("controller set", ["set-controller", "br-int", "tcp:127.0.0.1:1"]),
    ],
)
def test_rule_7_wiring_touched_by_hand_is_repaired(
    lasting_site: Site, lasting: DummyChassis, what: str, command: list[str]
) -> None:
    """DESIGN.md, Lifecycle 7: a patch port or bridge removed or changed by hand: repaired."""
    repaired(lasting_site, what, lambda: lasting.switch.vsctl(*command), lambda: works(lasting))
    assert lasting.get("Bridge", "br-int", "fail_mode") == "secure"


def test_a_program_that_changes_the_wiring_again_and_again_keeps_neither_the_agent_nor_its_log_busy(
    site: Site, chassis: DummyChassis
) -> None:
    """Each time that the agent has put the patch port's tag back, it is set again."""
    lines, repairs = chassis.agent.log.count("wiring drifted"), chassis.agent.status()["repairs"]
    columns = {"Port": ["name", "tag"], "Open_vSwitch": ["next_cfg"]}
    kinds = {"name": "string", "next_cfg": "integer", "tag": {"key": "integer", "min": 0, "max": 1}}
    tables = {
        table: {"columns": {each: {"type": kinds[each]} for each in each_table}}
        for table, each_table in columns.items()
    }
    other = Replica(chassis.switch.remote, {"name": "Open_vSwitch", "tables": tables}, columns)
    times, start_s = 0, time.monotonic()

    def is_wiring_contested() -> bool:
        return "wiring is contested" in chassis.agent.log

    # On a slow machine the first turns may come no faster than a contest allows.
    while times <= CONTEST_TURNS or time.monotonic() < start_s + 2 or not is_wiring_contested():
        other.run()
        if not other.is_writing or other.outcome() is not None:
            for row in other.rows("Port").values():
                if row.name == "phy-br-phys1" and row.tag == []:
                    transaction = other.begin("another program")
                    row.tag = [7]
                    other.commit(transaction)
                    times += 1
        poller = ovs.poller.Poller()
        other.wait(poller)
        poller.timer_wait(20)
        poller.block()
    taken_s = time.monotonic() - start_s
    other.close()
    assert "again and again" in chassis.faults["wiring"]
    print(f"figure: wiring contest: tag set {times} times in {taken_s:.1f} s")
    assert times <= CONTEST_TURNS + taken_s * REPAIRS_PER_S + 4
    # None any more from when it is a contest; until then the pace lets some more than the first through.
    assert chassis.agent.log.count("wiring drifted") - lines < times
    assert chassis.agent.log.count("wiring is contested") == 1
    until(lambda: chassis.get("Port", "phy-br-phys1", "tag") == "[]", "put back")
    assert chassis.agent.status()["repairs"] - repairs >= times - 1
    site.sync()


def test_rule_7_a_provider_bridge_deleted_and_recreated_is_wired_again(
    lasting_site: Site, lasting: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 7: a fault while it is missing, wired when it is there, without a restart."""
    lasting.switch.vsctl("del-br", "br-phys1")
    until(lambda: "does not exist" in lasting.faults.get("mapping physnet1", ""), "a fault")
    assert lasting.receive("a", HELLO) == {"b": [HELLO]}, "ports here reach one another"
    repaired(
        lasting_site,
        "provider bridge recreated",
        lambda: lasting.add_provider_bridge("br-phys1"),
        lambda: works(lasting),
    )
    assert lasting.faults == {}


def test_rule_4_a_port_is_up_again_whose_northbound_died_as_that_was_written(
    site: Site, chassis: DummyChassis
) -> None:
    """DESIGN.md, Lifecycle 4: `Port.up` and `Chassis.nb_cfg` are level-triggered and mend themselves."""
    chassis.set(**{"trunkline-datapath-type": "netdev"})
    chassis.switch.vsctl("del-br", "br-int")
    until(lambda: chassis.get("Bridge", "br-int", "name"), "br-int is back")
    chassis.switch.vsctl("set", "Bridge", "br-int", f"datapath_type={chassis.devices.datapath_type}")
    chassis.plug("a")
    # Some milliseconds: that the port is up has been sent when the server dies, and is not heard of again.
    chassis.switch.vsctl("set-controller", "br-int", "tcp:127.0.0.1:1")
    site.served.kill()
    site.served.start()
    site.reconnect()
    site.sync()
    assert site.bindings()["a"] == ("c1", True)
