"""Whether the physical network carries what a port and its peers send each other, by traces between them.

A trace sends nothing. The counters of the flows at both ends tell what was lost between two chassis
(`trunkline.path.evidence`). If nobody has sent anything lately, they tell nothing: then the chassis are
asked to announce the ports once more, and the ways are traced again. So they are if frames were lost: the
physical network may have been mended since. And so they are if it is too early to tell what became of frames.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.health.announcement_question import KIND, parameters
from trunkline.health.finding import Finding
from trunkline.northbound import question
from trunkline.northbound.refusal import NotFoundError, RefusedError, TransactionError
from trunkline.path import evidence
from trunkline.path.asking import Wanted, traced
from trunkline.path.endpoint import UnboundError
from trunkline.path.outcome import Silence
from trunkline.path.trace import settled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from trunkline.health.fleet import Fleet
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row
    from trunkline.path.hop import Entry
    from trunkline.path.outcome import Outcome
    from trunkline.path.trace import Ask, Trace

MOST_PEERS = 3
"""With how many other chassis the port's is compared: what a VLAN lacks, it mostly lacks at this one."""

PATIENCE_S = 5.0
"""How long chassis have to announce ports."""

_SETTLED_S = evidence.LAG_S + 0.5
"""How long after an announcement its frames are in the counters of whoever has received them."""


class _Way(NamedTuple):
    """The traces of a frame from the port to *peer*, or the other way if not *is_to_peer*."""

    peer: Row
    is_to_peer: bool
    traces: list[Trace]

    @property
    def lost(self) -> list[Outcome]:
        """What the physical network loses of it."""
        return [outcome for way in self.traces for outcome in way.outcomes if outcome.is_lost]

    @property
    def is_open(self) -> bool:
        """Whether the receiver has heard nothing of its VLAN for so long that it would notice one frame.

        Or nothing of the sender, or frames were sent just now, and do not show there yet.
        """
        hops = [hop for way in self.traces for hop in way.hops[1:]]
        silences_s = [found(hop) for found in (evidence.silent, evidence.heard) for hop in hops]
        is_quiet = any(each is not None and each > evidence.LAG_S for each in silences_s)
        return is_quiet or any(each.wait_s is not None for each in self.traces)


class Reach(NamedTuple):
    """Where frames are *lost*, and, in words, from where they last *came*."""

    lost: list[Finding]
    came: list[str]


def reach(nb: Northbound, fleet: Fleet, port: str, ask: Ask, without: Collection[str | None]) -> Reach:
    """Return where frames between *port* and its peers are lost by the physical network.

    One peer on each of a few chassis is tried, on none of those *without*. The port and its network work, as
    far as anything else says.
    """
    row = fleet.port_by_name[port]
    peers = _peers(fleet, row, without)
    ways, announcers = _ways(nb, port, peers, ask), frozenset[str]()
    # What was lost may have been mended since, and whoever asks wants to know.
    if any(way.is_open for way in ways):
        asked_s = time.monotonic()
        announcers = _announcers(nb, [row, *peers])
        if announcers or any(each.wait_s is not None for way in ways for each in way.traces):
            time.sleep(_SETTLED_S)
            informed = _with_announcements(ask, announcers, asked_s)
            ways = _again(ways, informed)
    again = (
        "run this again" if announcers else "have the VM send something, such as a ping, and run this again"
    )
    lost = list(_findings(fleet.network_by_id[row["network"]], row["chassis"], ways, again))
    return Reach(lost, list(_came(ways)))


def _ways(nb: Northbound, port: str, peers: Iterable[Row], ask: Ask) -> list[_Way]:
    """Return the traces between *port* and each of *peers*, both ways."""
    return [
        _Way(peer, is_to_peer, _traced(nb, Wanted(sender, receiver), ask))
        for peer in peers
        for sender, receiver, is_to_peer in ((port, peer["name"], True), (peer["name"], port, False))
    ]


