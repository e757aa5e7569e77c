"""Trouble: what a peer does wrong again and again, told of twice, and tried again less and less often."""

from __future__ import annotations

import time
from collections.abc import Callable

import ovs.poller

FIRST_S = 0.1
LONGEST_S = 8.0
"""How long to wait before the second attempt, and at most; it doubles in between."""


class Trouble:
    """Trouble of one kind: *reason* is that of the last time, and None while there is none.

    *begin* is called with the reason of the first time, and *end* with how often it was, once it is over: by
    `over`, or after *quiet_s* seconds without it, where `settle` is called now and then. Nothing is said in
    between, so that no peer fills a log. *clock* counts seconds.
    """

    def __init__(
        self,
        begin: Callable[[str], None],
        end: Callable[[int], None],
        *,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        quiet_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reason: str | None = None
        self._begin, self._end = begin, end
        self._first_s, self._longest_s, self._quiet_s = first_s, longest_s, quiet_s
        self._clock = clock
        self._times = 0
        self._gap_s = 0.0
        self._last_s = self._held_s = 0.0

    def note(self, reason: str) -> None:
        """Take note that it happened; where nothing was held, the next attempt waits longer than this one."""
        if self.reason is None:
            self._begin(reason)
        self.reason = reason
        self._times += 1
        self._last_s = self._clock()
        if not self.is_held:
            self._gap_s = min(max(self._first_s, 2 * self._gap_s), self._longest_s)
            self._held_s = self._last_s

    def over(self) -> None:
        """It is over."""
        if self.reason is not None:
            self._end(self._times)
        self.reason, self._times, self._gap_s = None, 0, 0.0

    def forgive(self) -> None:
        """Do not wait, and wait less from now on: it may be another peer now. It is not over for that."""
        self._gap_s = 0.0

    def settle(self) -> None:
        """Have it be over where it has not happened for long."""
        if self.reason is not None and self._quiet_s is not None and self._clock() >= self._quiet_until_s:
            self.over()

    @property
    def is_held(self) -> bool:
        """Whether the next attempt is to wait."""
        return self._clock() < self._held_s + self._gap_s

    @property
    def _quiet_until_s(self) -> float:
        return self._last_s + max(self._quiet_s or 0.0, self._gap_s)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake for the next attempt, and for the end."""
        if self.reason is None:
            return
        due_s = [self._held_s + self._gap_s] if self.is_held else []
        due_s += [self._quiet_until_s] if self._quiet_s is not None else []
        if due_s:
            poller.timer_wait(max(0, int((min(due_s) - self._clock()) * 1000) + 1))
