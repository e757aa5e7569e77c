"""The northbound database of a lab, and the `trunkline` commands that are run on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from trunkline.lab import command
from trunkline.lab.command import PROGRAM
from trunkline.lab.error import CommandError, WaitError
from trunkline.lab.journal import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from trunkline.lab.journal import Journal


class Northbound:
    """A `Trunkline_Northbound` database in the file `nb.db` of *directory*, served on its socket `nb.sock`.

    A Unix socket can be reached from all network namespaces, so every agent of a lab uses this one.
    """

    def __init__(self, directory: Path, journal: Journal) -> None:
        self.directory = directory
        self.remote = f"unix:{directory}/nb.sock"
        self._daemon = Daemon(directory / "nb.pid")
        self._journal = journal
        journal.add_daemon(self._daemon)

    @property
    def pid(self) -> int | None:
        """The server's process id, or None if it does not run."""
        return self._daemon.pid

    def start(self) -> None:
        """Start the server, on the existing file if there is one; return when it listens."""
        at = self.directory
        remote = f"punix:{at}/nb.sock"
        files = ["--pidfile", str(at / "nb.pid"), "--log-file", str(at / "nb.log")]
        command.run(
            [*PROGRAM, "nb", "start", "--db", str(at / "nb.db"), "--remote", remote, "--detach", *files]
        )

    def stop(self) -> None:
        """End the server with SIGTERM and wait until it has exited."""
        self._daemon.end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server with SIGKILL and wait until it has exited."""
        self._daemon.end(signal.SIGKILL)

    def trunkline(self, *args: str, timeout_s: float = 60.0) -> str:
        """Run `trunkline *args*` on this database and return its standard output; raises CommandError."""
        return command.run([*PROGRAM, "--nb", self.remote, *args], timeout_s=timeout_s)

    def trunkline_all(self, commands: Iterable[Sequence[str]], *, at_once: int = 4) -> None:
        """Run several `trunkline` commands in any order, up to *at_once* in parallel.

        Raises CommandError for the first that fails, when those that run have exited.
        """
        waiting = [list(args) for args in commands]
        while waiting:
            group, waiting = waiting[:at_once], waiting[at_once:]
            running = [
                subprocess.Popen(
                    [*PROGRAM, "--nb", self.remote, *args],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for args in group
            ]
            outcomes = [
                (args, *started.communicate(timeout=60), started.returncode)
                for args, started in zip(group, running, strict=True)
            ]
            for args, _, complaint, code in outcomes:
                if code != 0:
                    why = command.reason(complaint)
                    raise CommandError(f"'trunkline {' '.join(args)}' ended with exit code {code}: {why}")

    def sync(self, timeout_s: int = 20) -> None:
        """Wait until every live chassis has applied all that is committed; CommandError if not in time."""
        self.trunkline("sync", "--wait", "--timeout", str(timeout_s), timeout_s=timeout_s + 10)

    def faults(self) -> list[str]:
        """Return the faults of all chassis, a line each: chassis, subject and reason."""
        rows = json.loads(self.trunkline("chassis", "list", "-o", "json"))
        return [
            f"{row['name']}: {subject}: {reason}"
            for row in rows
            for subject, reason in sorted(row["faults"].items())
        ]

    def wait_up(
        self, ports: Iterable[str], *, is_up: bool = True, chassis: str | None = None, timeout_s: float = 20.0
    ) -> None:
        """Wait until `Port.up` of all *ports* is *is_up* at the same time; raises WaitError if not in time.

        With *chassis*, they have to be up there: a port that moves may still be up where it was. The database
        itself waits (RFC 7047 section 5.2.6).
        """
        names = list(ports)
        wanted = {"up": True} if chassis is None else {"up": True, "chassis": chassis}
        operations = [
            {
                "op": "wait",
                "timeout": int(timeout_s * 1000),
                "table": "Port",
                "where": [["name", "==", name]],
                "columns": list(wanted),
                # A port that was never up has no value there, which is down as well.
                "until": "==" if is_up else "!=",
                "rows": [wanted],
            }
            for name in names
        ]
        request = json.dumps(["Trunkline_Northbound", *operations])
        reply = command.run(
            ["ovsdb-client", "transact", self.remote, request], env=dict(os.environ), timeout_s=timeout_s + 10
        )
        for name, outcome in zip(names, json.loads(reply), strict=False):
            if outcome and outcome.get("error"):
                state = "up" if is_up else "down"
                why = "; ".join(self.faults()) if is_up else ""
                raise WaitError(
                    f"port '{name}' was not {state} after {timeout_s:g} s: {why or outcome['error']}"
                )
