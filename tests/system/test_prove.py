"""`trunkline prove`: what a chassis' switch holds is proved, or a frame that crosses networks is shown."""

from __future__ import annotations

import json
import shlex
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import DummyChassis, Site, ethernet, mac_of, opened
from program import refusal, trunkline

from trunkline.core.error import TimedOutError
from trunkline.insight.connection import Connection
from trunkline.insight.name import Names
from trunkline.northbound.operation import update
from trunkline.ovsdb.reading import Reading
from trunkline.path.isolation import Asked, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

LEAK = "cookie=0x5,table=50,priority=900"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One site for all, of one chassis: VLAN, flat and transparent networks, a trunk, a secured port."""
    with opened() as started:
        chassis = started.chassis(physnets={"physnet1": "br-phys1", "physnet2": "br-phys2"})
        started.network("red", 101)
        started.network("blue", 102)
        started.network("flat", None, "physnet2")
        started.network("clear", 103, vlan_transparent=True)
        started.port("r1", "red", port_security=True, addresses=["192.0.2.1"])
        started.port("sub", "blue", parent="r1", parent_vlan=7)
        started.port("far", "red")
        for name, network in (("r2", "red"), ("b1", "blue"), ("f1", "flat"), ("c1", "clear")):
            started.port(name, network)
        for name in ("r1", "r2", "b1", "f1", "c1"):
            chassis.plug(name)
        started.await_up("r1", "r2", "b1", "f1", "c1", "sub")
        started.sync()
        yield started


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[DummyChassis]:
    """The chassis, which has no flows of others afterwards."""
    chassis = site.all[0]
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    yield chassis
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
    chassis.switch.ofctl("-O", "OpenFlow14", "del-groups", "br-int")
    chassis.switch.ofctl("-O", "OpenFlow14", "del-meters", "br-int")
    site.sync()


@pytest.fixture
def stopped(chassis: DummyChassis) -> Iterator[DummyChassis]:
    """The chassis while its agent is stopped, and repairs nothing."""
    chassis.agent.process.send_signal(signal.SIGSTOP)
    yield chassis
    chassis.agent.process.send_signal(signal.SIGCONT)
    chassis.agent.ask("recompute")


def leaks(*words: str) -> list[dict[str, Any]]:
    """Return the leaks that `trunkline prove` tells a program."""
    done = trunkline("prove", "-o", "json", *words)
    assert done.err == ""
    found = json.loads(done.out)
    assert (done.code, done.err, found["is_proved"]) == (
        0 if found["is_proved"] else 4,
        "",
        not found["leaks"],
    )
    told: list[dict[str, Any]] = found["leaks"]
    return told


def metadata(site: Site, network: str) -> int:
    return int(next(row["unique_key"] for row in site.nb.networks() if row["name"] == network))


def add(chassis: DummyChassis, flow: str) -> None:
    chassis.switch.ofctl("-O", "OpenFlow14", "add-flow", "br-int", flow)


def test_what_the_agent_made_is_proved_in_one_line(chassis: DummyChassis) -> None:
    done = trunkline("prove")
    assert (done.code, done.err) == (0, "")
    proved, not_covered = done.out.splitlines()
    assert proved.startswith(
        f"{len(chassis.flows())} flows, 6 ports of 4 networks here: "
        "all frames go where they should, and nowhere else. Proved in "
    )
    assert not_covered.startswith("Not covered: Open vSwitch itself")


def test_a_leak_is_a_frame_that_really_leaks_until_its_remedy_is_typed(
    site: Site, chassis: DummyChassis
) -> None:
    add(chassis, f"{LEAK},metadata={metadata(site, 'red')},actions=output:{chassis.ofport('b1')}")
    done = trunkline("prove")
    assert (done.code, done.err) == (4, "")
    assert "VIOLATED: frames from r1 (r1), of red, reach b1 (b1), of blue" in done.out
    assert "  switch  ofproto/trace agrees" in done.out
    leak = next(each for each in leaks() if (each["what"], each["from"]["port"]) == ("crosses", "r1"))
    assert leak["way"][-1].startswith("50 FOREIGN cookie 0x5: in red: out of b1")
    assert "b1" in chassis.receive_once(leak["from"]["interface"], bytes.fromhex(leak["frame"]))
    program, *words = shlex.split(leak["remedy"].partition("to remove it: ")[2])
    assert program == "ovs-ofctl"
    chassis.switch.ofctl(*words)
    assert leaks() == []


def test_the_remedy_for_a_flow_whose_match_has_no_name_goes_by_its_cookie(
    site: Site, chassis: DummyChassis
) -> None:
    leak = f"{LEAK},tcp,tcp_flags=+rst,metadata={metadata(site, 'red')}"
    add(chassis, f"{leak},actions=output:{chassis.ofport('b1')}")
    remedies = {each["remedy"] for each in leaks() if each["what"] == "crosses"}
    (words,) = {remedy.partition("to remove all of its cookie in that table: ")[2] for remedy in remedies}
    program, *typed = shlex.split(words)
    assert program == "ovs-ofctl"
    chassis.switch.ofctl(*typed)
    assert leaks() == []


def test_a_frame_that_leaves_with_another_vlan_is_told_with_its_network(
    site: Site, chassis: DummyChassis
) -> None:
    uplink = chassis.ofport("int-br-phys1")
    actions = f"push_vlan:0x8100,set_field:{4096 + 102}->vlan_vid,output:{uplink}"
    add(chassis, f"{LEAK},metadata={metadata(site, 'red')},dl_src=02:00:00:00:00:99,actions={actions}")
    found = leaks()
    ends = (each["to"] for each in found if each["what"] == "crosses")
    assert {(end["physnet"], end["vlan"], end["network"]) for end in ends} == {("physnet1", 102, "blue")}
    assert {each["trace"] for each in found} == {"ofproto/trace agrees"}
    # They reach blue, so they concern it; nobody of flat sees them.
    assert leaks("--network", "blue") != []
    assert leaks("--network", "flat") == []
    assert leaks("--network", "red") != []


def test_flows_of_one_priority_that_overlap_are_named_where_the_switch_takes_the_other(
    site: Site, chassis: DummyChassis
) -> None:
    """Which of the two it takes is its own choice, so it agrees about one of them."""
    own = next(row["unique_key"] for row in site.nb.ports() if row["name"] == "r1")
    asked = f"dl_dst={mac_of('r2')}"
    for number, (sender, to) in enumerate(((f"{own}", "b1"), (f"{own}/0x7fffffff", "f1"))):
        cookie = LEAK.replace("0x5", f"0x5{number}")
        add(chassis, f"{cookie},reg6={sender},{asked},actions=output:{chassis.ofport(to)}")
    try:
        found = leaks("--network", "red")
        done = trunkline("prove", "--network", "red")
    finally:
        chassis.switch.ofctl("del-flows", "br-int", "table=50,cookie=0x50/0xfffffffffffffffe")
    crossing = [each for each in found if each["what"] == "crosses"]
    assert {each["to"]["port"] for each in crossing} == {"b1", "f1"}
    (told,) = (each for each in found if each["overlap"])
    assert {each["trace"] for each in found if each is not told} == {"ofproto/trace agrees"}
    assert told["trace"].startswith("ofproto/trace does not agree: 2 flows of priority 900 in table 50 match")
    assert told["overlap"][0] == told["flow"]
    other = next(each for each in crossing if each is not told)
    assert told["overlap"][1:] == [other["flow"]]
    assert f"  switch  {told['trace']}\n          {told['overlap'][0]}\n" in done.out


def test_what_is_sent_to_a_number_that_no_port_has_is_told_to_go_nowhere(
    site: Site, chassis: DummyChassis
) -> None:
    add(chassis, f"{LEAK},metadata={metadata(site, 'red')},dl_dst={mac_of('r2')},actions=output:77")
    chassis.receive_once("r1", ethernet(mac_of("r2"), mac_of("r1")))
    done = trunkline("prove", "--network", "red", "--megaflows")
    assert (done.code, done.err) == (4, "")
    told = [line for line in done.out.splitlines() if line.startswith("VIOLATED: ")]
    nowhere = next(line for line in told if " 77" in line)
    assert nowhere.startswith("VIOLATED: frames from ")
    assert nowhere.endswith(", of red, are sent to port number 77, which no port has: they go nowhere")
    assert any(line.endswith("do not reach r2 (r2), of red, and should") for line in told)
    assert not any("what is cached" in line for line in told)
    assert "does not agree" not in done.out
    found = leaks("--network", "red")
    assert {each["what"] for each in found} == {"missing", "nowhere"}
    assert {each["trace"] for each in found} == {"ofproto/trace agrees"}


def test_a_changed_and_a_missing_flow_of_ours_are_repaired_by_the_agent(
    site: Site, stopped: DummyChassis
) -> None:
    key = metadata(site, "blue")
    stopped.switch.ofctl("mod-flows", "br-int", f"table=0,in_port={stopped.ofport('f1')},actions=drop")
    assert {(each["what"], each["from"]["port"]) for each in leaks()} == {("missing", "f1")}
    changed = f"set_field:{key}->metadata,set_field:99->reg6,goto_table:50"
    stopped.switch.ofctl(
        "-O", "OpenFlow14", "mod-flows", "br-int", f"table=0,in_port={stopped.ofport('f1')},actions={changed}"
    )
    found = leaks()
    assert {each["from"]["network"] for each in found} == {"flat"}
    assert all("ovs-appctl -t trunkline-agent recompute" in each["remedy"] for each in found)
    stopped.switch.ofctl("--strict", "del-flows", "br-int", "table=50,priority=190,dl_type=0x8100,reg5=0")
    assert any(each["has_inner_tag"] and "flows are missing" in each["remedy"] for each in leaks())


@pytest.mark.parametrize(
    ("actions", "named"),
    [
        ("NORMAL", "the action NORMAL"),
        ("group:1", "the action group:1"),
        ("learn(table=9)", "the action learn(table=9,…)"),
        ("ct(table=10)", "the action ct(table=10)"),
        ("meter:1,output:1", "the instruction meter:1"),
        ("write_actions(output:1)", "the instruction write_actions(…)"),
        ("set_field:4099->vlan_vid,output:1", "a change of vlan_vid"),
        ("set_field:3->in_port,output:3", "a change of in_port"),
        ("load:0->NXM_OF_IN_PORT[],output:1", "the action load(…)"),
        ("move:NXM_NX_REG7[0..15]->NXM_OF_IN_PORT[],output:1", "the action move(…)"),
        ("push:NXM_NX_REG7[],pop:NXM_OF_IN_PORT[],output:1", "the action push(…)"),
        ("resubmit(,10),output:1", "actions after a resubmit"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(chassis: DummyChassis, actions: str, named: str) -> None:
    chassis.switch.ofctl("-O", "OpenFlow14", "add-group", "br-int", "group_id=1,type=all,bucket=output:1")
    chassis.switch.ofctl("-O", "OpenFlow14", "add-meter", "br-int", "meter=1,kbps,band=type=drop,rate=9")
    add(chassis, f"cookie=0x5,table=99,vlan_tci=0x1000/0x1000,ip,actions={actions}")
    line = refusal(trunkline("prove"), 1)
    assert f"nothing can be proved beside a flow with {named}: cookie=0x5,table=99" in line


def test_a_switch_that_reads_two_tags_is_not_proved(stopped: DummyChassis) -> None:
    stopped.switch.vsctl("set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
    assert "other_config:vlan-limit is 2" in refusal(trunkline("prove"), 1)


def test_a_network_that_is_not_here_is_told_from_one_that_is_nowhere(
    site: Site, chassis: DummyChassis
) -> None:
    assert "no network is called 'green'" in refusal(trunkline("prove", "--network", "green"), 1)
    site.network("elsewhere", 105)
    said = refusal(trunkline("prove", "--network", "elsewhere"), 1)
    assert "network 'elsewhere' has no port on this chassis" in said


def test_a_switch_that_is_named_alone_is_asked_where_its_database_is(
    chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVS_RUNDIR", "/nowhere")
    for words in (("prove",), ("flows",), ("plan",)):
        done = trunkline(*words, "--ovs", chassis.switch.remote)
        assert (done.code, done.err) == (0, ""), words
    done = trunkline("check", "--local", "--ovs", chassis.switch.remote)
    assert "T401" not in done.out
    assert "T407" not in done.out


class Restless(Reading):
    """A reading before each of which somebody changes the northbound."""

    site: Site

    def read(self) -> None:
        self.number = getattr(self, "number", 0) + 1
        changed = {"addresses": [f"192.0.2.{self.number}"]}
        self.site.nb.transact([update("Port", ("name", "==", "r2"), row=changed)])
        super().read()


def test_a_northbound_that_changes_all_the_time_leaves_the_proof_incomplete(
    site: Site, chassis: DummyChassis
) -> None:
    rundir = chassis.switch.rundir
    with closing(Restless(chassis.switch.remote)) as reading, Connection(rundir / "br-int.mgmt") as bridge:
        reading.site = site
        with pytest.raises(TimedOutError, match="nothing is proved: the northbound or the flows changed"):
            answer(Asked(reading, bridge, str(rundir), Names()))
