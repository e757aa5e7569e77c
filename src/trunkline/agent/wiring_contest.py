"""A contest over the wiring: somebody else changes bridge and patch ports as often as they are repaired."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from trunkline.bridge.drift import CONTEST_TURNS, CONTEST_WINDOW_S
from trunkline.bridge.pace import Pace
from trunkline.runtime.log import Log

REPAIRS_PER_S = 10.0
"""How many repairs a second a contest gets: Open vSwitch goes through all of its ports for each."""


class WiringContest:
    """Whether somebody else changes bridge and patch ports again and again; *clock* counts seconds.

    The first `CONTEST_TURNS` repairs are made at once, further ones at `REPAIRS_PER_S`. While a repair has to
    wait for that, and for `CONTEST_WINDOW_S` after, a contest `is_on`.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._pace = Pace(rate=REPAIRS_PER_S, burst=CONTEST_TURNS)
        self._end_s = -math.inf
        self._is_waiting = False

    def take_turn(self) -> bool:
        """Return whether a repair may be written now; if so, it counts as one turn."""
        now_s, was_on = self._clock(), self.is_on
        self._is_waiting = not self._pace.take(now_s)
        if was_on or self._is_waiting:
            self._end_s = now_s + CONTEST_WINDOW_S
        if self._is_waiting and not was_on:
            self._log.warning("wiring is contested")
        return not self._is_waiting

    def rest(self) -> None:
        """Note that there is nothing to repair."""
        self._is_waiting = False

    @property
    def is_on(self) -> bool:
        """Whether somebody else changes the wiring again and again."""
        return self._clock() < self._end_s

    @property
    def next_s(self) -> float | None:
        """When a repair that waits may be written, by the clock; None if none waits."""
        return self._pace.next_s(1) if self._is_waiting else None

    @property
    def faults(self) -> dict[str, str]:
        """What an operator has to know: the agent cannot end the contest."""
        if not self.is_on:
            return {}
        return {
            "wiring": "another program changes the integration bridge or the patch ports again and again, "
            "and they are put back each time; find it, such as another network agent, and stop it"
        }
