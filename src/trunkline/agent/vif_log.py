"""The log of VIFs: which are there, and what becomes of them; a burst of changes is cut short."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from trunkline.core.model import Vif
from trunkline.runtime.burst import Burst
from trunkline.runtime.log import MANY, Log


class VifLog:
    """Writes a line for each VIF that changes, but at most `MANY` in a second; one more counts the others.

    *clock* counts seconds.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._burst = Burst(MANY, lambda count: log.info("more vifs changed", count=count), clock)

    def report(self, vifs: Mapping[str, Iterable[Vif]]) -> None:
        """Log the *vifs* that changed, by iface-id: none, if they are gone."""
        if len(vifs) > MANY:
            self._log.each("vif", vifs, lambda id_: _values(id_, vifs[id_]))
            return
        for iface_id, some in vifs.items():
            say = self._log.info if self._burst.admits() else self._log.debug
            say("vif", **_values(iface_id, some))

    def settle(self) -> None:
        """Log how many changes were left out, once their second is over."""
        self._burst.settle()

    @property
    def next_s(self) -> float | None:
        """When there is something to log, by the clock; None if there is nothing."""
        return self._burst.next_s


def _values(iface_id: str, vifs: Iterable[Vif]) -> dict[str, object]:
    return {"iface_id": iface_id, "ofports": ",".join(str(vif.ofport) for vif in vifs) or "gone"}
