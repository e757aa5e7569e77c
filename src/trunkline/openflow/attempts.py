"""The attempts to connect to a switch: how far apart they are, and what is said of connections that end."""

from __future__ import annotations

import os

import ovs.poller

from trunkline.runtime.log import Log
from trunkline.runtime.private import Reconnect

log = Log("openflow")

RETRY_MS = 100
"""How far apart attempts are while nobody takes connections: a local socket costs nothing to try."""

LONGEST_RETRY_MS = 5000
"""How far apart attempts are at most at a switch that takes connections and does not keep them."""

SOUND_MS = 10_000
"""How long a connection that was good for something holds at least."""

PROBE_INTERVAL_MS = 5000
"""How long a switch may be silent before it is asked for an echo, and then before it is given up."""


class Attempts:
    """Attempts to connect to *target*, the first at *now*; times are milliseconds of the monotonic clock.

    Where nobody is there, they are `RETRY_MS` apart: who comes is another process of the switch, and waits
    for its flows. Where connections are taken and end soon after, one after the other, they are further and
    further apart, up to `LONGEST_RETRY_MS`; *is_failing* says so, and the log, once.
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
        self.last_end = "it has yet to answer"

    @property
    def is_failing(self) -> bool:
        """Whether one connection after the other ended soon after it was made."""
        return self._short_ends > 1

    @property
    def failure(self) -> str:
        """Why there is no connection, as far as the last attempt showed."""
        often = "it ends again and again soon after it is made"
        return f"{often} ({self.last_end})" if self.is_failing else self.last_end

    @property
    def faults(self) -> dict[str, str]:
        """What keeps connections from holding, by subject."""
        if not self.is_failing:
            return {}
        return {
            "switch connection": f"{self.failure}; look into the log of ovs-vswitchd for what is wrong with "
            f"{self._target}"
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
        """Take note that nobody took a connection."""
        self.last_end = os.strerror(error)
        self._gap_ms = RETRY_MS
        self._reconnect.connect_failed(now, error)
        self._reconnect.put_off(RETRY_MS)

    def make(self, now: int) -> None:
        """Take note that a connection is made."""
        self._made_ms = now
        self._reconnect.connected(now)

    def receive(self, now: int, *, is_something: bool) -> None:
        """Take note that the connection was read, and whether there was something."""
        self._reconnect.receive_attempted(now)
        if is_something:
            self._reconnect.activity(now)

    def settle(self, now: int) -> None:
        """Take note that the connection is good for something: it may be so for long enough now."""
        if not self._short_ends or self._made_ms is None or now < self._made_ms + SOUND_MS:
            return
        if self.is_failing:
            log.info("switch keeps a connection again", target=self._target, ended=self._short_ends)
        self._short_ends, self._gap_ms = 0, RETRY_MS

    def end(self, now: int, why: str, *, was_ready: bool) -> None:
        """Take note that a connection, or the attempt to make one, ended; *was_ready*: it was of use."""
        self._reconnect.disconnected(now, 0)
        self.last_end = why
        held_ms = 0 if self._made_ms is None else now - self._made_ms
        # One that was given up for its silence took as long as it would have to wait.
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
        """Make no more."""
        self._reconnect.disable(now)
