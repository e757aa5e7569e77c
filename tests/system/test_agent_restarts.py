"""Restarts of every part: DESIGN.md section 6, rules 1, 2, 5, 6 and 7."""

from __future__ import annotations

import re
import signal

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import refusal, trunkline

from model.process import share
from trunkline.lab import command

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
OUTSIDE = "02:ee:00:00:00:01"
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"
VOLATILE = re.compile(r"(duration|idle_age|hard_age)=[\d.]+s?,?\s*")
SENT = re.compile(r"flows sent adds=(\d+) modifies=(\d+) deletes=(\d+)")


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    chassis = site.chassis()
    site.network()
    for name in ("a", "b", "remote"):
        site.port(name)
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    assert works(chassis)
    return chassis


def works(chassis: DummyChassis, vlan_id: int = 101) -> bool:
    out = chassis.receive("a", HELLO)
    back = chassis.receive(NIC, ethernet(A, OUTSIDE, vlan_id))
    return (out, back) == (heard_of_a(vlan_id), {"a": [ethernet(A, OUTSIDE)]})


def heard_of_a(vlan_id: int = 101) -> dict[str, list[bytes]]:
    """Return what comes of a broadcast of port a."""
    return {"b": [HELLO], NIC: [ethernet(BROADCAST, A, vlan_id)]}


def durations(chassis: DummyChassis) -> dict[str, float]:
    """Return the age in seconds of every flow, by its text without what changes by itself."""
    found = {}
    for line in chassis.flows():
        match = re.search(r"duration=([\d.]+)s", line)
        assert match is not None
        found[re.sub(r"(duration|n_packets|n_bytes|idle_age|hard_age)=\S+ ", "", line)] = float(match[1])
    return found


def counted(chassis: DummyChassis) -> list[str]:
    # The revalidators tell the flows what the datapath has forwarded.
    chassis.vswitchd.await_revalidated()
    return sorted(VOLATILE.sub("", line) for line in chassis.flows())


