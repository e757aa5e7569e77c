"""The chassis settings, read live (DESIGN.md section 3), and what follows from them."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from dummy_chassis import BROADCAST, TIMEOUT_S, DummyChassis, Site, ethernet, mac_of, until
from program import refusal, trunkline

from trunkline.lab.error import WaitError
from trunkline.northbound.client import Northbound
from trunkline.northbound.schema import DATABASE

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
NIC1, NIC2 = "nic-br-phys1", "nic-br-phys2"
MAPPINGS = "trunkline-bridge-mappings"


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    return site.with_two_networks()


@pytest.mark.parametrize(
    ("mappings", "subject"),
    [
        ("physnet1:br-phys1,nonsense", "mapping nonsense"),
        ("physnet1:br-phys1,:br-x,physnet9:", "mapping :br-x"),
        ("physnet1:br-phys1,a:b:c", "mapping a:b:c"),
        ("physnet1:br-phys1,physnet1:br-other", "mapping physnet1:br-other"),
        ("physnet1:br-phys1,physnet2:br-phys1", "mapping physnet2:br-phys1"),
        ("physnet1:br-phys1,physnet2:br-int", "mapping physnet2"),
        (" physnet1 : br-phys1 ,, \t,\x01:\x02", "mapping \x01"),
        ("physnet1:br-phys1," + "x" * 10_000, "mapping " + "x" * 10_000),
    ],
)
def test_rule_9_of_section_6_a_bad_mapping_is_a_fault_and_the_others_work(
    site: Site, chassis: DummyChassis, mappings: str, subject: str
) -> None:
    chassis.set(**{MAPPINGS: mappings})
    site.sync()
    assert subject in site.nb.chassis("c1")["faults"]
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}


def test_a_setting_that_is_none_or_says_nothing_is_a_fault(site: Site, chassis: DummyChassis) -> None:
    remote, present = site.served.remote, chassis.devices.datapath_type
    wrong = {
        "trunkline-vlan-pruning": (
            "maybe",
            "'maybe' is neither true nor false, and is taken as false; correct it",
        ),
        "trunkline-bridge-mapping": (
            "physnet2:br-phys2",
            "there is no such setting; did you mean trunkline-bridge-mappings?",
        ),
        "trunkline-nb": (
            f"{remote},foo",
            "'foo' is not a remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT",
        ),
        "trunkline-datapath-type": (
            "netdev",
            f"br-int exists with datapath_type {present}, and the agent does not change that; "
            "run: ovs-vsctl set Bridge br-int datapath_type=netdev (it cuts off all VMs for a moment), or "
            "correct it",
        ),
    }
    chassis.set(**{key: value for key, (value, _) in wrong.items()})
    site.sync()
    found = site.nb.chassis("c1")["faults"]
    assert {key: found.get(f"setting {key}") for key in wrong} == {
        key: words for key, (_, words) in wrong.items()
    }
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    chassis.set(**(dict.fromkeys(wrong) | {"trunkline-nb": remote}))
    site.sync()
    assert list(site.nb.chassis("c1")["faults"]) == ["network net2"]
    # Without any remote there is nothing to go by but the last ones.
    chassis.set(**{"trunkline-nb": "foo"})
    site.sync()
    assert site.nb.chassis("c1")["faults"]["settings"] == (
        "trunkline-nb: 'foo' is not a remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT"
    )


def test_a_networks_fault_says_what_is_wrong_with_its_mapping(site: Site, chassis: DummyChassis) -> None:
    assert chassis.faults["network net2"].startswith(
        "physical network physnet2 is not mapped to a bridge here"
    )
    with pytest.raises(WaitError, match="c1: network net2: physical network physnet2 is not mapped"):
        site.served.wait_up(["b"], timeout_s=0.1)
    chassis.set(**{MAPPINGS: "physnet1:br-phys1,physnet2:br-phys2"})
    site.sync()
    assert site.nb.chassis("c1")["faults"] == {
        "mapping physnet2": "bridge br-phys2 does not exist; create it, or correct trunkline-bridge-mappings"
    }
    assert site.bindings()["b"] == ("c1", False)


def test_the_northbound_changes_live(site: Site, chassis: DummyChassis) -> None:
    folder = site.folder / "o"
    folder.mkdir()
    other = Site(folder)
    try:
        other.network("net1", 301)
        other.port("a", "net1")
        chassis.set(**{"trunkline-nb": other.served.remote, "trunkline-nb-identity": "any"})
        other.await_up("a")
        other.sync()
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 301)]}
        assert "vif b" in chassis.faults
        chassis.set(**{"trunkline-nb": site.served.remote})
        until(lambda: chassis.agent.status()["northbound_remotes"] == site.served.remote, "back")
        site.sync()
        assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    finally:
        other.close(is_checked=False)


def test_a_northbound_that_is_not_there_leaves_forwarding_as_it_is(site: Site, chassis: DummyChassis) -> None:
    before = chassis.flows()
    chassis.set(**{"trunkline-nb": "unix:/nonexistent/nb.sock"})
    until(lambda: not chassis.agent.status()["northbound"], "northbound gone")
    reason = until(lambda: chassis.faults.get("northbound"), "fault")
    assert reason == (
        "not connected: unix:/nonexistent/nb.sock: No such file or directory; "
        "start the northbound, or correct trunkline-nb"
    )
    assert len(chassis.flows()) == len(before)
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    chassis.set(**{"trunkline-nb": site.served.remote})
    until(lambda: chassis.agent.status()["settled"], "back")
    site.sync()
    assert "northbound" not in chassis.faults


@pytest.mark.parametrize("key", ["system-id", "trunkline-nb"])
def test_without_a_required_setting_the_agent_does_not_start(site: Site, key: str) -> None:
    chassis = site.chassis(is_running=False)
    chassis.set(**{key: None})
    agent = chassis.start_agent(is_settled=False)
    assert agent.process.wait(TIMEOUT_S) == 1
    assert agent.process.stderr is not None
    complaint = agent.process.stderr.read()
    assert re.fullmatch(rf"trunkline: {key} is not set .*ovs-vsctl set .*\n", complaint), complaint


@pytest.mark.parametrize("key", ["system-id", "trunkline-nb"])
def test_a_required_setting_that_goes_is_a_fault_and_work_goes_on(
    site: Site, chassis: DummyChassis, key: str
) -> None:
    chassis.set(**{key: None})
    until(lambda: "settings" in chassis.faults, "fault")
    site.nb.set_network("net1", {"segmentation_id": 111})
    site.sync()
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 111)]}
    value = {"system-id": "c1", "trunkline-nb": site.served.remote}[key]
    chassis.set(**{key: value})
    until(lambda: "settings" not in chassis.faults, "fault gone")
    site.sync()


def test_a_chassis_that_is_renamed_takes_its_ports_along_and_no_flow_is_sent_again(
    site: Site, chassis: DummyChassis
) -> None:
    sent = chassis.agent.log.count("flows sent")
    chassis.set(**{"system-id": "c2"})
    until(lambda: chassis.agent.status()["chassis"] == "c2" and chassis.agent.status()["settled"], "renamed")
    site.sync()
    assert site.bindings() == {"a": ("c2", True), "b": ("c2", False)}
    assert {row["name"] for row in site.nb.all_chassis()} == {"c2"}
    assert chassis.receive("a", HELLO) == {NIC1: [ethernet(BROADCAST, A, 101)]}
    # Back at once: the second name is given before the first is out of the northbound.
    chassis.set(**{"system-id": "c3"})
    chassis.set(**{"system-id": "c1"})
    until(lambda: chassis.agent.status()["chassis"] == "c1" and chassis.agent.status()["settled"], "renamed")
    site.sync()
    assert site.bindings() == {"a": ("c1", True), "b": ("c1", False)}
    assert {row["name"] for row in site.nb.all_chassis()} == {"c1"}
    assert chassis.agent.log.count("flows sent") == sent


def test_while_a_chassis_is_renamed_there_is_always_a_row_for_sync_to_ask(
    site: Site, chassis: DummyChassis
) -> None:
    site.sync()
    with Northbound.connect(site.served.remote) as nb:
        rows = nb.rpc.request("monitor", [DATABASE, None, {"Chassis": {"columns": ["name"]}}], 5)["Chassis"]
        present = {uuid: change["new"]["name"] for uuid, change in rows.items()}
        chassis.set(**{"system-id": "c2"})
        while set(present.values()) != {"c2"}:
            assert present
            update = nb.rpc.notification(20)
            assert update is not None
            for uuid, change in update.params[1]["Chassis"].items():
                present.pop(uuid, None)
                if "new" in change:
                    present[uuid] = change["new"]["name"]
    site.sync()
    assert [row["name"] for row in site.nb.all_chassis()] == ["c2"]


def test_a_chassis_that_is_renamed_without_a_northbound_takes_its_ports_along_once_the_old_one_is_deleted(
    site: Site, chassis: DummyChassis
) -> None:
    site.served.stop()
    until(lambda: not chassis.agent.status()["northbound"], "northbound gone")
    chassis.set(**{"system-id": "c2"})
    until(lambda: chassis.agent.status()["chassis"] == "c2", "renamed")
    site.served.start()
    site.reconnect()
    until(lambda: "port a" in chassis.faults, "fault")
    site.nb.delete_chassis(["c1"])
    site.await_up("a")
    site.sync()
    assert site.bindings() == {"a": ("c2", True), "b": ("c2", False)}
    assert {row["name"] for row in site.nb.all_chassis()} == {"c2"}


def test_the_agent_says_in_one_line_that_there_is_no_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The ovs package imports eventlet if it is installed, and eventlet warns.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    done = trunkline("agent", "--ovs", f"unix:{tmp_path}/db.sock")
    assert "does not exist; start Open vSwitch" in refusal(done, 1)
    assert "is not a remote" in refusal(trunkline("agent", "--ovs", "nonsense"), 2)


def test_the_settings_are_reported_to_the_northbound(site: Site, chassis: DummyChassis) -> None:
    row = site.nb.chassis("c1")
    assert row["bridge_mappings"] == {"physnet1": "br-phys1"}
    assert (
        json.loads(trunkline("chassis", "show", "c1", "-o", "json", nb=site.served.remote).out)["name"]
        == "c1"
    )


def test_the_hosts_name_is_that_of_the_switchs_database(site: Site, chassis: DummyChassis) -> None:
    site.sync()
    assert site.nb.chassis("c1")["hostname"] == socket.gethostname()
    chassis.set(hostname="compute-7.example")
    site.sync()
    assert site.nb.chassis("c1")["hostname"] == "compute-7.example"


def test_what_the_chassis_is_made_of_is_reported(site: Site, chassis: DummyChassis) -> None:
    row = site.nb.chassis("c1")
    assert (row["integration_bridge"], row["datapath_type"]) == ("br-int", chassis.devices.datapath_type)
    known = chassis.switch.vsctl("get", "Open_vSwitch", ".", "iface_types")
    assert row["iface_types"] == sorted(known.strip("[]\n").replace('"', "").split(", "))
    assert {"internal", "patch"} <= set(row["iface_types"])
