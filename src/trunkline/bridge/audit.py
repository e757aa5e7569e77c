"""The audit: at intervals, all flows and what they rest on are compared with what should be."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.bridge.forwarding import Forwarding
from trunkline.bridge.upkeep import Upkeep


class Audit:
    """When the flows were audited last; the first audit is one interval after they were read.

    *clock* counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._audited_s: float | None = None
        self._interval_s = 0.0

    def run(self, forwarding: Forwarding, upkeep: Upkeep, interval_s: float) -> None:
        """Have everything compared if *interval_s* have passed; 0 means never."""
        self._interval_s = interval_s
        now_s, due_s = self._clock(), self.next_s
        if not forwarding.is_connected:
            self._audited_s = None
        elif self._audited_s is None:
            self._audited_s = now_s
        elif due_s is not None and now_s >= due_s:
            self._audited_s = now_s
            forwarding.audit()
            upkeep.audit(forwarding.session)

    @property
    def next_s(self) -> float | None:
        """When the next audit is due, by the clock; None if none is."""
        return (
            self._audited_s + self._interval_s if self._interval_s and self._audited_s is not None else None
        )
