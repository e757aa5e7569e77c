"""Counters of the flows that a frame meets: how many frames each has matched, since when, and when last.

OpenFlow 1.4 says since when a flow is there, and 1.5 when it last matched: so both are asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline.core.cookie import Subject, cookie_parts
from trunkline.core.pipeline import Band
from trunkline.insight import daemon
from trunkline.insight.connection import Connection, InstalledFlow
from trunkline.insight.explanation import remedy
from trunkline.insight.flow import kind
from trunkline.insight.meaning import MEANING
from trunkline.insight.refused import SENDS
from trunkline.openflow import tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from trunkline.insight.name import Names
    from trunkline.insight.step import Step
    from trunkline.insight.waiting import Work

_COUNTERS = {Band.BUM_OUT: "sent", Band.UPLINK: "received", Band.VIF: "sender"}
"""The bands whose flows count the frames of a network on the wire, and those of a sender."""


@dataclass(frozen=True)
class Counters:
    """Flows with what they counted.

    *idle_s* says, by table, priority and cookie, how long ago a flow there last matched. Matches are no key:
    the switch spells some registers in another way in OpenFlow 1.5.
    """

    flows: tuple[InstalledFlow, ...]
    idle_s: Mapping[tuple[int, int, int], float]

    def data(self, flow: InstalledFlow) -> dict[str, Any]:
        """Return what *flow* counted, as JSON."""
        idle_s = self.idle_s.get((flow.table, flow.priority, flow.cookie))
        return {
            "packets": flow.counters.packet_count,
            "age_s": round(flow.counters.duration_s, 3),
            "idle_s": None if idle_s is None or not flow.counters.packet_count else round(idle_s, 3),
        }

    def wires(self, steps: Iterable[Step]) -> dict[str, dict[str, Any]]:
        """Return what was counted of the network's frames on the wire, and of the sender's."""
        steps = list(steps)
        cookies = {each.rule.cookie for each in steps if each.band in (Band.TO_WIRE, Band.UPLINK, Band.VIF)}
        counted = [
            (_COUNTERS[band], flow)
            for flow in self.flows
            if (band := kind(flow).band) in _COUNTERS and flow.cookie in cookies
        ]
        remote = [each.flow for each in steps if each.band is Band.REMOTE and each.flow is not None]
        found: dict[str, dict[str, Any]] = {}
        for what, flow in [*counted, *(("sent_there", flow) for flow in remote)]:
            found[what] = _sum(found.get(what), self.data(flow))
        return found

    def refused(self, names: Names) -> Iterator[dict[str, Any]]:
        """Yield what was dropped of ports, by reason: of other frames than the one of the trace."""
        for flow in self.flows:
            band, parts = kind(flow).band, cookie_parts(flow.cookie)
            if band is None or band not in SENDS or parts is None or parts.subject is not Subject.PORT:
                continue
            if flow.is_drop and flow.counters.packet_count:
                said = {"text": SENDS[band], "rules": list(MEANING[band].rules)}
                yield {"band": band.name, **self.data(flow), **said, "remedy": remedy(band, parts, names)}


def read(path: Path, cookies: Collection[tuple[int, int]]) -> Work[Counters]:
    """Return the flows of the bridge at *path* with one of *cookies*, each under its mask."""
    by_key: dict[bytes, InstalledFlow] = {}
    idle_s: dict[tuple[int, int, int], float] = {}
    with Connection(path, daemon.PATIENCE_S) as connection:
        for cookie, mask in sorted(cookies):
            some = yield from connection.reading(cookie, mask)
            by_key |= {flow.key: flow for flow in some}
            yield None
    counts: list[tally.Count] = []
    with Connection(path, daemon.PATIENCE_S, tally.VERSIONS) as connection:
        for cookie, mask in sorted(cookies):
            yield from connection.count(counts.extend, cookie, mask)
    for each in counts:
        if each.packets and each.idle_s is not None:
            place = (each.table, each.priority, each.cookie)
            idle_s[place] = min(each.idle_s, idle_s.get(place, each.idle_s))
    return Counters(tuple(by_key.values()), idle_s)


def _sum(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    if one is None:
        return other
    ages_s = [each["idle_s"] for each in (one, other) if each["idle_s"] is not None]
    return {
        "packets": one["packets"] + other["packets"],
        "age_s": max(one["age_s"], other["age_s"]),
        "idle_s": min(ages_s, default=None),
    }
