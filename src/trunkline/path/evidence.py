"""Evidence of what the physical network does with frames, by the counters of the flows at its two ends.

A flow that takes frames of a VLAN from an uplink counts them, whoever sent them. So a count says that the
VLAN reaches this chassis, but not from where; only a provider bridge that learns MACs knows (`heard`). What
is telling is that nothing came: if the receiver's flow has matched nothing since before a frame that had to
reach it, that frame was lost. Others may be heard meanwhile. If the provider bridge learns MACs, and has
heard nothing of the sender since it was announced, that was lost, too. So was a frame to the receiver itself
if its own flow shows none since either.

Not every frame that leaves has to: one to a MAC of no port goes where that is, and a switch may keep
multicast from ports that have not asked for it. A frame to the receiver itself has to, and a broadcast.

A frame shows in a counter up to `LAG_S` late. So if the receiver does not show a frame that was sent only
just now, that is no evidence yet (`Evidence.wait_s`): the counters of the receiver have to be read again, and
then compared with what the sender showed before. A sender that goes on sending always has a fresh frame.

Idle times are whole seconds. So if frames are lost from less than a second after the last one that came, and
the sender stops within that second, the counters look as if they had come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from trunkline.core.announcement import GAPS_S
from trunkline.core.pipeline import Band

Hop: TypeAlias = dict[str, Any]
Counts: TypeAlias = Mapping[str, dict[str, Any]]

LAG_S = 3.0
"""How late a frame may show in a counter: ovs-vswitchd looks at its cache twice a second, a busy one less
often."""

COLD_S = 10.0 + LAG_S
"""After so long without a frame, a switch has nothing in its cache that takes one (`max-idle`, 10 s): it
counts the next frame at once."""

_TICK_S = 1.0
"""How much longer ago a flow may have matched than its idle time says."""

_FRAME, _ARP, _ANNOUNCEMENT = "the frame to it", "the ARP of the sender", "the announcement of the sender"

_LOCAL = (Band.LOCAL_MAC.name, Band.SHARED_MAC.name)


class Reading(NamedTuple):
    """The counters of a sender, as its *hop* has them.

    The receiver's were read at least *least_s* and at most *most_s* later: all that this sender had sent was
    so much older then.
    """

    hop: Hop
    least_s: float = 0.0
    most_s: float = 0.0


class Evidence(NamedTuple):
    """What the counters say of the wire between two chassis.

    *lost_s* is how long ago a frame was sent, at most, that is certainly lost; None if none is. *wait_s* is
    after how long the receiver's counters will show a frame, if it comes at all, that they do not show yet;
    None if there is no such frame. *what* is lost; None: all frames of the VLAN.
    """

    text: str
    lost_s: float | None = None
    wait_s: float | None = None
    what: str | None = None

    @property
    def is_lost(self) -> bool:
        """Whether frames are certainly lost."""
        return self.lost_s is not None


class _Frame(NamedTuple):
    """A frame that had to come: it was sent at least *least_s* and at most *most_s* ago.

    For *deaf_s* nothing has come that may be it; if it comes, that shows after *lag_s* at most.
    *has_heard*: something like it has come before.
    """

    what: str
    least_s: float
    most_s: float
    deaf_s: float
    lag_s: float
    has_heard: bool


def wire(senders: Sequence[Reading], receiver: Hop, place: str, *, is_announced: bool) -> Evidence:
    """Return what the counters at both ends say of the wire *place* between them.

    *senders* is what the sender has shown, the latest last. *is_announced* says that its agent announces the
    port when it comes up. If its hop has `announced_s`, it has announced the port, at most so long ago.
    """
    received = receiver["counters"].get("received")
    said = f"{_sent_words(senders[-1].hop)} into {place}; {receiver['chassis']} has "
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
    expected = [[*_expected(each, receiver, is_announced)] for each in senders]
    missed = [
        frame
        for some in expected
        for frame in some
        if frame.least_s >= frame.lag_s and frame.most_s <= frame.deaf_s
    ]
    if missed:
        frame = min(missed, key=lambda frame: frame.least_s)
        return Evidence(f"{said}: not {frame.what} {frame.least_s:,.0f} s ago", frame.least_s)
    fresh = [frame for frame in expected[-1] if frame.least_s < min(frame.lag_s, frame.deaf_s)]
    # Something has come since all that the sender had sent when it was asked before.
    before = [min(some, key=lambda frame: frame.least_s) for some in expected[:-1] if some]
    has_come = any(each.has_heard and each.least_s >= each.deaf_s + _TICK_S for each in before)
    if not fresh or has_come:
        return Evidence(said)
    frame = min(fresh, key=lambda frame: frame.least_s)
    text = f"{said}: not yet {frame.what} {frame.least_s:,.0f} s ago"
    return Evidence(text, wait_s=frame.lag_s - frame.least_s)


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


def _expected(sender: Reading, receiver: Hop, is_announced: bool) -> Iterator[_Frame]:
    """Yield which frames of *sender* had to come.

    What was sent to the receiver before it was where it is went elsewhere.
    """
    ages_s = [each["age_s"] or 0.0 for each in receiver["steps"] if each["band"] in _LOCAL]
    here_s = min(ages_s, default=0.0) - sender.most_s
    counts: Counts = receiver["counters"]
    heard_s = heard(receiver)
    unheard_s = None if heard_s is None else heard_s - _TICK_S
    for what, ago_s in _sent(sender.hop, here_s, is_announced):
        deaf_s, has_heard = _deaf(counts["received"])
        if what == _FRAME and "received_here" in counts and (unheard_s is not None or _learns(receiver)):
            # What else has come of the sender since shows that the way is mended.
            there_s, has_come = _deaf(counts["received_here"])
            there_s = there_s if unheard_s is None else min(there_s, unheard_s)
            if there_s > deaf_s:
                deaf_s, has_heard = there_s, has_come
        lag_s = 0.0 if deaf_s >= COLD_S else LAG_S
        # Only if the agent says so, it certainly has announced the port.
        is_said = what == _ANNOUNCEMENT and ago_s == sender.hop.get("announced_s")
        if is_said and unheard_s is not None:
            deaf_s = max(deaf_s, unheard_s)
        most_s = ago_s + _TICK_S + sender.most_s
        yield _Frame(what, ago_s + sender.least_s, most_s, deaf_s, lag_s, has_heard)


def _learns(hop: Hop) -> bool:
    """Return whether the provider bridge of *hop* learns MACs, so that it knows whom it has heard lately."""
    return any(each["band"] is None and "NORMAL" in each.get("text", "") for each in hop["steps"])


def _deaf(counter: Mapping[str, Any]) -> tuple[float, bool]:
    """Return for how long what *counter* counts has certainly not come, and whether it ever has."""
    if counter["packets"]:
        return counter["idle_s"] or 0.0, True
    # Until the cache follows a flow that is new, that takes no frames.
    return counter["age_s"] - LAG_S, False


def _sent(sender: Hop, here_s: float, is_announced: bool) -> Iterator[tuple[str, float]]:
    """Yield which frames to a receiver that is there for *here_s* were sent, and how long ago, at most."""
    counts: Counts = sender["counters"]
    there = counts.get("sent_there")
    if there is not None and there["packets"]:
        ago_s = there["age_s"] if there["idle_s"] is None else there["idle_s"]
        if ago_s < here_s:
            yield _FRAME, ago_s
    # An ARP that left to a group, and not to a MAC of no port, was a broadcast.
    ages_s = [counts[each]["idle_s"] for each in ("sender_arp", "group", "sent") if each in counts]
    known_s = [age_s for age_s in ages_s if age_s is not None]
    if len(known_s) == 3 and max(known_s) - min(known_s) <= _TICK_S:
        yield _ARP, max(known_s)
    if is_announced and "sender" in counts:
        # An agent repeats announcements with growing gaps from when the port is there.
        for after_s in accumulate(GAPS_S, initial=0):
            if (ago_s := counts["sender"]["age_s"] - after_s) >= LAG_S:
                yield _ANNOUNCEMENT, ago_s
    if (announced_s := sender.get("announced_s")) is not None:
        yield _ANNOUNCEMENT, announced_s


def _sent_words(sender: Hop) -> str:
    """Return in words what *sender* has sent."""
    counts: Counts = sender["counters"]
    sent = [counts[each] for each in ("sent", "sent_there") if counts.get(each, {}).get("packets")]
    if not sent:
        return f"no VM of {sender['chassis']} has sent a frame"
    return f"{sender['chassis']} has sent {_frames(sent)}"


def _frames(counters: list[dict[str, Any]]) -> str:
    count = sum(each["packets"] for each in counters)
    ages_s = [each["idle_s"] for each in counters if each["idle_s"] is not None]
    last = f" (the last one {min(ages_s):,.0f} s ago)" if ages_s else ""
    return f"{count:,} frame{'' if count == 1 else 's'}{last}" if count else "no frame"
