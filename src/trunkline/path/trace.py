"""A trace: the way of one frame over all chassis that it comes to, and how it ends.

Each chassis says what its own switch would do. What lies between two of them, the physical network, is known
by counters alone (`trunkline.path.evidence`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from trunkline.insight.meaning import rule_words
from trunkline.path import evidence, outcome
from trunkline.path.endpoint import End, Source, Target, unbound
from trunkline.path.evidence import Evidence, Reading
from trunkline.path.hop import Entry
from trunkline.path.outcome import DELIVERED, DROPPED, INCOMPLETE, NOT_DELIVERED, Outcome, Silence
from trunkline.path.probed import probed
from trunkline.path.sample import retagged
from trunkline.probe.record import Records

VERSION = 1

_ETHERNET = 14
"""What a frame has before its packet, in bytes."""

MOST_WAITS = 2
"""How often counters are waited for. Once is enough, unless frames begin to be lost in just that second."""

Hop: TypeAlias = dict[str, Any]

Ask: TypeAlias = Callable[[Sequence[str], Entry], Mapping[str, "Hop | Silence"]]
"""What asks chassis, each of them for its hop of a frame that comes to all of them in one way."""


class _Seen(NamedTuple):
    """The *hop* of the sender, whose counters were read between *begins_s* and *ends_s*."""

    hop: Hop
    begins_s: float
    ends_s: float


@dataclass
class Trace:
    """The way of one frame: its *hops*, what is known of the *wires* between them, and the *outcomes*.

    *probe* is what is kept of the probes of the network. *seen* is what the sender has shown, the latest
    last. *again* traces once more, and then knows that as well.
    """

    title: str
    hops: list[Hop] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[tuple[str, str | None]] = field(default_factory=list)
    leaves_for: str | None = None
    probe: Records = ()
    seen: tuple[_Seen, ...] = ()
    again: Callable[[Ask], Trace] | None = None

    @property
    def wait_s(self) -> float | None:
        """After how long *again* may know the verdict; None if waiting does not help."""
        unknown = [each for each in self.outcomes if not each.is_delivered]
        waits_s = [each.wait_s for each in unknown if each.wait_s is not None]
        return max(waits_s) if waits_s and len(waits_s) == len(unknown) else None

    @property
    def verdict(self) -> str:
        """How it ends: for everybody, or if it does not, for the first for whom it ends worse."""
        wrong = [each for each in self.outcomes if each.is_delivered is False]
        if wrong:
            verdicts = {each.verdict for each in wrong}
            return DROPPED if verdicts == {DROPPED} and len(wrong) == len(self.outcomes) else NOT_DELIVERED
        return INCOMPLETE if any(each.is_delivered is None for each in self.outcomes) else DELIVERED

    @property
    def decisive(self) -> Outcome | None:
        """The outcome that the verdict is about; None if the frame leaves for whom nobody knows."""
        order = {False: 0, None: 1, True: 2}
        return min(self.outcomes, key=lambda each: order[each.is_delivered], default=None)

    @property
    def text(self) -> str:
        """The verdict in words."""
        only = self.decisive
        if len({each.text for each in self.outcomes}) > 1:
            return "; ".join(self._counts())
        if only is None:
            return f"to {self.leaves_for}; what is behind it is not known" if self.leaves_for else "to nobody"
        return only.text

    def _counts(self) -> Iterator[str]:
        for state, words in ((True, "to"), (False, "not to"), (None, "not known for")):
            some = [each for each in self.outcomes if each.is_delivered is state]
            if some:
                yield f"{words} {len(some):,} of {len(self.outcomes):,} ports"

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = self.decisive
        is_bad = found is not None and not found.is_delivered
        return {
            "version": VERSION,
            "verdict": self.verdict,
            "text": self.text,
            "rule": found.rules[0] if found is not None and is_bad and found.rules else None,
            "remedy": found.remedy if found is not None and is_bad else None,
            "frame": self.title,
            "hops": self.hops,
            "wires": self.wires,
            "outcomes": [each.data() for each in self.outcomes],
            "notes": [{"text": text, "remedy": remedy} for text, remedy in self.notes],
        }


def trace(
    here: Source,
    to: Target,
    frame: bytes,
    title: str,
    ask: Ask,
    *,
    probe: Records = (),
    is_raw: bool = False,
    notes: Sequence[tuple[str, str | None]] = (),
    seen: tuple[_Seen, ...] = (),
) -> Trace:
    """Return the way of *frame* from *here* to *to*, as the chassis that *ask* asks say.

    *notes* are said first. *seen* is what the sender has shown before.
    """
    found = Trace(title, notes=[*notes], probe=probe, seen=seen)
    if here.port is None and not to.ends:
        text = f"no port of {here.wire.name} has that MAC, and unknown unicast from the wire goes nowhere"
        found.outcomes = [Outcome("nobody", None, False, text, None, (6,), DROPPED)]
    elif here.port is not None and here.port.chassis is None:
        text, remedy = unbound(here.port)
        found.outcomes = [Outcome(each, None, False, text, remedy, (14,), DROPPED) for each in _names(to)]
    elif here.port is None:
        _over_wire(found, here, to, frame, None, ask, is_raw)
    else:
        _from_port(found, here, here.port, to, frame, ask, is_raw)
    found.outcomes = [each._replace(remedy=_filled(each.remedy, here)) for each in found.outcomes]
    found.again = lambda ask: trace(
        here, to, frame, title, ask, probe=probe, is_raw=is_raw, notes=notes, seen=found.seen
    )
    return found


def settled(ways: Sequence[Trace], ask: Ask, wait: Callable[[float], object]) -> list[Trace]:
    """Return *ways*; those of which it is too early to tell, once it is not: *wait* waits so many seconds."""
    ways = list(ways)
    for _ in range(MOST_WAITS):
        waits_s = [each.wait_s for each in ways if each.wait_s is not None]
        if not waits_s:
            break
        wait(max(waits_s))
        ways = [each if each.wait_s is None or each.again is None else each.again(ask) for each in ways]
    return ways


def _filled(remedy: str | None, here: Source) -> str | None:
    """Return *remedy* with the names of this trace for those that its chassis did not know."""
    if remedy is None:
        return None
    if here.port is not None:
        remedy = remedy.replace("port set PORT ", f"port set {shlex.quote(here.port.name)} ")
    remedy = remedy.replace("=PHYSNET:BRIDGE", f"={shlex.quote(here.wire.physnet)}:BRIDGE")
    return remedy.replace("network set NETWORK ", f"network set {shlex.quote(here.wire.name)} ")


def _from_port(
    found: Trace, here: Source, port: End, to: Target, frame: bytes, ask: Ask, is_raw: bool
) -> None:
    """Follow *frame* from the VIF of *port*, on its chassis and on from there."""
    chassis = port.chassis
    assert chassis is not None
    asked_s = time.monotonic()
    first = ask([chassis], Entry(frame, port.iface_id, None, is_raw))[chassis]
    answered_s = time.monotonic()
    if isinstance(first, Silence):
        found.outcomes = [outcome.silent(each, chassis, first) for each in _names(to)]
        return
    first["enters"] = port.name
    found.hops.append(first)
    found.notes += _notes(port, first)
    if first["fault"] is not None:
        found.outcomes = [outcome.fault(each, chassis, first["fault"]) for each in _names(to)]
        return
    wires = [each for each in first["out"] if each["kind"] == "wire"]
    passing = [each for each in wires if each["fault"] is None]
    far = tuple(each for each in to.ends if each.chassis != chassis)
    found.outcomes += [outcome.delivered(each, first, frame) for each in to.ends if each.chassis == chassis]
    if not passing:
        found.outcomes += [outcome.stays(each, first, wires) for each in far]
        if not to.ends:
            found.outcomes.append(outcome.stays(None, first, wires))
        return
    found.leaves_for = f"{passing[0]['physnet']} {outcome.tag_words(passing[0]['vlans'])}"
    long = outcome.too_long(passing[0], frame)
    if long is not None:
        found.outcomes += [outcome.fault(each.name, chassis, long) for each in far]
    elif far:
        read_s = min(asked_s + first.get("waited_s", 0.0), answered_s)
        found.seen = (*found.seen, _Seen(first, read_s, answered_s))
        _over_wire(found, here, Target(to.mac, far), frame, first, ask, is_raw)


def _over_wire(
    found: Trace,
    here: Source,
    to: Target,
    frame: bytes,
    first: Hop | None,
    ask: Ask,
    is_raw: bool,
) -> None:
    """Follow *frame*, which *first* sends into the physical network, to the chassis of its receivers."""
    physnet = here.wire.physnet
    vlans = () if here.wire.vlan_id is None else (here.wire.vlan_id,)
    if first is not None:
        out = next(each for each in first["out"] if each["kind"] == "wire" and each["fault"] is None)
        physnet, vlans = out["physnet"] or physnet, tuple(out["vlans"])
    ends: dict[str, list[End]] = {}
    for end in to.ends:
        if end.chassis is None:
            found.outcomes.append(outcome.unbound(end))
        else:
            ends.setdefault(end.chassis, []).append(end)
    entry = Entry(retagged(frame, vlans), None, physnet, is_raw)
    begins_s, begins_ms = time.monotonic(), time.time_ns() // 1_000_000
    answers = ask(sorted(ends), entry) if ends else {}
    ends_s, read_ms = time.monotonic(), (begins_ms, time.time_ns() // 1_000_000)
    # What is announced is the port's own MAC, so it says nothing of a frame from another one.
    known = {} if here.port is None or int.from_bytes(frame[6:12]) == here.port.mac else {"announced_s": None}
    senders = [
        Reading(each.hop | known, begins_s - each.ends_s, ends_s - each.begins_s) for each in found.seen
    ]
    for chassis, some in sorted(ends.items()):
        hop = answers[chassis]
        if isinstance(hop, Silence):
            found.outcomes += [outcome.silent(end.name, chassis, hop) for end in some]
            continue
        hop["enters"] = f"{physnet} {outcome.tag_words(vlans)}"
        found.hops.append(hop)
        said, remedy = None, None
        if first is not None and not hop["fault"]:
            announced = here.port is not None and here.port.is_announced
            said = evidence.wire(senders, hop, hop["enters"], is_announced=announced)
            said, remedy = _with_probe(found, said, first, hop, len(frame) - _ETHERNET, read_ms)
            found.wires.append(hop["wire"])
        for end in some:
            each = outcome.delivered(end, hop, frame)
            if each.is_delivered and first is not None and said is not None:
                each = outcome.by_evidence(each, end, first, hop, said, vlans)
                each = each._replace(remedy=remedy or each.remedy) if each.is_lost else each
            found.outcomes.append(each)


def _with_probe(
    found: Trace, said: Evidence, first: Hop, hop: Hop, size: int, read_ms: tuple[int, int]
) -> tuple[Evidence, str | None]:
    """Return what *said* and the last probes say of the wire from *first* to *hop*, and what to do.

    The packet of the frame has *size* bytes. The counters of *hop* were read between the moments *read_ms*.
    """
    hop["wire"] = said.text
    if not found.probe:
        return said, None
    last = probed(found.probe, first, hop, size, read_ms)
    hop["wire"] += f"; {last.text}"
    found.notes += [last.note] if last.note is not None else []
    if said.lost_s is not None and last.reached_s is not None and last.reached_s <= said.lost_s:
        said = said._replace(lost_s=None)
    return said if said.is_lost or last.loss is None else last.loss, last.remedy


def _names(to: Target) -> list[str]:
    return [each.name for each in to.ends] or ["the wire"]


def _notes(port: End, first: Hop) -> Iterator[tuple[str, str | None]]:
    """Yield what is to be said of other frames of the sender."""
    for each in first["dropped"]:
        frames = "1 frame" if each["packets"] == 1 else f"{each['packets']:,} frames"
        were = "was" if each["packets"] == 1 else "were"
        facts = [rule_words(tuple(each["rules"]))] if each["rules"] else []
        if each["idle_s"] is not None:
            facts.append(f"the last one {each['idle_s']:,.0f} s ago")
        cited = f" ({', '.join(facts)})" if facts else ""
        text = f"but {frames} of {port.name} {were} dropped{cited}, {each['text']}"
        yield text, each["remedy"]
    sender = first["counters"].get("sender")
    if sender is not None and not sender["packets"] and not first["dropped"]:
        since_s = max(1, sender["age_s"])
        yield f"the switch has received no frame of {port.name} in the last {since_s:.0f} s", None
