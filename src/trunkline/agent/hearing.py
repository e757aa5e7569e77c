"""Hearing: a chassis that is slow to apply the latest request of `sync` or `status` says that it heard it."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.ovsdb.nb_replica import NorthboundReplica

PATIENCE_S = 0.5
"""How long a chassis may take to apply a request before it says that it has heard it.

So a chassis that keeps up answers once. One that is behind can be told from one that is silent, within the
2 s for which `trunkline status` waits.
"""


class Hearing:
    """The latest request that the northbound holds, heard at one moment of *clock*, which counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._nb: NorthboundReplica | None = None
        self._nb_cfg: int | None = None
        self._heard_s = 0.0
        self.is_switch_asked = False
        """Whether the switch was asked for its answer to the request, after it was wired."""

    def hear(self, nb: NorthboundReplica | None) -> bool:
        """Note the latest request in *nb*; return whether it is a new one."""
        nb_cfg = nb.nb_cfg if nb is not None else None
        if (nb, nb_cfg) == (self._nb, self._nb_cfg):
            return False
        self._nb, self._nb_cfg, self._heard_s = nb, nb_cfg, self._clock()
        self.is_switch_asked = False
        return True

    def must_ask_switch(self, *, is_wired: bool) -> bool:
        """Return whether the switch is to be asked now: once for each request, when it *is_wired*.

        ovs-vswitchd deletes all flows of a bridge when its controllers change. So an answer that the switch
        gave before its wiring was put back says nothing about the flows: it is asked again.
        """
        must_ask = is_wired and not self.is_switch_asked
        self.is_switch_asked = is_wired
        return must_ask

    @property
    def due(self) -> int | None:
        """The number of the request that is to be reported as heard; None if there is none, or not yet."""
        return None if self._is_answered or self._clock() < self._heard_s + PATIENCE_S else self._nb_cfg

    @property
    def _is_answered(self) -> bool:
        nb = self._nb
        return nb is None or self._nb_cfg in (None, nb.reported_nb_cfg, nb.reported_nb_cfg_heard)

    @property
    def next_s(self) -> float | None:
        """When a request becomes `due`, by the clock; None if none will."""
        due_s = self._heard_s + PATIENCE_S
        return None if self._is_answered or self._clock() >= due_s else due_s
