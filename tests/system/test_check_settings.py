"""`trunkline check` tells of settings by which a switch drops frames, until what it says about them is typed.

Those that an agent puts back are set while none runs.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, opened
from program import trunkline

from model.tcp_port import free_port
from trunkline.insight.connection import SwitchError
from trunkline.insight.interception import interceptions
from trunkline.insight.waiting import finished
from trunkline.ovsdb import lookup
from trunkline.ovsdb.lookup import Name

pytestmark = pytest.mark.system

INNER, OUTER = "int-br-phys1", "phy-br-phys1"
NO_AGENT = "T407"


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One chassis with ports a and b of red, c of blue, and s of blue under b; each test leaves it so."""
    with opened() as site:
        chassis = site.chassis()
        for name, network, vlan_id in (("a", "red", 101), ("b", "red", None), ("c", "blue", 102)):
            if vlan_id is not None:
                site.network(network, vlan_id)
            site.port(name, network)
            chassis.plug(name)
        site.port("s", "blue", parent="b", parent_vlan=7)
        site.await_up("a", "b", "c", "s")
        site.sync()
        yield site


@pytest.fixture
def chassis(shared: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    monkeypatch.setenv("OVS_RUNDIR", str(shared.all[0].switch.rundir))
    return shared.all[0]


def found(site: Site, *options: str) -> list[dict[str, Any]]:
    """Return what `trunkline check` finds, but for an agent that does not run."""
    done = trunkline("check", *options, "-o", "json", nb=site.served.remote)
    assert done.err == ""
    listed: list[dict[str, Any]] = json.loads(done.out)
    return [each for each in listed if each["code"] != NO_AGENT]


def typed(chassis: DummyChassis, line: str) -> None:
    program, *words = shlex.split(line)
    ask = {"ovs-vsctl": chassis.switch.vsctl, "ovs-ofctl": chassis.switch.ofctl}[program]
    ask(*words)


def unprotect(chassis: DummyChassis) -> None:
    for port in "abc":
        chassis.switch.vsctl("set", "Port", port, "protected=false")


@pytest.mark.parametrize(
    ("line", "concerned", "others", "severity", "text"),
    [
        (
            "ovs-vsctl set Port a protected=true -- set Port b protected=true",
            ("a", "b"),
            ("c", "s"),
            "error",
            "frames of red between a (a) and b (b) are dropped: they are protected ports",
        ),
        (
            "ovs-vsctl set Port b protected=true -- set Port c protected=true",
            ("c", "s"),
            ("a", "b"),
            "error",
            "frames of blue between b (b) and c (c) are dropped: they are protected ports",
        ),
        (
            "ovs-vsctl set Port b lacp=passive",
            ("b", "s"),
            ("a", "c"),
            "warning",
            "the switch itself takes LACP frames (type 0x8809) that come in by b (b): lacp is set",
        ),
        (
            "ovs-vsctl set Interface a lldp:enable=true",
            ("a",),
            ("b",),
            "warning",
            "the switch itself takes LLDP frames (type 0x88cc) that come in by a (a): lldp is set",
        ),
    ],
)
def test_a_setting_is_found_for_the_ports_that_it_concerns_until_its_remedy_is_typed(
    shared: Site,
    chassis: DummyChassis,
    line: str,
    concerned: tuple[str, ...],
    others: tuple[str, ...],
    severity: str,
    text: str,
) -> None:
    typed(chassis, line)
    shared.sync()
    for options in (*(("--port", port) for port in concerned), ("--chassis", "c1"), ("--local",)):
        (told,) = found(shared, *options)
        assert (told["code"], told["severity"], told["text"]) == ("T417", severity, text), options
    for port in others:
        assert found(shared, "--port", port) == []
    typed(chassis, told["remedy"])
    shared.sync()
    assert found(shared, "--deep") == found(shared, "--local") == []
    unprotect(chassis)


def test_a_port_that_a_setting_cuts_off_does_not_work(shared: Site, chassis: DummyChassis) -> None:
    typed(chassis, "ovs-vsctl set Port a protected=true -- set Port b protected=true")
    shared.sync()
    done = trunkline("check", "--port", "b", nb=shared.served.remote)
    assert (done.code, done.err) == (4, "")
    assert done.out.splitlines()[:3] == [
        "b does not work, for 1 reason:",
        " ✗ T417 ports a, b on c1: frames of red between a (a) and b (b) are dropped: "
        "they are protected ports",
        "        → ovs-vsctl set Port a protected=false",
    ]
    unprotect(chassis)
    shared.sync()


def test_a_mirror_that_cuts_off_a_port_is_told_once(shared: Site, chassis: DummyChassis) -> None:
    chassis.switch.vsctl(
        *("--id=@a", "get", "Port", "a", "--", "--id=@m", "create", "Mirror", "name=m", "output_port=@a"),
        *("--", "set", "Bridge", "br-int", "mirrors=@m"),
    )
    shared.sync()
    for options in (("--port", "a"), ("--local",)):
        (told,) = found(shared, *options)
        assert (told["code"], told["severity"], told["subject"]) == ("T406", "error", "port a")
        assert told["text"] == "all that comes in by a (a) is dropped: it is the output of a mirror"
    typed(chassis, told["remedy"])
    shared.sync()
    (left,) = found(shared, "--port", "a")
    assert (left["code"], left["severity"], left["subject"]) == ("T406", "warning", "switch")
    chassis.switch.vsctl("clear", "Bridge", "br-int", "mirrors")
    shared.sync()
    assert found(shared, "--port", "a") == []


def test_all_addresses_of_the_host_of_a_switchs_database_are_tried(
    chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    chassis.switch.vsctl("set-manager", f"ptcp:{port}:127.0.0.1")
    try:
        for others in (["127.0.0.2", "127.0.0.3"], ["127.0.0.2"], []):
            name = Name("switch.test", lambda _, others=others: [*others, "127.0.0.1"])  # type: ignore[misc]
            monkeypatch.setitem(lookup._name_by_host, "switch.test", name)
            assert finished(interceptions(f"tcp:switch.test:{port}")) == ([], [])
        nobody = Name("switch.test", lambda _: ["127.0.0.2", "127.0.0.3"])
        monkeypatch.setitem(lookup._name_by_host, "switch.test", nobody)
        with pytest.raises(SwitchError, match="nobody listens there; start Open vSwitch there"):
            finished(interceptions(f"tcp:switch.test:{port}"))
    finally:
        chassis.switch.vsctl("del-manager")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_the_switch_takes_is_found_also_if_its_database_is_reached_by_tcp(host: str) -> None:
    with opened() as site:
        chassis = site.chassis()
        site.network("red", 101)
        site.port("a", "red")
        chassis.plug("a")
        site.await_up("a")
        port = free_port()
        chassis.switch.vsctl("set-manager", f"ptcp:{port}:127.0.0.1")
        chassis.agent.end()
        chassis.start_agent("--ovs", f"tcp:{host}:{port}")
        chassis.switch.vsctl("set", "Interface", "a", "lldp:enable=true")
        site.sync()
        (told,) = found(site, "--port", "a")
        assert told["text"].startswith("the switch itself takes LLDP frames")
        typed(chassis, told["remedy"])


def test_a_database_that_does_not_say_what_is_set_is_told(shared: Site, chassis: DummyChassis) -> None:
    pid = chassis.switch.database.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        late, told = found(shared, "--port", "a")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (late["code"], told["code"], told["subject"]) == ("T502", "T506", "chassis c1"), late
    assert told["text"].startswith("which settings of its switch keep frames from passing is not known: ")
    assert "no answer in time; is ovsdb-server stopped or very busy?" in told["text"]


@pytest.fixture(scope="module")
def alone(shared: Site) -> Iterator[None]:
    """No agent runs."""
    (chassis,) = shared.all
    chassis.agent.end(signal.SIGKILL)
    yield
    chassis.start_agent()
    shared.sync()


@pytest.mark.parametrize(
    ("line", "code", "severity", "subject", "text"),
    [
        (
            "ovs-ofctl mod-port br-int a no-receive",
            "T417",
            "error",
            "port a",
            "all that comes in by a (a) is dropped: it has no-receive",
        ),
        (
            "ovs-ofctl mod-port br-int b no-forward",
            "T417",
            "error",
            "port b",
            "all that leaves by b (b) is dropped: it has no-forward",
        ),
        (
            f"ovs-ofctl mod-port br-int {INNER} no-forward",
            "T417",
            "error",
            "mapping physnet1",
            f"all that leaves by {INNER} is dropped: it has no-forward",
        ),
        (
            "ovs-ofctl set-frags br-int drop",
            "T417",
            "warning",
            "switch",
            "br-int drops fragments: it handles them as drop",
        ),
        (
            "ovs-vsctl set Bridge br-int rstp_enable=true",
            "T417",
            "error",
            "switch",
            "br-int has rstp_enable on: it keeps ports from forwarding, and takes and sends BPDUs",
        ),
        (
            f"ovs-vsctl set Interface {OUTER} options:peer=x",
            "T209",
            "error",
            "mapping physnet1",
            f"no frame passes {OUTER}: it leads to x, not to {INNER}",
        ),
    ],
)
@pytest.mark.usefixtures("alone")
def test_what_no_agent_puts_back_is_found_until_its_remedy_is_typed(
    shared: Site, chassis: DummyChassis, line: str, code: str, severity: str, subject: str, text: str
) -> None:
    assert found(shared, "--local") == []
    typed(chassis, line)
    (told,) = found(shared, "--local")
    assert (told["code"], told["severity"], told["subject"]) == (code, severity, subject)
    assert told["text"] == text
    typed(chassis, told["remedy"])
    assert found(shared, "--local") == []
