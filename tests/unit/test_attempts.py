"""When a session tries to connect to its switch: on a clock that the test moves."""

from __future__ import annotations

import errno

import ovs.poller
import ovs.reconnect
import pytest

from trunkline.openflow.attempts import LONGEST_RETRY_MS, RETRY_MS, SOUND_MS, Attempts


class Clock:
    """Attempts whose time goes on as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.attempts = Attempts("unix:switch", self.now)

    def await_attempt(self) -> int:
        """Let time go on to the next attempt, as a loop would; return the milliseconds that it took."""
        started = self.now
        while self.attempts.run(self.now) != ovs.reconnect.CONNECT:
            poller = ovs.poller.Poller()
            self.attempts.wait(poller, self.now)
            assert poller.timeout > 0, "it is waited for, and not spun for"
            self.now += poller.timeout
        return self.now - started

    def connect(self) -> None:
        self.attempts.begin(self.now)
        self.attempts.make(self.now)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    assert clock.await_attempt() == 0
    return clock


@pytest.mark.parametrize("outage_ms", [0, 2_000, 600_000])
def test_a_switch_that_comes_back_is_found_at_once_however_long_it_was_away(
    clock: Clock, outage_ms: int
) -> None:
    clock.connect()
    clock.now += SOUND_MS
    clock.attempts.end(clock.now, "closed by the switch", was_ready=True)
    back = clock.now + outage_ms
    while clock.now < back:
        waited = clock.await_attempt()
        assert waited <= RETRY_MS
        clock.attempts.fail(clock.now, errno.ENOENT)
    assert clock.await_attempt() <= RETRY_MS


def _gaps(clock: Clock, times: int, held_ms: int = 0) -> list[int]:
    gaps = []
    for _ in range(times):
        clock.connect()
        clock.now += held_ms
        clock.attempts.end(clock.now, "closed by the switch", was_ready=held_ms > 0)
        gaps.append(clock.await_attempt())
    return gaps


def test_a_switch_that_keeps_no_connection_is_tried_less_and_less_often(clock: Clock) -> None:
    assert _gaps(clock, 8) == [100, 200, 400, 800, 1600, 3200, LONGEST_RETRY_MS, LONGEST_RETRY_MS]
    assert clock.attempts.is_failing
    assert "closed by the switch" in clock.attempts.faults["switch connection"]


def test_a_silent_switch_has_been_waited_for_already(clock: Clock) -> None:
    assert _gaps(clock, 8, held_ms=LONGEST_RETRY_MS) == [RETRY_MS] * 8


def test_another_process_of_a_switch_is_tried_at_once(clock: Clock) -> None:
    _gaps(clock, 8)
    clock.attempts.fail(clock.now, errno.ECONNREFUSED)
    assert clock.await_attempt() == RETRY_MS
    assert _gaps(clock, 2) == [100, 200]


def test_a_connection_that_holds_makes_up_for_those_that_did_not(clock: Clock) -> None:
    _gaps(clock, 4)
    clock.connect()
    clock.attempts.settle(clock.now + SOUND_MS - 1)
    assert clock.attempts.is_failing
    clock.attempts.settle(clock.now + SOUND_MS)
    assert not clock.attempts.is_failing
    assert clock.attempts.faults == {}
    clock.attempts.end(clock.now + SOUND_MS, "closed by the switch", was_ready=True)
    assert clock.await_attempt() <= SOUND_MS + RETRY_MS
