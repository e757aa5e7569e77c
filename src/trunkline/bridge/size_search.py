"""The search for the largest packet that reaches each peer: this chassis' part in a probe of sizes.

Time alone does not tell a large frame that is lost from an answer that is late. So a size that brought no
answer is tried again with a small frame behind it. Frames of one sender to one receiver keep their order: if
the receiver says that the small one has come, and not the large one, that one is lost. If it says nothing,
nothing is known.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from trunkline.core.bisection import Bisection
from trunkline.core.probe import LEAST_SIZE

FIRST_PATIENCE_S, PATIENCE_S = 0.3, 2.0
"""How long an answer may take before a size is tried again: at first, and with a small frame behind it."""

GAP_S = 0.05
"""How long after a large frame the small one goes: a switch may lose all that it sends together with it."""

TRIES = 3
"""After so many tries without any answer, the largest size of that peer stays unknown."""

_NUMBERS = 256


class Peer(NamedTuple):
    """Another chassis in one network, by its number in frames."""

    network_id: UUID
    member: int


class SizedFrame(NamedTuple):
    """A frame to send to *peer* whose packet has *size* bytes, in the try with this *number*."""

    peer: Peer
    size: int
    number: int


@dataclass
class _Search:
    """What is known of one peer: *misses* counts tries of the present size that brought no answer."""

    sizes: Bisection
    number: int = 0
    misses: int = 0

    @property
    def is_over(self) -> bool:
        return self.sizes.is_done or self.misses >= TRIES


class SizeSearch:
    """Which sizes are tried of which peers, and what they say; the clock is the caller's.

    >>> search, peer = SizeSearch(), Peer(UUID(int=1), 7)
    >>> search.begin({peer: 1500}.items())
    >>> search.due(0.0).size
    1500
    >>> search.sent(0.0)
    >>> search.note(peer, 1500, 1)
    >>> list(search.found)
    [(Peer(network_id=UUID('00000000-0000-0000-0000-000000000001'), member=7), 1500)]
    """

    def __init__(self) -> None:
        self._searches: dict[Peer, _Search] = {}
        self._frames: deque[SizedFrame] = deque()
        self._timers: list[tuple[float, Peer, int, int]] = []

    @property
    def unsent(self) -> int:
        """Of how many peers the largest size is still looked for."""
        return sum(not each.is_over for each in self._searches.values())

    @property
    def found(self) -> Iterator[tuple[Peer, int]]:
        """The largest size that reaches each peer of which it is known."""
        return ((peer, each.sizes.found) for peer, each in self._searches.items() if each.sizes.is_done)

    @property
    def next_s(self) -> float | None:
        """When `due` has something to say; 0 if it has already, None if never."""
        if self._frames:
            return 0.0
        return self._timers[0][0] if self._timers else None

    def begin(self, most_by_peer: Iterable[tuple[Peer, int]]) -> None:
        """Look for the largest size up to *most* of each peer; of one that is known, it does nothing."""
        for peer, most in most_by_peer:
            if peer not in self._searches:
                self._searches[peer] = _Search(Bisection(LEAST_SIZE, most))
                self._try(peer)

    def due(self, now_s: float) -> SizedFrame | None:
        """Return the frame that is to be sent at *now_s*, if there is one; `sent` then counts it."""
        while self._timers and self._timers[0][0] <= now_s:
            _, peer, number, size = heapq.heappop(self._timers)
            search = self._searches[peer]
            if number != search.number or search.is_over:
                continue
            if search.misses and size != LEAST_SIZE:
                self._frames.append(SizedFrame(peer, LEAST_SIZE, number))
                continue
            search.misses += 1
            if not search.is_over:
                self._try(peer)
        return self._frames[0] if self._frames else None

    def sent(self, now_s: float) -> None:
        """Note that the frame that is due was sent."""
        peer, size, number = self._frames.popleft()
        is_first = not self._searches[peer].misses
        wait_s = FIRST_PATIENCE_S if is_first else PATIENCE_S if size == LEAST_SIZE else GAP_S
        heapq.heappush(self._timers, (now_s + wait_s, peer, number, size))

    def note(self, peer: Peer, size: int, number: int) -> None:
        """Take note that *peer* has received the frame of *size* bytes of the try with this *number*."""
        search = self._searches.get(peer)
        if search is None:
            return
        sizes, before = search.sizes, search.sizes.size
        is_behind = size == LEAST_SIZE and number == search.number and search.misses > 0
        if not is_behind:
            sizes.note(size, has_arrived=True)
        elif not search.is_over:
            sizes.note(sizes.size, has_arrived=False)
        if sizes.size != before and not sizes.is_done:
            search.misses = 0
            self._try(peer)

    def _try(self, peer: Peer) -> None:
        """Have the size that is next for *peer* sent; if it was sent before, a small frame follows."""
        search = self._searches[peer]
        search.number = (search.number + 1) % _NUMBERS
        self._frames.append(SizedFrame(peer, search.sizes.size, search.number))
