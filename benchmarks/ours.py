"""Trunkline as a contender."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from load import PHYSNET, Load, address, mac, network_name, port_name, vlan_id
from process import Process, Usage, do
from switch import PROVIDER_BRIDGE, MakeSwitch, Switch
from watch import TableWatch, Writer

from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.schema import DATABASE

PROGRAM = [sys.executable, "-m", "trunkline"]
CHUNK = 2000


def fill(remote: str, load: Load) -> None:
    """Create the networks and ports of *load* in the northbound at *remote*."""
    networks = [
        NetworkSpec(
            name=network_name(number),
            network_type="vlan",
            physical_network=PHYSNET,
            segmentation_id=vlan_id(number),
        )
        for number in range(load.networks)
    ]
    ports = [
        PortSpec(
            name=port_name(number),
            network=network_name(load.network_of(number)),
            mac=mac(number),
            addresses=(address(number),),
        )
        for number in range(load.ports)
    ]
    with Northbound.connect(remote) as nb:
        nb.create(networks)
        for start in range(0, len(ports), CHUNK):
            nb.create(ports=ports[start : start + CHUNK])


class Trunkline:
    """A northbound, a switch and `trunkline agent`, all in *folder*."""

    name = "trunkline"

    def __init__(self, folder: Path, load: Load, make_switch: MakeSwitch = Switch) -> None:
        folder.mkdir()
        self.folder, self.load = folder, load
        self.switch = make_switch(folder / "switch")
        self.remote = f"unix:{folder}/nb.sock"
        serve = [*PROGRAM, "nb", "start", f"--db={folder}/nb.db", f"--remote=punix:{folder}/nb.sock"]
        do([*serve, "--detach", f"--pidfile={folder}/nb.pid"], os.environ)
        self.nb_pid = int((folder / "nb.pid").read_text())
        self._agent: Process | None = None
        self._writer = Writer(self.remote, DATABASE)
        fill(self.remote, load)
        self._ports = TableWatch(self.remote, DATABASE, "Port", ["name", "up"])
        self._chassis = TableWatch(self.remote, DATABASE, "Chassis", ["name", "nb_cfg"])
        self.switch.set(trunkline_nb=self.remote, trunkline_bridge_mappings=f"{PHYSNET}:{PROVIDER_BRIDGE}")
        self.switch.plug(port_name(number) for number in range(load.local))
        self.switch.settle()
        self._requested = self._request()

    def _request(self) -> int:
        bump = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}
        read = {"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]}
        return int(self._writer.transact(bump, read)[1]["rows"][0]["nb_cfg"])

    def start(self) -> None:
        argv = [*PROGRAM, "agent", f"--log-file={self.folder}/agent.log"]
        self._agent = Process(argv, self.switch.environment, self.folder / "agent.out")

    def settle(self, timeout_s: float) -> None:
        self._chassis.until(
            lambda rows: any(row["nb_cfg"] >= self._requested for row in rows), "applied", timeout_s
        )
        self.await_up(range(self.load.local), is_up=True)

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.end(signal.SIGKILL)
            self._agent = None
        self._requested = self._request()

    def reset(self) -> None:
        do([*PROGRAM, "agent", "--cleanup"], self.switch.environment)
        self.switch.clear()
        down = {"up": False, "chassis": ["set", []]}
        self._writer.transact({"op": "update", "table": "Port", "where": [], "row": down})
        self._writer.transact({"op": "delete", "table": "Chassis", "where": []})
        self.switch.settle()
        for watch in (self._ports, self._chassis):
            watch.catch_up()

    def await_up(self, numbers: Sequence[int], *, is_up: bool) -> None:
        self._ports.until_up([port_name(number) for number in numbers], is_up=is_up)

    def retag(self, network: int, vlan_id: int) -> None:
        where = [["name", "==", network_name(network)]]
        update = {"op": "update", "table": "Network", "where": where, "row": {"segmentation_id": vlan_id}}
        self._writer.transact(update)
        requested = self._request()
        self._chassis.until(lambda rows: any(row["nb_cfg"] >= requested for row in rows), "applied")

    def readdress(self, port: int, mac: str, timeout_s: float) -> None:
        """Give a port another MAC; return when the switch has it."""
        update = {
            "op": "update",
            "table": "Port",
            "where": [["name", "==", port_name(port)]],
            "row": {"mac": mac},
        }
        self._writer.transact(update)
        requested = self._request()
        self._chassis.until(
            lambda rows: any(row["nb_cfg"] >= requested for row in rows), "applied", timeout_s
        )

    @property
    def usage(self) -> Usage:
        assert self._agent is not None
        return self._agent.usage

    @property
    def agent_pid(self) -> int:
        assert self._agent is not None
        return self._agent.pid

    def close(self) -> None:
        if self._agent is not None:
            self._agent.end(signal.SIGKILL)
        for connection in (self._ports, self._chassis, self._writer):
            connection.close()
        self.switch.close()
        os.kill(self.nb_pid, signal.SIGKILL)
