"""A burst: many lines of the log at once, of which some are written and the others are counted."""

from __future__ import annotations

import time
from collections.abc import Callable


class Burst:
    """At most *lines_per_s* lines in a second of *clock*; *tell* is called with the number of the others.

    It is called once their second is over, if `settle` is called.
    """

    def __init__(
        self, lines_per_s: int, tell: Callable[[int], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines_per_s, self._tell, self._clock = lines_per_s, tell, clock
        self._second = -1
        self._lines = 0
        self._unsaid = 0

    def admits(self) -> bool:
        """Return whether one more line may be written now; if not, it is counted."""
        self.settle()
        self._lines += 1
        is_admitted = self._lines <= self._lines_per_s
        self._unsaid += not is_admitted
        return is_admitted

    def settle(self) -> None:
        """Tell how many lines were left out, once their second is over."""
        second = int(self._clock())
        if second == self._second:
            return
        unsaid = self._unsaid
        self._second, self._lines, self._unsaid = second, 0, 0
        if unsaid:
            self._tell(unsaid)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to tell."""
        return not self._unsaid

    @property
    def next_s(self) -> float | None:
        """When there is something to tell, by the clock; None if there is nothing."""
        return None if self.is_settled else float(self._second + 1)
