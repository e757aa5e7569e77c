"""Drift: flows that somebody else changed, told to the operator without flooding the log."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.agent.log import Log
from trunkline.openflow.error import DecodeError
from trunkline.openflow.text import encoded_text

LINES_PER_S = 10
"""How many lines a second of drift may fill; the rest of that second is counted in one."""


class DriftLog:
    """Says of each flow that drifted what was wanted and what was found; *clock* counts seconds."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._second = -1
        self._lines = 0
        self._unsaid = 0

    def say(self, key: bytes, wanted: bytes | None, found: bytes | None) -> None:
        """Report the flow at *key*, as bodies; None where there should be, or is, none of ours."""
        self.settle()
        self._lines += 1
        if self._lines > LINES_PER_S:
            self._unsaid += 1
        else:
            self._log.warning("flow drifted", wanted=_text(key, wanted), found=_text(key, found))

    def settle(self) -> None:
        """Report how many flows were left out, once their second is over."""
        second = int(self._clock())
        if second == self._second:
            return
        if self._unsaid:
            self._log.warning("more flows drifted", flows=self._unsaid)
        self._second, self._lines, self._unsaid = second, 0, 0

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to report."""
        return not self._unsaid


def _text(key: bytes, body: bytes | None) -> str:
    if body is None:
        return "none"
    try:
        return encoded_text(key, body)
    except DecodeError:
        return f"0x{key.hex()}"
