"""Counters of the flows that a frame meets: how many frames each has matched, since when, and when last.

OpenFlow 1.4 says since when a flow is there, and 1.5 when it last matched: so both are asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from trunkline.core.cookie import COOKIE_OURS_MASK, Subject, cookie_parts
from trunkline.core.frame import ARP
from trunkline.core.pipeline import Band
from trunkline.insight import daemon
from trunkline.insight.connection import Connection, InstalledFlow
from trunkline.insight.explanation import remedy
from trunkline.insight.flow import kind
from trunkline.insight.meaning import MEANING, SENDS
from trunkline.openflow import tally
from trunkline.openflow.oxm import match_terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from trunkline.insight.name import Names
    from trunkline.insight.waiting import Work
    from trunkline.path.step import Step

SUBJECT_MASK = COOKIE_OURS_MASK | 0xFF << 32 | 0xFFFFFFFF
"""The bits of a cookie that say that it is ours, and from which row its flow was made."""

_COUNTERS = {Band.BUM_OUT: "sent", Band.UPLINK: "received", Band.BUM: "group", Band.VIF: "sender"}
"""The bands whose flows count the frames of a network, and those of a sender."""

_TO_PORT = {Band.REMOTE: "sent_there", Band.LOCAL: "received_here"}
"""The bands whose flows count the frames to one port, wherever they come from."""

_Place: TypeAlias = tuple[int, int, int, bool]
"""Where flows are that are counted together: table, priority, cookie, and whether they match ARP."""


@dataclass(frozen=True)
class Counters:
    """Flows with what they counted.

    *idle_s* says how long ago a flow of a place last matched. Whole matches are no key: the switch spells
    some registers in another way in OpenFlow 1.5.
    """

    flows: tuple[InstalledFlow, ...]
    idle_s: Mapping[_Place, float]

    def data(self, flow: InstalledFlow) -> dict[str, Any]:
        """Return what *flow* counted, as JSON."""
        idle_s = self.idle_s.get(_place(flow.table, flow.priority, flow.cookie, flow.key[3:]))
        return {
            "packets": flow.counters.packet_count,
            "age_s": round(flow.counters.duration_s, 3),
            "idle_s": None if idle_s is None or not flow.counters.packet_count else round(idle_s, 3),
        }

    def wires(self, steps: Iterable[Step]) -> dict[str, dict[str, Any]]:
        """Return what was counted of the network's frames, on the wire and to groups, and of the sender's."""
        steps = list(steps)
        ours = {
            subject_of(each.rule.cookie)
            for each in steps
            if each.band in (Band.TO_WIRE, Band.UPLINK, Band.VIF, Band.SUBPORT)
        }
        counted = []
        for flow in self.flows:
            band = kind(flow).band
            if band is None or subject_of(flow.cookie) not in ours:
                continue
            if band in _COUNTERS:
                counted.append((_COUNTERS[band], flow))
            elif band is Band.ADDRESS and ARP in match_terms(flow.key[3:]):
                counted.append(("sender_arp", flow))
        counted += [
            (_TO_PORT[each.band], each.flow)
            for each in steps
            if each.band in _TO_PORT and each.flow is not None
        ]
        found: dict[str, dict[str, Any]] = {}
        for what, flow in counted:
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


def subject_of(cookie: int) -> int:
    """Return the part of *cookie* that says from which row a flow was made, whichever app made it."""
    return cookie & SUBJECT_MASK


def read(path: Path, cookies: Collection[tuple[int, int]]) -> Work[Counters]:
    """Return the flows of the bridge at *path* with one of *cookies*, each under its mask."""
    by_key: dict[bytes, InstalledFlow] = {}
    idle_s: dict[_Place, float] = {}
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
            place = _place(each.table, each.priority, each.cookie, each.match)
            idle_s[place] = min(each.idle_s, idle_s.get(place, each.idle_s))
    return Counters(tuple(by_key.values()), idle_s)


def _place(table: int, priority: int, cookie: int, match: bytes) -> _Place:
    return table, priority, cookie, ARP in match_terms(match)


def _sum(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    if one is None:
        return other
    ages_s = [each["idle_s"] for each in (one, other) if each["idle_s"] is not None]
    return {
        "packets": one["packets"] + other["packets"],
        "age_s": max(one["age_s"], other["age_s"]),
        "idle_s": min(ages_s, default=None),
    }
