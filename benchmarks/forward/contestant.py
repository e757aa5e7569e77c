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
from process import BenchError, do, run_ns
from switch import MakeSwitch, Switch

from forward.meter import Lookups, Meter
from forward.normal import Normal
from forward.promise import RefusingNormal, RefusingOvn, passed
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


class Entry(NamedTuple):
    """A contender to be made, and what is known of it before."""

    make: Callable[[Path, Load, MakeSwitch], Forwarder]
    refuses_servers: bool
    """Whether it says that no VM answers DHCP."""

    needs_zones: bool = False
    """Whether its flows need zones of connection tracking, and are refused by a kernel without."""

    is_for_mix: bool = False
    """Whether it is measured with the mix alone, for whose kinds of frames it makes a difference."""


ENTRIES = (
    Entry(Trunkline, refuses_servers=True),
    Entry(Normal, refuses_servers=False),
    Entry(Ovn, refuses_servers=False, needs_zones=True),
    Entry(RefusingNormal, refuses_servers=True, is_for_mix=True),
    Entry(RefusingOvn, refuses_servers=True, needs_zones=True, is_for_mix=True),
)


class Contestant(NamedTuple):
    """A contender with its stations; *remote* are the numbers of the ports behind the wire."""

    forwarder: Forwarder
    stations: Stations
    remote: Sequence[int]
    folder: Path
    meter: Meter
    is_for_mix: bool

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

    def vswitchd_s(self) -> float:
        """Return the CPU seconds that its ovs-vswitchd has used."""
        return run_ns(self.forwarder.switch.vswitchd_pid) / 1e9

    def learn(self) -> None:
        """Have every bridge learn where the stations and the remote ports are; sees that all are reached."""
        ping(self.stations.vm, self.stations.wire)
        ping(self.stations.vm, self.stations.other_vm)
        said = [conversations(number, [self.stations.vm.number], UDP, 1)[0] for number in self.remote]
        frames = [frame(each, is_tagged=True) for each in said]
        send_once(self.folder, self.stations.wire, self.stations.vm, frames)

    def verify(self, *, refuses_servers: bool) -> None:
        """Raise `BenchError` if a VM can answer as a server, or cannot where nobody says so."""
        self.forget()
        for _ in ("cold", "warm"):
            arrived = passed(self.folder, self.stations.vm, self.stations.wire)
            if refuses_servers != (arrived == 0):
                raise BenchError(
                    f"{arrived} answers of a server pass {self.name}: its promise is another one"
                )


@contextmanager
def contestants(entries: Sequence[Entry], load: Load, say: Say, meter: Meter) -> Iterator[list[Contestant]]:
    """Make those of *entries*, in turn, for the length of the block; they forward, and know all stations.

    Their switches have the datapath of *meter*.
    """
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
    journal = Journal(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(journal.undo)
        made = []
        for number, entry in enumerate(each for each in entries if meter.has_zones or not each.needs_zones):
            wiring = Wiring(f"tlb{os.getpid()}-{number}", load, journal, meter.datapath_type)
            forwarder = entry.make(folder / str(number), load, wiring.make_switch)
            stack.callback(forwarder.close)
            # The generator takes the first processor; what is measured should not have to share it.
            os.sched_setaffinity(forwarder.switch.vswitchd_pid, {int(SWITCH_CPU)})
            forwarder.start()
            forwarder.settle(LIMIT_S)
            contestant = Contestant(
                forwarder, wiring.stations, wiring.remote, folder, meter, entry.is_for_mix
            )
            contestant.learn()
            contestant.verify(refuses_servers=entry.refuses_servers)
            made.append(contestant)
            say(f"{forwarder.name} forwards, with {load}: {forwarder.switch.flow_count():,} flows")
        yield made
