"""Evidence of what the physical network does with frames, by the counters of the flows at its two ends.

A flow that takes frames of a VLAN from an uplink counts them, whoever sent them. So a count says that the
VLAN reaches this chassis, but not from where; only a provider bridge that learns MACs knows (`heard`). What
is telling is that nothing came: if the receiver's flow has matched nothing since before a frame that had to
reach it, that frame was lost.

Not every frame that leaves has to: one to a MAC of no port goes where that is, and a switch may keep
multicast from ports that have not asked for it. A frame to the receiver itself has to, and a broadcast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from trunkline.core.announcement import GAPS_S
from trunkline.core.pipeline import Band

Hop: TypeAlias = dict[str, Any]
Counts: TypeAlias = Mapping[str, dict[str, Any]]

LAG_S = 3.0
"""How late a frame may show in a counter: ovs-vswitchd looks at its cache twice a second, a busy one less
often."""

_LOCAL = (Band.LOCAL_MAC.name, Band.SHARED_MAC.name)

_TOGETHER_S = 1.0
"""How far apart flows of one frame may seem to have matched: idle times are whole seconds."""


class Evidence(NamedTuple):
    """What the counters say of the wire between two chassis.

    *lost_s* is how long ago a frame was sent, at most, that is certainly lost; None if none is.
    """

    text: str
    lost_s: float | None = None

    @property
    def is_lost(self) -> bool:
        """Whether frames are certainly lost."""
        return self.lost_s is not None


def wire(sender: Hop, receiver: Hop, place: str, *, is_announced: bool, later_s: float = 0.0) -> Evidence:
    """Return what the counters of two hops say of the wire *place* between them.

    *is_announced* says that the agent of the sender announces the port there when it comes up. If the hop of
    the sender has `announced_s`, it has announced the port, at most so long ago. The receiver has counted at
    most *later_s* after the sender, and no earlier: what the sender sent was so much older then.
    """
    counts: Counts = sender["counters"]
    received = receiver["counters"].get("received")
    sent = [counts[each] for each in ("sent", "sent_there") if counts.get(each, {}).get("packets")]
    who = (
        f"{sender['chassis']} has sent {_frames(sent)}"
        if sent
        else f"no VM of {sender['chassis']} has sent a frame"
    )
    said = f"{who} into {place}; {receiver['chassis']} has "
    if received is None:
        return Evidence(f"{said}no flow that counts them")
    silent_s = silent(receiver)
    said += f"received {_frames([received]) if received['packets'] else 'none'} of that VLAN"
    if (heard_s := heard(receiver)) is not None:
        said += f", from this sender {heard_s:,.0f} s ago"
    if silent_s is None:
        return Evidence(said)
    if not received["packets"]:
        said += f" in the {silent_s:,.0f} s that it counts them"
    here_s = min((each["age_s"] or 0.0 for each in receiver["steps"] if each["band"] in _LOCAL), default=0.0)
    expected = [*_expected(counts, here_s - later_s, is_announced)]
    if (announced_s := sender.get("announced_s")) is not None:
        expected.append(("the announcement of the sender", announced_s))
    missed = [each for each in expected if each[1] + later_s + LAG_S < silent_s]
    if not missed:
        return Evidence(said)
    what, ago_s = min(missed, key=lambda each: each[1])
    return Evidence(f"{said}: not {what} {ago_s:,.0f} s ago", ago_s)


def silent(hop: Hop) -> float | None:
    """Return for how long *hop* has certainly received nothing of the VLAN; None if that is not known."""
    received: dict[str, Any] | None = hop["counters"].get("received")
    if received is None:
        return None
    found: float | None = received["idle_s"] if received["packets"] else received["age_s"]
    return found


def heard(hop: Hop) -> float | None:
    """Return how long ago a frame of the sender came to *hop* by the wire; None if that is not known."""
    found: float | None = hop.get("heard_s")
    return found


def _expected(counts: Counts, here_s: float, is_announced: bool) -> Iterator[tuple[str, float]]:
    """Yield which frames had to come, and how long ago they were sent, at most.

    The receiver has been where it is for *here_s*: what was sent to it before went elsewhere.
    """
    there = counts.get("sent_there")
    if there is not None and there["packets"]:
        ago_s = there["age_s"] if there["idle_s"] is None else there["idle_s"]
        if ago_s < here_s:
            yield "the frame to it", ago_s
    # An ARP that left to a group, and not to a MAC of no port, was a broadcast.
    ages_s = [counts[each]["idle_s"] for each in ("sender_arp", "group", "sent") if each in counts]
    known_s = [age_s for age_s in ages_s if age_s is not None]
    if len(known_s) == 3 and max(known_s) - min(known_s) <= _TOGETHER_S:
        yield "the ARP of the sender", max(known_s)
    if is_announced and "sender" in counts:
        # An agent repeats announcements with growing gaps from when the port is there.
        for after_s in accumulate(GAPS_S, initial=0):
            if (ago_s := counts["sender"]["age_s"] - after_s) >= LAG_S:
                yield "the announcement of the sender", ago_s


def _frames(counters: list[dict[str, Any]]) -> str:
    count = sum(each["packets"] for each in counters)
    ages_s = [each["idle_s"] for each in counters if each["idle_s"] is not None]
    last = f" (the last one {min(ages_s):,.0f} s ago)" if ages_s else ""
    return f"{count:,} frame{'' if count == 1 else 's'}{last}" if count else "no frame"
