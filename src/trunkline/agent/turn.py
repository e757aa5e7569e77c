"""A turn of the loop: how long it may go on with large work, and how long turns took.

Everything else waits meanwhile: other rows, answers of the switch, questions of operators.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TURN_S = 0.04
"""After how long a turn begins no further slice of large work. The slice under way and all small work follow:
with them, a turn ends within 100 ms."""


class Turn:
    """The turn under way, which began at *began_s*; *longest_s* is the length of the longest one so far.

    *clock* counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.longest_s = 0.0
        self._clock = clock
        self.began_s = clock()
        self._granted: set[str] = set()

    def begin(self) -> None:
        """Begin a turn."""
        self.began_s = self._clock()
        self._granted.clear()

    def grants(self, work: str) -> bool:
        """Return whether a slice of that kind of *work* may begin: the first of a turn always may."""
        is_granted = work not in self._granted or self._clock() < self.began_s + TURN_S
        self._granted.add(work)
        return is_granted

    def end(self) -> None:
        """End the turn."""
        self.longest_s = max(self.longest_s, self._clock() - self.began_s)
