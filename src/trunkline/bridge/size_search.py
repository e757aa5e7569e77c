"""The search for the largest packet that reaches each peer: this chassis' part in a probe of sizes.

Time alone does not tell a large frame that is lost from an answer that is late. So a size that brought no
answer is tried again between two small frames. Frames of one sender to one receiver keep their order: if the
receiver says that both small ones have come, and not the large one, that one is lost. If the small one behind
it has come alone, what went just before took both others with it, and the size is tried again. If none has
come, nothing is known. While such three go, no other frame does: one that is too large would take them along.
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
"""How long an answer may take before a size is tried again: at first, and with small frames around it."""

GAP_S = 0.05
"""How long after a large frame the small one goes: a switch may lose all that it sends together with it."""

TRIES = 3
"""After so many tries without any answer, the largest size of that peer stays unknown."""

DOUBTS = 50
"""And after so many of one size of which only the small frame behind it came."""

_NUMBERS = 256


class Peer(NamedTuple):
    """Another chassis in one network, by its number in frames."""

    network_id: UUID
    member: int


class SizedFrame(NamedTuple):
    """A frame to send to *peer* whose packet has *size* bytes; *number* tells it from its last 255."""

    peer: Peer
    size: int
    number: int


@dataclass
class _Search:
    """What is known of one peer: *misses* counts tries of the present size that brought no answer.

    Each frame has a number: *number* is the last one's, the others are those of the present try.
    """

    sizes: Bisection
    number: int = 0
    before: int | None = None
    large: int | None = None
    behind: int | None = None
    is_before_heard: bool = False
    misses: int = 0
    doubts: int = 0

    @property
    def frames(self) -> tuple[int | None, ...]:
        return self.before, self.large, self.behind

    @property
    def is_over(self) -> bool:
        return self.sizes.is_done or self.misses >= TRIES or self.doubts >= DOUBTS


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
        self._first_tries: deque[SizedFrame] = deque()
        self._doubted: deque[Peer] = deque()
        self._guarded: Peer | None = None
        """The peer to which three frames are under way, of which the last is not sent yet."""
        self._guarded_frames: deque[SizedFrame] = deque()
        self._timers: list[tuple[float, Peer, int]] = []

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
        if self._queue or (self._guarded is None and self._doubted):
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
            _, peer, number = heapq.heappop(self._timers)
            search = self._searches[peer]
            if search.is_over or number not in (search.large, search.behind):
                continue
            if number == search.large and self._guarded == peer:
                search.behind = self._frame(peer, LEAST_SIZE, self._guarded_frames)
                continue
            search.misses += 1
            if not search.is_over:
                self._try(peer)
        while self._guarded is None and self._doubted:
            peer = self._doubted.popleft()
            search = self._searches[peer]
            if not search.is_over:
                self._guarded = peer
                search.before = self._frame(peer, LEAST_SIZE, self._guarded_frames)
                search.large = self._frame(peer, search.sizes.size, self._guarded_frames)
        while self._queue and self._queue[0].number not in self._searches[self._queue[0].peer].frames:
            self._queue.popleft()
        return self._queue[0] if self._queue else None

    def sent(self, now_s: float) -> None:
        """Note that the frame that is due was sent."""
        peer, _, number = self._queue.popleft()
        search = self._searches[peer]
        if number == search.large:
            wait_s = FIRST_PATIENCE_S if self._guarded is None else GAP_S
            heapq.heappush(self._timers, (now_s + wait_s, peer, number))
        elif number == search.behind:
            heapq.heappush(self._timers, (now_s + PATIENCE_S, peer, number))
            self._guarded = None

    def note(self, peer: Peer, size: int, number: int) -> None:
        """Take note that *peer* has received the frame of *size* bytes with this *number*."""
        search = self._searches.get(peer)
        if search is None:
            return
        before = search.sizes.size
        if size != LEAST_SIZE:
            search.sizes.note(size, has_arrived=True)
        elif number == search.before:
            search.is_before_heard = True
        elif number == search.behind and not search.is_over:
            self._note_behind(peer, search)
        if search.sizes.size != before or search.sizes.is_done:
            search.misses = search.doubts = 0
            self._try(peer)

    def _note_behind(self, peer: Peer, search: _Search) -> None:
        """Take note that the small frame behind the present size has come, and this size has not."""
        if search.is_before_heard:
            search.sizes.note(search.sizes.size, has_arrived=False)
            return
        search.doubts += 1
        if not search.is_over:
            self._try(peer)

    def _try(self, peer: Peer) -> None:
        """Have the size that is next for *peer* sent, if there is one, in the place of what was tried."""
        search = self._searches[peer]
        search.before = search.large = search.behind = None
        search.is_before_heard = False
        if self._guarded == peer:
            self._guarded = None
            self._guarded_frames.clear()
        if search.is_over:
            return
        if search.misses or search.doubts:
            self._doubted.append(peer)
        else:
            search.large = self._frame(peer, search.sizes.size, self._first_tries)

    def _frame(self, peer: Peer, size: int, queue: deque[SizedFrame]) -> int:
        """Have a frame of *size* bytes sent to *peer* from *queue*, and return its number."""
        search = self._searches[peer]
        search.number = (search.number + 1) % _NUMBERS
        queue.append(SizedFrame(peer, size, search.number))
        return search.number

    @property
    def _queue(self) -> deque[SizedFrame]:
        """The frames of which the first is to be sent now."""
        return self._first_tries if self._guarded is None else self._guarded_frames
