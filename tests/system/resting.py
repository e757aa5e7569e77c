"""The agent in this process, and whether it may rest: the loop blocks only if nothing is left to do.

What a loop forgot shows only once something else wakes it, up to five seconds later, and by then it looks
done. So whenever the loop would block, all that it talks to is stopped, and it is run once more: it must
write nothing to anybody, and know nothing that it did not know.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ovs.poller
import ovs.stream
import psutil
import pytest
from dummy_chassis import TIMEOUT_S, DummyChassis, Site

from trunkline.agent import agent, blackhole, northbound_feed, reporter, turn
from trunkline.agent.agent import Agent
from trunkline.bridge import early_start, forwarding, upkeep
from trunkline.bridge.forwarding import Forwarding

SOON_MS = 50
"""A timer that is nearer than that may become due while the loop is looked at."""


class Resting:
    """The agent of *chassis*, run in this process.

    *rests* counts how often it was looked at, *turns* and *audits* those of the loop. *turns_asked_for*
    counts the turns that the loop asked for itself, without waiting.
    """

    def __init__(self, site: Site, chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.chassis = site, chassis
        self.agent = Agent(chassis.switch.remote, str(chassis.switch.rundir))
        self.rests = 0
        self.turns = 0
        self.turns_asked_for = 0
        self._written: list[Any] = []
        self.audits = 0
        send, audit = ovs.stream.Stream.send, Forwarding.audit

        def noted_audit(asked: Forwarding) -> None:
            self.audits += 1
            audit(asked)

        monkeypatch.setattr(Forwarding, "audit", noted_audit)
        # What is asked every few seconds may be due while the loop is looked at.
        monkeypatch.setattr(upkeep, "INTERVAL_S", 3600.0)
        monkeypatch.setattr(blackhole, "LEISURE_S", 3600.0)

        def noted_send(stream: Any, data: Any) -> Any:
            count = send(stream, data)
            if count > 0:
                self._written.append(bytes(data[:80]) if isinstance(data, memoryview) else data[:80])
            return count

        for kind in (ovs.stream.Stream, ovs.stream.UnixStream):
            if "send" in vars(kind):
                monkeypatch.setattr(kind, "send", noted_send)

    def until(
        self,
        is_so: Callable[[], Any],
        what: str,
        timeout_s: float = TIMEOUT_S,
        each_turn: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the loop until *is_so*, and on until it rests; do *each_turn* what that says."""
        deadline = time.monotonic() + timeout_s
        while True:
            assert time.monotonic() < deadline, f"after {timeout_s:g} s still not: {what}"
            self._turn()
            each_turn()
            poller = self._prepared()
            if self._is_quiet(poller):
                self._look()
                if is_so():
                    return
            poller.timer_wait(int(max(0.0, deadline - time.monotonic()) * 1000) + 1)
            poller.block()

    def until_settled(self) -> None:
        """Run the loop until all that the databases say is in place and told."""
        self.until(lambda: self.agent.is_settled and self._is_told(), "settled")

    def _is_told(self) -> bool:
        nb = self.agent.nb
        return nb is not None and nb.is_connected and not nb.is_writing and nb.nb_cfg == nb.reported_nb_cfg

    def _turn(self) -> None:
        self.turns += 1
        self.agent.run()
        self.turns_asked_for += self.agent.is_due

    def _prepared(self) -> ovs.poller.Poller:
        poller = ovs.poller.Poller()
        self.agent.wait(poller)
        return poller

    @staticmethod
    def _is_quiet(poller: ovs.poller.Poller) -> bool:
        """Whether the loop would block, and not be woken by a timer at once."""
        return not 0 <= poller.timeout < SOON_MS and not poller.poll.poll(0)

    def _look(self) -> None:
        """Hold that one more turn changes nothing while nobody says anything."""
        with self._stopped():
            if not self._is_quiet(self._prepared()) or self._waits_for_room():
                return
            before = self._state()
            self._written.clear()
            self._turn()
            assert self._written == [], f"the loop would have blocked, with this to write: {self._written}"
            assert self._state() == before, "the loop would have blocked, with something to learn"
            self.rests += 1

    def _waits_for_room(self) -> bool:
        """Whether the switch is to read first: a socket takes some more before poll(2) says that it does."""
        forwarding = self.agent.forwarding
        return forwarding is not None and bool(forwarding.session.has_unsent)

    def _state(self) -> dict[str, Any]:
        agent = self.agent
        forwarding = agent.forwarding
        return {
            "faults": agent.standing.faults,
            "uplinks": dict(agent.inventory.uplinks),
            "is_clean": agent.inventory.is_clean,
            "is_settled": agent.is_settled,
            "hold": agent.standing.hold,
            "revision": forwarding.revision if forwarding is not None else None,
            "applied": forwarding.applied if forwarding is not None else None,
            "flows": dict(forwarding.desired.body_by_key) if forwarding is not None else None,
        }

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        rundir = self.chassis.switch.rundir
        files = [rundir / "ovs-vswitchd.pid", rundir / "ovsdb-server.pid", self.site.folder / "nb.pid"]
        pids = [pid for pid in map(_pid, files) if pid is not None]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            for pid in pids:
                while not _is_stopped(pid):
                    time.sleep(0)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


def in_slices(monkeypatch: pytest.MonkeyPatch, rows: int = 7, views: int = 5, flows: int = 3) -> None:
    """Have every turn of the loop be over as soon as it has begun, with slices of that many rows and views.

    *flows* is of how many views the flows are made at once.
    """
    monkeypatch.setattr(turn, "TURN_S", 0.0)
    monkeypatch.setattr(northbound_feed, "PART_ROWS", rows)
    monkeypatch.setattr(agent, "VIEWS", views)
    monkeypatch.setattr(reporter, "MOST_BINDINGS", 2)
    for name, size in (("LARGE_UPDATE", 20), ("_SLICE", flows)):
        monkeypatch.setattr(forwarding, name, size)
    for name, size in (("MOST_FLOWS", 30), ("PORTION", 11)):
        monkeypatch.setattr(early_start, name, size)


def _pid(file: Path) -> int | None:
    """Return the process that *file* names, None if it does not run."""
    pid = int(file.read_text()) if file.exists() else 0
    return pid if pid and psutil.pid_exists(pid) else None


def _is_stopped(pid: int) -> bool:
    """Return whether all threads of *pid* are stopped, or it has ended (field 3 of proc_pid_stat(5)).

    psutil tells the state of processes alone, and not of threads.
    """
    states = []
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            states.append(thread.read_text().rpartition(")")[2].split()[0])
    return all(state in "TtZX" for state in states)
