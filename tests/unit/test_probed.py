"""What the last probe says of a wire: whether a frame has come since is told by when counters were read."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.path.probed import Probed, probed
from trunkline.probe.record import Record

PROBED_MS = 1_800_000_000_000


def seen(heard_s: float | None, silent_s: float, read_s: tuple[float, float]) -> Probed:
    """Return what a probe says that lost what c1 sends to c2; counters were read *read_s* after it."""
    record = Record(PROBED_MS, (), frozenset({("c1", "c2")}), {}, ())
    received = {"packets": 1, "idle_s": silent_s, "age_s": 99.0}
    receiver: dict[str, Any] = {"chassis": "c2", "heard_s": heard_s, "counters": {"received": received}}
    first, last = (PROBED_MS + round(1000 * each) for each in read_s)
    return probed((record,), {"chassis": "c1"}, receiver, 64, (first, last))


@pytest.mark.parametrize(
    ("heard_s", "silent_s", "read_s", "is_lost", "is_heard"),
    [
        (4, 4, (5, 5), True, False),  # a second after the probe, but counters may be 3 s late
        (1, 1, (5, 5), False, True),
        (4, 4, (5, 8), False, False),  # it took 3 s to read them: perhaps since, perhaps not
        (4, 9, (5, 8), True, False),
        (None, 9, (5, 8), True, False),
        (None, 1, (5, 8), False, False),
    ],
)
def test_a_frame_has_come_since_a_probe_only_if_it_had_when_the_counters_were_read(
    heard_s: float | None, silent_s: float, read_s: tuple[float, float], is_lost: bool, is_heard: bool
) -> None:
    found = seen(heard_s, silent_s, read_s)
    assert (found.loss is not None) == is_lost
    said = "" if found.note is None else found.note[0]
    assert ("what c1 sends has come since" in said) == is_heard
