"""What `trunkline probe` prints of what it found."""

from __future__ import annotations

import pytest

from model.probe import BLUE, cut, flooded, matrix
from trunkline.cli.probe import lines
from trunkline.probe.asking import Probed, Wanted
from trunkline.probe.judgement import verdicts


def shown(*names: str, lost: frozenset[tuple[int, str, str]]) -> tuple[list[str], list[str]]:
    """Return the marks of c1 to c4 in blue, and all lines, if *names* got too much to hear it all."""
    found = flooded(matrix(BLUE, lost=lost), *names)
    probed = Probed("", Wanted(), found, {}, {}, frozenset(names), (), (), 0, 0.0, is_late=False)
    said = list(lines(probed, verdicts(found)))
    return next(line.split()[2:6] for line in said if line.split()[0] == "blue"), said


@pytest.mark.parametrize("lost", [cut(1, "c3"), frozenset({(1, "c3", "c2")})])
def test_a_chassis_that_was_flooded_is_no_fault_of_it_or_of_the_others(
    lost: frozenset[tuple[int, str, str]],
) -> None:
    marks, said = shown("c3", lost=lost)
    assert marks == ["●", "●", "?", "●"]
    text = "too many frames that look like those of a probe came, so it did not hear all; find who sends them"
    assert f"  ? c3: {text}" in said
    assert not [line for line in said if "→" in line]
    assert "✗" in shown(lost=lost)[0]


def test_of_a_chassis_that_only_flooded_ones_would_hear_nothing_is_known() -> None:
    marks, _ = shown("c2", "c3", "c4", lost=cut(1, "c1"))
    assert marks == ["?", "?", "?", "?"]
