"""The contenders of the forwarding benchmark, each with stations of its own, forwarding side by side."""

from __future__ import annotations

import os
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

from forward.meter import Lookups, Meter
from forward.normal import Normal
from forward.station import Stations, Wiring, ping
from forward.traffic import SWITCH_CPU, UDP, conversations, frame, send_once
from trunkline.lab.journal import Journal

LIMIT_S = 60.0

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
WITHOUT_ZONES = (Trunkline, Normal)
"""Those on a kernel whose connection tracking has no zones: OVN's flows need them, and are refused."""


class Contestant(NamedTuple):
    """A contender with its stations; *remote* are the numbers of the ports behind the wire."""

    forwarder: Forwarder
    stations: Stations
    remote: Sequence[int]
    folder: Path
    meter: Meter

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
        return sum(
            "eth(" in flow for flow in self.appctl("dpctl/dump-flows", self.meter.datapath).splitlines()
        )

    def lookups(self) -> Lookups:
        """Return how many frames its datapath has looked up, and in how many subtables."""
        return self.meter.lookups(self.appctl)

    def cpu_s(self) -> float:
        """Return the CPU seconds that what forwards has used."""
        return self.meter.cpu_s(self.forwarder.switch.vswitchd_pid)

    def learn(self) -> None:
        """Have every bridge learn where the stations and the remote ports are; sees that all are reached."""
        ping(self.stations.vm, self.stations.wire)
        ping(self.stations.vm, self.stations.other_vm)
        said = [conversations(number, [self.stations.vm.number], UDP, 1)[0] for number in self.remote]
        frames = [frame(each, is_tagged=True) for each in said]
        send_once(self.folder, self.stations.wire, self.stations.vm, frames)


@contextmanager
def contestants(load: Load, say: Say, meter: Meter) -> Iterator[list[Contestant]]:
    """Make all contenders for the length of the block; they forward, and know where the stations are.

    Their switches have the datapath of *meter*.
    """
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
    journal = Journal(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(journal.undo)
        made = []
        for number, make in enumerate(MAKERS if meter.has_zones else WITHOUT_ZONES):
            wiring = Wiring(f"tlb{os.getpid()}-{number}", load, journal, meter.datapath_type)
            forwarder = make(folder / str(number), load, wiring.make_switch)
            stack.callback(forwarder.close)
            # The generator takes the first processor; what is measured should not have to share it.
            os.sched_setaffinity(forwarder.switch.vswitchd_pid, {int(SWITCH_CPU)})
            forwarder.start()
            forwarder.settle(LIMIT_S)
            made.append(Contestant(forwarder, wiring.stations, wiring.remote, folder, meter))
            made[-1].learn()
            say(f"{forwarder.name} forwards, with {load}: {forwarder.switch.flow_count():,} flows")
        yield made
