"""What the switch refused to take from a port, and whether that keeps the port from working.

A flow counts for each port and reason. A count alone says little, since an ordinary VM is refused now and
then: it tries an IPv6 address of its own making when it starts, or a container in it has another address. So
a count is compared with what the switch took from the same port:

* If nothing was ever taken, what was refused is all that the port sends: an error.
* If the last frame that was refused is newer than the last one that was taken, something has changed in the
  VM: an error as well. Only OpenFlow 1.5 says when a flow last matched; without it, that is not known. IPv6
  addresses are tried at any time, and containers leak packets, so packets are left out here: a VM with
  another IPv4 address tells it by ARP first. One such ARP is enough, as no ordinary VM sends it. If both
  were sent at one moment, a warning: which came last is not known. If that was just now, whoever asks should
  ask again: a VM that goes on sending tells it within seconds (`Finding.wait_s`), be it by packets alone.
* If both go on, some of what the VM sends is refused: a warning, if it is more than a trifle.
* If a port has IPv6 addresses and none was ever used, the VM has others, and its IPv6 does not work: a
  warning already for a few packets.
* Tags and what only servers send are never sent by accident, and do not keep other frames from passing: a
  warning.
* What was refused longer ago than `RECENT_S` is over, if anything was taken at all; and if anything was taken
  since, already after `MENDED_S`.

A port has one flow for what is refused of ARP and of neighbour discovery. Which of both the last frame was,
the flows tell that all ports share: the one that the frame met has matched at the same moment. ARP is
compared with what was taken of IPv4, and neighbour discovery with what was taken of IPv6 too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum, auto
from ipaddress import IPv6Address
from typing import NamedTuple

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, COOKIE_PROBE, Subject
from trunkline.core.field import Field, Term
from trunkline.core.frame import ARP, IPV4, IPV6
from trunkline.core.model import Port
from trunkline.core.pipeline import Band
from trunkline.health.finding import Finding, Severity
from trunkline.insight.meaning import MEANING, SENDS
from trunkline.openflow import oxm
from trunkline.openflow.tally import Count

RECENT_S = 300.0
"""How long ago the last frame that was refused may be, if others were taken."""

MENDED_S = 60.0
"""How long ago it may be, if others were taken since."""

SLACK_S = 2.0
"""How much later than others a frame must have been refused: the switch counts about once a second."""

_TOLD_S = SLACK_S + 2.0
"""How old the last frame that was taken must be for one that was refused within the last second or two to be
newer for certain: a VM asks by ARP once a second."""

FEW = 2
"""How many frames of neighbour discovery with another address an ordinary VM may send.

