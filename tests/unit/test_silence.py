"""What to do about a chassis that answers, and does not say what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from trunkline.northbound.question import Answer
from trunkline.path.hop import Entry
from trunkline.path.outcome import Silence
from trunkline.path.silence import SWITCH_REMEDY, asked_until_silent, remedy


@pytest.mark.parametrize(
    ("state", "reason", "act"),
    [
        ("refused", "this chassis answers no questions (external_ids:trunkline-answers=false)", "ovs-vsctl"),
        ("failed", "cannot ask ovs-vswitchd at /x: nobody listens there", SWITCH_REMEDY),
        ("failed", "the answer has 70,000 bytes", None),
    ],
)
def test_the_remedy_is_about_what_is_in_the_way(state: str, reason: str, act: str | None) -> None:
    found = remedy(Answer(state, {"reason": reason}))
    assert found is None if act is None else found is not None and act in found


def test_a_chassis_that_has_not_answered_is_not_asked_again() -> None:
    asked: list[list[str]] = []

    def ask(names: Sequence[str], _: Entry) -> dict[str, dict[str, Any] | Silence]:
        asked.append(sorted(names))
        return {name: Silence("it is dead") if name == "c2" else {"chassis": name} for name in names}

    again, entry = asked_until_silent(ask), Entry(b"", None, "physnet1", is_raw=False)
    silence = Silence("it is dead")
    assert again(["c1", "c2"], entry) == {"c1": {"chassis": "c1"}, "c2": silence}
    assert again(["c2", "c3"], entry) == {"c2": silence, "c3": {"chassis": "c3"}}
    assert again(["c2"], entry) == {"c2": silence}
    assert again(["c1"], entry) == {"c1": {"chassis": "c1"}}
    assert asked == [["c1", "c2"], ["c3"], ["c1"]]
