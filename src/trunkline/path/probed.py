"""What the last probes of a network say of the wire between two chassis that a frame of a trace takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.path import evidence
from trunkline.path.evidence import LAG_S, Evidence
from trunkline.probe.record import LASTS_S, telling

if TYPE_CHECKING:
    from trunkline.path.evidence import Hop
    from trunkline.probe.record import Record, Records, Wrong

_AGAIN = "probe again: trunkline probe"

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


def probed(records: Records, sender: Hop, receiver: Hop, size: int, read_ms: tuple[int, int]) -> Probed:
    """Return what *records* say of a packet of *size* bytes that *sender* sends to *receiver*.

    The counters of *receiver* were read between the two moments *read_ms*, by the clock of the records.
    """
    one, other = sender["chassis"], receiver["chassis"]
    record = telling(records, one, other)
    if record is None:
        return Probed(f"the probe {ago(records[0].age_s())} does not say whether {one} → {other} is reached")
    age = ago(record.age_s())
    if record.is_reached(one, other):
        found = Probed(f"{one} → {other} reached by the probe {age}", reached_s=record.age_s())
        measured = next((each for each in records if (one, other) in each.sizes), None)
        return found if measured is None else _up_to(found, record, measured, one, other, size)
    wrong = record.about(one, other, is_size=False)
    text = f"{one} → {other} LOST by the probe {age}"
    said = f"{text}: {wrong.text}" if wrong is not None else text
    remedy = None if wrong is None else wrong.remedy
    heard_s, silent_s = evidence.heard(receiver), evidence.silent(receiver)
    least_s, most_s = map(record.age_s, read_ms)
    if heard_s is not None and is_since(heard_s, least_s):
        again = _AGAIN if wrong is None else f"probe again: {wrong.again}"
        return Probed(text, note=(f"but {said}; what {one} sends has come since, {ago(heard_s)}", again))
    if silent_s is not None and not is_since(silent_s, most_s):
        return Probed(text, Evidence(said, record.age_s()), remedy)
    note = f"but {said}; frames have come since, and nobody knows from whom"
    return Probed(text, note=(note, _mended(wrong)))


def _up_to(found: Probed, record: Record, measured: Record, one: str, other: str, size: int) -> Probed:
    """Return *found*, by *record*, with how large packets may be by the probe that has *measured* that."""
    most, age = measured.sizes[one, other], ago(measured.age_s())
    when = "" if measured is record else f" by the one {age}"
    found = found._replace(text=f"{found.text}, up to {most} bytes{when}")
    if size <= most:
        return found
    what, again = f"packets over {most} bytes", _mended(measured.about(one, other, is_size=True))
    if measured.age_s() >= LASTS_S:
        return found._replace(note=(f"but the probe {age} lost {what} there", again))
    # No counter tells how long the frames were that have come since.
    loss = Evidence(f"so the probe {age} found", measured.age_s(), what=what)
    return found._replace(loss=loss, remedy=again)


def _mended(wrong: Wrong | None) -> str:
    """Return what to do about what is *wrong*, and then."""
    return (
        _AGAIN
        if wrong is None
        else f"{wrong.remedy}, if that is not done yet; then probe again: {wrong.again}"
    )


def is_since(ago_s: float, age_s: float) -> bool:
    """Return whether what was seen *ago_s* ago, as counters show it, was certainly after a probe.

    The probe was made *age_s* before these counters were read.
    """
    return ago_s + LAG_S < age_s


def ago(age_s: float) -> str:
    """Return *age_s* in words.

    >>> ago(7200), ago(120), ago(119.4)
    ('2 h ago', '2 min ago', '119 s ago')
    """
    if age_s >= 2 * _HOUR_S:
        return f"{age_s // _HOUR_S:.0f} h ago"
    if age_s >= 2 * _MINUTE_S:
        return f"{age_s // _MINUTE_S:.0f} min ago"
    return f"{age_s:.0f} s ago"
