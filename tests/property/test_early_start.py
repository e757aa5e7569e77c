"""A large change that goes out while it is computed ends as the plan would have, whatever came in between."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.bridge import early_start as early_starts
from trunkline.bridge.early_start import EarlyStart
from trunkline.core import plan as planning
from trunkline.core.plan import Plan

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
BODIES = st.builds(bytes.__add__, st.sampled_from([b"cookie 1", b"cookie 2"]), st.sampled_from([b"x", b"y"]))
FLOWS = st.dictionaries(KEYS, BODIES)
STEPS = st.lists(st.tuples(st.dictionaries(KEYS, st.none() | BODIES), st.booleans()))
"""Changes of what should be, and whether each goes out early."""


class Switch:
    """A switch to which bundles are sent: a bundle has no effect before it is closed."""

    def __init__(self, installed: Mapping[bytes, bytes]) -> None:
        self.installed = dict(installed)
        self.sent: list[Plan] = []
        self.opened = 0

    def open_bundle(self) -> int:
        self.opened += 1
        return self.opened

    def add_to_bundle(self, bundle_id: int, plan: Plan) -> None:
        assert bundle_id == self.opened
        self.sent.append(plan)

    def close_bundle(self, bundle_id: int) -> None:
        assert bundle_id == self.opened
        for plan in self.sent:
            planning.advance(self.installed, plan)


@given(FLOWS, FLOWS, STEPS)
def test_an_early_start_that_is_completed_is_the_whole_change_and_takes_hold_at_once(
    installed: dict[bytes, bytes], desired: dict[bytes, bytes], steps: list[tuple[dict[bytes, bytes], bool]]
) -> None:
    switch, touched = Switch(installed), installed.keys() | desired.keys()
    early_start = EarlyStart(switch, desired)
    for changes, is_early in steps:
        for key, body in changes.items():
            if body is None:
                desired.pop(key, None)
            else:
                desired[key] = body
        touched |= changes.keys() - early_start.add(changes, installed) if is_early else changes.keys()
        assert all(not (plan.deletes or plan.modifies) for plan in switch.sent), "only adds go out early"
        assert all(plan.adds.keys().isdisjoint(installed) for plan in switch.sent), "and only new ones"
    assert switch.installed == installed
    if early_start.is_open:
        _, whole = early_start.complete(planning.plan(desired, installed, touched), touched)
        assert switch.installed == desired
        planning.advance(installed, whole)
        assert installed == desired
        assert not early_start.is_open
        assert not early_start.keys


@given(FLOWS, FLOWS)
def test_a_plan_with_many_new_flows_goes_out_in_portions_of_one_bundle(
    installed: dict[bytes, bytes], desired: dict[bytes, bytes]
) -> None:
    switch, touched = Switch(installed), installed.keys() | desired.keys()
    early_start, new = EarlyStart(switch, desired), desired.keys() - installed.keys()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(early_starts, "MOST_FLOWS", 2)
        monkeypatch.setattr(early_starts, "PORTION", 1)
        assert early_start.divide(planning.plan(desired, installed, touched), installed) == (len(new) > 2)
        while early_start.has_more:
            touched -= early_start.add(early_start.next_portion(), installed)
        assert {key for plan in switch.sent for key in plan.adds} == (new if len(new) > 2 else set())
        assert all(len(plan) == 1 for plan in switch.sent)
    if early_start.is_open:
        early_start.complete(planning.plan(desired, installed, touched), touched)
        assert switch.installed == desired
        assert switch.opened == 1


@given(FLOWS)
def test_an_early_start_that_is_forgotten_begins_anew(desired: dict[bytes, bytes]) -> None:
    switch = Switch({})
    early_start = EarlyStart(switch, desired)
    early_start.add(desired, {})
    early_start.forget()
    assert not early_start.is_open
    assert not early_start.keys
    assert not early_start.has_more
