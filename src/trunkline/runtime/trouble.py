"""Trouble: an error of a peer that repeats. It is reported at its begin and its end, and tried less often."""

from __future__ import annotations

import time
from collections.abc import Callable

import ovs.poller

FIRST_S = 0.1
LONGEST_S = 8.0
"""The wait before the second attempt, and the longest wait; it doubles in between."""


class Trouble:
    """One kind of error of a peer: *reason* is the latest one, or None while there is none.

    *begin* is called with the first reason. *end* is called with the number of errors when it is over: after
    a call of `over`, or after *quiet_s* seconds without an error if `settle` is called now and then. In
    between nothing is reported, so no peer can fill a log. *clock* counts seconds.
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
        """Take note of an error; unless an attempt was held already, the next one waits longer."""
        if self.reason is None:
            self._begin(reason)
        self.reason = reason
        self._times += 1
        self._last_s = self._clock()
        if not self.is_held:
            self._gap_s = min(max(self._first_s, 2 * self._gap_s), self._longest_s)
            self._held_s = self._last_s

    def over(self) -> None:
        """Take note that the errors are over."""
        if self.reason is not None:
            self._end(self._times)
        self.reason, self._times, self._gap_s = None, 0, 0.0

    def forgive(self) -> None:
        """Start again with the shortest wait: it may be another peer now. This does not end the trouble."""
        self._gap_s = 0.0

    def settle(self) -> None:
        """End the trouble if there was no error for a while."""
        if self.reason is not None and self._quiet_s is not None and self._clock() >= self._quiet_until_s:
            self.over()

    @property
    def is_held(self) -> bool:
        """Whether the next attempt has to wait."""
        return self._clock() < self._held_s + self._gap_s

    @property
    def _quiet_until_s(self) -> float:
        return self._last_s + max(self._quiet_s or 0.0, self._gap_s)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake for the next attempt, and for the end of the trouble."""
        if self.reason is None:
            return
        due_s = [self._held_s + self._gap_s] if self.is_held else []
        due_s += [self._quiet_until_s] if self._quiet_s is not None else []
        if due_s:
            poller.timer_wait(max(0, int((min(due_s) - self._clock()) * 1000) + 1))
