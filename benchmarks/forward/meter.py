"""What a datapath tells of its work: its CPU time, and how it finds the flow of a frame."""

from __future__ import annotations

import os
import re
import tty
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from process import BenchError

from trunkline.lab.datapath import NETDEV, SYSTEM

CLOCK = "TRUNKLINE_BENCH_CLOCK"
"""Names the terminal at which `scripts/test-matrix` tells the CPU time of the kernel that it runs."""

AppCtl = Callable[..., str]


class Lookups(NamedTuple):
    """How many frames were looked up among megaflows, and in how many subtables altogether."""

    frames: int
    subtables: int

    def since(self, before: Lookups) -> float:
        """Return how many subtables each frame took since *before*."""
        frames = self.frames - before.frames
        return (self.subtables - before.subtables) / frames if frames else float("nan")


class Meter(Protocol):
    """What this benchmark reads of a datapath."""

    datapath_type: str
    datapath: str
    """Its name for `ovs-appctl dpctl/…`."""

    def cpu_s(self, vswitchd_pid: int) -> float:
        """Return the CPU seconds that what forwards has used; the process id is that of its ovs-vswitchd."""
        ...

    def lookups(self, appctl: AppCtl) -> Lookups:
        """Return what the datapath has looked up, by *appctl* of its ovs-vswitchd."""
        ...


class Userspace:
    """The userspace datapath: the threads of an ovs-vswitchd forward."""

    datapath_type = NETDEV
    datapath = "netdev@ovs-netdev"

    def cpu_s(self, vswitchd_pid: int) -> float:
        """Sum up all its threads (proc(5), schedstat)."""
        tasks = Path(f"/proc/{vswitchd_pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def lookups(self, appctl: AppCtl) -> Lookups:
        """Count those that the exact-match cache did not know."""
        said = appctl("dpif-netdev/pmd-stats-show")
        hits = sum(int(found) for found in re.findall(r"^ *megaflow hits: (\d+)", said, re.MULTILINE))
        each = re.search(r"lookups per megaflow hit: ([\d.]+)", said)
        return Lookups(hits, round(hits * float(each[1])) if each else 0)


class Kernel:
    """The kernel's datapath, in a kernel that is a process and does nothing else (`scripts/test-matrix`).

    It forwards a frame while it sends it for a station. So its CPU time holds that of sending the frame, of
    its two veth pairs and of discarding it, too, the same for all contenders. It does not hold what processes
    use, such as the generator and ovs-vswitchd.
    """

    datapath_type = SYSTEM
    datapath = "system@ovs-system"

    def __init__(self) -> None:
        name = os.environ.get(CLOCK)
        if not name:
            raise BenchError(f"--datapath {SYSTEM} is measured in a kernel of its own: run scripts/bench")
        self._clock = os.open(name, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._clock)

    def cpu_s(self, vswitchd_pid: int) -> float:
        """Ask the machine that this kernel is a process of."""
        os.write(self._clock, b"\n")
        said = b""
        while not said.endswith(b"\n"):
            said += os.read(self._clock, 64)
        return int(said) / 1e9

    def lookups(self, appctl: AppCtl) -> Lookups:
        """Count all; ovs-dpctl(8): `lookups: hit, missed`, `masks: hit`."""
        said = appctl("dpctl/show", self.datapath)
        counted = re.search(r"lookups: hit:(\d+) missed:(\d+)", said)
        masks = re.search(r"masks: hit:(\d+)", said)
        if counted is None or masks is None:
            raise BenchError(f"{self.datapath} does not tell its lookups: {said[:200]}")
        return Lookups(int(counted[1]) + int(counted[2]), int(masks[1]))


METERS: dict[str, Callable[[], Meter]] = {NETDEV: Userspace, SYSTEM: Kernel}
