"""Evidence of what the physical network does with frames, by the counters of the flows at its two ends.

A flow that takes frames of a VLAN from an uplink counts them, whoever sent them. So a count says that the
VLAN reaches this chassis, but not from where. No count at all is telling only if frames were sent while the
flow was there: that is so if what sent them is younger than the flow.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from trunkline.core.announcement import GAPS_S

Hop: TypeAlias = dict[str, Any]

LAG_S = 2.0
"""How long a frame may take from the switch to a counter: ovs-vswitchd looks at its cache twice a second, and
a busy one less often."""


class Evidence(NamedTuple):
    """What the counters say of the wire between two chassis; *is_lost*: frames are certainly lost."""

    text: str
    is_lost: bool


def wire(sender: Hop, receiver: Hop, place: str, *, is_announced: bool) -> Evidence:
    """Return what the counters of two hops say of the wire *place* between them.

    *is_announced* says that the agent of the sender announces the port there when it comes up.
    """
    sent, there = sender["counters"].get("sent"), sender["counters"].get("sent_there")
    received = receiver["counters"].get("received")
    names = sender["chassis"], receiver["chassis"]
    count = sum(each["packets"] for each in (sent, there) if each is not None)
    said = f"{names[0]} has sent {_frames(count)} into {place}"
    if received is None:
        return Evidence(f"{said}; {names[1]} has no flow that counts them", False)
    if received["packets"]:
        said += f"; {names[1]} has received {_frames(received['packets'])} of that VLAN, of whomever"
        return Evidence(said, False)
    said += f"; {names[1]} has received none of that VLAN"
    announced = _announced(sender["counters"].get("sender"), received) if is_announced else None
    heard = [each for each in (sent, there) if _since(each, received) is not None and each["packets"]]
    if heard:
        count = sum(each["packets"] for each in heard)
        return Evidence(f"{said} (of {_frames(count)} while it could)", True)
    if announced is not None:
        return Evidence(f"{said}, not even the announcements of the sender {announced:.0f} s ago", True)
    return Evidence(f"{said}, but it counts only since {received['age_s']:.0f} s", False)


def _since(sender: dict[str, Any] | None, receiver: dict[str, Any]) -> float | None:
    """Return how long ago *sender* began, if that is late enough for *receiver* to have counted all of it."""
    if sender is None or not LAG_S <= sender["age_s"] <= receiver["age_s"]:
        return None
    age_s: float = sender["age_s"]
    return age_s


def _announced(sender: dict[str, Any] | None, receiver: dict[str, Any]) -> float | None:
    """Return how long ago the first announcement was sent that *receiver* could count; None if there is none.

    An agent repeats announcements with growing gaps from when the port is there.
    """
    if sender is None:
        return None
    ages = (sender["age_s"] - after_s for after_s in accumulate(GAPS_S, initial=0))
    return max((age_s for age_s in ages if LAG_S <= age_s <= receiver["age_s"]), default=None)


def _frames(count: int) -> str:
    return f"{count:,} frame{'' if count == 1 else 's'}"
