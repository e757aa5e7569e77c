"""A switch of a benchmark's own: an Open vSwitch in one directory, filled with VIFs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from load import CHASSIS
from watch import TableWatch, Writer

from trunkline.lab.datapath import NETDEV, SYSTEM
from trunkline.lab.journal import Journal
from trunkline.lab.namespace import HERE, Namespace
from trunkline.lab.switchd import Devices, Switchd

PROVIDER_BRIDGE = "br-phys"
NIC = "nic0"
CHUNK = 500


class Switch:
    """Open vSwitch in *folder*, with br-int and a provider bridge; it never touches the machine's own.

    Devices are dummies. With *devices*, the names of VIFs and of the provider bridge's `nic0`, it has the
    *datapath* of that type, and those are devices of the kernel in the network namespace *within*, in which
    ovs-vswitchd runs. The kernel's datapath takes no dummies: there the others are internal devices.
    """

    def __init__(
        self,
        folder: Path,
        devices: Iterable[str] = (),
        within: Namespace = HERE,
        datapath: str = NETDEV,
    ) -> None:
        self.folder = folder
        self._datapath = datapath
        self._devices = frozenset(devices)
        kinds = Devices.KERNEL_AND_DUMMIES if self._devices else Devices.DUMMIES
        self._switchd = Switchd(within, folder, Journal(folder), kinds, datapath)
        ovn = dict.fromkeys(("OVN_RUNDIR", "OVN_LOGDIR", "OVN_DBDIR"), str(folder))
        self.environment = self._switchd.env | ovn
        self.remote = self._switchd.remote
        self._switchd.start()
        self.vsctl(
            *self._bridge("br-int", "fail_mode=secure"),
            *self._bridge(PROVIDER_BRIDGE),
            *("--", "add-port", PROVIDER_BRIDGE, NIC, "--", "set", "Interface", NIC),
            f'type="{self._type(NIC)}"',
            *("--", "set", "Open_vSwitch", ".", f"external_ids:system-id={CHASSIS}"),
        )
        self._writer = Writer(self.remote, "Open_vSwitch")
        self._ofports: TableWatch | None = None
        self._bridge_id = self.vsctl("get", "Bridge", "br-int", "_uuid").strip()

    def _bridge(self, name: str, *columns: str) -> list[str]:
        datapath_type = self._datapath if self._devices else "dummy"
        return ["--", "add-br", name, "--", "set", "Bridge", name, f"datapath_type={datapath_type}", *columns]

    def _type(self, name: str) -> str:
        if name in self._devices:
            return ""
        return "internal" if self._datapath == SYSTEM else "dummy"

    def vsctl(self, *words: str) -> str:
        """Run ovs-vsctl on this switch."""
        return self._switchd.vsctl(*words)

    @property
    def vswitchd_pid(self) -> int:
        """The process id of ovs-vswitchd."""
        pid = self._switchd.vswitchd_pid
        assert pid is not None
        return pid

    def set(self, **external_ids: str) -> None:
        """Write settings of the chassis."""
        self.vsctl(
            "set",
            "Open_vSwitch",
            ".",
            *(f'external_ids:{key.replace("_", "-")}="{value}"' for key, value in external_ids.items()),
        )

    def plug(self, names: Iterable[str]) -> None:
        """Plug a VIF for each of the ports *names* in; returns when the database has them all."""
        names = list(names)
        for start in range(0, len(names), CHUNK):
            operations: list[dict[str, object]] = []
            for position, name in enumerate(names[start : start + CHUNK]):
                interface, port = f"i{position}", f"p{position}"
                ids = ["map", [["iface-id", name]]]
                row = {"name": name, "type": self._type(name), "external_ids": ids}
                operations.append({"op": "insert", "table": "Interface", "row": row, "uuid-name": interface})
                row = {"name": name, "interfaces": ["named-uuid", interface]}
                operations.append({"op": "insert", "table": "Port", "row": row, "uuid-name": port})
            ports: list[object] = [
                "set",
                [["named-uuid", operation["uuid-name"]] for operation in operations[1::2]],
            ]
            self._mutate_ports("insert", ports, operations)

    def unplug(self, names: Iterable[str]) -> None:
        """Take the VIFs of the ports *names* out again."""
        where = [
            {"op": "select", "table": "Port", "where": [["name", "==", name]], "columns": ["_uuid"]}
            for name in names
        ]
        found = self._writer.transact(*where)
        self._mutate_ports("delete", ["set", [result["rows"][0]["_uuid"] for result in found]], [])

    def _mutate_ports(self, how: str, ports: list[object], before: list[dict[str, object]]) -> None:
        where = [["_uuid", "==", ["uuid", self._bridge_id]]]
        mutation = {"op": "mutate", "table": "Bridge", "where": where, "mutations": [["ports", how, ports]]}
        bump = {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}
        self._writer.transact(*before, mutation, bump)

    def settle(self) -> None:
        """Return when ovs-vswitchd has acted upon all that is in its database."""
        watch = TableWatch(self.remote, "Open_vSwitch", "Open_vSwitch", ["next_cfg", "cur_cfg"])
        watch.until(lambda rows: all(row["next_cfg"] == row["cur_cfg"] for row in rows), "settled")
        watch.close()

    def await_ofport(self, name: str) -> None:
        """Return when ovs-vswitchd has said the ofport of the interface *name*."""
        if self._ofports is None:
            self._ofports = TableWatch(self.remote, "Open_vSwitch", "Interface", ["name", "ofport"])
        watch = self._ofports
        watch.until(
            lambda _: isinstance(watch.row_by_name.get(name, {}).get("ofport"), int), f"ofport of {name}"
        )

    def flow_count(self) -> int:
        """Return how many flows br-int has."""
        aggregate = self._switchd.ofctl("dump-aggregate", "br-int")
        return int(aggregate.rpartition("flow_count=")[2].split()[0])

    def clear(self) -> None:
        """Take all flows out of br-int."""
        self._switchd.ofctl("del-flows", "br-int")

    def close(self) -> None:
        """End both daemons."""
        self._writer.close()
        if self._ofports is not None:
            self._ofports.close()
        self._switchd.kill()


MakeSwitch = Callable[[Path], Switch]
"""Makes a switch in the directory that it is given."""
