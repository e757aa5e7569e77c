"""Trouble: told as it begins and as it ends, and tried again less and less often."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from trunkline.runtime.trouble import Trouble


@dataclass
class Told:
    """A trouble on a clock of its own, and what it said."""

    now_s: float = 100.0
    said: list[object] = field(default_factory=list)

    def trouble(self, quiet_s: float | None = None) -> Trouble:
        return Trouble(
            self.said.append,
            self.said.append,
            first_s=1,
            longest_s=4,
            quiet_s=quiet_s,
            clock=lambda: self.now_s,
        )


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_waits_grow_up_to_the_longest_and_nothing_is_said_in_between(told: Told) -> None:
    trouble, waits = told.trouble(), []
    for number in range(5):
        trouble.note(f"reason {number}")
        started_s = told.now_s
        while trouble.is_held:
            told.now_s += 0.5
        waits.append(told.now_s - started_s)
    assert waits == [1, 2, 4, 4, 4]
    assert told.said == ["reason 0"]
    assert trouble.reason == "reason 4"
    trouble.over()
    trouble.over()
    assert told.said == ["reason 0", 5]
    assert trouble.reason is None
    trouble.note("again")
    told.now_s += 1
    assert not trouble.is_held, "after the end, all begins anew"


def test_a_flood_does_not_put_the_next_attempt_off(told: Told) -> None:
    trouble = told.trouble()
    trouble.note("flood")
    for _ in range(9):
        told.now_s += 0.1
        trouble.note("flood")
    told.now_s += 0.2
    assert not trouble.is_held


def test_it_is_over_when_it_has_not_happened_for_long(told: Told) -> None:
    trouble = told.trouble(quiet_s=10)
    trouble.note("odd")
    told.now_s += 9
    trouble.settle()
    assert told.said == ["odd"]
    told.now_s += 1
    trouble.settle()
    assert told.said == ["odd", 1]


def test_another_peer_is_tried_at_once_and_that_ends_nothing(told: Told) -> None:
    trouble = told.trouble()
    for _ in range(4):
        trouble.note("refused")
        told.now_s += 4
    trouble.note("refused")
    assert trouble.is_held
    trouble.forgive()
    assert not trouble.is_held
    assert trouble.reason == "refused"
    assert told.said == ["refused"]
