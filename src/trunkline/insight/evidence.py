"""Evidence of what the physical network does with frames, by the counters of the flows at its two ends.

A flow that takes frames of a VLAN from an uplink counts them, whoever sent them. So a count says that the
VLAN reaches this chassis, but not from where. What is telling is that nothing came: if the receiver's flow
has matched nothing since before the sender's last frame, that frame was lost.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from trunkline.core.announcement import GAPS_S

Hop: TypeAlias = dict[str, Any]

LAG_S = 3.0
"""How late a frame may show in a counter: ovs-vswitchd looks at its cache twice a second, a busy one less
often."""


class Evidence(NamedTuple):
    """What the counters say of the wire between two chassis; *is_lost*: frames are certainly lost."""

    text: str
    is_lost: bool


def wire(sender: Hop, receiver: Hop, place: str, *, is_announced: bool) -> Evidence:
    """Return what the counters of two hops say of the wire *place* between them.

    *is_announced* says that the agent of the sender announces the port there when it comes up.
    """
    counters, received = sender["counters"], receiver["counters"].get("received")
    sent = [each for each in (counters.get("sent"), counters.get("sent_there")) if each and each["packets"]]
    last_s = min((_last_s(each) for each in sent), default=None)
    count = sum(each["packets"] for each in sent)
    said = f"{sender['chassis']} has sent {_frames(count, sent)} into {place}"
    if received is None:
        return Evidence(f"{said}; {receiver['chassis']} has no flow that counts them", False)
    silent_s = received["idle_s"] if received["packets"] else received["age_s"]
    if received["packets"]:
        said += (
            f"; {receiver['chassis']} has received {_frames(received['packets'], [received])} of that VLAN"
        )
    else:
        said += f"; {receiver['chassis']} has received none of that VLAN in {silent_s:,.0f} s"
    if silent_s is None:
        return Evidence(said, False)
    if last_s is not None and last_s + LAG_S < silent_s:
        return Evidence(said, True)
    announced_s = _announced_s(counters.get("sender"), silent_s) if is_announced else None
    if announced_s is not None:
        return Evidence(f"{said}, not even the announcement of the sender {announced_s:,.0f} s ago", True)
    return Evidence(said, False)


def _last_s(counter: dict[str, Any]) -> float:
    """Return how long ago the last frame was counted, at most."""
    found: float = counter["age_s"] if counter["idle_s"] is None else counter["idle_s"]
    return found


def _announced_s(sender: dict[str, Any] | None, silent_s: float) -> float | None:
    """Return how long ago an announcement was sent that came too late for *silent_s*; None if none was.

    An agent repeats announcements with growing gaps from when the port is there.
    """
    if sender is None:
        return None
    ages_s = (sender["age_s"] - after_s for after_s in accumulate(GAPS_S, initial=0))
    return max((age_s for age_s in ages_s if age_s >= LAG_S and age_s + LAG_S < silent_s), default=None)


def _frames(count: int, counters: list[dict[str, Any]]) -> str:
    if not count:
        return "no frame"
    ages_s = [each["idle_s"] for each in counters if each["idle_s"] is not None]
    last = f" (the last one {min(ages_s):,.0f} s ago)" if ages_s else ""
    return f"{count:,} frame{'' if count == 1 else 's'}{last}"
