"""A chassis whose agent is dead finds at itself what its agent would report as faults."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, opened, until
from program import trunkline
from test_agent_passage import CAUSES

from trunkline.health import cause

pytestmark = pytest.mark.system

NO_AGENT = ("T407", "agent")
Change = Callable[[DummyChassis], object]


def vsctl(*words: str) -> Change:
    return lambda chassis: chassis.switch.vsctl(*words)


def flow(chassis: DummyChassis) -> None:
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")


MORE: dict[str, tuple[Change, Change]] = {name: (each.comes, each.goes) for name, each in CAUSES.items()} | {
    "a provider bridge without flows": (
        lambda chassis: chassis.switch.ofctl("del-flows", "br-phys1"),
        flow,
    ),
    "a NIC with a small MTU": (
        vsctl("set", "Interface", "nic-br-phys1", "mtu_request=1000"),
        vsctl("set", "Interface", "nic-br-phys1", "mtu_request=1500"),
    ),
    "an iface-id of no port": (
        vsctl("set", "Interface", "b", "external_ids:iface-id=bb"),
        vsctl("set", "Interface", "b", "external_ids:iface-id=b"),
    ),
    "a setting that does not exist": (
        vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-brige-mappings=x:y"),
        vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-brige-mappings"),
    ),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """A site whose chassis has physnet1, and ports a and b in its VLAN 101; each test leaves it so."""
    with opened() as site:
        chassis = site.chassis()
        site.network(mtu=1500)
        for port in ("a", "b"):
            site.port(port)
            chassis.plug(port)
        site.await_up("a", "b")
        yield site


def found(nb: str | None = None) -> set[tuple[str, str]]:
    """Return code and subject of what the chassis of $OVS_RUNDIR finds at itself."""
    done = trunkline("check", "--local", "-o", "json", nb=nb)
    assert done.err == ""
    rows: list[dict[str, Any]] = json.loads(done.out)
    assert {each["chassis"] for each in rows} <= {"c1"}
    assert all(each["text"] and each["remedy"] for each in rows)
    return {(each["code"], each["subject"]) for each in rows}


@pytest.mark.parametrize("name", MORE)
def test_what_an_agent_reports_is_found_without_it(
    shared: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chassis,) = shared.all
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    comes, goes = MORE[name]
    comes(chassis)
    faults = until(lambda: shared.nb.chassis("c1")["faults"], "reported")
    told = {(each.code, each.subject) for each in (cause.finding("c1", *item) for item in faults.items())}
    assert found() == told
    chassis.agent.end(signal.SIGKILL)
    try:
        assert found() == told | {NO_AGENT}
    finally:
        goes(chassis)
        chassis.start_agent()
        shared.sync()
    shared.await_up("a", "b")
    assert found() == set()


def texts(nb: str | None = None) -> dict[str, tuple[str, str]]:
    """Return text and remedy of what the chassis of $OVS_RUNDIR finds at itself, by code."""
    done = trunkline("check", "--local", "-o", "json", nb=nb)
    assert (done.code, done.err) == (4, "")
    return {each["code"]: (each["text"], each["remedy"]) for each in json.loads(done.out)}


def test_a_dead_ovs_vswitchd_is_told_from_one_that_hangs(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chassis,) = shared.all
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    with chassis.switch.stopped():
        text, remedy = texts()["T401"]
        assert text == "ovs-vswitchd runs, and has not answered for 5 s: it hangs"
        assert remedy.startswith("systemctl restart openvswitch-switch")
    chassis.switch.kill_vswitchd()
    try:
        assert texts()["T401"][0] == "ovs-vswitchd does not run"
    finally:
        chassis.switch.start_vswitchd()
        flow(chassis)
    shared.sync()
    shared.await_up("a", "b")


def test_why_the_northbound_is_not_reached_is_told_as_a_command_is_told(
    shared: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of several remotes each has its reason, and of TLS the files that are wrong."""
    (chassis,) = shared.all
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert texts(nb=f"unix:{tmp_path}/nobody,tcp:127.0.0.1:{port}")["T104"] == (
        "the northbound does not answer, so what should be is not known "
        f"(unix:{tmp_path}/nobody: nobody listens there; tcp:127.0.0.1:{port}: nobody listens there)",
        "start it, or correct trunkline-nb",
    )
    files = [f"{tmp_path}/{name}.pem" for name in ("key", "certificate", "ca")]
    chassis.switch.vsctl("set-ssl", *files)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            text, remedy = texts(nb=f"ssl:127.0.0.1:{server.getsockname()[1]}")["T104"]
    finally:
        chassis.switch.vsctl("del-ssl")
    assert text.endswith(f"({files[0]}: no such file, or not readable)")
    assert remedy == "correct these files: ovs-vsctl get-ssl"
    shared.sync()


def test_without_the_northbound_and_the_switch_it_finds_what_the_rows_say(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chassis,) = shared.all
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    chassis.agent.end(signal.SIGKILL)
    chassis.switch.vsctl("set", "Interface", "nic-br-phys1", "external_ids:iface-id=other")
    chassis.devices.set_link("b", "down")
    until(lambda: chassis.get("Interface", "b", "admin_state") == "down", "seen down")
    by_rows = {("T203", "mapping physnet1"), ("T304", "vif b"), NO_AGENT}
    try:
        assert found(nb="unix:/nowhere") == by_rows | {("T104", "northbound")}
        chassis.switch.kill_vswitchd()
        assert found(nb="unix:/nowhere") == by_rows | {("T104", "northbound"), ("T401", "switch")}
        assert ("T401", "switch") in found()
    finally:
        chassis.switch.start_vswitchd()
        chassis.switch.vsctl("remove", "Interface", "nic-br-phys1", "external_ids", "iface-id")
        chassis.devices.set_link("b", "up")
        flow(chassis)
        chassis.start_agent()
    shared.await_up("a", "b")


def test_a_vhost_user_interface_whose_vm_has_no_driver_is_found_although_its_port_stays_up(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is as an ovs-vswitchd with DPDK writes it; the one here knows no such type, and is dead."""
    (chassis,) = shared.all
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    chassis.agent.end(signal.SIGKILL)
    chassis.switch.kill_vswitchd()
    row = ("--no-wait", "set", "Interface", "b")
    kind = chassis.get("Interface", "b", "type")
    try:
        chassis.switch.vsctl(*row, "type=dpdkvhostuserclient", "link_state=down", "mtu=0")
        assert ("T304", "vif b") in found()
        assert texts()["T304"][0] == "b has no link, as no driver in the VM uses it"
        chassis.switch.vsctl(*row, "link_state=up", "mtu=1500")
        assert ("T304", "vif b") not in found()
    finally:
        chassis.switch.vsctl(*row, f"type={kind}")
        chassis.switch.start_vswitchd()
        flow(chassis)
        chassis.start_agent()
    shared.await_up("a", "b")
