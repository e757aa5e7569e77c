"""`trunkline flows` and `trunkline explain` on a chassis: what the switch holds, in words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import BROADCAST, TIMEOUT_S, DummyChassis, Site, ethernet, mac_of, opened
from program import Done, refusal, trunkline

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.core.pipeline import Band, Table
from trunkline.insight.connection import Connection
from trunkline.insight.flow import Selection
from trunkline.openflow import message

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
FOREIGN = "cookie=0xbad,table=0,priority=5,in_port=99,actions=output:1"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One site for all: a is secured, b is not, t is of another network."""
    with opened() as started:
        chassis = started.chassis()
        started.network("net1", 101)
        started.network("red", 102)
        started.port("a", port_security=True, addresses=("192.0.2.1",))
        started.port("b")
        started.port("t", "red")
        for port in "abt":
            chassis.plug(port)
        started.await_up("a", "b", "t")
        started.sync()
        yield started


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    monkeypatch.setenv("OVS_RUNDIR", str(site.all[0].switch.rundir))
    return site.all[0]


@pytest.fixture
def foreign(chassis: DummyChassis) -> Iterator[None]:
    chassis.switch.ofctl("add-flow", "br-int", FOREIGN)
    yield
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0xbad/-1")


def asked(*words: str) -> Any:
    done = trunkline("flows", "-o", "json", *words)
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)


