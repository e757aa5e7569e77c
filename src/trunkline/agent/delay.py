"""How long changes take until the switch has acknowledged their flows, as histograms.

The times are those at which turns of the loop began: no clock is read for this. What is under way is bounded,
and nothing is kept of a port once its flows are in place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from trunkline.core.inventory import Inventory
from trunkline.core.model import Vif

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the buckets; one more holds what took longer."""

MOST_CHANGES = 256
"""How many changes of the northbound are timed at once; the next ones are not."""

MOST_VIFS = 1000
"""Likewise for VIFs."""


class Histogram:
    """How many delays there were of each length.

    >>> delays = Histogram(); delays.observe(0.02); delays.observe(0.025); delays.observe(3600)
    >>> delays.counts[2], delays.counts[-1], delays.sum_s
    (2, 1, 3600.045)
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, delay_s: float) -> None:
        """Count one delay."""
        self.counts[bisect_left(BOUNDS_S, delay_s)] += 1
        self.sum_s += delay_s

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"bounds": list(BOUNDS_S), "counts": list(self.counts), "sum": round(self.sum_s, 6)}


class _Change(NamedTuple):
    revision: int
    began_s: float


class Delays:
    """The delays of a chassis.

    *convergence* is the time from the turn that read a change of the northbound to the one that read the
    switch's acknowledgement; a change that leaves the flows as they are is none. *bind* is that from a VIF
    that was not here before to the acknowledgement of all that the northbound says of its port; a VIF without
    a port that may send here is none.
    """

    def __init__(self) -> None:
        self.convergence = Histogram()
        self.bind = Histogram()
        self._changes: deque[_Change] = deque()
        self._plugged: dict[str, float] = {}
        self._unready: set[str] = set()

    def read(self, before: int | None, revision: int, began_s: float) -> None:
        """Note that the turn that began at *began_s* has read rows.

        They have brought the inventory from the revision *before* to *revision*; None: to begin with.
        """
        if before is not None and revision > before and len(self._changes) < MOST_CHANGES:
            self._changes.append(_Change(revision, began_s))

    def plug(self, changed: Mapping[str, Sequence[Vif]], known: Collection[str], began_s: float) -> None:
        """Note the VIFs that *changed*, by iface-id, of which *known* were here before.

        The time of a VIF that comes without an ofport, or without a link, begins once it has both.
        """
        for iface_id, vifs in changed.items():
            is_ready = bool(vifs) and vifs[0].ofport is not None and vifs[0].link_fault is None
            is_new = iface_id not in known or iface_id in self._unready
            self._unready.discard(iface_id)
            if vifs and is_new and len(self._plugged) + len(self._unready) < MOST_VIFS:
                if is_ready:
                    self._plugged[iface_id] = began_s
                else:
                    self._unready.add(iface_id)

    def settle(self, inventory: Inventory, applied: int, began_s: float, *, is_complete: bool) -> None:
        """Count what is in place at the end of the turn that began at *began_s*.

        *applied* is the revision that the switch has acknowledged; *is_complete* says whether all that the
        VIFs here need has been read.
        """
        # Revisions only grow.
        while self._changes and applied >= self._changes[0].revision:
            change = self._changes.popleft()
            # Nothing had to be sent if the same turn is done with it.
            if change.began_s < began_s:
                self.convergence.observe(began_s - change.began_s)
        if self._plugged and applied >= inventory.revision:
            for iface_id, plugged_s in list(self._plugged.items()):
                is_bound = any(map(inventory.is_local, inventory.carried_by(iface_id)))
                if is_bound:
                    self.bind.observe(began_s - plugged_s)
                if is_bound or is_complete:
                    del self._plugged[iface_id]
