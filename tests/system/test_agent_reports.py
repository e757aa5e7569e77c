"""What the agent tells the northbound, and when: DESIGN.md section 6, rules 4, 9 and 10."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import trunkline

from model.process import stopped
from trunkline.lab.command import PROGRAM
from trunkline.lab.error import WaitError

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"
TAGGED = ethernet(BROADCAST, A, 101)


def is_held(site: Site, port: str, chassis: str) -> bool:
    return site.bindings()[port] == (chassis, True)


def vswitchd_pid(chassis: DummyChassis) -> int:
    return int((chassis.switch.rundir / "ovs-vswitchd.pid").read_text())


def test_rule_4_a_port_is_up_only_when_the_switch_has_acknowledged(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    chassis.plug("a")
    chassis.plug("b")
    with stopped(vswitchd_pid(chassis)):
        # The VIFs have ofports already; all that is missing is the flows.
        site.port("a")
        site.port("b")
        until(lambda: chassis.agent.status()["ports"] == 2, "ports loaded")
        with pytest.raises(WaitError):
            site.served.wait_up(["a"], timeout_s=0.5)
        assert site.bindings() == {"a": (None, False), "b": (None, False)}
    site.await_up("a", "b")
    assert site.bindings() == {"a": ("c1", True), "b": ("c1", True)}


def test_rule_4_nb_cfg_is_written_only_when_the_switch_has_acknowledged(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    waiting = [sys.executable, "-W", "ignore", *PROGRAM[1:], "--nb", site.served.remote, "sync", "--wait"]
    with stopped(vswitchd_pid(chassis)):
        site.nb.set_network("net1", {"segmentation_id": 102})
        sync = subprocess.Popen(waiting, stdout=subprocess.PIPE, text=True)
        until(lambda: "102" in chassis.agent.ask("flows"), "computed")
        with pytest.raises(subprocess.TimeoutExpired):
            sync.wait(0.5)
        done = trunkline("sync", "--wait", "--timeout", "1", nb=site.served.remote)
        assert (done.code, done.out) == (3, ""), done
        assert "c1" in done.err
    assert sync.communicate(timeout=60)[0].startswith("request 1: applied by ")
    assert sync.returncode == 0
    assert not [line for line in chassis.flows() if "dl_vlan=101" in line]


def test_rule_4_what_somebody_else_wrote_is_mended(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a")
    site.port("elsewhere")
    chassis.plug("a")
    site.await_up("a")
    for row in ({"up": False}, {"up": ["set", []]}, {"chassis": ["set", []], "up": ["set", []]}):
        site.transact({"op": "update", "table": "Port", "where": [["name", "==", "a"]], "row": row})
        site.await_up("a")
        site.sync()
    claim = {"chassis": "c1", "up": True}
    site.transact({"op": "update", "table": "Port", "where": [["name", "==", "elsewhere"]], "row": claim})
    site.sync()
    assert site.bindings() == {"a": ("c1", True), "elsewhere": (None, False)}
    site.transact({"op": "update", "table": "Chassis", "where": [], "row": {"faults": ["map", [["x", "y"]]]}})
    until(lambda: site.nb.chassis("c1")["faults"] == {}, "faults mended")


def test_conditional_monitoring_loads_only_the_networks_with_vifs_here(site: Site) -> None:
    chassis = site.chassis()
    for number in range(1, 21):
        site.network(f"net{number}", 100 + number)
        for port in range(3):
            site.port(f"p{number}.{port}", f"net{number}", f"02:00:00:00:{number:02x}:{port:02x}")
    site.sync()
    seen = chassis.agent.status()
    assert (seen["networks"], seen["ports"]) == (0, 0)
    chassis.plug("p7.0")
    site.await_up("p7.0")
    seen = chassis.agent.status()
    assert (seen["networks"], seen["ports"]) == (1, 3)
    chassis.plug("p9.1")
    site.await_up("p9.1")
    chassis.plug("unknown")
    chassis.unplug("p7.0")
    site.await_up("p7.0", is_up=False)
    site.sync()
    until(lambda: (chassis.agent.status()["networks"], chassis.agent.status()["ports"]) == (1, 3), "narrowed")
    assert not [line for line in chassis.flows() if "metadata=0x7" in line]


def test_a_learned_network_loads_its_local_ports_only(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101, remote_ports="learned")
    for name in ("a", "r1", "r2", "r3"):
        site.port(name)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert chassis.agent.status()["ports"] == 1
    site.nb.set_network("net1", {"remote_ports": "explicit"})
    site.sync()
    assert chassis.agent.status()["ports"] == 4
    site.nb.set_network("net1", {"remote_ports": "learned"})
    site.sync()
    until(lambda: chassis.agent.status()["ports"] == 1, "narrowed")


def test_rule_10_the_chassis_that_holds_a_port_keeps_it(site: Site) -> None:
    first, second = site.chassis("c1"), site.chassis("c2")
    site.network()
    site.port("a")
    first.plug("a")
    site.await_up("a")
    second.plug("a")
    site.sync()
    for _ in range(3):
        site.sync()
        assert site.bindings() == {"a": ("c1", True)}
    assert "chassis c1 holds it" in site.nb.chassis("c2")["faults"]["port a"]
    assert second.receive("a", HELLO) == {}
    assert first.receive("a", HELLO) == {NIC: [TAGGED]}
    first.unplug("a")
    until(lambda: site.bindings() == {"a": ("c2", True)}, "handed over")
    site.sync()
    assert second.receive("a", HELLO) == {NIC: [TAGGED]}
    assert site.nb.chassis("c2")["faults"] == {}


def test_rule_10_requested_chassis_wins_and_moves_a_port_back_and_forth(site: Site) -> None:
    first, second = site.chassis("c1"), site.chassis("c2")
    site.network()
    site.port("a", requested_chassis="c2")
    first.plug("a")
    site.sync()
    assert site.bindings() == {"a": (None, False)}
    second.plug("a")
    site.await_up("a")
    for name, here, there in (("c1", first, second), ("c2", second, first)) * 2:
        site.nb.set_port("a", {"requested_chassis": name})
        until(partial(is_held, site, "a", name), f"on {name}")
        site.sync()
        assert here.receive("a", HELLO) == {NIC: [TAGGED]}
        assert there.receive("a", HELLO) == {}
        assert f"requested on {name}" in there.faults["port a"]
        assert here.faults == {}


def test_a_deleted_chassis_frees_its_ports_and_a_live_one_comes_back(site: Site) -> None:
    first, second = site.chassis("c1"), site.chassis("c2")
    site.network()
    site.port("a")
    first.plug("a")
    site.await_up("a")
    second.plug("a")
    site.sync()
    first.agent.end(signal.SIGKILL)
    site.nb.delete_chassis(["c1"])
    until(lambda: site.bindings() == {"a": ("c2", True)}, "taken over")
    site.nb.delete_chassis(["c2"])
    until(lambda: {row["name"] for row in site.nb.all_chassis()} == {"c2"}, "registered again")
    site.await_up("a")
    site.sync()
    assert site.bindings() == {"a": ("c2", True)}


def test_a_chassis_without_its_agent_does_not_hold_up_the_others_for_ever(site: Site) -> None:
    first, _ = site.chassis("c1"), site.chassis("c2")
    site.sync()
    first.agent.end(signal.SIGKILL)
    done = trunkline("sync", "--wait", "--timeout", "1", nb=site.served.remote)
    assert (done.code, "c1" in done.err) == (3, True)


def test_status_and_port_list_agree(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    for name in ("web1", "web2"):
        site.port(name)
        chassis.plug(name)
    site.await_up("web1", "web2")
    seen = json.loads(trunkline("status", "-o", "json", nb=site.served.remote).out)
    assert (seen["ports"]["total"], seen["ports"]["up"]) == (2, 2)
    assert [(row["ports"], row["up"]) for row in seen["networks"]] == [(2, 2)]
    assert [row["ports"] for row in seen["chassis"]] == [2]
    assert trunkline("status", nb=site.served.remote).out.startswith("1 chassis, 1 network, 2 ports (2 up,")
