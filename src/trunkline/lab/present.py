"""The labs of this machine, as their journals and processes show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.lab.chassis import AGENT, Chassis
from trunkline.lab.error import LabError
from trunkline.lab.journal import Journal
from trunkline.lab.lab import STATE, names
from trunkline.lab.namespace import Namespace
from trunkline.lab.physical_switch import PhysicalSwitch
from trunkline.lab.switchd import datapath
from trunkline.lab.topology import ChassisPlan

_SWITCH = "switch"


@dataclass(frozen=True)
class Present:
    """A lab that exists: the process id of each of its daemons by part and program, None if it does not run.

    The northbound is the part `nb`, the physical switch `switch`; the others are chassis, called as they are.
    """

    name: str
    pids: Mapping[str, Mapping[str, int | None]]
    machines: tuple[str, ...]

    @property
    def remote(self) -> str | None:
        """The northbound, if the lab has one."""
        return f"unix:{STATE / self.name}/nb.sock" if (STATE / self.name / "nb.db").exists() else None

    @property
    def chassis(self) -> dict[str, Mapping[str, int | None]]:
        """The daemons of each chassis."""
        return {part: pids for part, pids in self.pids.items() if AGENT in pids}

    @property
    def not_running(self) -> list[str]:
        """The daemons that do not run: their part and program."""
        return [
            part if part == program else f"{part} {program}"
            for part, pids in self.pids.items()
            for program, pid in pids.items()
            if pid is None
        ]

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "name": self.name,
            "state": "up" if self.pids and not self.not_running else "incomplete",
            "chassis": list(self.chassis),
            "machines": list(self.machines),
            "northbound": self.remote,
            "not_running": self.not_running,
            "pids": {part: dict(pids) for part, pids in self.pids.items()},
        }


def present() -> list[Present]:
    """Return the labs of this machine, by name; one that created nothing yet has no part."""
    return [_present(name) for name in names()]


def _present(name: str) -> Present:
    directory = STATE / name
    journal = Journal(directory)
    pids: dict[str, dict[str, int | None]] = {}
    for daemon in journal.daemons:
        # A daemon of a part has its files in the part's directory; the northbound's are in the lab's own.
        at = daemon.pidfile.relative_to(directory)
        part = at.parts[0] if at.parts[1:] else at.stem
        pids.setdefault(part, {})[at.stem] = daemon.pid
    parts = [namespace.name.removeprefix(f"tl-{name}-") for namespace in journal.namespaces]
    return Present(name, pids, tuple(part for part in parts if part not in pids))


def chassis(lab: str, name: str) -> Chassis:
    """Return the chassis *name* of the present *lab*, as far as its daemons go.

    Raises LabError if there is no such chassis.
    """
    there = _present(lab).chassis
    if name not in there:
        known = ", ".join(there) or "none"
        raise LabError(f"lab '{lab}' has no chassis '{name}'; it has: {known}")
    at = STATE / lab
    namespace, rundir = Namespace(f"tl-{lab}-{name}"), at / name
    return Chassis(ChassisPlan(name, ()), namespace, rundir, Journal(at), datapath(rundir))


def host(lab: str, name: str) -> Namespace:
    """Return the bare-metal host *name* of the present *lab*; raises LabError if there is none."""
    there = hosts(lab)
    if name not in there:
        raise LabError(f"lab '{lab}' has no bare-metal host '{name}'; it has: {', '.join(there) or 'none'}")
    return there[name]


def hosts(lab: str) -> dict[str, Namespace]:
    """Return the bare-metal hosts of the present *lab*."""
    return {name: Namespace(f"tl-{lab}-{name}") for name in switch(lab).hosts}


def switch(lab: str) -> PhysicalSwitch:
    """Return the physical switch of the present *lab*; raises LabError if it does not run."""
    at, pids = STATE / lab, _present(lab).pids.get(_SWITCH, {})
    if not pids or None in pids.values():
        raise LabError(f"the physical switch of lab '{lab}' does not run; take the lab down, and up again")
    rundir = at / _SWITCH
    return PhysicalSwitch.running(Namespace(f"tl-{lab}-{_SWITCH}"), rundir, Journal(at), datapath(rundir))
