"""The attempts to connect to a switch: how far apart they are, and what is reported about failures."""

from __future__ import annotations

import os

import ovs.poller

from trunkline.runtime.log import Log
from trunkline.runtime.private import Reconnect

log = Log("openflow")

RETRY_MS = 100
"""The gap between attempts while the switch accepts no connections; a local socket costs nothing to try."""

LONGEST_RETRY_MS = 5000
"""The longest gap between attempts, for a switch that accepts connections but does not keep them."""

SOUND_MS = 10_000
"""How long a connection must last to count as sound."""

PROBE_INTERVAL_MS = 5000
"""How long a switch may be silent before it is asked for an echo, and again before it counts as lost."""


class Attempts:
    """Attempts to connect to *target*, the first at *now*; times are milliseconds of the monotonic clock.

    While the switch accepts no connections, attempts are `RETRY_MS` apart, because the next switch process
    waits for its flows. If it accepts connections and each ends soon after, the gaps grow up to
    `LONGEST_RETRY_MS`; *is_failing* is then true, and the log says so once.
    """

    def __init__(self, target: str, now: int) -> None:
        self._target = target
        self._reconnect = Reconnect(now, RETRY_MS)
        self._reconnect.set_name(target)
        self._reconnect.set_quiet(True)
        self._reconnect.set_probe_interval(PROBE_INTERVAL_MS)
        self._reconnect.enable(now)
        self._made_ms: int | None = None
        self._gap_ms = RETRY_MS
        self._short_ends = 0
        self.last_end = "it has not answered yet"

    @property
    def is_failing(self) -> bool:
        """Whether several connections in a row ended soon after they were made."""
        return self._short_ends > 1

    @property
    def failure(self) -> str:
        """Why there is no connection, by the last attempt."""
        often = "each connection ends soon after it is made"
        return f"{often} ({self.last_end})" if self.is_failing else self.last_end

    @property
    def faults(self) -> dict[str, str]:
        """The fault if connections do not last, by subject."""
        if not self.is_failing:
            return {}
        return {
            "switch connection": f"each connection to {self._target} ends soon after it is made "
            f"({self.last_end}); see the log of ovs-vswitchd for the cause"
        }

    def run(self, now: int) -> str | None:
        """Return what is due, as `ovs.reconnect.Reconnect.run` does."""
        step: str | None = self._reconnect.run(now)
        return step

    def wait(self, poller: ovs.poller.Poller, now: int) -> None:
        """Have *poller* wake when `run` or `settle` has something to do."""
        self._reconnect.wait(poller, now)
        if self._short_ends and self._made_ms is not None:
            poller.timer_wait_until(self._made_ms + SOUND_MS)

    def begin(self, now: int) -> None:
        """Take note that a connection is being made."""
        self._reconnect.connecting(now)

    def fail(self, now: int, error: int) -> None:
        """Take note that the switch did not accept a connection."""
        self.last_end = os.strerror(error)
        self._gap_ms = RETRY_MS
        self._reconnect.connect_failed(now, error)
        self._reconnect.put_off(RETRY_MS)

    def make(self, now: int) -> None:
        """Take note that a connection is made."""
        self._made_ms = now
        self._reconnect.connected(now)

    def receive(self, now: int, *, is_something: bool) -> None:
        """Take note that the connection was read, and whether there was data."""
        self._reconnect.receive_attempted(now)
        if is_something:
            self._reconnect.activity(now)

    def settle(self, now: int) -> None:
        """Take note that the connection is in use; after `SOUND_MS` it counts as sound."""
        if not self._short_ends or self._made_ms is None or now < self._made_ms + SOUND_MS:
            return
        if self.is_failing:
            log.info("switch keeps a connection again", target=self._target, ended=self._short_ends)
        self._short_ends, self._gap_ms = 0, RETRY_MS

    def end(self, now: int, why: str, *, was_ready: bool) -> None:
        """Take note that a connection, or the attempt to make one, ended; *was_ready*: it could be used."""
        self._reconnect.disconnected(now, 0)
        self.last_end = why
        held_ms = 0 if self._made_ms is None else now - self._made_ms
        # If the switch was silent, the time until it counted as lost is part of the gap.
        self._reconnect.put_off(max(RETRY_MS, self._gap_ms - held_ms))
        if self._made_ms is None:
            return
        self._made_ms = None
        is_short = not was_ready or held_ms < SOUND_MS
        self._short_ends = self._short_ends + 1 if is_short else 0
        self._gap_ms = min(2 * self._gap_ms, LONGEST_RETRY_MS) if is_short else RETRY_MS
        if not self.is_failing:
            log.warning("switch disconnected", target=self._target, reason=why)
        elif self._short_ends == 2:
            log.warning("switch does not keep connections", target=self._target, reason=why)

    def stop(self, now: int) -> None:
        """Make no more attempts."""
        self._reconnect.disable(now)
