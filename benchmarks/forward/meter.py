"""What a datapath tells of its work: its CPU time, and how it finds the flow of a frame."""

from __future__ import annotations

import os
import re
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from process import BenchError, run_ns

from trunkline.lab.datapath import NETDEV, SYSTEM

CLOCK = "TRUNKLINE_BENCH_CLOCK"
"""Names what tells the CPU time of the kernel that `scripts/test-matrix` runs: a terminal, or `SCHEDSTAT`."""

SCHEDSTAT = "/proc/schedstat"

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

    has_zones: bool
    """Whether its connection tracking has zones."""

    bursts: int
    """How many turns of a round say what a frame costs."""

    counts_processes: bool
    """Whether it counts what a single process has used, so that a question to ovs-vswitchd can be told."""

    is_timed: bool
    """Whether its clock tells how long something takes."""

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
    has_zones = True
    bursts = 12
    counts_processes = True
    is_timed = True

    def cpu_s(self, vswitchd_pid: int) -> float:
        """Sum up all its threads."""
        return run_ns(vswitchd_pid) / 1e9

    def lookups(self, appctl: AppCtl) -> Lookups:
        """Count those that the exact-match cache did not know."""
        said = appctl("dpif-netdev/pmd-stats-show")
        hits = sum(int(found) for found in re.findall(r"^ *megaflow hits: (\d+)", said, re.MULTILINE))
        each = re.search(r"lookups per megaflow hit: ([\d.]+)", said)
        return Lookups(hits, round(hits * float(each[1])) if each else 0)


class Kernel:
    """The kernel's datapath, in a kernel of its own that does nothing else (`scripts/test-matrix`).

    It forwards a frame while it sends it for a station. So its CPU time holds that of sending the frame, of
    its two veth pairs and of discarding it, too, the same for all contenders.
    """

    datapath_type = SYSTEM
    datapath = "system@ovs-system"
    is_timed = False

    def lookups(self, appctl: AppCtl) -> Lookups:
        """Count all; ovs-dpctl(8): `lookups: hit, missed`, `masks: hit`."""
        said = appctl("dpctl/show", self.datapath)
        counted = re.search(r"lookups: hit:(\d+) missed:(\d+)", said)
        masks = re.search(r"masks: hit:(\d+)", said)
        if counted is None or masks is None:
            raise BenchError(f"{self.datapath} does not tell its lookups: {said[:200]}")
        return Lookups(int(counted[1]) + int(counted[2]), int(masks[1]))


class ProcessKernel(Kernel):
    """A kernel that is a process of another one, which tells its CPU time at the terminal *clock*.

    That does not hold what its own processes use, such as the generator and ovs-vswitchd.
    """

    has_zones = False
    bursts = 12
    counts_processes = False

    def __init__(self, clock: str) -> None:
        self._clock = os.open(clock, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._clock)

    def cpu_s(self, vswitchd_pid: int) -> float:
        """Ask the machine that this kernel is a process of."""
        os.write(self._clock, b"\n")
        said = b""
        while not said.endswith(b"\n"):
            said += os.read(self._clock, 64)
        return int(said) / 1e9


class EmulatedKernel(Kernel):
    """A kernel on an emulated machine, whose clock counts instructions.

    What the generator does of its own is in it, too; not what ovs-vswitchd and this process use.
    """

    has_zones = True
    bursts = 3  # nothing else is counted, and the machine is slow
    counts_processes = True

    def cpu_s(self, vswitchd_pid: int) -> float:
        """Return what all tasks have run (sched-stats of the kernel's documentation) but for these two."""
        # A process that goes to sleep is accounted; only the one that reads is still running.
        time.sleep(0.001)
        cpus = re.findall(r"^cpu\d+ .*", Path(SCHEDSTAT).read_text(), re.MULTILINE)
        all_ns = sum(int(cpu.split()[7]) for cpu in cpus)
        return (all_ns - run_ns(vswitchd_pid) - run_ns(os.getpid())) / 1e9


def kernel() -> Meter:
    """Return the meter of the kernel that this process runs on."""
    clock = os.environ.get(CLOCK)
    if not clock:
        raise BenchError(f"--datapath {SYSTEM} is measured in a kernel of its own: run scripts/bench")
    return EmulatedKernel() if clock == SCHEDSTAT else ProcessKernel(clock)


METERS: dict[str, Callable[[], Meter]] = {NETDEV: Userspace, SYSTEM: kernel}