def _again(ways: Sequence[_Way], ask: Ask) -> list[_Way]:
    """Return *ways*, traced once more, and until it is not too early to tell."""
    traces = [each for way in ways for each in way.traces]
    traces = [each if each.again is None else each.again(ask) for each in traces]
    found = iter(settled(traces, ask, time.sleep))
    return [way._replace(traces=[next(found) for _ in way.traces]) for way in ways]


def _traced(nb: Northbound, wanted: Wanted, ask: Ask) -> list[Trace]:
    try:
        return traced(nb, wanted, ask)
    except (NotFoundError, UnboundError):
        return []  # the port or its peer has left meanwhile


def _findings(network: Row, here: str, ways: Iterable[_Way], again: str) -> Iterator[Finding]:
    """Yield a finding for each chassis that frames are lost to, or from, or both.

    *again* is what to do to see whether they still are.
    """
    tag = network["segmentation_id"]
    what = "untagged frames" if tag is None else f"VLAN {tag}"
    lossy: dict[str, list[_Way]] = {}
    for way in ways:
        if way.lost:
            lossy.setdefault(way.peer["chassis"], []).append(way)
    for there, some in lossy.items():
        where = " and ".join("to" if way.is_to_peer else "from" for way in some)
        text = f"{where} {there}: {some[0].lost[0].text}"
        remedy = (
            f"allow {what} on the switch ports of {here} and {there}, and on all between them; then {again}"
        )
        yield Finding("T214", "error", f"network {network['name']}", here, None, text, remedy)


def _came(ways: Iterable[_Way]) -> Iterator[str]:
    """Yield, in words, when frames last came from each other chassis, and to it."""
    by_chassis: dict[str, list[str]] = {}
    for way in ways:
        hop = next((hop for trace in way.traces for hop in trace.hops[1:]), None)
        if hop is None:
            continue
        there = way.peer["chassis"]
        heard_s, silent_s = evidence.heard(hop), evidence.silent(hop)
        age = "at a time that is not known" if heard_s is None else f"{heard_s:,.0f} s ago"
        if heard_s is None and silent_s is not None and hop["counters"]["received"]["packets"]:
            age = f"perhaps {silent_s:,.0f} s ago"
        by_chassis.setdefault(there, []).append(f"{'to' if way.is_to_peer else 'from'} {there} {age}")
    for some in by_chassis.values():
        yield " and ".join(some)


def _announcers(nb: Northbound, ports: Collection[Row]) -> frozenset[str]:
    """Have the chassis of *ports*, each of another one, announce them; return the chassis that have done so.

    Somebody who may not ask, and a chassis that does not answer such questions, have nothing announced.
    """
    named = parameters([row["name"] for row in ports])
    try:
        answers = question.ask(nb, KIND, [row["chassis"] for row in ports], named, timeout_s=PATIENCE_S)
    except (NotFoundError, RefusedError, TransactionError):
        return frozenset()
    return frozenset(
        chassis
        for chassis, answer in answers.by_chassis.items()
        if answer.state == question.DONE and isinstance(answer.body, dict) and answer.body.get("announced")
    )


def _with_announcements(ask: Ask, announcers: Collection[str], asked_s: float) -> Ask:
    """Return *ask*, with hops that say how long ago each of *announcers* announced its port, at most."""

    def heard(names: Sequence[str], entry: Entry) -> Mapping[str, dict[str, Any] | Silence]:
        hops = ask(names, entry)
        ago_s = round(time.monotonic() - asked_s, 3)
        return {
            name: hop | {"announced_s": ago_s} if name in announcers and not isinstance(hop, Silence) else hop
            for name, hop in hops.items()
        }

    return heard


def _peers(fleet: Fleet, port: Row, without: Collection[str | None]) -> list[Row]:
    """Return a peer of *port* on each of some other chassis that answer."""
    there = fleet.speakers(port["network"])
    return [row for name, row in there.items() if name != port["chassis"] and name not in without][
        :MOST_PEERS
    ]