With another MAC, or another address in ARP, it sends none.
"""

_SAME_S = 0.25
"""Two flows whose last frames were at most so far apart may have met the same one."""

TRIFLE = 10
"""A warning needs more than that many frames, and more than one in that many of those that were taken."""

IPV4_VERSION = 4

_SUBJECT_BITS = COOKIE_OURS_MASK | 0xFF << 32
_OF_A_PORT = COOKIE_OURS | Subject.PORT << 32


class Counted(NamedTuple):
    """The frames of some flows; *idle_s* is the age of the last one, None if that is not known."""

    packets: int = 0
    idle_s: float | None = None


class Kind(Enum):
    """Frames of a port that are counted together."""

    OWN_MAC = auto()
    OWN_IPV4 = auto()
    OWN_ADDRESS = auto()
    OWN_IPV6 = auto()
    """The frames of `OWN_ADDRESS` that are from an address of the port, not from the link-local one."""
    OTHER_MAC = auto()
    OTHER_ADDRESS = auto()
    OTHER_NEIGHBOUR = auto()
    OTHER_ARP = auto()
    """The frames of `OTHER_NEIGHBOUR`, if the last one was ARP."""
    OTHER_DISCOVERY = auto()
    """The frames of `OTHER_NEIGHBOUR`, if the last one was neighbour discovery."""
    TAGGED = auto()
    SERVER = auto()
    REFLECTED = auto()


_KIND_BY_BAND = {
    Band.SOURCE_MAC: Kind.OWN_MAC,
    Band.OPEN: Kind.OWN_MAC,
    Band.ADDRESS: Kind.OWN_ADDRESS,
    Band.MAC_REFUSED: Kind.OTHER_MAC,
    Band.ADDRESS_REFUSED: Kind.OTHER_ADDRESS,
    Band.NEIGHBOUR_REFUSED: Kind.OTHER_NEIGHBOUR,
    Band.TAGGED: Kind.TAGGED,
    Band.SERVER_REFUSED: Kind.SERVER,
    Band.REFLECTION: Kind.REFLECTED,
}
_KIND_BY_PLACE = {(band.table.value, band.priority): kind for band, kind in _KIND_BY_BAND.items()}

_NEIGHBOUR_PLACES = frozenset(
    (band.table.value, band.priority)
    for band in (
        Band.ADDRESS_FORGED,
        Band.HIDDEN_FRAGMENT,
        Band.INNER_MAC_FORGED,
        Band.ND_FORGED,
        Band.ND_MALFORMED,
    )
)
"""Where the flows are that all ports share, and that refuse ARP or neighbour discovery."""

Counts = Mapping[Kind, Counted]
"""What was counted of one port; a kind of which there was nothing may be left out."""

_NONE = Counted()


class PortCounts:
    """The counts of ports, by the keys of these; *others* has the number of foreign flows, by cookie."""

    def __init__(self) -> None:
        self.others: dict[int, int] = defaultdict(int)
        self._by_port: dict[int, dict[Kind, Counted]] = defaultdict(dict)
        self._forged_idle_s: dict[Kind | None, list[float]] = defaultdict(list)
        """When each flow last matched that refuses ARP, neighbour discovery, or either (None)."""

    def note(self, counts: Iterable[Count]) -> None:
        """Take note of *counts*."""
        for count in counts:
            if count.cookie & COOKIE_OURS_MASK != COOKIE_OURS:
                # Flows of a probe go by themselves.
                if count.cookie != COOKIE_PROBE:
                    self.others[count.cookie] += 1
                continue
            place = count.table, count.priority
            if place in _NEIGHBOUR_PLACES and count.packets and count.idle_s is not None:
                self._forged_idle_s[_forged(count)].append(count.idle_s)
            kind = _KIND_BY_PLACE.get(place)
            if kind is None or not count.packets or count.cookie & _SUBJECT_BITS != _OF_A_PORT:
                continue
            by_kind = self._by_port[count.cookie & 0xFFFFFFFF]
            for each in _kinds(count, kind):
                by_kind[each] = _sum(by_kind.get(each, _NONE), Counted(count.packets, count.idle_s))

    def of(self, port_key: int) -> Counts:
        """Return what was counted of the port with that key."""
        counts = self._by_port.get(port_key, {})
        refused = counts.get(Kind.OTHER_NEIGHBOUR, _NONE)
        return {**counts, **dict.fromkeys(self._last(refused), refused)}

    def _last(self, refused: Counted) -> Iterator[Kind]:
        """Yield what the last of *refused*, frames of neighbours, was, if that is certain."""
        last_s = refused.idle_s
        if last_s is None:
            return
        met = [
            kind
            for kind, ages_s in self._forged_idle_s.items()
            if any(abs(each - last_s) <= _SAME_S for each in ages_s)
        ]
        if len(met) == 1 and met[0] is not None:
            yield met[0]


def _kinds(count: Count, kind: Kind) -> Iterator[Kind]:
    """Yield as what *count* is counted, which is *kind* by its place."""
    if kind is not Kind.OWN_ADDRESS:
        yield kind
        return
    terms = oxm.match_terms(count.match)
    if not {ARP, IPV4}.isdisjoint(terms):
        yield Kind.OWN_IPV4
        return
    yield Kind.OWN_ADDRESS
    sources = [each.value for each in terms if isinstance(each, Term) and each.field is Field.IPV6_SRC]
    if any(not IPv6Address(each).is_link_local for each in sources):
        yield Kind.OWN_IPV6


def _forged(count: Count) -> Kind | None:
    """Return whether *count* is of a flow for ARP with the address of another, or for neighbour discovery."""
    at, terms = (Band.ADDRESS_FORGED.table.value, Band.ADDRESS_FORGED.priority), oxm.match_terms(count.match)
    if (count.table, count.priority) == at and ARP in terms:
        return Kind.OTHER_ARP
    return Kind.OTHER_DISCOVERY if IPV6 in terms else None


class _Rule(NamedTuple):
    """Frames that are refused, those of the same port that are taken if it is well, and what to say."""

    code: str
    refused: Kind
    taken: tuple[Kind, ...]
    sends: str
    remedy: Band
    tells_change: bool = False
    """Whether something has changed in the VM if these frames are its last ones."""
    by_chance: int = 0
    """How many of them say nothing of that, unless they are ARP of a port with an IPv4 address."""
    is_beside: bool = False
    """Whether the port works all the same, if anything else is taken from it."""


_RULES = (
    _Rule(
        "T307",
        Kind.OTHER_MAC,
        (Kind.OWN_MAC,),
        SENDS[Band.MAC_REFUSED],
        Band.MAC_REFUSED,
        tells_change=True,
    ),
    _Rule(
        "T309",
        Kind.OTHER_NEIGHBOUR,
        (Kind.OWN_IPV4,),
        SENDS[Band.NEIGHBOUR_REFUSED],
        Band.ADDRESS_REFUSED,
        tells_change=True,
        by_chance=FEW,
    ),
    _Rule(
        "T308",
        Kind.OTHER_ADDRESS,
        (Kind.OWN_ADDRESS, Kind.OWN_IPV4),
        SENDS[Band.ADDRESS_REFUSED],
        Band.ADDRESS_REFUSED,
    ),
    _Rule("T311", Kind.TAGGED, (Kind.OWN_MAC,), SENDS[Band.TAGGED], Band.TAGGED, is_beside=True),
    _Rule(
        "T312",
        Kind.SERVER,
        (Kind.OWN_MAC,),
        SENDS[Band.SERVER_REFUSED],
        Band.SERVER_REFUSED,
        is_beside=True,
    ),
)


def findings(chassis: str, port: Port, network: str, counts: Counts) -> Iterator[Finding]:
    """Yield what *counts* say of *port*, in the *network* of that name."""
    names = port.name, network
    is_neighbour_found = False
    for rule in _RULES:
        refused = counts.get(rule.refused, _NONE)
        kinds = rule.taken
        if kinds == (Kind.OWN_IPV4,) and all(address.version != IPV4_VERSION for address in port.addresses):
            kinds = (Kind.OWN_ADDRESS,)
        elif kinds == (Kind.OWN_IPV4,) and Kind.OTHER_DISCOVERY in counts:
            kinds = (Kind.OWN_IPV4, Kind.OWN_ADDRESS)
        taken = _sum(*(counts.get(kind, _NONE) for kind in kinds))
        is_ipv4 = Kind.OTHER_ARP in counts and kinds == (Kind.OWN_IPV4,)
        severity = _verdict(rule, refused, taken, 0 if is_ipv4 else rule.by_chance)
        goes_on = is_ipv4 and _is_after(counts.get(Kind.OTHER_ADDRESS, _NONE), taken)
        if severity == "warning" and goes_on and _is_at_one_moment(refused, taken):
            # Since that ARP it has sent packets from the same address, and nothing else.
            severity = "error"
        is_unused = rule.code == "T308" and severity is None and _is_ipv6_unused(port, counts)
        if is_unused:
            severity = "warning"
        # A wrong address is one cause, whether ARP or IP tells it.
        if severity is None or (rule.code == "T308" and is_neighbour_found):
            continue
        is_neighbour_found |= rule.code == "T309"
        text = f"{port.name} sends frames {rule.sends}: {_number(refused, 'refused')}"
        others = _number(taken, "taken", "other ") if taken.packets else "no other one was taken"
        if is_unused:
            others = "none was ever taken from the IPv6 addresses of the port"
        end = _end_words(severity, refused, RECENT_S if rule.is_beside or is_unused else MENDED_S)
        found = _finding(rule.code, severity, chassis, names, f"{text}; {others}{end}", rule.remedy)
        is_early = severity == "warning" and rule.tells_change and _is_at_one_moment(refused, taken)
        yield replace(found, wait_s=_wait_s(taken) if is_early else None)
    reflected = counts.get(Kind.REFLECTED, _NONE)
    if reflected.packets > TRIFLE and _is_recent(reflected):
        dropped = _number(reflected, "dropped")
        text = f"frames with the MAC of {port.name} come from the physical network: {dropped}"
        text += _end_words("warning", reflected, RECENT_S)
        yield _finding("T326", "warning", chassis, names, text, Band.REFLECTION)


def _is_ipv6_unused(port: Port, counts: Counts) -> bool:
    """Return whether *port* has IPv6 addresses, and its VM uses none of them, but others."""
    refused = counts.get(Kind.OTHER_ADDRESS, _NONE)
    return (
        any(each.version != IPV4_VERSION and not each.is_link_local for each in port.addresses)
        and not counts.get(Kind.OWN_IPV6, _NONE).packets
        and refused.packets > FEW
        and _is_recent(refused)
    )


def _verdict(rule: _Rule, refused: Counted, taken: Counted, by_chance: int) -> Severity | None:
    """Return how bad it is that frames of a port were *refused* while others were *taken*.

    Up to *by_chance* of them say nothing.
    """
    if not refused.packets:
        return None
    if not taken.packets:
        return "error"
    if not _is_recent(refused):
        return None
    if rule.is_beside:
        return "warning"
    if rule.tells_change and _is_after(refused, taken) and refused.packets > by_chance:
        return "error"
    if rule.tells_change and not by_chance and _is_at_one_moment(refused, taken):
        return "warning"
    if _is_after(taken, refused) and not _is_recent(refused, MENDED_S):
        return None
    return "warning" if refused.packets > max(TRIFLE, taken.packets / TRIFLE) else None


def _is_recent(counted: Counted, most_s: float = RECENT_S) -> bool:
    return counted.idle_s is None or counted.idle_s <= most_s


def _is_after(one: Counted, other: Counted) -> bool:
    """Return whether the last frame of *one* is known to be newer than the last one of *other*."""
    return one.idle_s is not None and other.idle_s is not None and one.idle_s + SLACK_S < other.idle_s


def _is_at_one_moment(one: Counted, other: Counted) -> bool:
    """Return whether it is known when the last frames of both were, and not which of them came first."""
    if one.idle_s is None or other.idle_s is None:
        return False
    return not _is_after(one, other) and not _is_after(other, one)


def _sum(*counted: Counted) -> Counted:
    """Return the frames of all together; the last one is the last of any."""
    some = [each for each in counted if each.packets]
    ages = [each.idle_s for each in some if each.idle_s is not None]
    return Counted(sum(each.packets for each in some), min(ages, default=None))


def _wait_s(taken: Counted) -> float | None:
    """Return after how long what is refused by then is known to be newer than what was *taken*; None: now."""
    return None if taken.idle_s is None or taken.idle_s >= _TOLD_S else _TOLD_S - taken.idle_s


def _end_words(severity: Severity, refused: Counted, after_s: float) -> str:
    """Return when a warning goes by itself, which is *after_s* after the last frame that was *refused*."""
    if severity == "error" or refused.idle_s is None:
        return ""
    minutes = round(after_s / 60)
    after = "a minute" if minutes == 1 else f"{minutes} minutes"
    return f". This warning goes by itself {after} after the last such frame"


def _number(counted: Counted, done: str, other: str = "") -> str:
    what = f"{other}frame was" if counted.packets == 1 else f"{other}frames were"
    age = "" if counted.idle_s is None else f" (the last one {counted.idle_s:,.0f} s ago)"
    return f"{counted.packets:,} {what} {done}{age}"


def _finding(
    code: str, severity: Severity, chassis: str, names: tuple[str, str], text: str, remedy: Band
) -> Finding:
    port, network = names
    words = (MEANING[remedy].remedy or "").format(port=port, network=network)
    return Finding(code, severity, f"port {port}", chassis, None, text, words)
