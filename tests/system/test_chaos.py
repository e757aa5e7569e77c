"""Chaos: three chassis with traffic, and one fault after another (DESIGN.md section 6).

`TRUNKLINE_CHAOS_SECONDS` says for how long, `TRUNKLINE_CHAOS_SEED` in which order: the same
seed makes the same events one after the other.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from chaos_watch import Model, Watch
from dummy_chassis import until

from trunkline.lab import Lab, command, topology
from trunkline.lab.chassis import Chassis
from trunkline.ovsdb import sync
from trunkline.ovsdb.northbound import Northbound

if TYPE_CHECKING:
    from conftest import LabFactory

pytestmark = pytest.mark.system

SECONDS = float(os.environ.get("TRUNKLINE_CHAOS_SECONDS", "25"))
SEED = int(os.environ.get("TRUNKLINE_CHAOS_SEED", "1"))
EVENTS_BETWEEN_CHECKS = 8
HOSTILE = 'x\n\x1b[2J"\\ \u202e' + "y" * 1000


class Chaos:
    """Does random harm to *lab*, with the model of what should be in *watch*."""

    def __init__(self, lab: Lab, watch: Watch, seed: int) -> None:
        self.lab, self.watch, self.random = lab, watch, random.Random(seed)
        self.events = 0
        self.checks = 0
        self._last_tag = 200
        self._rows = 0
        self._dead: set[str] = set()
        self._stopped: set[str] = set()
        self.harms: list[tuple[Callable[[], str], int]] = [
            (self.restart_agent, 3),
            (self.kill_agent, 3),
            (self.leave_agent_dead, 2),
            (self.stop_agent, 2),
            (self.kill_vswitchd, 2),
            (self.kill_switch_database, 1),
            (self.kill_northbound, 2),
            (self.wipe_flows, 3),
            (self.spoil_flows, 3),
            (self.delete_patch_port, 3),
            (self.delete_integration_bridge, 1),
            (self.retag, 4),
            (self.plug_or_unplug, 4),
            (self.move, 3),
            (self.enable_or_disable, 3),
            (self.map_or_unmap, 2),
            (self.write_nonsense, 3),
        ]

    def harm(self) -> str:
        """Do one thing; return what it was."""
        harms, weights = zip(*self.harms, strict=True)
        (chosen,) = self.random.choices(harms, weights)
        self.events += 1
        return str(chosen())

    def chassis(self) -> Chassis:
        return self.random.choice(list(self.lab.chassis.values()))

    def vm(self) -> str:
        return self.random.choice(list(self.lab.vm))

    def nb(self) -> Northbound:
        return Northbound.connect(self.lab.nb.remote)

    # -- agents ------------------------------------------------------------------------------------

    def _revive(self, chassis: Chassis) -> None:
        """Have the agent of *chassis* run, whatever it was before."""
        if chassis.name in self._stopped and chassis.agent_pid:
            os.kill(chassis.agent_pid, signal.SIGCONT)
        if chassis.name in self._dead:
            chassis.start_agent()
        self._stopped.discard(chassis.name)
        self._dead.discard(chassis.name)

    def restart_agent(self) -> str:
        chassis = self.chassis()
        self._revive(chassis)
        chassis.restart_agent()
        return f"agent of {chassis.name} restarted"

    def kill_agent(self) -> str:
        chassis = self.chassis()
        self._revive(chassis)
        chassis.kill_agent()
        chassis.start_agent()
        return f"agent of {chassis.name} killed and started"

    def leave_agent_dead(self) -> str:
        chassis = self.chassis()
        chassis.kill_agent()
        self._stopped.discard(chassis.name)
        self._dead.add(chassis.name)
        return f"agent of {chassis.name} killed"

    def stop_agent(self) -> str:
        chassis = self.chassis()
        if chassis.agent_pid:
            os.kill(chassis.agent_pid, signal.SIGSTOP)
            self._stopped.add(chassis.name)
        return f"agent of {chassis.name} stopped"

    # -- other processes ---------------------------------------------------------------------------

    def kill_vswitchd(self) -> str:
        chassis = self.chassis()
        chassis.switch.kill_vswitchd()
        chassis.switch.start_vswitchd()
        return f"ovs-vswitchd of {chassis.name} killed and started"

    def kill_switch_database(self) -> str:
        chassis = self.chassis()
        chassis.switch.kill_ovsdb_server()
        chassis.switch.start_ovsdb_server()
        return f"ovsdb-server of {chassis.name} killed and started"

    def kill_northbound(self) -> str:
        self.lab.nb.kill()
        self.lab.nb.start()
        return "northbound killed and started"

    # -- the switch, by hand -----------------------------------------------------------------------

    def wipe_flows(self) -> str:
        chassis = self.chassis()
        chassis.switch.ofctl("del-flows", "br-int")
        return f"flows of {chassis.name} wiped"

    def spoil_flows(self) -> str:
        chassis, table = self.chassis(), self.random.choice([0, 50, 60, 70, 80])
        verb, actions = self.random.choice([("del-flows", ""), ("mod-flows", ",actions=drop")])
        chassis.switch.ofctl(verb, "br-int", f"table={table}{actions}")
        return f"flows of {chassis.name} spoilt: {verb} in table {table}"

    def delete_patch_port(self) -> str:
        chassis = self.chassis()
        bridge = self.random.choice(list(chassis.bridge_by_physnet.values()))
        port = f"{self.random.choice(['int', 'phy'])}-{bridge}"
        chassis.switch.vsctl("--if-exists", "del-port", port)
        return f"{port} of {chassis.name} deleted"

    def delete_integration_bridge(self) -> str:
        chassis = self.chassis()
        self._revive(chassis)
        chassis.switch.vsctl("del-br", "br-int")
        chassis.wait_integration_bridge()
        for name, vm in self.lab.vm.items():
            if vm.chassis is chassis and name not in self.watch.model.unplugged:
                vm.plug()
        return f"br-int of {chassis.name} deleted, and its VMs plugged in again"

    # -- what the operator wants -------------------------------------------------------------------

    def retag(self) -> str:
        vlans = [name for name, (_, tag) in self.watch.model.wire_by_network.items() if tag is not None]
        network = self.random.choice(vlans)
        with self.watch.changing() as model:
            # No tag comes twice: with a dead agent somewhere, another network's old one may still be in use.
            self._last_tag += 1
            model.wire_by_network[network] = (model.wire_by_network[network][0], self._last_tag)
        with self.nb() as nb:
            nb.set_network(network, {"segmentation_id": self._last_tag})
        return f"{network} has tag {self._last_tag}"

    def plug_or_unplug(self) -> str:
        name = self.vm()
        with self.watch.changing() as model:
            model.unplugged ^= {name}
        if name in self.watch.model.unplugged:
            self.lab.vm[name].unplug()
            return f"{name} unplugged"
        self._plug(name)
        return f"{name} plugged in"

    def _plug(self, name: str) -> None:
        vm = self.lab.vm[name]
        vm.chassis.wait_integration_bridge()
        vm.plug()

    def move(self) -> str:
        name, chassis = self.vm(), self.chassis()
        vm = self.lab.vm[name]
        if vm.chassis is chassis or name in self.watch.model.unplugged:
            return f"{name} stays"
        with self.watch.changing() as model:
            model.chassis_by_vm[name] = chassis.name
        with self.watch.moving(name):
            vm.move(chassis)
        return f"{name} moved to {chassis.name}"

    def enable_or_disable(self) -> str:
        name = self.vm()
        with self.watch.changing() as model:
            model.disabled ^= {name}
        with self.nb() as nb:
            nb.set_port(name, {"enabled": name not in self.watch.model.disabled})
        return f"{name} {'disabled' if name in self.watch.model.disabled else 'enabled'}"

    def map_or_unmap(self) -> str:
        chassis = self.chassis()
        physnet = self.random.choice(list(chassis.bridge_by_physnet))
        with self.watch.changing() as model:
            model.unmapped ^= {(chassis.name, physnet)}
        mapped = {
            each: bridge
            for each, bridge in chassis.bridge_by_physnet.items()
            if (chassis.name, each) not in self.watch.model.unmapped
        }
        value = json.dumps(",".join(f"{each}:{bridge}" for each, bridge in mapped.items()))
        chassis.switch.vsctl("set", "Open_vSwitch", ".", f"external_ids:trunkline-bridge-mappings={value}")
        return f"{chassis.name} maps {', '.join(mapped) or 'nothing'}"

    def write_nonsense(self) -> str:
        self._rows += 1
        name, chassis, key = f"{self._rows} {HOSTILE}", self.chassis(), 5000 + self._rows
        physnet = self.random.choice(["physnet1", HOSTILE])
        network = {"name": name, "unique_key": key, "network_type": "vlan", "physical_network": physnet}
        mac = self.random.choice(["02:99:00:00:00:01", "ff:ff:ff:ff:ff:ff", "\n" * 17])
        port = {"name": name, "unique_key": key, "network": ["named-uuid", "n"], "mac": mac}
        if self.random.random() < 0.5:
            network["segmentation_id"] = 3000 + self._rows
        rows = [
            {"op": "insert", "table": "Network", "uuid-name": "n", "row": network},
            {"op": "insert", "table": "Port", "row": port},
        ]
        # The program itself refuses such rows: another client of the database may not.
        command.run(
            ["ovsdb-client", "transact", self.lab.nb.remote, json.dumps(["Trunkline_Northbound", *rows])]
        )
        interface = f"odd{self._rows}"
        chassis.switch.vsctl(
            *("--", "add-port", "br-int", interface, "--", "set", "Interface", interface, "type=internal"),
            f"external_ids:iface-id={json.dumps(name)}",
        )
        return "nonsense written"

    # -- the check ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Mend what was left dead, wait until all is in place, and hold it against the model."""
        for chassis in self.lab.chassis.values():
            self._revive(chassis)
        with self.nb() as nb:
            sync.wait(nb, sync.request(nb), 20)
        for chassis in self.lab.chassis.values():
            self._check_flows(chassis)
        self.lab.wait_revalidated()
        model = self.watch.model
        expected = {
            (one, other): model.reaches(one, other)
            for one in model.machines
            for other in model.machines
            if one != other
        }

        def differing() -> list[str]:
            seen = self.watch.settled()
            return [
                f"{one}-{other}: {seen[one, other]}, should be {is_so}"
                for (one, other), is_so in expected.items()
                if seen[one, other] != (is_so, is_so)
            ]

        def is_as_expected() -> bool:
            # A cache of the physical switch, or of a provider bridge, may be older than what it learned last.
            found = differing()
            self.differing = found
            return not found

        try:
            until(is_as_expected, "everybody reaches whom they should", timeout_s=8)
        except AssertionError:
            pytest.fail("\n".join(self.differing))
        assert self.watch.breaches == []
        self.checks += 1

    def _check_flows(self, chassis: Chassis) -> None:
        """Hold the live flows of *chassis* against a fresh computation."""
        target = str(chassis.rundir / f"trunkline-agent.{chassis.agent_pid}.ctl")

        def ask(*words: str) -> str:
            return chassis.switch.appctl("-t", target, *words).strip().strip('"')

        until(lambda: json.loads(ask("status"))["settled"], f"{chassis.name} settled")
        total, _, differing = ask("recompute").partition(" flows, ")
        assert differing == "0 differed", chassis.name
        until(lambda: json.loads(ask("status"))["settled"], f"{chassis.name} settled")
        assert ask("plan") == ""
        assert len(chassis.flows()) == int(total), chassis.name


