"""The flows of a switch as an operator reads them: which ones were asked for, each in words, and by band."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.cookie import (
    COOKIE_OURS,
    COOKIE_OURS_MASK,
    COOKIE_PROBE,
    CookieParts,
    Subject,
    cookie_parts,
)
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.insight.meaning import BAND_BY_PLACE, MEANING, rule_words
from trunkline.insight.parcel import number
from trunkline.insight.phrase import action_words, match_words
from trunkline.northbound.body import UnreadableError
from trunkline.openflow import message
from trunkline.openflow.text import encoded_text

if TYPE_CHECKING:
    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.name import Names

MOST_FOREIGN = 20
"""How many kinds of flows that are of no band are told apart. Programs that learn flows may give each of them
a cookie of its own."""

OTHERS = -1
"""The cookie of all further ones, together, and their priority."""

VERSION = 1
"""The version of what is answered as JSON; it grows, and nothing of it changes its meaning."""

_OWNER_BITS, _SUBJECT_BITS, _KEY_BITS = 0xFF << 40, 0xFF << 32, 0xFFFFFFFF


class Selection(NamedTuple):
    """Which flows are asked for; None leaves it open. At most one of *network_key* and *port_key* is given.

    A network's are those that were made from its row, and from the MACs that its ports share.
    """

    table: Table | None = None
    owner: Owner | None = None
    network_key: int | None = None
    port_key: int | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing was left out."""
        return self == Selection()

    @property
    def cookie(self) -> tuple[int, int]:
        """The cookie and the mask by which the switch itself chooses; (0, 0): any flow, whosever it is."""
        value, mask = 0, 0
        if self.owner is not None:
            value, mask = value | self.owner << 40, mask | _OWNER_BITS
        if self.port_key is not None:
            value |= Subject.PORT << 32 | self.port_key
            mask |= _SUBJECT_BITS | _KEY_BITS
        elif self.network_key is not None:
            value |= Subject.NETWORK << 32 | self.network_key
            # NETWORK is 1 and MAC is 3: they differ in one bit, which is left open.
            mask |= _SUBJECT_BITS & ~((Subject.NETWORK ^ Subject.MAC) << 32) | _KEY_BITS
        return (COOKIE_OURS | value, COOKIE_OURS_MASK | mask) if mask else (0, 0)


class Kind(NamedTuple):
    """What a flow is: of which band, or *foreign*, the cookie of somebody else's; `OTHERS` are several."""

    table: int
    priority: int
    band: Band | None
    foreign: int | None

    @property
    def name(self) -> str:
        """What it is called."""
        if self.foreign == OTHERS:
            return "FOREIGN, others"
        if self.foreign is not None:
            return f"FOREIGN cookie {self.foreign:#x}"
        return self.band.name if self.band is not None else f"priority {self.priority} of no band"


def kind(flow: InstalledFlow) -> Kind:
    """Return what *flow* is, by its place and its cookie."""
    if flow.cookie == COOKIE_PROBE:
        return Kind(flow.table, flow.priority, Band.CATCH, None)
    if flow.cookie & COOKIE_OURS_MASK != COOKIE_OURS:
        return Kind(flow.table, flow.priority, None, flow.cookie)
    return Kind(flow.table, flow.priority, BAND_BY_PLACE.get((flow.table, flow.priority)), None)


@dataclass(frozen=True)
class Count:
    """How many flows of one kind there are, and what they counted; *rate* is frames a second."""

    kind: Kind
    flows: int
    packets: int
    bytes: int
    rate: float | None = None

    def plus(self, other: Count) -> Count:
        """Return the count of both."""
        rate = None if self.rate is None and other.rate is None else (self.rate or 0.0) + (other.rate or 0.0)
        flows, packets, octets = (
            self.flows + other.flows,
            self.packets + other.packets,
            self.bytes + other.bytes,
        )
        return Count(self.kind, flows, packets, octets, rate)

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        band = self.kind.band
        found = {
            "table": self.kind.table,
            "priority": None if self.kind.priority == OTHERS else self.kind.priority,
            "band": self.kind.name,
            "app": None if band is None else band.owner.name.lower(),
            "purpose": None if band is None else band.purpose,
            "rules": [] if band is None else list(MEANING[band].rules),
            "flows": self.flows,
            "packets": self.packets,
            "bytes": self.bytes,
        }
        return found if self.rate is None else found | {"packets_per_s": round(self.rate, 1)}


