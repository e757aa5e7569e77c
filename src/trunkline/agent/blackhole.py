"""A black hole: a provider bridge that drops every frame, since it has no flows, or our port is blocked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

import ovs.poller

from trunkline.openflow.census import Census
from trunkline.ovsdb.interface import ofport_of
from trunkline.ovsdb.patch_pair import BridgeMapping
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.ovsdb.way_out import shows_all_flows
from trunkline.runtime.log import Log

log = Log("blackhole")

HURRY_S = 1.0
"""How far apart questions are to a bridge that had no flows."""

LEISURE_S = 7.0
"""How far apart they are, at least, to one that had some: the switch does not tell us when these go."""

SLACK_S = 4.0
"""How long such a question may wait for something else to wake the loop: an idle loop wakes every 5 s."""


class _Watch:
    """What is known of one bridge: when it is asked next, and how often in a row it had no flows.

    If *is_wanted*, it is asked as soon as possible.
    """

    def __init__(self, target: str) -> None:
        self.census = Census(target)
        self.ask_s = 0.0
        self.is_wanted = False
        self.empties = 0

    @property
    def wake_s(self) -> float:
        """When the loop must run to ask the bridge."""
        if self.is_wanted:
            return 0.0
        return self.ask_s if self.empties else self.ask_s + SLACK_S


class BlackHoles:
    """Which provider bridges of *switch* drop everything: *bridges*; *clock* counts seconds.

    A bridge counts as a black hole if it had no flows twice, `HURRY_S` apart: after the first time, a
    controller may be about to write them. If somebody blocked our patch port there, it is unblocked;
    *repairs* counts that.
    """

    def __init__(
        self, switch: SwitchReplica, rundir: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bridges: frozenset[str] = frozenset()
        self.repairs = 0
        self._switch = switch
        self._rundir = rundir
        self._clock = clock
        self._watch_by_bridge: dict[str, _Watch] = {}

    def run(self, mapped: Iterable[str]) -> None:
        """Ask the *mapped* bridges, as far as that is possible without waiting.

        What was known of a bridge that does not answer stays.
        """
        countable = {name for name in mapped if shows_all_flows(self._switch, name)}
        for name in self._watch_by_bridge.keys() - countable:
            self._watch_by_bridge.pop(name).census.close()
        now_s = self._clock()
        for name in countable:
            watch = self._watch_by_bridge.get(name)
            if watch is None:
                watch = _Watch(f"unix:{os.path.join(self._rundir, name)}.mgmt")
                self._watch_by_bridge[name] = watch
            self._check(watch, self._own_ofport(name), now_s)
        self.bridges = frozenset(name for name, watch in self._watch_by_bridge.items() if watch.empties > 1)

    def look(self) -> None:
        """Have the next `run` ask all bridges, whenever they were asked last."""
        for watch in self._watch_by_bridge.values():
            watch.is_wanted = True

    @property
    def is_looking(self) -> bool:
        """Whether a bridge has not answered yet, or is asked again because it had no flows."""
        return any(
            watch.is_wanted or watch.census.is_under_way or watch.empties == 1
            for watch in self._watch_by_bridge.values()
        )

    def _own_ofport(self, name: str) -> int | None:
        """Return the number of our patch port on the bridge of that name, None if it has none."""
        interface = self._switch.row("Interface", BridgeMapping("", name).outer)
        return None if interface is None else ofport_of(interface)

    def _check(self, watch: _Watch, own_ofport: int | None, now_s: float) -> None:
        census = watch.census
        if not census.is_under_way:
            if now_s < watch.ask_s and not watch.is_wanted:
                return
            watch.is_wanted = False
            census.ask(own_ofport)
        census.run()
        if census.is_under_way:
            return
        if census.unblocked is not None:
            self.repairs += 1
            log.warning("port drifted", port=census.unblocked.name, found=census.unblocked.words)
        if census.flows is not None:
            watch.empties = 0 if census.flows else watch.empties + 1
        watch.ask_s = now_s + (HURRY_S if watch.empties else LEISURE_S)

    @property
    def next_s(self) -> float | None:
        """When the loop must run to ask the next bridge, by the clock; None if there is none."""
        watches = self._watch_by_bridge.values()
        return min((watch.wake_s for watch in watches if not watch.census.is_under_way), default=None)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when an answer comes."""
        for watch in self._watch_by_bridge.values():
            watch.census.wait(poller)

    def close(self) -> None:
        """End all connections."""
        for watch in self._watch_by_bridge.values():
            watch.census.close()
