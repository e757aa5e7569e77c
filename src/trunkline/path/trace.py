"""A trace: the way of one frame over all chassis that it comes to, and how it ends.

Each chassis says what its own switch would do. What lies between two of them, the physical network, is known
by counters alone (`trunkline.path.evidence`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from trunkline.insight.meaning import rule_words
from trunkline.path import evidence, length
from trunkline.path.endpoint import End, Source, Target, unbound
from trunkline.path.evidence import Evidence
from trunkline.path.hop import Entry
from trunkline.path.probed import probed
from trunkline.path.sample import retagged
from trunkline.probe.record import Record

VERSION = 1

_ETHERNET = 14
"""What a frame has before its packet, in bytes."""

DELIVERED, DROPPED, NOT_DELIVERED, INCOMPLETE = "DELIVERED", "DROPPED", "NOT DELIVERED", "INCOMPLETE"

Hop: TypeAlias = dict[str, Any]


class Silence(NamedTuple):
    """Why a chassis has not answered, and what to do; None: look at its agent."""

    reason: str
    remedy: str | None = None


Ask: TypeAlias = Callable[[Sequence[str], Entry], Mapping[str, "Hop | Silence"]]
"""What asks chassis, each of them for its hop of a frame that comes to all of them in one way."""


class Outcome(NamedTuple):
    """What becomes of the frame for one receiver; *is_delivered* is None if that is not known.

    *is_lost* says that the physical network loses it.
    """

    port: str
    chassis: str | None
    is_delivered: bool | None
    text: str
    remedy: str | None = None
    rules: tuple[int, ...] = ()
    verdict: str = NOT_DELIVERED
    is_lost: bool = False

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        verdict = {True: DELIVERED, None: INCOMPLETE, False: self.verdict}[self.is_delivered]
        return {
            "port": self.port,
            "chassis": self.chassis,
            "verdict": verdict,
            "text": self.text,
            "rules": list(self.rules),
            "remedy": self.remedy,
        }


@dataclass
class Trace:
    """The way of one frame: its *hops*, what is known of the *wires* between them, and the *outcomes*.

    *probe* is the last probe of the network.
    """

    title: str
    hops: list[Hop] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[tuple[str, str | None]] = field(default_factory=list)
    leaves_for: str | None = None
    probe: Record | None = None

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
    probe: Record | None = None,
    is_raw: bool = False,
) -> Trace:
    """Return the way of *frame* from *here* to *to*, as the chassis that *ask* asks say."""
    found = Trace(title, probe=probe)
    if here.port is None and not to.ends:
        text = f"no port of {here.wire.name} has that MAC, and unknown unicast from the wire goes nowhere"
        found.outcomes = [Outcome("nobody", None, False, text, None, (6,), DROPPED)]
    elif here.port is not None and here.port.chassis is None:
        text, remedy = unbound(here.port)
        found.outcomes = [Outcome(each, None, False, text, remedy, (14,), DROPPED) for each in _names(to)]
    elif here.port is None:
        _over_wire(found, here, to, frame, None, 0.0, ask, is_raw)
    else:
        _from_port(found, here, here.port, to, frame, ask, is_raw)
    found.outcomes = [each._replace(remedy=_filled(each.remedy, here)) for each in found.outcomes]
    return found


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
    if isinstance(first, Silence):
        found.outcomes = [_silent(each, chassis, first) for each in _names(to)]
        return
    first["enters"] = port.name
    found.hops.append(first)
    found.notes += _notes(port, first)
    if first["fault"] is not None:
        found.outcomes = [_fault(each, chassis, first["fault"]) for each in _names(to)]
        return
    wires = [each for each in first["out"] if each["kind"] == "wire"]
    passing = [each for each in wires if each["fault"] is None]
    far = tuple(each for each in to.ends if each.chassis != chassis)
    found.outcomes += [_delivered(each, first, frame) for each in to.ends if each.chassis == chassis]
    if not passing:
        found.outcomes += [_stays(each, first, wires) for each in far]
        if not to.ends:
            found.outcomes.append(_stays(None, first, wires))
        return
    found.leaves_for = f"{passing[0]['physnet']} {_tag_words(passing[0]['vlans'])}"
    long = _too_long(passing[0], frame)
    if long is not None:
        found.outcomes += [_fault(each.name, chassis, long) for each in far]
    elif far:
        _over_wire(found, here, Target(to.mac, far), frame, first, asked_s, ask, is_raw)


def _over_wire(
    found: Trace,
    here: Source,
    to: Target,
    frame: bytes,
    first: Hop | None,
    asked_s: float,
    ask: Ask,
    is_raw: bool,
) -> None:
    """Follow *frame*, which *first* sends into the physical network, to the chassis of its receivers.

    The chassis of *first* was asked at *asked_s* (`time.monotonic`): each says how old frames are by then.
    """
    physnet = here.wire.physnet
    vlans = () if here.wire.vlan_id is None else (here.wire.vlan_id,)
    if first is not None:
        out = next(each for each in first["out"] if each["kind"] == "wire" and each["fault"] is None)
        physnet, vlans = out["physnet"] or physnet, tuple(out["vlans"])
    ends: dict[str, list[End]] = {}
    for end in to.ends:
        if end.chassis is None:
            found.outcomes.append(_unbound(end))
        else:
            ends.setdefault(end.chassis, []).append(end)
    entry = Entry(retagged(frame, vlans), None, physnet, is_raw)
    answers = ask(sorted(ends), entry) if ends else {}
    later_s = time.monotonic() - asked_s
    for chassis, some in sorted(ends.items()):
        hop = answers[chassis]
        if isinstance(hop, Silence):
            found.outcomes += [_silent(end.name, chassis, hop) for end in some]
            continue
        hop["enters"] = f"{physnet} {_tag_words(vlans)}"
        found.hops.append(hop)
        lost, remedy = None, None
        if first is not None and not hop["fault"]:
            announced = here.port is not None and here.port.is_announced
            said = evidence.wire(first, hop, hop["enters"], is_announced=announced, later_s=later_s)
            lost = said if said.is_lost else None
            hop["wire"] = said.text
            if found.probe is not None:
                last = probed(found.probe, first, hop, len(frame) - _ETHERNET)
                hop["wire"] += f"; {last.text}"
                found.notes += [last.note] if last.note is not None else []
                if lost is not None and lost.lost_s is not None and last.reached_s is not None:
                    lost = lost if last.reached_s > lost.lost_s else None
                lost, remedy = lost or last.loss, last.remedy
            found.wires.append(hop["wire"])
        for end in some:
            outcome = _delivered(end, hop, frame)
            if outcome.is_delivered and first is not None and lost is not None:
                outcome = _lost(end, first, hop, lost, vlans)
                outcome = outcome._replace(remedy=remedy or outcome.remedy)
            found.outcomes.append(outcome)


def _silent(name: str, chassis: str, silence: Silence) -> Outcome:
    """Return that *chassis* does not say what becomes of the frame for the port *name*."""
    remedy = f"there, see why: trunkline check `is_local`; or run this on {chassis} itself"
    return Outcome(name, chassis, None, f"ends here: {silence.reason}", silence.remedy or remedy)


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


def _delivered(end: End, hop: Hop, frame: bytes) -> Outcome:
    """Return whether *hop* gives the frame to *end*, which is on that chassis."""
    chassis = hop["chassis"]
    if hop["fault"] is not None:
        return _fault(end.name, chassis, hop["fault"])
    wanted = [] if end.tag is None else [end.tag]
    outs = [each for each in hop["out"] if each["kind"] == "vif" and each["port"] == end.iface_id]
    out = next((each for each in outs if each["vlans"][: len(wanted)] == wanted), None)
    if out is None and hop["more"] and any(each["kind"] == "vif" for each in hop["out"]):
        return Outcome(end.name, chassis, True, f"to {end.name} ({chassis})")
    if out is None:
        return _dropped(end.name, hop)
    if out["fault"] is not None:
        return _fault(end.name, chassis, out["fault"])
    long = _too_long(out, frame)
    if long is not None:
        return _fault(end.name, chassis, long)
    tagged = _tag_words(tuple(out["vlans"])).strip("[]")
    words = tagged if not out["vlans"] else f"with VLAN {tagged}"
    return Outcome(end.name, chassis, True, f"to {end.name} ({chassis}, {out['interface']}), {words}")


def _dropped(name: str, hop: Hop) -> Outcome:
    """Return that the frame does not come to the port *name*, and why."""
    drop, chassis = hop["drop"], hop["chassis"]
    if drop is None:
        places = ", ".join(sorted(each["interface"] for each in hop["out"])[:3])
        return Outcome(name, chassis, False, f"on {chassis} it goes out of {places}, and not to {name}")
    rules = tuple(drop["rules"])
    where = f" in table {drop['table']}" if drop["band"] is not None else ""
    cited = f" ({rule_words(rules)})" if rules else ""
    text = f"on {chassis}{where}{cited}: {drop['text']}"
    return Outcome(name, chassis, False, text, drop["remedy"], rules, DROPPED)


def _stays(end: End | None, first: Hop, wires: Iterable[Hop]) -> Outcome:
    """Return why the frame does not leave *first* by the wire."""
    name = "the wire" if end is None else end.name
    faulty = next((each["fault"] for each in wires if each["fault"] is not None), None)
    if faulty is not None:
        return _fault(name, first["chassis"], faulty)
    if end is not None and end.chassis is None and first["drop"] is None:
        return _unbound(end)
    return _dropped(name, first)


def _fault(name: str, chassis: str, fault: str) -> Outcome:
    """Return that *fault* keeps the frame from the port *name*.

    It ends in what to do, which names no row: one may be called `x; reboot`.
    """
    text, _, remedy = fault.rpartition("; ")
    return Outcome(
        name,
        chassis,
        False,
        f"on {chassis}: {text or remedy}",
        remedy.removeprefix("run: ") if text else None,
    )


def _unbound(end: End) -> Outcome:
    text, remedy = unbound(end)
    return Outcome(end.name, None, False, text, remedy)


def _lost(end: End, first: Hop, hop: Hop, lost: Evidence, vlans: tuple[int, ...]) -> Outcome:
    """Return that the physical network loses what *first* sends to *end*, which is at *hop*.

    If the sender has received frames of that VLAN since, its own switch port carries it.
    """
    chassis, heard = hop["chassis"], first["counters"].get("received")
    heard_s = evidence.silent(first) if heard is not None and heard["packets"] else None
    is_carried_here = (
        heard_s is not None and lost.lost_s is not None and heard_s + evidence.LAG_S < lost.lost_s
    )
    ports = chassis if is_carried_here else f"{chassis} and {first['chassis']}"
    what = f"VLAN {vlans[0]}" if vlans else "untagged frames"
    return Outcome(
        end.name,
        chassis,
        False,
        f"the flows are right on both sides; the physical network loses {what} between them: {lost.text}",
        f"allow {what} on the switch ports of {ports}, and between these; have a frame sent, and trace again",
        is_lost=True,
    )


def _too_long(out: Hop, frame: bytes) -> str | None:
    """Return why *frame* does not fit where it goes out; None if it does."""
    return length.fault(out["interface"], out["mtu"], frame, out["vlans"])


def _tag_words(vlans: Sequence[int]) -> str:
    return "".join(f"[{each}]" for each in vlans) or "untagged"