def count_item(count: Count) -> list[int | None]:
    """Return *count* as an item of a parcel."""
    what = count.kind
    return [what.table, what.priority, what.foreign, count.flows, count.packets, count.bytes]


def count(item: Sequence[Any]) -> Count:
    """Return the count that `count_item` made *item* of; raise one of `parcel.UNREADABLE` if it is none."""
    table, priority, foreign, flows, packets, octets = (
        each if each in (None, OTHERS) else number(each) for each in item
    )
    if table is None or priority is None:
        raise UnreadableError("a count has no place")
    band = BAND_BY_PLACE.get((table, priority)) if foreign is None else None
    return Count(Kind(table, priority, band, foreign), number(flows), number(packets), number(octets))


class Rates:
    """Frames a second, by the counters of two readings of the same flows."""

    def __init__(self) -> None:
        self._packets_by_key: dict[bytes, int] = {}
        self._read_s: float | None = None
        self._gap_s: float | None = None
        self._before: dict[bytes, int] = {}

    def note(self, flows: Iterable[InstalledFlow], now_s: float) -> None:
        """Take note of *flows*, as they were read at *now_s*."""
        self._gap_s = None if self._read_s is None else now_s - self._read_s
        self._before = self._packets_by_key
        self._packets_by_key = {flow.key: flow.counters.packet_count for flow in flows}
        self._read_s = now_s

    def rate(self, flows: Iterable[InstalledFlow]) -> float | None:
        """Return the frames a second of *flows* since the last reading but one; None if there was none.

        A flow that is new since then, or was made anew, counts from zero.
        """
        if not self._gap_s:
            return None
        grown = 0
        for flow in flows:
            now, before = flow.counters.packet_count, self._before.get(flow.key, 0)
            grown += now - before if now >= before else now
        return grown / self._gap_s


def counts(flows: Iterable[InstalledFlow], rates: Rates | None = None) -> list[Count]:
    """Return how many flows of each kind there are, as a frame meets them: by table and priority."""
    by_kind: dict[Kind, list[InstalledFlow]] = defaultdict(list)
    kinds: dict[tuple[bytes, int], Kind] = {}
    for flow in flows:
        body = flow.body
        place = (flow.key[:3], int.from_bytes(body[:2]) if body[:2] == _OURS else flow.cookie)
        found = kinds.get(place)
        if found is None:
            found = kinds[place] = kind(flow)
        by_kind[found].append(flow)
    return merged(
        Count(
            each,
            len(some),
            sum(flow.counters.packet_count for flow in some),
            sum(flow.counters.byte_count for flow in some),
            None if rates is None else rates.rate(some),
        )
        for each, some in by_kind.items()
    )


def merged(counted: Iterable[Count]) -> list[Count]:
    """Return *counted* with one count for each kind, as a frame meets them, and few of no band."""
    by_kind = _by_kind(counted)
    strange = [each for each in by_kind.values() if each.kind.band is None and each.kind.foreign != OTHERS]
    rest = sorted(strange, key=lambda each: each.flows)[:-MOST_FOREIGN]
    if rest:
        gone = {each.kind for each in rest}
        kept = [each for each in by_kind.values() if each.kind not in gone]
        others = [replace(each, kind=Kind(each.kind.table, OTHERS, None, OTHERS)) for each in rest]
        by_kind = _by_kind([*kept, *others])
    return sorted(by_kind.values(), key=lambda each: _place(each.kind))


def _by_kind(counted: Iterable[Count]) -> dict[Kind, Count]:
    found: dict[Kind, Count] = {}
    for each in counted:
        known = found.get(each.kind)
        found[each.kind] = each if known is None else known.plus(each)
    return found