def see_that_it_sees(running: Lab) -> None:
    """Hold the watch itself against a flow that lets everything through."""
    leak = "cookie=0x5,priority=65000,actions=NORMAL"
    switch = running.chassis["c1"].switch
    with Watch(running, Model.of(running)) as watch:
        watch.settled()
        assert watch.breaches == []
        switch.ofctl("add-flow", "br-int", leak)
        running.wait_revalidated()
        watch.settled()
        switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
        running.wait_revalidated()
    kinds = {breach.partition(":")[0] for breach in watch.breaches}
    heard = {"green1 heard another network", "blue1 heard what was for another", "blue2 heard a tag"}
    assert heard <= kinds, kinds


@pytest.mark.timeout(120 + SECONDS * 2)
def test_chaos_lets_no_frame_go_astray_and_ends_in_what_was_asked_for(lab: LabFactory) -> None:
    running = lab(topology.default())
    see_that_it_sees(running)
    log: list[str] = []
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(running, Model.of(running)))
        chaos = Chaos(running, watch, SEED)
        chaos.check()
        start = time.monotonic()
        try:
            while time.monotonic() - start < SECONDS:
                for _ in range(chaos.random.randint(1, EVENTS_BETWEEN_CHECKS)):
                    log.append(f"{time.monotonic() - start:7.2f} s  {chaos.harm()}")
                    assert watch.breaches == []
                log.append("         check")
                chaos.check()
        finally:
            print(f"seed {SEED}, {chaos.events} events", *log, sep="\n")
    assert watch.breaches == []
    print(
        f"figure: chaos: {chaos.events} events, {chaos.checks} checks, {watch.frames} frames, 0 astray"
        f" in {time.monotonic() - start:.0f} s"
    )
    for chassis in running.chassis.values():
        assert "Traceback" not in (chassis.rundir / "trunkline-agent.log").read_text()
