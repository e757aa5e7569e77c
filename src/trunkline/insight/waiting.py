"""Work that waits for somebody: as a generator, so that one form serves a command and the agent's loop.

The work yields what it waits for. A command has nothing else to do, and finishes it. The agent has one
thread, which must never block: it goes on with the work when that is ready.
"""

from __future__ import annotations

import select
import time
from collections.abc import Generator
from typing import NamedTuple, TypeAlias, TypeVar

Result = TypeVar("Result")


class Wait(NamedTuple):
    """What work waits for: *events* (`select.POLLIN`, `POLLOUT`) at *fd*, or the moment *end_s*.

    *end_s* is by `time.monotonic`. Without an *fd* it is the moment alone.
    """

    fd: int | None
    events: int
    end_s: float


Work: TypeAlias = Generator[Wait | None, None, Result]
"""Work that yields what it waits for, None if it only lets others go first, and returns its result."""

_LONGEST_BLOCK_S = 1.0
"""A signal just before a system call does not interrupt it: it is seen at least so often."""


def finished(work: Work[Result]) -> Result:
    """Return the result of *work*, waiting for whatever it waits for."""
    try:
        while True:
            wait = next(work)
            if wait is not None:
                _await(wait)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        work.close()


def _await(wait: Wait) -> None:
    ready = select.poll()
    if wait.fd is not None:
        ready.register(wait.fd, wait.events)
    while (left_s := wait.end_s - time.monotonic()) > 0:
        if ready.poll(min(left_s, _LONGEST_BLOCK_S) * 1000):
            return
