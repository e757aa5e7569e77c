"""The journal of what a lab creates. It is written before each creation, so a crashed lab can be removed."""

from __future__ import annotations

import json
import os
import select
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.host import footprint
from trunkline.lab.error import LabError, WaitError
from trunkline.lab.namespace import LinkEnd, Namespace, ip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass(frozen=True)
class Daemon:
    """A detached program, known by its pidfile, which it keeps locked as long as it lives.

    So it is known however it was started, and if the kernel has given its process id to another program, that
    is never signalled.
    """

    pidfile: Path

    @property
    def pid(self) -> int | None:
        """The process id, or None if the daemon does not run."""
        try:
            return footprint.pid(self.pidfile)
        except footprint.FootprintError:
            return None  # what another program has locked is not the daemon's

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 10.0) -> None:
        """Send the signal *number* and return when it has exited; nothing if it does not run.

        Raises WaitError if it still runs after *timeout_s* seconds.
        """
        pid = self.pid
        if pid is not None:
            _end(pid, number, timeout_s)


@dataclass(frozen=True)
class Process:
    """A process, identified by its id and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has the id *pid* now; raises OSError if there is none."""
        return cls(pid, _start_ticks(pid))

    @property
    def is_running(self) -> bool:
        """Whether this process still runs."""
        try:
            return _start_ticks(self.pid) == self.start_ticks
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGKILL, timeout_s: float = 10.0) -> None:
        """Send the signal *number* and return when it has exited; nothing if it does not run."""
        if self.is_running:
            _end(self.pid, number, timeout_s)


class Journal:
    """The list of what one lab has created: the file `journal` of its directory, one JSON object a line."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal"

    def add_namespace(self, namespace: Namespace) -> None:
        """Note a namespace that is about to be created."""
        self._write(namespace=namespace.name)

    def add_link(self, end: LinkEnd) -> None:
        """Note a veth pair, by one of its ends, that is about to be created."""
        self._write(link=end.name, within=end.namespace.name)

    def add_daemon(self, daemon: Daemon) -> None:
        """Note a daemon that is about to be started."""
        self._write(daemon=str(daemon.pidfile))

    def add_process(self, process: Process) -> None:
        """Note a process that was just started."""
        self._write(process=process.pid, start_ticks=process.start_ticks)

    @property
    def daemons(self) -> list[Daemon]:
        """The daemons that were ever noted, oldest first."""
        return [Daemon(Path(entry["daemon"])) for entry in self._entries() if "daemon" in entry]

    @property
    def namespaces(self) -> list[Namespace]:
        """The namespaces that were ever noted, oldest first."""
        return [Namespace(entry["namespace"]) for entry in self._entries() if "namespace" in entry]

    def undo(self, report: Callable[[int, int], None] = lambda done, total: None) -> None:
        """End and remove all that is noted, newest first; what no longer exists is skipped.

        *report* is told how many daemons and processes have ended, of how many.

        Raises LabError when all else is done, with the names of what could not be removed.
        """
        stuck: list[str] = []
        namespaces: list[Namespace] = []
        links: list[LinkEnd] = []
        started: list[Daemon | Process] = []
        for entry in reversed(list(self._entries())):
            match entry:
                case {"daemon": str(pidfile)}:
                    started.append(Daemon(Path(pidfile)))
                case {"process": int(pid), "start_ticks": int(start_ticks)}:
                    started.append(Process(pid, start_ticks))
                case {"link": str(name), "within": str(within)}:
                    links.append(LinkEnd(Namespace(within), name))
                case {"namespace": str(name)}:
                    namespaces.append(Namespace(name))
        stuck += _end_all(started, report)
        # While a shell is in a namespace, the namespace stays, with its links, even without a name. So links
        # are deleted first.
        for namespace in namespaces:
            names = {end.name for end in links if end.namespace == namespace}
            if names and namespace.exists:
                ip([f"link del {name}" for name in sorted(names)], namespace, force=True)
        gone = {namespace.name for namespace in namespaces if namespace.exists}
        ip([f"netns del {name}" for name in sorted(gone)], force=True) if gone else None
        stuck += [f"namespace {name}" for name in sorted(gone) if Namespace(name).exists]
        if stuck:
            raise LabError(
                f"could not take down {', '.join(stuck)}; end what uses it and run 'lab down' again"
            )

    def _write(self, **entry: str | int) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _entries(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # the lab was killed while it wrote its last line: nothing was created after that


def _end_all(started: Sequence[Daemon | Process], report: Callable[[int, int], None]) -> list[str]:
    """End all of *started* in parallel, if necessary with SIGKILL; return what still runs then."""
    stuck = []
    with ThreadPoolExecutor(max_workers=16) as pool:
        for number, complaint in enumerate(pool.map(_ended, started), 1):
            stuck += [complaint] if complaint else []
            report(number - len(stuck), len(started))
    return stuck


def _ended(thing: Daemon | Process) -> str:
    try:
        end_surely(thing)
    except WaitError as error:
        return str(error)
    return ""


def end_surely(thing: Daemon | Process) -> None:
    """End *thing* with SIGTERM, or with SIGKILL if that does not do it; nothing if it does not run.

    Raises WaitError if it still runs after that.
    """
    try:
        thing.end(signal.SIGTERM, timeout_s=5.0)
    except WaitError:
        thing.end(signal.SIGKILL, timeout_s=5.0)


def _end(pid: int, number: signal.Signals, timeout_s: float) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(fd, number)
        ready, _, _ = select.select([fd], [], [], timeout_s)
    except ProcessLookupError:
        return
    finally:
        os.close(fd)
    if not ready:
        raise WaitError(f"process {pid} was still running {timeout_s:g} s after {number.name}")


def _start_ticks(pid: int) -> int:
    # Field 22 of proc_pid_stat(5); field 2, a name, may hold spaces and parentheses: count from its end.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(f"process {pid} has ended")
    return int(fields[19])
