"""However the rows came to be what they are, the flows and faults are those of a fresh computation."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from model import rows, world
from model.drawn import drawn, histories, worlds
from trunkline import apps
from trunkline.core.desired import Desired
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.outcome import Outcomes
from trunkline.core.subject import SubjectId
from trunkline.core.view import View
from trunkline.openflow.message import encode

EDITS = 12

K = TypeVar("K")
V = TypeVar("V")


class Core:
    """An inventory and the desired flows that follow it, as the agent has them."""

    def __init__(self) -> None:
        self.inventory = Inventory(rows.CHASSIS)
        self.outcomes = Outcomes(self.inventory)
        self.desired: Desired[SubjectId] = Desired()

    def take(self, changes: Changes) -> None:
        self.inventory.change(changes)
        self.refresh()

    def refresh(self, most: int | None = None) -> None:
        encoded = {subject: _encoded(view) for subject, view in self.outcomes.refresh(most).items()}
        self.desired.replace(encoded)


def _encoded(view: View | None) -> list[tuple[bytes, bytes]]:
    return [] if view is None else [tuple(encode(flow)) for flow in apps.flows(view)]  # type: ignore[misc]


def _fresh(now: rows.Rows) -> Core:
    core = Core()
    core.take(rows.changes(rows.Rows(), now))
    return core


def _assert_same(core: Core, fresh: Core) -> None:
    assert core.desired.conflicts == fresh.desired.conflicts == {}
    assert core.desired.body_by_key == fresh.desired.body_by_key
    assert core.outcomes.faults == fresh.outcomes.faults


@settings(max_examples=200)
@given(history=histories(EDITS))
def test_any_edits_end_in_the_flows_of_a_fresh_computation(history: list[rows.Rows]) -> None:
    """DESIGN.md section 7."""
    now, core = rows.Rows(), Core()
    for then in history:
        core.take(rows.changes(now, then))
        now = then
        _assert_same(core, _fresh(now))


PORTIONS = st.lists(st.sampled_from((None, None, 0, 0, 1, 3, 7)), min_size=EDITS, max_size=EDITS)
"""How many marked subjects are computed after each edit; None: all."""


@settings(max_examples=100)
@given(history=histories(EDITS), portions=PORTIONS, last=st.sampled_from((None, 1, 3)))
def test_edits_that_were_not_computed_one_by_one_end_in_the_same_flows(
    history: list[rows.Rows], portions: list[int | None], last: int | None
) -> None:
    now, core = rows.Rows(), Core()
    for then, portion in zip(history, portions, strict=False):
        core.inventory.change(rows.changes(now, then))
        core.refresh(portion)
        now = then
    while not core.inventory.is_clean:
        core.refresh(last)
    _assert_same(core, _fresh(now))


@st.composite
def repeated(draw: st.DrawFn) -> tuple[rows.Rows, rows.Rows, Changes, Changes]:
    """Draw rows, what became of them, and what changed in between, twice, each in an order of its own."""
    before = draw(worlds())
    after = draw(drawn(world.edited, draw(drawn(world.edited, before))))
    first, again = (draw(drawn(_shuffled, rows.changes(before, after))) for _ in range(2))
    return before, after, first, again


@settings(max_examples=100)
@given(case=repeated())
def test_the_order_of_the_rows_of_a_change_and_its_repetition_do_not_matter(
    case: tuple[rows.Rows, rows.Rows, Changes, Changes],
) -> None:
    before, after, first, again = case
    core = _fresh(before)
    core.take(first)
    core.take(again)
    _assert_same(core, _fresh(after))


@settings(max_examples=50)
@given(now=worlds())
def test_a_row_that_did_not_change_marks_nothing(now: rows.Rows) -> None:
    """DESIGN.md section 7: only what changed is computed again."""
    core = _fresh(now)
    core.inventory.change(rows.changes(rows.Rows(), now))
    assert core.outcomes.refresh() == {}


def _shuffled(random: Random, change: Changes) -> Changes:
    return Changes(
        networks=_reordered(random, change.networks),
        ports=_reordered(random, change.ports),
        vifs=_reordered(random, change.vifs),
        uplinks=_reordered(random, change.uplinks),
        whole_physnets=change.whole_physnets,
    )


def _reordered(random: Random, values: Mapping[K, V]) -> dict[K, V]:
    return dict(random.sample(list(values.items()), len(values)))
