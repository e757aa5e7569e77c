"""What the last probe of a network says of the wire between two chassis that a frame of a trace takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.path import evidence
from trunkline.path.evidence import LAG_S, Evidence

if TYPE_CHECKING:
    from trunkline.path.evidence import Hop
    from trunkline.probe.record import Record

_MINUTE_S = 60
_HOUR_S = 3600


class Probed(NamedTuple):
    """What is said of the wire, a *loss* if the probe found one and nothing has come since, and a *note*.

    *reached_s* is how long ago the probe reached the receiver, if it did: what was lost before is over.
    """

    text: str
    loss: Evidence | None = None
    remedy: str | None = None
    note: tuple[str, str | None] | None = None
    reached_s: float | None = None


def probed(record: Record, sender: Hop, receiver: Hop, size: int) -> Probed:
    """Return what *record* says of a packet of *size* bytes that *sender* sends to *receiver*."""
    one, other = sender["chassis"], receiver["chassis"]
    is_reached = record.is_reached(one, other)
    age = _ago(record.age_s())
    if is_reached is None:
        return Probed(f"the probe {age} did not look at {one} → {other}")
    wrong = record.about(one, other)
    if is_reached:
        most = record.sizes.get((one, other))
        if most is None:
            return Probed(f"{one} → {other} reached by the probe {age}", reached_s=record.age_s())
        text = f"{one} → {other} reached by the probe {age}, up to {most} bytes"
        if size <= most:
            return Probed(text)
        return Probed(
            text, note=(f"but the probe {age} lost packets over {most} bytes there", wrong and wrong.remedy)
        )
    text = f"{one} → {other} LOST by the probe {age}"
    said = f"{text}: {wrong.text}" if wrong is not None else text
    remedy = None if wrong is None else wrong.remedy
    silent_s = evidence.silent(receiver)
    if silent_s is not None and silent_s + LAG_S >= record.age_s():
        return Probed(text, Evidence(said, record.age_s()), remedy)
    return Probed(text, note=(f"but {said}; frames have come since", remedy))


def _ago(age_s: float) -> str:
    if age_s >= 2 * _HOUR_S:
        return f"{age_s // _HOUR_S:.0f} h ago"
    if age_s >= 2 * _MINUTE_S:
        return f"{age_s // _MINUTE_S:.0f} min ago"
    return f"{age_s:.0f} s ago"
