"""A restart of ovs-vswitchd: it waits for its flows, and for nobody else: DESIGN.md section 6, rule 7."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import ovs.poller
import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from switch_unit import prepare_start

from trunkline.agent.restart import LONGEST_ABSENCE_S, LONGEST_WAIT_S, PATIENCE_S, SwitchRestart
from trunkline.lab.namespace import HERE
from trunkline.lab.switchd import Devices, Switchd
from trunkline.ovsdb import restore_wait
from trunkline.ovsdb.vswitch import SwitchReplica

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

HELLO = ethernet(BROADCAST, mac_of("a"))
TAGGED = ethernet(BROADCAST, mac_of("a"), 101)
NIC = "nic-br-phys1"
OURS = ("TRUE", "true")
NONE = ("", "")
ROOT = ("Open_vSwitch", ".")


def wait_of(chassis: DummyChassis) -> tuple[str, str]:
    """Return the wait of the switch's database and the agent's mark; empty if there is none."""
    columns = ("other_config:flow-restore-wait", "external_ids:trunkline-restore-wait")
    wait, mark = (
        chassis.switch.vsctl("--no-wait", "--if-exists", "get", "Open_vSwitch", ".", column)
        .strip()
        .strip('"')
        for column in columns
    )
    return wait, mark


def await_wait(chassis: DummyChassis, wanted: tuple[str, str]) -> None:
    until(lambda: wait_of(chassis) == wanted, str(wanted))


def receive_waiting(chassis: DummyChassis, frame: bytes) -> dict[str, list[bytes]]:
    """Let *frame* arrive at a, at a switch that waits and so has no revalidators to be waited for."""
    chassis.devices.new()
    chassis.devices.receive("a", frame)
    return chassis.devices.new()


@contextmanager
def frozen(chassis: DummyChassis) -> Iterator[None]:
    """Stop the process of the agent for the block."""
    chassis.agent.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        chassis.agent.process.send_signal(signal.SIGCONT)


def test_rule_7_a_switch_that_comes_back_waits_until_its_flows_are_in_place(
    site: Site, chassis: DummyChassis
) -> None:
    chassis.switch.kill_vswitchd()
    await_wait(chassis, OURS)
    with frozen(chassis):
        chassis.switch.start_vswitchd()
        assert receive_waiting(chassis, HELLO) == {}
        assert wait_of(chassis) == OURS, "nobody but the agent takes it away"
    await_wait(chassis, NONE)
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED]}
    assert chassis.faults == {}
    log = chassis.agent.log
    sent, ended = log.rindex("flows sent"), log.rindex("no longer has to wait for its flows reason=")
    assert sent < ended
    assert "they are in place" in log[ended:]


def test_a_wait_of_somebody_else_is_left_alone(site: Site, chassis: DummyChassis) -> None:
    vsctl = chassis.switch.vsctl
    vsctl("--no-wait", "set", *ROOT, "other_config:flow-restore-wait=true")
    chassis.switch.kill_vswitchd()
    until(lambda: "no OpenFlow connection" in chassis.faults.get("switch", ""), "fault")
    assert wait_of(chassis) == ("true", ""), "it was set before ovs-vswitchd went"
    vsctl("--no-wait", "remove", *ROOT, "other_config", "flow-restore-wait")
    chassis.switch.start_vswitchd()
    site.sync()
    # What `ovs-ctl restart` does once ovs-vswitchd is gone.
    chassis.switch.kill_vswitchd()
    await_wait(chassis, OURS)
    vsctl("--no-wait", "set", *ROOT, "other_config:flow-restore-wait=true")
    await_wait(chassis, ("true", ""))
    chassis.switch.start_vswitchd()
    site.sync()
    assert wait_of(chassis) == ("true", ""), "flows of others may be on their way"
    vsctl("--no-wait", "remove", *ROOT, "other_config", "flow-restore-wait=true")
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED]}


def test_an_agent_that_ends_lets_the_switch_start_without_it(site: Site, chassis: DummyChassis) -> None:
    chassis.switch.kill_vswitchd()
    await_wait(chassis, OURS)
    assert chassis.agent.end()[0] == 0
    assert wait_of(chassis) == NONE
    chassis.switch.start_vswitchd()
    chassis.start_agent()
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED]}


def test_a_wait_that_a_killed_agent_has_left_is_ended_by_the_next(site: Site, chassis: DummyChassis) -> None:
    chassis.switch.kill_vswitchd()
    await_wait(chassis, OURS)
    chassis.agent.end(signal.SIGKILL)
    chassis.switch.start_vswitchd()
    assert receive_waiting(chassis, HELLO) == {}
    chassis.start_agent()
    await_wait(chassis, NONE)
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED]}


def test_a_wait_that_a_killed_agent_has_left_is_taken_away_by_the_unit_and_by_cleanup(
    chassis: DummyChassis,
) -> None:
    chassis.switch.kill_vswitchd()
    await_wait(chassis, OURS)
    chassis.agent.end(signal.SIGKILL)
    rundir = chassis.switch.rundir / "agent"
    rundir.mkdir()
    prepare_start(chassis.switch, rundir)
    assert wait_of(chassis) == OURS, "an agent runs"
    rundir.rmdir()
    prepare_start(chassis.switch, rundir)
    assert wait_of(chassis) == NONE
    columns = ("other_config:flow-restore-wait=TRUE", "external_ids:trunkline-restore-wait=true")
    chassis.switch.vsctl("--no-wait", "set", *ROOT, columns[0], columns[1])
    chassis.switch.start_vswitchd()
    assert chassis.start_agent("--cleanup", is_settled=False).end_by_itself()[0] == 0
    assert wait_of(chassis) == NONE


def test_the_unit_has_a_switch_wait_for_an_agent_that_comes_back(
    site: Site, chassis: DummyChassis, tmp_path: Path
) -> None:
    """A restart of agent and switch together, as an upgrade of both makes it."""
    assert chassis.agent.end()[0] == 0
    chassis.switch.kill_vswitchd()
    prepare_start(chassis.switch, tmp_path / "no-agent")
    assert wait_of(chassis) == NONE
    prepare_start(chassis.switch, tmp_path)
    assert wait_of(chassis) == OURS
    chassis.switch.start_vswitchd()
    assert receive_waiting(chassis, HELLO) == {}
    chassis.start_agent()
    await_wait(chassis, NONE)
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC: [TAGGED]}
    assert "they are in place" in chassis.agent.log


def test_the_unit_leaves_alone_what_somebody_else_has_set(chassis: DummyChassis, tmp_path: Path) -> None:
    assert chassis.agent.end()[0] == 0
    chassis.switch.kill_vswitchd()
    chassis.switch.vsctl("--no-wait", "set", *ROOT, "other_config:flow-restore-wait=true")
    prepare_start(chassis.switch, tmp_path)
    chassis.switch.start_vswitchd()
    chassis.start_agent(is_settled=False)
    await_wait(chassis, ("true", ""))
    chassis.switch.vsctl("--no-wait", "remove", *ROOT, "other_config", "flow-restore-wait")


def test_a_switch_does_not_wait_for_ever_for_its_flows(site: Site, chassis: DummyChassis) -> None:
    chassis.switch.kill_vswitchd()
    await_wait(chassis, OURS)
    chassis.agent.end(signal.SIGKILL)
    site.served.kill()
    chassis.switch.start_vswitchd()
    # It knows no flows before it has read the northbound.
    agent = chassis.start_agent(is_settled=False)
    fault = until(lambda: chassis.faults.get("switch"), "fault")
    assert fault == (
        "ovs-vswitchd was restarted, and forwards only what it knew before, until br-int has its flows; "
        "see the agent's log"
    )
    await_wait(chassis, NONE)
    assert "it is back, and they are not in place" in agent.log
    until(lambda: "switch" not in chassis.faults, "no fault")
    site.is_checked = False


def test_nothing_is_set_for_the_userspace_datapath(site: Site, tmp_path: Path) -> None:
    chassis = site.chassis(is_running=False)
    for bridge in ("br-int", "br-phys1"):
        chassis.switch.vsctl("set", "Bridge", bridge, "datapath_type=netdev")
    chassis.start_agent()
    chassis.switch.kill_vswitchd()
    until(lambda: "no OpenFlow connection" in chassis.faults.get("switch", ""), "fault")
    assert wait_of(chassis) == NONE
    chassis.switch.start_vswitchd()
    site.sync()
    assert "flow-restore-wait" not in chassis.get("Open_vSwitch", ".", "other_config")
    prepare_start(chassis.switch, tmp_path)
    assert wait_of(chassis) == NONE, "nor does the unit set anything"


# -- the bounds, by a clock that is an argument ---------------------------------------------------------


@dataclass
class Session:
    is_ready: bool = False


@dataclass
class Bridge:
    """What forwarding is to a restart."""

    session: Session = field(default_factory=Session)
    is_awaited: bool = False
    faults: dict[str, str] = field(default_factory=dict)


@dataclass
class Standing:
    """What the standing of a chassis is to a restart."""

    are_flows_applied: bool = False
    is_refused: bool = False

    @property
    def plumbing(self) -> Standing:
        return self


class Moment:
    """What an agent sees of a restart in its database, turn by turn; *now_s* is its clock."""

    def __init__(self, switchd: Switchd, switch: SwitchReplica) -> None:
        self.switchd, self.switch = switchd, switch
        self.now_s = 100.0
        self.bridge, self.standing = Bridge(), Standing()
        self.restart = SwitchRestart(switch, lambda: self.now_s)

    def turn(self, after_s: float = 0.0, *, is_busy: bool = False) -> None:
        """Let so much time pass, and have one turn after that, and those that its write needs."""
        self.now_s += after_s
        while True:
            self.restart.run(cast("Any", self.bridge), cast("Any", self.standing), is_busy=is_busy)
            if not self.switch.is_writing:
                return
            run_until(self.switch, lambda: not self.switch.is_writing)

    def wait_s(self, limit_s: float, *, is_busy: bool = False) -> float:
        """Have turns when the restart asks for them; return for how long the wait has stayed."""
        began_s = self.now_s
        while self.is_set and self.now_s < began_s + limit_s:
            assert self.restart.next_s is not None
            self.turn(self.restart.next_s - self.now_s, is_busy=is_busy)
        return self.now_s - began_s

    def set_by_the_unit(self) -> None:
        """Set the wait as the unit of ovs-vswitchd does."""
        columns = ("other_config:flow-restore-wait=TRUE", "external_ids:trunkline-restore-wait=true")
        self.switchd.vsctl("--no-wait", "set", *ROOT, *columns)
        run_until(self.switch, lambda: self.is_set)

    def come_back(self) -> None:
        """Start ovs-vswitchd, and have a turn once it has answered."""
        self.switchd.start_vswitchd()
        run_until(self.switch, lambda: self.switch.is_realized)
        self.turn()

    @property
    def is_set(self) -> bool:
        return restore_wait.is_ours(self.switch)


@pytest.fixture
def moment(site: Site) -> Iterator[Moment]:
    """A restart by a database that no ovs-vswitchd serves."""
    switchd = Switchd(HERE, site.folder / "switch", site.journal, Devices.DUMMIES)
    switchd.start()
    switchd.kill_vswitchd()
    replica = SwitchReplica(switchd.remote)
    run_until(replica, lambda: replica.is_synced)
    yield Moment(switchd, replica)
    replica.close()
    switchd.kill()


def run_until(replica: SwitchReplica, is_so: Callable[[], bool]) -> None:
    def step() -> bool:
        replica.run()
        replica.outcome()
        poller = ovs.poller.Poller()
        replica.wait(poller)
        poller.timer_wait(20)
        poller.block()
        return is_so()

    until(step, "state of the database")


def test_an_absence_has_an_end_by_the_clock(moment: Moment) -> None:
    moment.bridge.session.is_ready = True
    moment.turn()
    assert not moment.restart.has_wait
    moment.bridge.session.is_ready = False
    moment.restart.run(cast("Any", moment.bridge), cast("Any", moment.standing), is_busy=False)
    assert moment.restart.has_wait, "also before the database shows it"
    run_until(moment.switch, lambda: moment.is_set and not moment.switch.is_writing)
    moment.turn()
    assert moment.wait_s(2 * LONGEST_ABSENCE_S, is_busy=True) == pytest.approx(LONGEST_ABSENCE_S)
    moment.turn()
    assert (moment.restart.has_wait, moment.restart.next_s) == (False, None)


def test_a_switch_is_not_back_before_it_has_answered_whoever_has_set_the_wait(moment: Moment) -> None:
    moment.set_by_the_unit()
    moment.turn()
    assert moment.wait_s(2 * LONGEST_WAIT_S) >= 2 * LONGEST_WAIT_S
    moment.come_back()
    assert moment.wait_s(2 * LONGEST_WAIT_S) == pytest.approx(PATIENCE_S)


def test_a_switch_waits_as_long_as_its_flows_are_on_their_way_but_not_for_ever(moment: Moment) -> None:
    moment.set_by_the_unit()
    moment.turn()
    moment.come_back()
    assert moment.wait_s(2 * PATIENCE_S, is_busy=True) >= 2 * PATIENCE_S
    moment.bridge.is_awaited = True
    assert moment.wait_s(2 * PATIENCE_S) >= 2 * PATIENCE_S
    moment.bridge.is_awaited = False
    assert moment.wait_s(PATIENCE_S - 1) >= PATIENCE_S - 1
    # All of it together has an end, even if it is gone once more meanwhile.
    moment.switchd.kill_vswitchd()
    left_s = LONGEST_WAIT_S - 5 * PATIENCE_S + 1
    assert moment.wait_s(2 * LONGEST_WAIT_S, is_busy=True) == pytest.approx(left_s)


def test_a_switch_that_takes_no_flows_does_not_wait_longer_for_being_asked_again(moment: Moment) -> None:
    moment.set_by_the_unit()
    moment.turn()
    moment.come_back()
    moment.bridge.faults = {"switch changes": "the switch refuses changes of flows"}
    moment.bridge.is_awaited = True
    assert moment.wait_s(2 * LONGEST_WAIT_S, is_busy=True) == pytest.approx(PATIENCE_S)


def test_an_agent_that_was_stopped_goes_on_before_it_ends_the_wait(moment: Moment) -> None:
    moment.set_by_the_unit()
    moment.turn()
    moment.come_back()
    moment.turn(2 * LONGEST_ABSENCE_S)
    assert moment.is_set, "it had no time to send flows"
    moment.standing.are_flows_applied = True
    moment.turn()
    run_until(moment.switch, lambda: not moment.switch.waits_for_flows)


def test_a_wait_that_could_not_be_written_is_written_once_it_can(moment: Moment) -> None:
    moment.bridge.session.is_ready = True
    moment.turn()
    moment.bridge.session.is_ready = False
    moment.standing.is_refused = True
    moment.turn()
    assert not moment.restart.has_wait
    moment.standing.is_refused = False
    # Somebody else has just written the same column: the first write does not take effect.
    moment.switchd.vsctl("--no-wait", "set", *ROOT, "other_config:max-idle=10001")
    moment.turn()
    run_until(moment.switch, lambda: moment.is_set)
