"""Patience: how long the server of a database may be silent before a client gives up the connection.

A server to which a thousand clients come back at once is silent for a long time. Clients that give up and
connect again keep it busy; but one that has died should not be waited for that long.
"""

from __future__ import annotations

SHORTEST_MS = 5_000
LONGEST_MS = 60_000
STEADY = 10
"""If a connection has held for this many intervals, the server keeps up."""


class Patience:
    """The probe interval of one client: it doubles with each connection that does not hold.

    If the server is silent for *interval_ms*, the client probes it, and gives up after as long again without
    an answer.
    """

    def __init__(self) -> None:
        self.interval_ms = SHORTEST_MS
        self._since_ms: int | None = None

    def watch(self, now_ms: int, *, is_connected: bool) -> int:
        """Note whether the server is connected at *now_ms*; return the interval to use.

        >>> patience = Patience()
        >>> [patience.watch(1000 * second, is_connected=second % 2 == 1) for second in range(6)]
        [5000, 5000, 10000, 10000, 20000, 20000]
        """
        if is_connected:
            if self._since_ms is None:
                self._since_ms = now_ms
            elif now_ms - self._since_ms >= STEADY * self.interval_ms:
                self.interval_ms = SHORTEST_MS
        elif self._since_ms is not None:
            self._since_ms = None
            self.interval_ms = min(2 * self.interval_ms, LONGEST_MS)
        return self.interval_ms
