"""What to do about a chassis that answers, and does not say what it is asked."""

from __future__ import annotations

import pytest

from trunkline.northbound.question import Answer
from trunkline.path.silence import SWITCH_REMEDY, remedy


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
