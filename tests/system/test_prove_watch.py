"""`trunkline prove --watch`: a leak is told while it is there, by the flows that the switch holds then."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import DummyChassis, Site
from program import refusal, trunkline

from trunkline.insight import chassis as chassis_of
from trunkline.insight.connection import Connection
from trunkline.insight.flow_feed import FlowFeed
from trunkline.path import isolation
from trunkline.path.isolation_watch import IsolationWatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    """A chassis with port a of blue and port b of red."""
    chassis = site.chassis()
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    for network, vlan_id, port in (("blue", 101, "a"), ("red", 102, "b")):
        site.network(network, vlan_id)
        site.port(port, network)
        chassis.plug(port)
    site.await_up("a", "b")
    site.sync()
    return chassis


def told(lines: Iterator[str], *, is_proved: bool) -> dict[str, Any]:
    """Return the next answer that says so."""
    answers = (json.loads(line) for line in lines)
    found: dict[str, Any] = next(each for each in answers if each["is_proved"] is is_proved)
    return found


def test_a_leak_is_told_and_so_is_its_end(chassis: DummyChassis) -> None:
    leak = f"cookie=0x5,table=50,priority=900,in_port={chassis.ofport('a')}"
    argv = [sys.executable, "-m", "trunkline", "prove", "--watch", "0.05", "-o", "json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        lines = iter(watching.stdout)
        try:
            told(lines, is_proved=True)
            for _ in range(2):
                chassis.switch.ofctl("add-flow", "br-int", f"{leak},actions=output:{chassis.ofport('b')}")
                found = told(lines, is_proved=False)["leaks"][0]
                assert (found["from"]["port"], found["to"]["port"]) == ("a", "b")
                chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
                told(lines, is_proved=True)
        finally:
            watching.kill()


def test_a_watch_goes_on_past_what_it_does_not_understand_and_past_a_switch_that_is_away(
    site: Site, chassis: DummyChassis
) -> None:
    argv = [sys.executable, "-m", "trunkline", "prove", "--watch", "0.05", "-o", "json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        lines, complaints = iter(watching.stdout), iter(watching.stderr)
        try:
            told(lines, is_proved=True)
            chassis.switch.ofctl("add-flow", "br-int", "cookie=0x5,table=99,actions=NORMAL")
            assert "a flow with the action NORMAL: cookie=0x5,table=99" in next(complaints)
            chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
            told(lines, is_proved=True)
            chassis.switch.stop_vswitchd()
            assert "br-int.mgmt" in next(complaints)
            chassis.switch.start_vswitchd()
            site.sync()
            told(lines, is_proved=True)
        finally:
            watching.kill()


def test_a_watch_that_cannot_begin_ends(chassis: DummyChassis) -> None:
    words = ("prove", "--watch", "0.05")
    assert "no network is called 'green'" in refusal(trunkline(*words, "--network", "green"), 1)
    assert "is not a remote" in refusal(trunkline(*words, "--ovs", "nowhere"), 2)


def test_a_port_that_is_plugged_while_it_is_watched_is_known_by_name(
    site: Site, chassis: DummyChassis
) -> None:
    with isolation.asked(chassis_of.read(chassis.switch.remote)) as asked:
        watch = IsolationWatch(asked)
        first = watch.answer()
        assert first is not None
        assert first["is_proved"]
        assert watch.answer() is None
        site.port("c", "blue")
        chassis.plug("c")
        site.await_up("c")
        site.sync()
        second = watch.answer()
        assert second is not None
        assert (second["is_proved"], second["ports"]) == (True, 3)
        ports = chassis.ofport("c"), chassis.ofport("b")
        leak = f"cookie=0x5,table=50,priority=900,in_port={ports[0]},actions=output:{ports[1]}"
        chassis.switch.ofctl("add-flow", "br-int", leak)
        third = watch.answer()
        assert third is not None
        assert third["leaks"][0]["from"]["interface"] == "c"
        chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")


def test_a_feed_has_the_flows_that_the_switch_holds(chassis: DummyChassis, tmp_path: Path) -> None:
    ofctl = chassis.switch.ofctl
    many = tmp_path / "many"
    # Open vSwitch reports no more than 128 kB that nobody reads.
    many.write_text("".join(f"cookie=0x5,table=99,dl_vlan={n},actions=output:{n}\n" for n in range(1, 4000)))
    path = chassis.switch.rundir / "br-int.mgmt"
    with Connection(path) as connection, Connection(path) as other:
        feed = FlowFeed(connection)
        assert feed.read() == feed.flows
        for words in (
            ("add-flow", "br-int", "cookie=0x5,table=98,dl_vlan=5,actions=output:1"),
            ("add-flow", "br-int", "cookie=0x5,table=98,dl_vlan=6,actions=output:1"),
            ("add-flow", "br-int", "cookie=0x6,table=98,dl_vlan=5,actions=output:2"),
            ("mod-flows", "br-int", "table=98,actions=drop"),
            ("add-flows", "br-int", str(many)),
            ("--strict", "del-flows", "br-int", "table=98,dl_vlan=6"),
            ("del-flows", "br-int", "table=99"),
            ("del-flows", "br-int", "table=98"),
        ):
            ofctl(*words)
            assert feed.read()
            assert feed.flows == isolation.bodies(other)
            assert feed.read() == {}
