"""A job: work that the agent's loop goes on with, a slice at a time, when what it waits for may be there."""

from __future__ import annotations

import time
from typing import Generic

import ovs.poller

from trunkline.insight.waiting import Result, Wait, Work


class Job(Generic[Result]):
    """The *work* under way. It may end at any time: `close` it if nobody needs the result any longer."""

    def __init__(self, work: Work[Result]) -> None:
        self._work = work
        self._awaited: Wait | None = None

    def advance(self) -> bool:
        """Do one slice; return whether the next one could be done at once.

        Raises:
            StopIteration: it is done; the value is the result.
        """
        self._awaited = None
        self._awaited = next(self._work)
        return self._awaited is None

    def close(self) -> None:
        """Leave the work."""
        self._work.close()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `advance` has something to do."""
        if self._awaited is None:
            poller.immediate_wake()
            return
        if self._awaited.fd is not None:
            poller.fd_wait(self._awaited.fd, self._awaited.events)
        poller.timer_wait(max(0, int((self._awaited.end_s - time.monotonic()) * 1000) + 1))
