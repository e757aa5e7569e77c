"""The largest packet that passes, found over a wire that loses frames and is slow."""

from __future__ import annotations

import heapq
from itertools import takewhile
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.bridge.size_search import FIRST_PATIENCE_S, GAP_S, PATIENCE_S, Peer, SizeSearch
from trunkline.core.probe import LEAST_SIZE

PEER = Peer(UUID(int=1), 7)
MTU = 1500


def searched(
    passes: int, delay_s: float = 0.01, lost: frozenset[int] = frozenset()
) -> tuple[SizeSearch, int]:
    """Return a search that is over, and how many frames it took.

    The wire loses what is larger than *passes*, and the frames with the numbers in *lost*. The answer to a
    frame comes *delay_s* after it.
    """
    search, now_s, sent = SizeSearch(), 0.0, 0
    answers: list[tuple[float, int, int, int]] = []
    search.begin([(PEER, MTU)])
    while answers or search.unsent:
        while (frame := search.due(now_s)) is not None:
            search.sent(now_s)
            if frame.size <= passes and sent not in lost:
                heapq.heappush(answers, (now_s + delay_s, sent, frame.size, frame.number))
            sent += 1
        due_s = [each[0] for each in answers[:1]]
        if search.next_s is not None:
            due_s.append(search.next_s)
        now_s = max(now_s, min(due_s, default=now_s))
        while answers and answers[0][0] <= now_s:
            _, _, size, number = heapq.heappop(answers)
            search.note(PEER, size, number)
    return search, sent


def test_a_size_that_passes_takes_one_frame() -> None:
    search, sent = searched(MTU)
    assert (dict(search.found), sent) == ({PEER: MTU}, 1)


@given(st.integers(LEAST_SIZE, MTU), st.floats(0, PATIENCE_S * 0.9), st.integers(0, 40))
def test_one_lost_frame_and_late_answers_are_not_taken_for_a_small_mtu(
    passes: int, delay_s: float, lost: int
) -> None:
    search, _ = searched(passes, delay_s, frozenset({lost}))
    assert dict(search.found) == {PEER: passes}


@pytest.mark.parametrize("passes", [MTU, 1400])
def test_answers_that_come_when_all_patience_is_over_still_count(passes: int) -> None:
    search, _ = searched(passes, delay_s=FIRST_PATIENCE_S + 3 * PATIENCE_S)
    assert dict(search.found) in ({PEER: passes}, {})
    assert not search.unsent


def test_of_a_peer_that_answers_nothing_no_size_is_known() -> None:
    search, sent = searched(0)
    assert (dict(search.found), search.unsent) == ({}, 0)
    assert sent <= 7, "it is not asked for each size"


def searched_by_batches(
    most_by_peer: dict[Peer, int], passes_by_peer: dict[Peer, int], turn_s: float
) -> SizeSearch:
    """Return a search that is over, of peers behind one port of a switch.

    The switch takes what waits for it once in *turn_s*, and of what it takes together, loses what is behind
    a frame that is too large.
    """
    search, now_s = SizeSearch(), 0.0
    waiting: list[tuple[Peer, int, int]] = []
    search.begin(most_by_peer.items())
    while waiting or search.unsent:
        while (frame := search.due(now_s)) is not None:
            search.sent(now_s)
            waiting.append(frame)
        now_s += turn_s
        batch, waiting = waiting, []
        for peer, size, number in takewhile(lambda each: each[1] <= passes_by_peer[each[0]], batch):
            search.note(peer, size, number)
    return search


@given(
    st.lists(st.tuples(st.integers(1390, 1410), st.integers(1420, MTU)), min_size=1, max_size=6),
    st.floats(0.001, GAP_S * 0.9),
)
def test_what_a_switch_loses_together_with_a_large_frame_is_not_taken_for_too_large(
    sizes: list[tuple[int, int]], turn_s: float
) -> None:
    passes_by_peer = {Peer(UUID(int=n), 7): passes for n, (passes, _) in enumerate(sizes)}
    most_by_peer = {Peer(UUID(int=n), 7): most for n, (_, most) in enumerate(sizes)}
    search = searched_by_batches(most_by_peer, passes_by_peer, turn_s)
    assert dict(search.found) == passes_by_peer


@given(st.lists(st.integers(1390, 1410), min_size=1, max_size=6), st.floats(GAP_S, 1))
def test_a_switch_that_is_slower_than_that_leaves_sizes_unknown_at_most(
    passes: list[int], turn_s: float
) -> None:
    passes_by_peer = {Peer(UUID(int=n), 7): each for n, each in enumerate(passes)}
    search = searched_by_batches(dict.fromkeys(passes_by_peer, MTU), passes_by_peer, turn_s)
    assert dict(search.found).items() <= passes_by_peer.items()


def test_a_frame_behind_counts_for_its_own_try_alone() -> None:
    """The answer to the small frame of a try that is over says nothing of the size that is tried now."""
    search = SizeSearch()
    search.begin([(PEER, MTU)])
    now_s = 0.0
    numbers: list[int] = []
    while len(numbers) < 2 and search.next_s is not None:
        now_s = max(now_s, search.next_s)
        while (frame := search.due(now_s)) is not None:
            search.sent(now_s)
            if frame.size == LEAST_SIZE:
                numbers.append(frame.number)
    search.note(PEER, LEAST_SIZE, numbers[0])
    assert search.unsent
    search.note(PEER, MTU, numbers[0])
    assert dict(search.found) == {PEER: MTU}
