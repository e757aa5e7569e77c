"""The contenders of the forwarding benchmark, each with stations of its own, forwarding side by side."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from load import Load
from ours import Trunkline
from ovn import Ovn
from process import do
from switch import MakeSwitch, Switch

from forward.normal import Normal
from forward.station import Stations, Wiring, ping
from forward.traffic import SWITCH_CPU, UDP, conversations, frame, send_once
from trunkline.lab.journal import Journal

LIMIT_S = 60.0
DATAPATH = "netdev@ovs-netdev"

Say = Callable[[str], None]


class Forwarder(Protocol):
    """What of a contender this benchmark needs."""

    name: str
    switch: Switch

    def start(self) -> None:
        """Begin to make the switch forward."""
        ...

    def settle(self, timeout_s: float) -> None:
        """Return when it is reported to do so."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


MAKERS: tuple[Callable[[Path, Load, MakeSwitch], Forwarder], ...] = (Trunkline, Normal, Ovn)


class Contestant(NamedTuple):
    """A contender with its stations; *remote* are the numbers of the ports behind the wire."""

    forwarder: Forwarder
    stations: Stations
    remote: Sequence[int]
    folder: Path

    @property
    def name(self) -> str:
        """The contender's name."""
        return self.forwarder.name

    def appctl(self, *words: str) -> str:
        """Ask its ovs-vswitchd."""
        switch = self.forwarder.switch
        target = f"{switch.folder}/ovs-vswitchd.{switch.vswitchd_pid}.ctl"
        return do(["ovs-appctl", "-t", target, *words], switch.environment)

    def forget(self) -> None:
        """Empty its datapath.

        `dpctl/del-flows` would do so behind the revalidators' back, and no flow that was there before could
        be made anew until they noticed: half a second in which each of its frames is an upcall.
        """
        self.appctl("revalidator/purge")

    def megaflow_count(self) -> int:
        """Return how many flows its datapath has."""
        return sum("eth(" in flow for flow in self.appctl("dpctl/dump-flows", DATAPATH).splitlines())

    def lookups(self) -> float:
        """Return how many subtables were looked at for each frame that the exact-match cache did not know.

        Counted since the last `dpif-netdev/pmd-stats-clear`.
        """
        found = re.search(r"lookups per megaflow hit: ([\d.]+)", self.appctl("dpif-netdev/pmd-stats-show"))
        return float(found[1]) if found else float("nan")

    def cpu_s(self) -> float:
        """Return the CPU seconds that all threads of its ovs-vswitchd have used (proc(5), schedstat)."""
        tasks = Path(f"/proc/{self.forwarder.switch.vswitchd_pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def learn(self) -> None:
        """Have every bridge learn where the stations and the remote ports are; sees that all are reached."""
        ping(self.stations.vm, self.stations.wire)
        ping(self.stations.vm, self.stations.other_vm)
        said = [conversations(number, [self.stations.vm.number], UDP, 1)[0] for number in self.remote]
        frames = [frame(each, is_tagged=True) for each in said]
        send_once(self.folder, self.stations.wire, self.stations.vm, frames)


@contextmanager
def contestants(load: Load, say: Say) -> Iterator[list[Contestant]]:
    """Make all contenders for the length of the block; they forward, and know where the stations are."""
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
    journal = Journal(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(journal.undo)
        made = []
        for number, make in enumerate(MAKERS):
            wiring = Wiring(f"tlb{os.getpid()}-{number}", load, journal)
            forwarder = make(folder / str(number), load, wiring.make_switch)
            stack.callback(forwarder.close)
            # The generator takes the first processor; what is measured should not have to share it.
            os.sched_setaffinity(forwarder.switch.vswitchd_pid, {int(SWITCH_CPU)})
            forwarder.start()
            forwarder.settle(LIMIT_S)
            made.append(Contestant(forwarder, wiring.stations, wiring.remote, folder))
            made[-1].learn()
            say(f"{forwarder.name} forwards, with {load}: {forwarder.switch.flow_count():,} flows")
        yield made
