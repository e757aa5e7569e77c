"""A pace: how many of something may happen in a time, for all that share it."""

from __future__ import annotations


class Pace:
    """Lets *burst* happen at once, and *rate* a second in the long run (a token bucket).

    The clock is the caller's, in seconds from 0 that only grow. At first a burst is due since before 0.

    >>> pace = Pace(rate=8, burst=2)
    >>> [pace.take(now_s) for now_s in (5.0, 5.0, 5.0, 5.125, 5.125)]
    [True, True, False, True, False]
    >>> Pace(rate=8, burst=2).next_s(1)
    -0.125
    """

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._full_at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Return whether one may happen at *now_s*; if so, it is counted."""
        if self.next_s(1) > now_s:
            return False
        self._full_at_s = max(self._full_at_s, now_s) + 1 / self._rate
        return True

    def next_s(self, count: int) -> float:
        """Return from when on *count* may happen at once; a whole burst, if *count* is more than that."""
        return self._full_at_s - (self._burst - min(count, self._burst)) / self._rate
