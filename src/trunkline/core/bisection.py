"""A bisection: the largest size that arrives, found by trying few sizes."""

from __future__ import annotations


class Bisection:
    """Looks for the largest size between *least*, which is known to arrive, and *most*, which is tried first.

    >>> sizes = Bisection(46, 1500)
    >>> while not sizes.is_done:
    ...     sizes.note(sizes.size, has_arrived=sizes.size <= 1472)
    >>> sizes.found
    1472
    """

    def __init__(self, least: int, most: int) -> None:
        self.found = least
        self._least_lost = most + 1
        self.size = most

    @property
    def is_done(self) -> bool:
        """Whether `found` is what was looked for; until then `size` is what to try next."""
        return self.found + 1 >= self._least_lost

    def note(self, size: int, *, has_arrived: bool) -> None:
        """Note whether *size* has arrived; that of a size which is already settled changes nothing."""
        if has_arrived and self.found < size < self._least_lost:
            self.found = size
        elif not has_arrived and self.found < size < self._least_lost:
            self._least_lost = size
        self.size = (self.found + self._least_lost) // 2