def sent(chassis: DummyChassis) -> list[tuple[int, ...]]:
    return [tuple(int(number) for number in found) for found in SENT.findall(chassis.agent.log)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_rule_6_the_agent_restarts_and_touches_no_flow(
    site: Site, chassis: DummyChassis, number: signal.Signals
) -> None:
    counters, ages, ofport = counted(chassis), durations(chassis), chassis.ofport("int-br-phys1")
    chassis.agent.end(number)
    assert counted(chassis) == counters
    chassis.start_agent()
    site.sync()
    assert sent(chassis) == []
    assert counted(chassis) == counters
    assert all(chassis_age >= ages[flow] for flow, chassis_age in durations(chassis).items())
    assert chassis.ofport("int-br-phys1") == ofport
    assert site.bindings()["a"] == ("c1", True)
    assert works(chassis)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_rule_2_only_what_changed_meanwhile_is_sent(
    site: Site, chassis: DummyChassis, number: signal.Signals
) -> None:
    chassis.agent.end(number)
    assert works(chassis), "forwarding goes on without the agent"
    before = set(counted(chassis))
    site.port("remote2")
    chassis.unplug("b")
    chassis.start_agent()
    site.sync()
    assert len(sent(chassis)) == 1
    adds, modifies, deletes = sent(chassis)[0]
    assert adds + 2 * modifies + deletes == len(before ^ set(counted(chassis)))
    assert adds + modifies + deletes < 14
    assert chassis.receive("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 101)]}
    assert site.bindings()["b"] == (None, False)


def test_rule_1_nothing_is_cleared_or_sent_before_the_northbound_is_read(
    site: Site, chassis: DummyChassis
) -> None:
    chassis.agent.end()
    site.served.stop()
    before = counted(chassis)
    chassis.start_agent(is_settled=False)
    until(lambda: "flows read" in chassis.agent.log, "flows read")
    until(lambda: "attempt failed" in chassis.agent.log, "a log line for the northbound that is not there")
    assert counted(chassis) == before
    assert sent(chassis) == []
    assert works(chassis)
    site.served.start()
    site.reconnect()
    chassis.agent.await_settled()
    site.sync()
    assert sent(chassis) == []


def test_rule_5_the_northbound_goes_and_comes_back_with_differences(
    site: Site, chassis: DummyChassis
) -> None:
    before = counted(chassis)
    site.served.kill()
    until(lambda: not chassis.agent.status()["northbound"], "northbound lost")
    assert counted(chassis) == before
    assert works(chassis)
    chassis.unplug("b")
    until(lambda: chassis.receive_once("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 101)]}, "b gone")
    assert chassis.receive("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 101)]}
    chassis.plug("b")
    until(lambda: chassis.receive_once("a", HELLO) == heard_of_a(), "a known VIF is wired from what is known")
    assert works(chassis)
    so_far = len(sent(chassis))
    site.served.start()
    site.reconnect()
    until(lambda: chassis.agent.status()["settled"], "back")
    site.sync()
    assert len(sent(chassis)) == so_far
    site.nb.set_network("net1", {"segmentation_id": 105})
    site.sync()
    assert works(chassis, 105)


def test_a_fresh_northbound_in_the_place_of_the_old_one_is_obeyed_once_it_is_accepted(
    site: Site, chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.served.stop()
    (site.folder / "nb.db").unlink()
    site.served.start()
    site.reconnect()
    fault = until(
        lambda: "accept-nb" in chassis.faults.get("northbound", "") and chassis.faults["northbound"],
        "a fault",
    )
    assert "trunkline chassis accept-nb" in fault
    assert works(chassis), "a file that was wiped cuts nobody off"
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    done = trunkline("chassis", "accept-nb")
    assert (done.code, done.err) == (0, ""), done
    until(lambda: "vif a" in chassis.faults, "ports gone")
    until(lambda: chassis.agent.status()["settled"], "settled")
    assert chassis.receive("a", HELLO) == {}
    site.network("net9", 109)
    site.port("a", "net9")
    site.await_up("a")
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 109)]}


def test_a_database_of_another_schema_is_said_to_be_one(site: Site, chassis: DummyChassis) -> None:
    # The switch's own database is the nearest one of another schema.
    chassis.set(**{"trunkline-nb": chassis.switch.remote})
    until(lambda: "Trunkline_Northbound" in chassis.agent.log, "a log line that names the schema")
    assert works(chassis)
    chassis.set(**{"trunkline-nb": site.served.remote})
    until(lambda: chassis.agent.status()["settled"], "back")
    site.sync()


def test_rule_7_ovs_vswitchd_is_killed_and_gets_everything_back(site: Site, chassis: DummyChassis) -> None:
    for _ in range(2):
        chassis.switch.kill_vswitchd()
        site.nb.set_network("net1", {"segmentation_id": 103})
        chassis.switch.start_vswitchd()
        until(lambda: chassis.agent.status()["settled"] and chassis.flows(), "flows back")
        site.sync()
        chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")
        assert works(chassis, 103)
        assert site.bindings()["a"] == ("c1", True)


def test_the_switchs_database_is_killed_and_comes_back(site: Site, chassis: DummyChassis) -> None:
    # Without its database ovs-vswitchd answers no OpenFlow either, and only forwards.
    chassis.switch.kill_ovsdb_server()
    until(lambda: not chassis.agent.status()["switch_database"], "database lost")
    site.nb.set_network("net1", {"segmentation_id": 104})
    chassis.switch.start_ovsdb_server()
    until(lambda: chassis.agent.status()["switch_database"], "database back")
    site.sync()
    assert works(chassis, 104)


def test_rule_7_br_int_deleted_by_hand_is_back(site: Site, chassis: DummyChassis) -> None:
    chassis.set(**{"trunkline-datapath-type": "netdev"})
    chassis.switch.vsctl("del-br", "br-int")
    until(lambda: site.bindings()["a"] == (None, False), "the VIF went with it")
    chassis.agent.await_settled()
    assert chassis.get("Bridge", "br-int", "fail_mode") == "secure"
    assert chassis.get("Interface", "int-br-phys1", "type") == "patch"
    chassis.switch.vsctl("set", "Bridge", "br-phys1", "datapath_type=netdev")
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    assert chassis.flows()


def test_cleanup_takes_out_what_the_agent_made_and_nothing_else(
    site: Site, chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    foreign = ["priority=7,in_port=4242,actions=drop", "cookie=0x99,table=50,priority=7,actions=drop"]
    for flow in foreign:
        chassis.switch.ofctl("add-flow", "br-int", flow)
    assert "an agent is running here" in refusal(trunkline("agent", "--cleanup"), 1)
    assert works(chassis)
    chassis.agent.end()
    done = trunkline("agent", "--cleanup")
    assert (done.code, done.err) == (0, ""), done
    assert "patch ports removed; br-int stays" in done.out
    assert len(chassis.flows()) == len(foreign)
    assert "cookie=0x7472" not in "".join(chassis.flows())
    patches = chassis.switch.vsctl("--bare", "--columns=name", "find", "Interface", "type=patch")
    assert patches.split() == []
    assert chassis.ofport("a") > 0, "VIFs stay"
    assert chassis.ofport(NIC) > 0
    assert site.bindings() == dict.fromkeys(("a", "b", "remote"), (None, False))
    assert site.nb.all_chassis() == []
    again = trunkline("agent", "--cleanup")
    assert (again.code, again.err) == (0, ""), again
    chassis.switch.ofctl("del-flows", "br-int", "in_port=4242")
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x99/-1,table=50")
    chassis.start_agent()
    site.await_up("a", "b")
    site.sync()
    assert works(chassis)


def test_cleanup_takes_out_a_br_int_that_the_agent_created(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis = site.chassis(is_running=False)
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    chassis.switch.vsctl("del-br", "br-int")
    chassis.set(**{"trunkline-datapath-type": "netdev"})
    chassis.start_agent().end()
    done = trunkline("agent", "--cleanup")
    assert (done.code, done.err) == (0, ""), done
    assert "patch ports and br-int removed" in done.out
    assert chassis.switch.vsctl("list-br").split() == ["br-phys1"]


def test_detached_the_agent_is_at_work_when_the_command_returns(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    rundir = chassis.switch.rundir
    files = ["--pidfile", str(rundir / "agent.pid"), "--log-file", str(rundir / "agent.log")]
    command.run(
        ["env", "PYTHONWARNINGS=ignore", *command.PROGRAM, "agent", "--detach", *files],
        env=chassis.switch.env,
    )
    pid = (rundir / "agent.pid").read_text().strip()
    until(lambda: "at work" in (rundir / "agent.log").read_text(), "it says so, too")
    chassis.switch.appctl("-t", str(rundir / f"trunkline-agent.{pid}.ctl"), "exit")
    assert not (rundir / "agent.pid").exists(), "what was asked is done when it is answered"
    chassis.start_agent("--pidfile", str(rundir / "agent.pid"))


@pytest.mark.parametrize(
    ("remote", "is_followed"),
    [
        *(("unix:/nonexistent/nb.sock", True), ("tcp:127.0.0.1:9", True)),
        *(("nonsense", False), ("tcp:192.0.2.1:x", False), ("unix:", False), (",,", False)),
    ],
)
def test_a_northbound_that_cannot_be_reached_costs_nothing(
    site: Site, chassis: DummyChassis, remote: str, is_followed: bool
) -> None:
    """One that nobody could reach is not followed: the agent goes on with the one before it."""
    chassis.set(**{"trunkline-nb": remote})
    if is_followed:
        until(lambda: not chassis.agent.status()["northbound"], "northbound lost")
    else:
        until(lambda: "settings" in chassis.faults, "fault")
        assert chassis.agent.status()["northbound"]
    assert share(chassis.agent.process.pid) < 0.3
    assert works(chassis)
    chassis.set(**{"trunkline-nb": site.served.remote})
    chassis.agent.await_settled()
    site.sync()
