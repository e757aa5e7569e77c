"""The devices of a chassis of the tests: what arrives at them, and what has left by them.

Dummy devices are those of ovs-vswitchd itself, on its userspace datapath. Devices of the kernel are veth
pairs, on the kernel's datapath: the near end is in the switch, frames are sent and captured at the far end.
"""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from model.wires import Wires
from trunkline.lab import datapath
from trunkline.lab.interface import Capture, Interface
from trunkline.lab.namespace import HERE, LinkEnd, Namespace, ip, veth
from trunkline.lab.switchd import Devices, Switchd

if TYPE_CHECKING:
    from model.vswitchd import Vswitchd
    from trunkline.lab.journal import Journal

dummies_only = pytest.mark.skipif(
    datapath.default() == datapath.SYSTEM,
    reason="it needs what only dummy devices have: thousands of them, or files with the times of frames",
)
kernel_only = pytest.mark.skipif(
    datapath.default() != datapath.SYSTEM,
    reason="it is about the kernel's datapath; scripts/test-matrix --datapath system runs it",
)

_numbers = count()


class ChassisDevices(Protocol):
    """The devices of one switch."""

    datapath_type: str

    def add(self, name: str) -> list[str]:
        """Make the device *name* if it is not there; return what its row of the table Interface says."""

    def receive(self, name: str, *frames: bytes) -> None:
        """Let *frames* arrive at the device *name*; return when all are forwarded."""

    def new(self) -> dict[str, list[bytes]]:
        """Return the frames by device since the last call; a device that sent none is left out."""

    def set_link(self, name: str, state: str) -> None:
        """Set the device `up` or `down`."""


class Dummies:
    """Devices of ovs-vswitchd itself, which write what they send into pcap files."""

    datapath_type = "dummy"

    def __init__(self, switch: Switchd, vswitchd: Vswitchd) -> None:
        self._switch, self._vswitchd, self._wires = switch, vswitchd, Wires()

    def add(self, name: str) -> list[str]:
        path = self._switch.rundir / f"{name}.pcap"
        self._wires.add(name, path)
        return ["type=dummy", f"options:tx_pcap={path}"]

    def receive(self, name: str, *frames: bytes) -> None:
        self._vswitchd.receive(name, *frames)

    def new(self) -> dict[str, list[bytes]]:
        return self._wires.new()

    def set_link(self, name: str, state: str) -> None:
        self._vswitchd.ask("netdev-dummy/set-admin-state", name, state)


class Veths:
    """Veth pairs in the namespace of the switch, in which no kernel says anything by itself."""

    datapath_type = datapath.SYSTEM

    def __init__(self, switch: Switchd) -> None:
        self._switch, self._namespace = switch, switch.namespace
        self._interface_by_name: dict[str, Interface] = {}
        self._capture_by_name: dict[str, Capture] = {}
        self._captured_by_name: dict[str, list[bytes]] = {}
        self._down: set[str] = set()

    def add(self, name: str) -> list[str]:
        if name not in self._interface_by_name:
            near = LinkEnd(self._namespace, name)
            far = LinkEnd(self._namespace, f"far{len(self._interface_by_name)}")
            ip([veth(near, far)])
            ip([f"link set dev {near.name} up", f"link set dev {far.name} up"], self._namespace)
            self._interface_by_name[name] = Interface(self._namespace, far.name, near)
            self._capture_by_name[name] = self._interface_by_name[name].capture()
        return ['type=""']

    def receive(self, name: str, *frames: bytes) -> None:
        # One by one: a frame whose flow the datapath has overtakes one that waits for ovs-vswitchd.
        for frame in frames:
            self._interface_by_name[name].send(frame)
            self._capture(name)  # which waits for a frame that is behind the one that was sent
            self._await_forwarded()

    def new(self) -> dict[str, list[bytes]]:
        self._await_forwarded()
        for name in self._capture_by_name.keys() - self._down:
            self._capture(name)
        found, self._captured_by_name = self._captured_by_name, {}
        return {name: frames for name, frames in found.items() if frames}

    def set_link(self, name: str, state: str) -> None:
        if state == "down" and name not in self._down:
            self._capture(name)
            self._down.add(name)
        ip([f"link set dev {name} {state}"], self._namespace)
        if state == "up":
            self._down.discard(name)

    def _capture(self, name: str) -> None:
        frames = self._capture_by_name[name].frames(chatter=True)
        self._captured_by_name.setdefault(name, []).extend(frames)

    def _await_forwarded(self) -> None:
        """Return when ovs-vswitchd has forwarded what the datapath handed to it, having no flow for it yet.

        The datapath queues such frames in netlink sockets. A thread of ovs-vswitchd that has read one runs
        until it has done with it, or waits for another that runs.

        On a kernel that gets little CPU, threads that wake by the clock keep ovs-vswitchd busy for long. So
        there is no limit but that of the test.
        """
        process = Path("/proc") / str(self._switch.vswitchd_pid)
        idle = 0
        while idle < 3:
            idle = idle + 1 if _is_idle(process) else 0
            time.sleep(0.0005)


def _is_idle(process: Path) -> bool:
    """Whether nothing waits for *process* in its netlink sockets, and all its threads sleep."""
    try:
        rows = [line.split() for line in (process / "net/netlink").read_text().splitlines()[1:]]
        stats = [stat.read_text() for stat in (process / "task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return False  # a thread has just ended
    # Of /proc/net/netlink: column 1 is the protocol (16: generic), 4 how many bytes wait.
    waits = any(row[1] == "16" and row[4] != "0" for row in rows)
    return not waits and all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def a_switch(folder: Path, journal: Journal) -> Switchd:
    """Return a switch, not started, for devices of the datapath that the labs of the tests have."""
    if datapath.default() != datapath.SYSTEM:
        return Switchd(HERE, folder, journal, Devices.DUMMIES)
    namespace = Namespace(f"tl-v-{folder.parent.name}-{next(_numbers)}")
    journal.add_namespace(namespace)
    ip([f"netns add {namespace.name}"])
    ip(["link set lo up"], namespace)
    with namespace.entered():
        for conf in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{conf}/disable_ipv6").write_text("1")
    return Switchd(namespace, folder, journal, datapath=datapath.SYSTEM)
