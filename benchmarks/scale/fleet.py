"""A fleet: the sessions of many chassis, spread over a few processes, and what they are asked.

A process sleeps until one of its sessions has something to do, and then looks at that one alone: the
`ovs.poller` of an agent would ask for each of hundreds at every turn, and select(2) takes no more than 1,024.
"""

from __future__ import annotations

import gc
import heapq
import multiprocessing
import resource
import select
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol, TypeVar

import ovs.timeval
from process import BenchError, Usage, now_s, usage

from scale.chassis import Chassis

A = TypeVar("A", covariant=True)


class Counts(NamedTuple):
    """What a process's sessions have had up to now; *received_bytes* over their present connections."""

    rows: int
    received_bytes: int
    connections: int
    refusals: int


class Question(Protocol[A]):
    """Something that a process is asked; it travels there by pickle."""

    def answer(self, worker: Worker) -> A | None:
        """Return the answer, None while there is none yet; asked again after every turn."""
        ...


class Worker:
    """The sessions of one process, and what they saw: the times, by what it was."""

    def __init__(self) -> None:
        self.chassis: list[Chassis] = []
        self.unsettled: set[int] = set()
        self.times_by_sight: dict[str, list[float]] = {}
        self._epoll = select.epoll()
        self._index_by_fd: dict[int, int] = {}
        self._due_by_index: dict[int, float] = {}
        self._dues: list[tuple[float, int]] = []

    def add(self, remotes: str, name: str, port_names: Sequence[str]) -> None:
        """Make the session of one chassis more, which connects once it is touched."""
        self.chassis.append(Chassis(remotes, name, port_names, self._saw))

    def touch(self, index: int) -> None:
        """Have the session looked at in the next turn."""
        self.unsettled.add(index)
        self._set_due(index, now_s())

    def _saw(self, sight: str) -> None:
        self.times_by_sight.setdefault(sight, []).append(now_s())

    def serve(self, control: Connection) -> None:
        """Drive the sessions, and answer the questions that come over *control*, until it is closed."""
        self._epoll.register(control.fileno(), select.EPOLLIN)
        question: Question[Any] | None = None
        while True:
            for index in self._ready():
                self._run(index)
            if control.poll():
                try:
                    question = control.recv()
                except EOFError:
                    return
            answer = question.answer(self) if question is not None else None
            if answer is not None:
                control.send(answer)
                question = None

    def _ready(self) -> list[int]:
        """Sleep until there is something to do, and return the sessions that have it."""
        wait_s = max(0.0, self._dues[0][0] - now_s()) if self._dues else None
        woken = {self._index_by_fd[fd] for fd, _ in self._epoll.poll(wait_s) if fd in self._index_by_fd}
        now = now_s()
        while self._dues and self._dues[0][0] <= now:
            due, index = heapq.heappop(self._dues)
            if self._due_by_index.get(index) == due:
                woken.add(index)
        return sorted(woken)

    def _run(self, index: int) -> None:
        chassis = self.chassis[index]
        chassis.run()
        if chassis.settled_at_s is not None:
            self.unsettled.discard(index)
        interest = Interest()
        chassis.nb.wait(interest)
        for fd, events in interest.events_by_fd.items():
            self._index_by_fd[fd] = index
            try:
                self._epoll.modify(fd, events)
            except FileNotFoundError:  # a new socket; the kernel forgets a closed one by itself
                self._epoll.register(fd, events)
        self._due_by_index.pop(index, None)
        if interest.wait_s is not None:
            self._set_due(index, now_s() + interest.wait_s)

    def _set_due(self, index: int, due: float) -> None:
        self._due_by_index[index] = due
        heapq.heappush(self._dues, (due, index))


class Interest:
    """What one session waits for; it has the methods of `ovs.poller.Poller` by which a session says so."""

    def __init__(self) -> None:
        self.events_by_fd: dict[int, int] = {}
        self.wait_s: float | None = None

    def fd_wait(self, file: Any, events: int) -> None:
        """Wait for *events* of poll(2), which are those of epoll(7), on *file*."""
        fd = file if isinstance(file, int) else file.fileno()
        self.events_by_fd[fd] = self.events_by_fd.get(fd, 0) | events

    def timer_wait(self, wait_ms: float) -> None:
        """Wait no longer than that."""
        self.wait_s = max(0.0, wait_ms / 1000 if self.wait_s is None else min(self.wait_s, wait_ms / 1000))

    def timer_wait_until(self, due_ms: float) -> None:
        """Wait no longer than until *due_ms* of the clock of `ovs.timeval.msec`."""
        self.timer_wait(due_ms - ovs.timeval.msec())

    def immediate_wake(self) -> None:
        """Wait for nothing."""
        self.timer_wait(0)


def _serve(control: Connection) -> None:
    raise_file_limit()
    # What is kept has no cycles; looking through millions of rows for some would be most of the work.
    gc.disable()
    Worker().serve(control)


def raise_file_limit() -> None:
    """Let this process, and those that it starts, open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass
class Fleet:
    """The processes, and how to ask them; a question is asked of all at once."""

    processes: list[multiprocessing.process.BaseProcess] = field(default_factory=list)
    controls: list[Connection] = field(default_factory=list)

    @classmethod
    def start(cls, count: int) -> Fleet:
        """Start *count* processes without sessions."""
        spawning = multiprocessing.get_context("spawn")
        fleet = cls()
        for _ in range(count):
            ours, theirs = spawning.Pipe()
            process = spawning.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            fleet.processes.append(process)
            fleet.controls.append(ours)
        return fleet

    def tell(self, question_of: Callable[[int], Question[Any]]) -> None:
        """Send the process of each number its question; `answers` has what they say."""
        for number, control in enumerate(self.controls):
            control.send(question_of(number))

    def answers(self, timeout_s: float) -> Iterator[Any]:
        """Yield the answer of each process; raises `BenchError` if one has none in time, or died."""
        deadline_s = now_s() + timeout_s
        for number, control in enumerate(self.controls):
            try:
                if not control.poll(max(0.0, deadline_s - now_s())):
                    raise BenchError(f"process {number} of the fleet has no answer after {timeout_s:g} s")
                yield control.recv()
            except EOFError as error:
                raise BenchError(f"process {number} of the fleet has died") from error

    def ask(self, question: Question[Any], timeout_s: float = 600.0) -> list[Any]:
        """Return what each process answers to *question*."""
        self.tell(lambda _: question)
        return list(self.answers(timeout_s))

    @property
    def usage(self) -> Usage:
        """What the processes have used up to now, together."""
        each = [usage(process.pid) for process in self.processes if process.pid is not None]
        return Usage(*(sum(values) for values in zip(*each, strict=True)))

    def close(self) -> None:
        """End the processes, which ends the sessions."""
        for process, control in zip(self.processes, self.controls, strict=True):
            process.kill()
            process.join()
            control.close()