def shown(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(*words)["flows"]
    return found


def cookies(done: Done) -> list[str]:
    assert done.code == 0, done
    return [line.split(",")[0] for line in done.out.splitlines()]


def test_without_a_filter_every_flow_is_counted_in_one_line_of_its_band(chassis: DummyChassis) -> None:
    found = asked()
    assert found["version"] == 1
    assert sum(band["flows"] for band in found["bands"]) == len(chassis.flows())
    assert len(found["bands"]) <= len(Band)
    told = trunkline("flows").out
    assert f"{len(chassis.flows())} flows on br-int" in told
    assert all(band["band"] in told for band in found["bands"])


def test_a_filter_gives_the_flows_that_the_switch_has_of_it(chassis: DummyChassis, site: Site) -> None:
    key = site.nb.port("a")["unique_key"]
    by_port = shown("--port", "a")
    assert {flow["row"]["name"] for flow in by_port} == {"a"}
    assert len(by_port) == sum(f"{0x02_0000_0000 | key:010x}, duration" in line for line in chassis.flows())
    network = shown("--network", "red")
    assert {flow["row"]["name"] for flow in network} == {"red"}
    assert [flow["words"]["match"] for flow in network if flow["band"] == "UPLINK"] == [
        "from int-br-phys1, VLAN 102"
    ]
    assert {flow["app"] for flow in shown("--app", "l2")} == {"l2"}
    assert {flow["table"] for flow in shown("--table", "egress")} == {Table.EGRESS.value}
    assert {flow["app"] for flow in shown("--table", "60", "--app", "l2", "--port", "b")} == {"l2"}


def test_the_flows_that_are_shown_as_text_are_those_that_ovs_ofctl_shows(chassis: DummyChassis) -> None:
    done = trunkline("flows", "--raw")
    ours = sorted(cookies(done))
    theirs = sorted(line.split(",")[0] for line in chassis.flows())
    assert ours == theirs


@pytest.mark.usefixtures("foreign")
def test_a_flow_of_somebody_else_is_shown_as_foreign(chassis: DummyChassis) -> None:
    assert "FOREIGN cookie 0xbad" in trunkline("flows").out
    (flow,) = [flow for flow in shown("--table", "0") if flow["app"] is None]
    assert (flow["band"], flow["cookie"], flow["row"]) == ("FOREIGN cookie 0xbad", "0xbad", None)
    done = trunkline("explain", "0xbad")
    assert done.code == 0
    assert "another program made it" in done.out
    assert "del-flows br-int cookie=0xbad/-1" in done.out
    # What is told to be done works.
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0xbad/-1")
    assert "br-int has no flow 0xbad" in refusal(trunkline("explain", "0xbad"), 1)


def test_frames_that_are_dropped_are_shown_and_explained(chassis: DummyChassis) -> None:
    before = {(flow["band"], flow["cookie"]): flow["packets"] for flow in shown("--drops")}
    chassis.receive_once("a", *[ethernet(BROADCAST, A, 101)] * 3)
    chassis.vswitchd.await_revalidated()
    (tagged,) = [flow for flow in shown("--drops") if flow["band"] == "TAGGED" and flow["row"]["name"] == "a"]
    assert tagged["packets"] - before.get(("TAGGED", tagged["cookie"]), 0) == 3
    assert (tagged["words"]["does"], tagged["rules"]) == ("DROP rule 11", [11])
    assert tagged["actions"] == "drop"
    place = f"{tagged['cookie']},table={tagged['table']},priority={tagged['priority']}"
    done = trunkline("explain", place)
    assert (done.code, done.err) == (0, "")
    assert "band TAGGED" in done.out
    assert "from port a (key" in done.out
    assert "trunkline network set net1 --vlan-transparent" in done.out
    as_json = json.loads(trunkline("explain", place, "-o", "json").out)
    assert (as_json["version"], as_json["explanations"][0]["band"]) == (1, "TAGGED")


def test_drops_come_with_those_first_that_dropped_most(chassis: DummyChassis) -> None:
    chassis.receive_once("b", *[ethernet(BROADCAST, B, 101)] * 9)
    chassis.vswitchd.await_revalidated()
    packets = [flow["packets"] for flow in shown("--drops")]
    assert packets == sorted(packets, reverse=True)
    assert 0 not in packets


# If the tests themselves run in the background, their children would ignore SIGINT.
PROGRAM = ("env", "--default-signal=INT", sys.executable, "-m", "trunkline")


def test_watching_shows_frames_a_second(chassis: DummyChassis) -> None:
    argv = [*PROGRAM, "flows", "--port", "b", "--watch", "0.2", "-o", "json"]
    with subprocess.Popen(argv, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert all(flow.get("packets_per_s") is None for flow in first["flows"])
        chassis.receive_once("b", *[ethernet(A, B)] * 20)
        chassis.vswitchd.await_revalidated()
        for line in process.stdout:
            rates = {flow["band"]: flow["packets_per_s"] for flow in json.loads(line)["flows"]}
            if rates["VIF"]:
                break
        assert rates["VIF"] == rates["OPEN"] > 0
        assert not rates["TAGGED"]
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0


def test_a_table_that_is_watched_has_a_column_of_rates(chassis: DummyChassis) -> None:
    argv = [*PROGRAM, "flows", "--watch=0.2"]
    with subprocess.Popen(argv, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[:5] == ["TABLE", "BAND", "FLOWS", "PACKETS", "/s"]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(TIMEOUT_S) == 0


def test_neither_a_stopped_agent_nor_one_that_is_gone_is_in_the_way(chassis: DummyChassis) -> None:
    before = asked()["bands"]
    chassis.agent.process.send_signal(signal.SIGSTOP)
    try:
        assert [band["flows"] for band in asked()["bands"]] == [band["flows"] for band in before]
    finally:
        chassis.agent.process.send_signal(signal.SIGCONT)
    chassis.agent.end()
    try:
        assert {flow["row"]["name"] for flow in shown("--port", "a")} == {"a"}
    finally:
        chassis.start_agent()


def test_without_the_northbound_names_are_those_of_the_vifs_and_it_is_said(
    chassis: DummyChassis, site: Site
) -> None:
    site.served.stop()
    try:
        done = trunkline("flows", "--port", "a", "--table", "0")
        assert done.code == 0
        assert "is a, of network " in done.out
        assert "local ports are named by their VIFs" in done.err
        assert done.err.count("\n") == 1
        network = refusal(trunkline("flows", "--network", "red"), 1)
        assert "only the northbound knows which network 'red' is" in network
        assert "no VIF here is of a port called 'zz'" in refusal(trunkline("flows", "--port", "zz"), 1)
        # What needs no name does not ask for one.
        assert trunkline("flows").err == ""
    finally:
        site.served.start()
        site.reconnect()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("flows", "--port", "zz"), 1, "no port is called 'zz'"),
        (("flows", "--network", "zz"), 1, "no network is called 'zz'"),
        (("flows", "--table", "9"), 2, "there is no table '9'; the tables are 0 CLASSIFY"),
        (("flows", "--port", "a", "--network", "net1"), 2, "not from both; name one of them"),
        (("flows", "--watch", "0"), 2, "above 0"),
        (("flows", "--watch", "soon"), 2, "'soon' is not a number of seconds"),
        (("flows", "--raw", "-o", "json"), 2, "--raw and -o json are two formats"),
        (("flows", "--ovs", "nowhere"), 2, "write unix:PATH"),
        (("flows", "--ovs", "unix:/nowhere/db.sock"), 1, "cannot open /nowhere/db.sock: no such file"),
        (("explain", "vm1"), 2, "does not begin with a cookie"),
        (("explain", "0x7472ffffffffffff"), 1, "br-int has no flow 0x7472ffffffffffff"),
    ],
)
@pytest.mark.usefixtures("chassis")
def test_a_bad_question_is_one_line_and_an_exit_code(
    words: tuple[str, ...], code: int, complaint: str
) -> None:
    assert complaint in refusal(trunkline(*words), code)


def test_a_bridge_that_is_not_there_is_said_so(chassis: DummyChassis) -> None:
    away = chassis.switch.rundir / "br-int.away"
    socket = chassis.switch.rundir / "br-int.mgmt"
    socket.rename(away)
    try:
        assert f"cannot open {socket}: there is no such socket" in refusal(trunkline("flows"), 1)
    finally:
        away.rename(socket)


def test_the_question_is_asked_of_the_switch_with_the_mask(chassis: DummyChassis, site: Site) -> None:
    with Connection(chassis.switch.rundir / "br-int.mgmt") as connection:
        every = connection.flows()
        ours = connection.flows(COOKIE_OURS, COOKIE_OURS_MASK)
        selection = Selection(network_key=site.nb.network("red")["unique_key"])
        red = connection.flows(*selection.cookie)
    assert len(every) == len(ours) == len(chassis.flows())
    assert 0 < len(red) < 10
    assert all(message.decode(flow.key, flow.body).cookie == flow.cookie for flow in red)
