"""OVN as a contender: ovn-northd and ovn-controller with databases of their own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load import PHYSNET, Load, address, mac, network_name, port_name, vlan_id
from process import Daemon, Process, Usage, do
from switch import PROVIDER_BRIDGE, MakeSwitch, Switch
from watch import TableWatch, Writer

SCHEMAS = Path("/usr/share/ovn")
NORTHBOUND, SOUTHBOUND = "OVN_Northbound", "OVN_Southbound"


class Ovn:
    """Both databases, ovn-northd, a switch and ovn-controller, all in *folder*."""

    name = "ovn"

    def __init__(self, folder: Path, load: Load, make_switch: MakeSwitch = Switch) -> None:
        folder.mkdir()
        self.folder, self.load = folder, load
        self.switch = make_switch(folder / "switch")
        self._daemons = [self._serve("nb"), self._serve("sb")]
        self._controller: Process | None = None
        nb, sb = f"unix:{folder}/nb.sock", f"unix:{folder}/sb.sock"
        self._nb = Writer(nb, NORTHBOUND)
        self._fill()
        northd = ["ovn-northd", f"--ovnnb-db={nb}", f"--ovnsb-db={sb}", f"--log-file={folder}/northd.log"]
        self._daemons.append(Daemon(northd, self.switch.environment, folder / "northd.pid"))
        self._globals = TableWatch(nb, NORTHBOUND, "NB_Global", ["nb_cfg", "sb_cfg"])
        self._ports = TableWatch(nb, NORTHBOUND, "Logical_Switch_Port", ["name", "up"])
        self._bindings = TableWatch(sb, SOUTHBOUND, "Port_Binding", ["logical_port", "up"])
        self._chassis = TableWatch(sb, SOUTHBOUND, "Chassis_Private", ["nb_cfg"])
        self.switch.set(
            ovn_remote=sb,
            ovn_encap_type="geneve",
            ovn_encap_ip="127.0.0.1",
            ovn_bridge_mappings=f"{PHYSNET}:{PROVIDER_BRIDGE}",
        )
        self.switch.plug(port_name(number) for number in range(load.local))
        self.switch.settle()
        self._requested = self._request()
        self._globals.until(
            lambda rows: all(row["sb_cfg"] >= self._requested for row in rows), "southbound filled"
        )

    def _serve(self, which: str) -> Daemon:
        path, environment = f"{self.folder}/{which}.db", self.switch.environment
        do(["ovsdb-tool", "create", path, str(SCHEMAS / f"ovn-{which}.ovsschema")], environment)
        serve = [
            "ovsdb-server",
            path,
            f"--remote=punix:{self.folder}/{which}.sock",
            f"--unixctl={self.folder}/{which}.ctl",
            f"--log-file={self.folder}/{which}.log",
        ]
        return Daemon(serve, environment, self.folder / f"{which}.pid")

    def _fill(self) -> None:
        self._nb.transact({"op": "insert", "table": "NB_Global", "row": {}})
        for network in range(self.load.networks):
            self._nb.transact(*self._network(network))

    def _network(self, network: int) -> list[dict[str, Any]]:
        wire = {
            "name": f"{network_name(network)}-wire",
            "type": "localnet",
            "addresses": "unknown",
            "options": ["map", [["network_name", PHYSNET]]],
            "tag": vlan_id(network),
        }
        rows: list[dict[str, Any]] = [wire]
        for number in self.load.of_network(network):
            own = f"{mac(number)} {address(number)}"
            rows.append({"name": port_name(number), "addresses": own, "port_security": own})
        operations = [
            {"op": "insert", "table": "Logical_Switch_Port", "row": row, "uuid-name": f"p{position}"}
            for position, row in enumerate(rows)
        ]
        ports = ["set", [["named-uuid", operation["uuid-name"]] for operation in operations]]
        row = {"name": network_name(network), "ports": ports}
        return [*operations, {"op": "insert", "table": "Logical_Switch", "row": row}]

    def _request(self) -> int:
        bump = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}
        read = {"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]}
        return int(self._nb.transact(bump, read)[1]["rows"][0]["nb_cfg"])

    def start(self) -> None:
        argv = ["ovn-controller", self.switch.remote, f"--log-file={self.folder}/controller.log"]
        self._controller = Process(argv, self.switch.environment, self.folder / "controller.out")

    def settle(self, timeout_s: float) -> None:
        self._chassis.until(
            lambda rows: any(row["nb_cfg"] >= self._requested for row in rows), "applied", timeout_s
        )
        names = [port_name(number) for number in range(self.load.local)]
        self._bindings.until_up(names, is_up=True, timeout_s=timeout_s)

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.end(signal.SIGKILL)
            self._controller = None
        self._requested = self._request()
        self._globals.until(
            lambda rows: all(row["sb_cfg"] >= self._requested for row in rows), "southbound told"
        )

    def reset(self) -> None:
        self.start()
        self._chassis.until(lambda rows: any(row["nb_cfg"] >= self._requested for row in rows), "applied")
        assert self._controller is not None
        # SIGTERM is `ovn-appctl exit`: it takes back flows, patch ports and what the southbound says of it.
        self._controller.end(signal.SIGTERM)
        self._controller = None
        self.switch.clear()
        self._requested = self._request()
        self._globals.until(
            lambda rows: all(row["sb_cfg"] >= self._requested for row in rows), "southbound told"
        )
        self.switch.settle()
        for watch in (self._bindings, self._chassis, self._ports):
            watch.catch_up()

    def await_up(self, numbers: Sequence[int], *, is_up: bool) -> None:
        self._ports.until_up([port_name(number) for number in numbers], is_up=is_up)

    def retag(self, network: int, vlan_id: int) -> None:
        where = [["name", "==", f"{network_name(network)}-wire"]]
        update = {"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"tag": vlan_id}}
        self._nb.transact(update)
        requested = self._request()
        self._chassis.until(lambda rows: any(row["nb_cfg"] >= requested for row in rows), "applied")

    @property
    def usage(self) -> Usage:
        assert self._controller is not None
        return self._controller.usage

    def close(self) -> None:
        if self._controller is not None:
            self._controller.end(signal.SIGKILL)
        for connection in (self._globals, self._ports, self._bindings, self._chassis, self._nb):
            connection.close()
        for daemon in reversed(self._daemons):
            daemon.end()
        self.switch.close()
