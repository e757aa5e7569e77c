"""Harm to a lab: one fault after another, chosen at random, of those that DESIGN.md section 6 is about."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_watch import Model, Watch
from dummy_chassis import until

from trunkline.lab import Lab, command
from trunkline.lab.chassis import Chassis
from trunkline.lab.command import PROGRAM
from trunkline.lab.topology import INTEGRATION_BRIDGE
from trunkline.northbound.client import Northbound

HOSTILE = 'x\n\x1b[2J"\\ \u202e' + "y" * 1000
INTRUDER = "cookie=0x74720301ffffffff,table=50,priority=7,metadata=9,actions=drop"


class Harm:
    """Does random harm to *lab*, with the model of what should be in *watch*."""

    def __init__(self, lab: Lab, watch: Watch, seed: int) -> None:
        self.lab, self.watch, self.random = lab, watch, random.Random(seed)
        self.events = 0
        self.open_s: list[float] = []
        self._last_tag = 200
        self._rows = 0
        self._backup: tuple[Path, Model] | None = None
        self._dead: set[str] = set()
        self._stopped: set[str] = set()
        self.harms: list[tuple[Callable[[], str], int]] = [
            (self.restart_agent, 3),
            (self.kill_agent, 3),
            (self.leave_agent_dead, 2),
            (self.stop_agent, 2),
            (self.clean_up, 1),
            (self.kill_vswitchd, 2),
            (self.kill_switch_database, 1),
            (self.kill_northbound, 2),
            (self.replace_northbound, 1),
            (self.restore_northbound, 2),
            (self.wipe_flows, 3),
            (self.spoil_flows, 3),
            (self.delete_patch_port, 3),
            (self.set_by_hand, 4),
            (self.delete_integration_bridge, 1),
            (self.recreate_provider_bridge, 2),
            (self.open_integration_bridge, 3),
            (self.set_or_delete_controller, 2),
            (self.cut_openflow, 2),
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

    def clean_up(self) -> str:
        chassis = self.chassis()
        self._revive(chassis)
        chassis.stop_agent()
        argv = [*PROGRAM, "agent", "--ovs", chassis.switch.remote, "--cleanup"]
        chassis.namespace.run(argv, env=chassis.switch.env)
        left = (
            [flow for flow in chassis.flows() if "cookie=0x7472" in flow] if self._has_bridge(chassis) else []
        )
        assert not left, chassis.name
        chassis.start_agent()
        return f"{chassis.name} cleaned up, and its agent started"

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

    def replace_northbound(self) -> str:
        """Serve an empty northbound, of another identity, until each agent that runs has refused it."""
        served = self.lab.nb
        file = served.directory / "nb.db"
        kept = file.with_suffix(".kept")
        served.stop()
        file.rename(kept)
        served.start()
        for chassis in self.lab.chassis.values():
            if chassis.name not in self._dead | self._stopped:
                until(
                    lambda c=chassis: "accept-nb" in self.status(c)["faults"].get("northbound", ""),  # type: ignore[misc]
                    f"refused by {chassis.name}",
                )
        served.stop()
        kept.replace(file)
        served.start()
        return "northbound replaced by an empty one, and put back"

    def restore_northbound(self) -> str:
        """Put back what was backed up the last time, if ever, and back up what was there now."""
        file = self.lab.nb.directory / f"backup.{self.events}"
        self.lab.nb.trunkline("nb", "backup", str(file))
        older, self._backup = self._backup, (file, copy.deepcopy(self.watch.model))
        if older is None:
            return "northbound backed up"
        with self.watch.changing() as model:
            model.wire_by_network, model.disabled = older[1].wire_by_network, older[1].disabled
        with older[0].open() as standard_input:
            restore = ["ovsdb-client", "restore", self.lab.nb.remote, "Trunkline_Northbound"]
            subprocess.run(restore, stdin=standard_input, check=True)
        return "northbound restored from a backup"

    # -- the switch, by hand -----------------------------------------------------------------------

    def wipe_flows(self) -> str:
        chassis = self.chassis()
        chassis.switch.ofctl("del-flows", "br-int")
        return f"flows of {chassis.name} wiped"

    def spoil_flows(self) -> str:
        chassis, table = self.chassis(), self.random.choice([0, 50, 60, 70, 80])
        verb, flow = self.random.choice(
            [
                ("del-flows", f"table={table}"),
                ("mod-flows", f"table={table},actions=drop"),
                ("add-flow", INTRUDER),
            ]
        )
        chassis.switch.ofctl(verb, "br-int", flow)
        return f"flows of {chassis.name} spoilt: {verb} {flow}"

    def delete_patch_port(self) -> str:
        chassis = self.chassis()
        bridge = self.random.choice(list(chassis.bridge_by_physnet.values()))
        port = f"{self.random.choice(['int', 'phy'])}-{bridge}"
        chassis.switch.vsctl("--if-exists", "del-port", port)
        return f"{port} of {chassis.name} deleted"

    def set_by_hand(self) -> str:
        """Set what the agent keeps otherwise; none of it lets a frame go astray until it is put back."""
        chassis = self.chassis()
        if not self._has_bridge(chassis):
            return f"{chassis.name} has no br-int"
        bridge = self.random.choice(list(chassis.bridge_by_physnet.values()))
        setting = ("Open_vSwitch", ".", "external_ids")
        commands = {
            "uplink": ["--if-exists", "set", "Port", f"phy-{bridge}", "trunks=7"],
            "inner": ["--if-exists", "set", "Port", f"int-{bridge}", "tag=7"],
            "tree": ["set", "Bridge", INTEGRATION_BRIDGE, "stp_enable=true"],
            "mistake": ["set", *setting[:2], f"external_ids:trunkline-integration-bridge={bridge}"],
        }
        what = self.random.choice([*commands, "fragments"])
        if what == "fragments":
            chassis.switch.ofctl("set-frags", INTEGRATION_BRIDGE, "normal")
        else:
            chassis.switch.vsctl(*commands[what])
        if what == "mistake":
            chassis.switch.vsctl("remove", *setting, "trunkline-integration-bridge")
        return f"{what} of {chassis.name} set by hand"

    def delete_integration_bridge(self) -> str:
        chassis = self.chassis()
        self._revive(chassis)
        chassis.switch.vsctl("del-br", "br-int")
        chassis.wait_integration_bridge()
        for name, vm in self.lab.vm.items():
            if vm.chassis is chassis and name not in self.watch.model.unplugged:
                vm.plug()
        return f"br-int of {chassis.name} deleted, and its VMs plugged in again"

    def recreate_provider_bridge(self) -> str:
        chassis = self.chassis()
        physnet = self.random.choice(list(chassis.bridge_by_physnet))
        bridge = chassis.bridge_by_physnet[physnet]
        chassis.switch.vsctl("del-br", bridge)
        chassis.add_provider_bridge(bridge, chassis.nic(physnet).name)
        return f"{bridge} of {chassis.name} deleted and made again"

    def open_integration_bridge(self) -> str:
        """Make br-int a plain switch by its `fail_mode`, and return when it is itself again."""
        chassis = self.chassis()
        command = self.random.choice(
            [
                ("set", "Bridge", INTEGRATION_BRIDGE, "fail_mode=standalone"),
                ("clear", "Bridge", INTEGRATION_BRIDGE, "fail_mode"),
            ]
        )
        self._revive(chassis)
        chassis.wait_integration_bridge()
        until(lambda: self.is_whole(chassis), f"{chassis.name} whole")
        with self.watch.open(chassis.name):
            start = time.monotonic()
            chassis.switch.vsctl(*command)
            until(lambda: self.is_whole(chassis), f"{chassis.name} whole again")
            self.open_s.append(time.monotonic() - start)
            chassis.switch.wait_revalidated()
        return f"fail_mode of {chassis.name}: {command[0]}, open for up to {self.open_s[-1]:.3f} s"

    def set_or_delete_controller(self) -> str:
        """Set a controller that nobody is, at which Open vSwitch drops all flows, or take it away."""
        chassis = self.chassis()
        if not self._has_bridge(chassis):
            return f"{chassis.name} has no br-int"
        if chassis.switch.vsctl("get-controller", INTEGRATION_BRIDGE).strip():
            chassis.switch.vsctl("del-controller", INTEGRATION_BRIDGE)
            return f"controller of {chassis.name} deleted"
        chassis.switch.vsctl("set-controller", INTEGRATION_BRIDGE, "tcp:127.0.0.1:1")
        return f"controller of {chassis.name} set"

    def cut_openflow(self) -> str:
        """Cut every OpenFlow connection: Open vSwitch does so if the versions that it allows change."""
        chassis = self.chassis()
        if not self._has_bridge(chassis):
            return f"{chassis.name} has no br-int"
        for versions in ('["OpenFlow14","OpenFlow15"]', "[]"):
            chassis.switch.vsctl("set", "Bridge", INTEGRATION_BRIDGE, f"protocols={versions}")
        return f"OpenFlow connections of {chassis.name} cut twice"

    def _has_bridge(self, chassis: Chassis) -> bool:
        return INTEGRATION_BRIDGE in chassis.switch.vsctl("list-br").split()

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

    # -- what the agent says -----------------------------------------------------------------------

    def ask(self, chassis: Chassis, *words: str) -> str:
        """Return what the agent of *chassis* answers to *words*."""
        target = str(chassis.rundir / f"trunkline-agent.{chassis.agent_pid}.ctl")
        return chassis.switch.appctl("-t", target, *words).strip().strip('"')

    def status(self, chassis: Chassis) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.ask(chassis, "status"))
        return status

    def is_whole(self, chassis: Chassis) -> bool:
        """Whether br-int of *chassis* is secure and has the flows that it should have, and no other.

        The agent is settled only once ovs-vswitchd has acted upon `fail_mode`, at which it drops all flows.
        """
        if chassis.switch.vsctl("get", "Bridge", INTEGRATION_BRIDGE, "fail_mode").strip() != "secure":
            return False
        status = self.status(chassis)
        flows = chassis.flows()
        return status["settled"] and len(flows) == status["flows"] and not any("NORMAL" in f for f in flows)
