"""The outcome of a trace for one receiver: whether the frame comes to it, and if not, why and what to do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.insight.meaning import rule_words
from trunkline.path import evidence, length
from trunkline.path.endpoint import unbound as unbound_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trunkline.path.endpoint import End
    from trunkline.path.evidence import Evidence, Hop

DELIVERED, DROPPED, NOT_DELIVERED, INCOMPLETE = "DELIVERED", "DROPPED", "NOT DELIVERED", "INCOMPLETE"


class Silence(NamedTuple):
    """Why a chassis has not answered, and what to do; None: look at its agent."""

    reason: str
    remedy: str | None = None


class Outcome(NamedTuple):
    """What becomes of the frame for one receiver; *is_delivered* is None if that is not known.

    *is_lost* says that the physical network loses it. *wait_s* is after how long it is known, if it is only
    too early to tell.
    """

    port: str
    chassis: str | None
    is_delivered: bool | None
    text: str
    remedy: str | None = None
    rules: tuple[int, ...] = ()
    verdict: str = NOT_DELIVERED
    is_lost: bool = False
    wait_s: float | None = None

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


def silent(name: str, chassis: str, silence: Silence) -> Outcome:
    """Return that *chassis* does not say what becomes of the frame for the port *name*."""
    remedy = f"there, see why: trunkline check `is_local`; or run this on {chassis} itself"
    return Outcome(name, chassis, None, f"ends here: {silence.reason}", silence.remedy or remedy)


def delivered(end: End, hop: Hop, frame: bytes) -> Outcome:
    """Return whether *hop* gives the frame to *end*, which is on that chassis."""
    chassis = hop["chassis"]
    if hop["fault"] is not None:
        return fault(end.name, chassis, hop["fault"])
    wanted = [] if end.tag is None else [end.tag]
    outs = [each for each in hop["out"] if each["kind"] == "vif" and each["port"] == end.iface_id]
    out = next((each for each in outs if each["vlans"][: len(wanted)] == wanted), None)
    if out is None and hop["more"] and any(each["kind"] == "vif" for each in hop["out"]):
        return Outcome(end.name, chassis, True, f"to {end.name} ({chassis})")
    if out is None:
        return dropped(end.name, hop)
    if out["fault"] is not None:
        return fault(end.name, chassis, out["fault"])
    long = too_long(out, frame)
    if long is not None:
        return fault(end.name, chassis, long)
    tagged = tag_words(tuple(out["vlans"])).strip("[]")
    words = tagged if not out["vlans"] else f"with VLAN {tagged}"
    return Outcome(end.name, chassis, True, f"to {end.name} ({chassis}, {out['interface']}), {words}")


def dropped(name: str, hop: Hop) -> Outcome:
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


def stays(end: End | None, first: Hop, wires: Iterable[Hop]) -> Outcome:
    """Return why the frame does not leave *first* by the wire."""
    name = "the wire" if end is None else end.name
    faulty = next((each["fault"] for each in wires if each["fault"] is not None), None)
    if faulty is not None:
        return fault(name, first["chassis"], faulty)
    if end is not None and end.chassis is None and first["drop"] is None:
        return unbound(end)
    return dropped(name, first)


def fault(name: str, chassis: str, reason: str) -> Outcome:
    """Return that *reason* keeps the frame from the port *name*.

    It ends in what to do, which names no row: one may be called `x; reboot`.
    """
    text, _, remedy = reason.rpartition("; ")
    return Outcome(
        name,
        chassis,
        False,
        f"on {chassis}: {text or remedy}",
        remedy.removeprefix("run: ") if text else None,
    )


def unbound(end: End) -> Outcome:
    """Return that *end* has no VIF."""
    text, remedy = unbound_words(end)
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
    what = lost.what or (f"VLAN {vlans[0]}" if vlans else "untagged frames")
    return Outcome(
        end.name,
        chassis,
        False,
        f"the flows are right on both sides; the physical network loses {what} between them: {lost.text}",
        f"allow {what} on the switch ports of {ports}, and between these; have a frame sent, and trace again",
        is_lost=True,
    )


def too_long(out: Hop, frame: bytes) -> str | None:
    """Return why *frame* does not fit where it goes out; None if it does."""
    return length.fault(out["interface"], out["mtu"], frame, out["vlans"])


def tag_words(vlans: Sequence[int]) -> str:
    """Return *vlans*, the tags of a frame, in words."""
    return "".join(f"[{each}]" for each in vlans) or "untagged"


def by_evidence(
    outcome: Outcome, end: End, first: Hop, hop: Hop, said: Evidence, vlans: tuple[int, ...]
) -> Outcome:
    """Return *outcome*, that the frame comes to *end*, unless *said* says something else of the wire."""
    if said.is_lost:
        return _lost(end, first, hop, said, vlans)
    if said.wait_s is None:
        return outcome
    again = f"run this again in {math.ceil(said.wait_s)} s"
    text = f"too early to tell, since frames were sent just now: {said.text}"
    return Outcome(end.name, hop["chassis"], None, text, again, wait_s=said.wait_s)
