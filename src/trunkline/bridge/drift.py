"""Drift: flows that somebody else changed. They are logged and repaired, at a limited rate.

One change, however large, is repaired at once. But a program that changes flows again and again, such as
another controller, could keep the agent, the switch and the log as busy as it is itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.openflow.error import DecodeError
from trunkline.openflow.text import encoded_text
from trunkline.runtime.burst import Burst
from trunkline.runtime.log import Log

LINES_PER_S = 10
"""How many lines of the log a second of drift may take; one more line counts the rest of that second."""


CONTEST_TURNS = 30
"""More repairs than that in `CONTEST_WINDOW_S` are a contest. After a wipe of 22,000 flows it takes 2."""

CONTEST_WINDOW_S = 10.0
CONTEST_HOLD_S = 0.05
"""How far apart repairs are in a contest: each flow is still back within the promised 100 ms."""


class Contest:
    """Whether somebody else changes flows again and again; *clock* counts seconds.

    A turn is one repair, of all that has drifted so far. While a contest `is_on`, turns are `CONTEST_HOLD_S`
    apart, and the log has one line each `CONTEST_WINDOW_S` that says how many flows were repaired, and in
    which tables. The contest is over after a window with few turns.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self.is_on = False
        self._window_end_s = 0.0
        self._last_turn_s = 0.0
        self._turns = 0
        self._flows = 0
        self._tables: set[int] = set()
        self._contested: set[int] = set()

    def note(self, key: bytes) -> None:
        """Note that the flow at *key* drifted."""
        self.settle()
        self._flows += 1
        self._tables.add(key[0])

    def take_turn(self) -> bool:
        """Return whether repairs may be sent now; if so, they count as one turn."""
        now_s = self._clock()
        if self.is_on and now_s < self._last_turn_s + CONTEST_HOLD_S:
            return False
        self._last_turn_s = now_s
        self._turns += 1
        if not self.is_on and self._turns > CONTEST_TURNS:
            self.is_on = True
            self._log_repairs()
        return True

    def settle(self) -> None:
        """At the end of a window, log what it had, and begin the next one."""
        now_s = self._clock()
        if now_s < self._window_end_s:
            return
        if self.is_on and self._turns > CONTEST_TURNS:
            self._log_repairs()
        elif self.is_on:
            self.is_on = False
            self._log.info("flows are no longer contested")
        self._window_end_s = now_s + CONTEST_WINDOW_S
        self._turns, self._flows = 0, 0
        self._tables = set()

    def next_s(self, *, is_waiting: bool) -> float | None:
        """Return when there is something to do, by the clock; *is_waiting*: there is a repair to send."""
        if not self.is_on:
            return None
        turn_s = self._last_turn_s + CONTEST_HOLD_S
        return min(turn_s, self._window_end_s) if is_waiting else self._window_end_s

    @property
    def faults(self) -> dict[str, str]:
        """What an operator has to know: the agent cannot end the contest."""
        if not self.is_on:
            return {}
        tables = ", ".join(str(table) for table in sorted(self._contested))
        return {
            "flows": f"another program changes our flows in table {tables} again and again, and they are put "
            "back each time; find it, and stop it (the agent's log counts the repairs)"
        }

    def _log_repairs(self) -> None:
        self._contested = set(self._tables)
        tables = ",".join(str(table) for table in sorted(self._tables))
        self._log.warning("flows are contested", repairs=self._flows, tables=tables)


class DriftLog:
    """Logs what was wanted and what was found, for each flow that drifted; *clock* counts seconds."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._burst = Burst(LINES_PER_S, lambda count: log.warning("more flows drifted", flows=count), clock)

    def report(self, key: bytes, wanted: bytes | None, found: bytes | None) -> None:
        """Log the flow at *key*: the *wanted* and the *found* body, None for no flow of ours."""
        if self._burst.admits():
            self._log.warning("flow drifted", wanted=_text(key, wanted), found=_text(key, found))

    def settle(self) -> None:
        """Log how many flows were left out, once their second is over."""
        self._burst.settle()

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to log."""
        return self._burst.is_settled


def _text(key: bytes, body: bytes | None) -> str:
    if body is None:
        return "none"
    try:
        return encoded_text(key, body)
    except DecodeError:
        return f"0x{key.hex()}"
