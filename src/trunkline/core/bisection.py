"""A bisection: the largest size that arrives, found by trying few sizes."""

from __future__ import annotations


class Bisection:
    """Looks for the largest size between *least*, which is known to arrive, and *most*, which is tried first.

    >>> sizes = Bisection(46, 1500)
    >>> while not sizes.is_done:
    ...     sizes.note(sizes.size, has_arrived=sizes.size <= 1472)
    >>> sizes.found
    1472

    What has arrived is certain, and what was lost is not: its answer may be late.

    >>> sizes = Bisection(46, 1500)
    >>> sizes.note(1500, has_arrived=False)
    >>> sizes.note(773, has_arrived=False)
    >>> sizes.note(773, has_arrived=True)
    >>> sizes.found, sizes.size
    (773, 1136)
    """

    def __init__(self, least: int, most: int) -> None:
        self.found = least
        self.size = most
        self._lost = {most + 1}

    @property
    def is_done(self) -> bool:
        """Whether `found` is what was looked for; until then `size` is what to try next."""
        return self.found + 1 >= min(self._lost)

    def note(self, size: int, *, has_arrived: bool) -> None:
        """Note whether *size* has arrived; if a smaller one was taken for lost, that was wrong."""
        if size <= self.found:
            return
        if has_arrived:
            self.found = size
            self._lost = {lost for lost in self._lost if lost > size}
        else:
            self._lost.add(size)
        self.size = (self.found + min(self._lost)) // 2