_OURS = (COOKIE_OURS >> 48).to_bytes(2)


def _place(kind: Kind) -> tuple[int, int, int]:
    return kind.table, -kind.priority, kind.foreign or 0


@dataclass(frozen=True)
class Line:
    """One flow in words, and what it counted; *rate* is frames a second."""

    kind: Kind
    parts: CookieParts | None
    row: str | None
    matches: str
    does: str
    flow: InstalledFlow
    rate: float | None = None

    @property
    def place(self) -> str:
        """Return what `explanation.asked` takes for this flow."""
        return f"{self.flow.cookie:#x},table={self.kind.table},priority={self.kind.priority}"

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        band, counters, parts = self.kind.band, self.flow.counters, self.parts
        head, _, actions = encoded_text(self.flow.key, self.flow.body, with_cookie=False).partition(
            "actions="
        )
        found = {
            "table": self.kind.table,
            "band": self.kind.name,
            "app": None if parts is None else parts.owner.name.lower(),
            "row": None
            if parts is None
            else {"kind": parts.subject.name.lower(), "key": parts.key, "name": self.row},
            "match": ",".join(head.rstrip(",").split(",")[2:]),
            "actions": actions,
            "packets": counters.packet_count,
            "bytes": counters.byte_count,
            "age_s": round(counters.duration_s, 3),
            "cookie": f"{self.flow.cookie:#x}",
            "explain": self.place,
            "priority": self.kind.priority,
            "rules": [] if band is None else list(MEANING[band].rules),
            "words": {"match": self.matches, "does": self.does},
        }
        return found if self.rate is None else found | {"packets_per_s": round(self.rate, 1)}


def lines(flows: Iterable[InstalledFlow], names: Names, rates: Rates | None = None) -> Iterator[Line]:
    """Yield *flows* in words, in their order."""
    for flow in flows:
        what = kind(flow)
        parts = cookie_parts(flow.cookie)
        decoded = message.decode(flow.key, flow.body)
        yield Line(
            kind=what,
            parts=parts,
            row=None if parts is None else names.row(parts),
            matches=match_words(decoded.match, names, what.band and MEANING[what.band].rest),
            does=dropped(what) if not decoded.actions else action_words(decoded.actions, names),
            flow=flow,
            rate=None if rates is None else rates.rate([flow]),
        )


def dropped(kind: Kind) -> str:
    """Return how it is said that flows of *kind* drop."""
    rules = () if kind.band is None else MEANING[kind.band].rules
    return f"DROP {rule_words(rules)}" if rules else "DROP"


def in_order(flows: Iterable[InstalledFlow], *, by_packets: bool = False) -> list[InstalledFlow]:
    """Return *flows* as a frame meets them, by table and priority; or those first that met most frames."""
    ordered = sorted(flows, key=lambda flow: (flow.table, -flow.priority, flow.key))
    return sorted(ordered, key=lambda flow: -flow.counters.packet_count) if by_packets else ordered


def port_keys(flows: Iterable[InstalledFlow]) -> set[int]:
    """Return the keys of the ports that *flows* speak of, in their cookies and in what they match and do."""
    found = set()
    for flow in flows:
        parts = cookie_parts(flow.cookie)
        if parts is not None and parts.subject in (Subject.PORT, Subject.VIF):
            found.add(parts.key)
    return found


def table_named(word: str) -> Table | None:
    """Return the table that *word* names, by its number or its name; None if there is none.

    >>> table_named("50"), table_named("dispatch"), table_named("9")
    (<Table.L2_LOOKUP: 50>, <Table.DISPATCH: 80>, None)
    """
    return next((table for table in Table if word.upper() in (str(table.value), table.name)), None)


def document(kind: str, rows: Sequence[Count | Line], bridge: str, names: Names | None) -> Mapping[str, Any]:
    """Return what is answered as JSON: *rows* under the name *kind*, of *bridge*."""
    found: dict[str, Any] = {"version": VERSION, "bridge": bridge}
    if names is not None:
        found["names"] = names.source
    return found | {kind: [row.data() for row in rows]}
