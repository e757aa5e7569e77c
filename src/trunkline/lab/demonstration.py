"""What a lab shows: which machines reach each other, and that no frame is lost when an agent restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.lab.lab import Lab
    from trunkline.lab.ping import PingResult, PingSeries
    from trunkline.lab.topology import Topology

SERIES_INTERVAL_S = 0.02
"""The seconds between two requests of a series: so a gap of 20 ms in forwarding is noticed."""


PHASE = 50
"""How many requests a series sends before the agent is killed, while there is none, and after it is back:
those of a second."""


@dataclass(frozen=True)
class Matrix:
    """For each ordered pair (source, destination) of machines, whether it should reach and did reach."""

    expected: Mapping[tuple[str, str], bool]
    seen: Mapping[tuple[str, str], bool]

    @property
    def differing(self) -> list[tuple[str, str]]:
        """The pairs that are not as expected."""
        return [pair for pair, reach in self.expected.items() if self.seen[pair] != reach]

    def lines(self) -> list[str]:
        """Return the matrix for a person to read, a line for each source.

        >>> pairs = {("a", "b"): True, ("b", "a"): False}
        >>> print("\\n".join(Matrix(pairs, {("a", "b"): True, ("b", "a"): True}).lines()))
           a  b
        a  -  ●
        b  !  -
        """
        names = list(dict.fromkeys(source for source, _ in self.expected))
        width = max(map(len, names), default=0)
        head = " " * width + "".join(f"  {name}" for name in names)
        rows = ["".join(f"  {self._mark(row, name):^{len(name)}}" for name in names) for row in names]
        return [
            head.rstrip(),
            *(f"{name:<{width}}{row}".rstrip() for name, row in zip(names, rows, strict=True)),
        ]

    def _mark(self, source: str, to: str) -> str:
        if source == to:
            return "-"
        if self.seen[source, to] != self.expected[source, to]:
            return "!"
        return "●" if self.seen[source, to] else "·"


@dataclass(frozen=True)
class Series:
    """A series of pings that goes on while the agent of *chassis*, where *source* is, is restarted."""

    source: str
    to: str
    chassis: str


def series(topology: Topology) -> list[Series]:
    """Return up to two series from one chassis: to a VM on another chassis, and to a bare-metal host."""
    chassis_by_vm = {vm.name: vm.chassis for vm in topology.vms}
    hosts = {host.name for host in topology.hosts}
    crossing = [
        Series(source, to, chassis_by_vm[source])
        for (source, to), does_reach in topology.reach().items()
        if does_reach and source in chassis_by_vm and chassis_by_vm.get(to) != chassis_by_vm[source]
    ]
    to_vm = [found for found in crossing if found.to not in hosts][:1]
    held = {found.chassis for found in to_vm}
    to_host = [
        found for found in crossing if found.to in hosts and found.chassis in (held or {found.chassis})
    ][:1]
    return to_vm + to_host


def matrix(lab: Lab) -> Matrix:
    """Ping from every machine of *lab* to every other at once; return what was expected and what was seen."""
    return Matrix(lab.expected_reach(), lab.reach())


def restart(lab: Lab, chassis: str, wanted: list[Series]) -> list[tuple[Series, PingResult]]:
    """Kill the agent of *chassis* with SIGKILL while the *wanted* series run, and start it again.

    Return the counts. Each series sends `PHASE` requests before the agent is killed, as many while there is
    none, and as many after the new agent has acknowledged that it has applied all.
    """
    running = [
        lab.machine[each.source].start_ping(lab.machine[each.to].ip, SERIES_INTERVAL_S) for each in wanted
    ]
    try:
        _wait_phase(running)
        lab.chassis[chassis].kill_agent()
        _wait_phase(running)
        lab.chassis[chassis].start_agent()
        lab.nb.sync()
        _wait_phase(running)
    finally:
        counts = [ping.stop() for ping in running]
    return list(zip(wanted, counts, strict=True))


def _wait_phase(running: list[PingSeries]) -> None:
    for each, count in [(each, each.sent + PHASE) for each in running]:
        each.wait_sent(count)
