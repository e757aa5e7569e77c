"""Plans, over all pairs of flow maps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.plan import advance, plan

KEYS = st.binary(min_size=1, max_size=1)
BODIES = st.builds(
    bytes.__add__, st.sampled_from([b"cookie-1", b"cookie-2"]), st.sampled_from([b"", b"a", b"b"])
)
MAPS = st.dictionaries(KEYS, BODIES, max_size=8)


@given(MAPS, MAPS)
def test_plan_applied_to_the_installed_flows_gives_the_desired_ones(
    desired: dict[bytes, bytes], installed: dict[bytes, bytes]
) -> None:
    advance(installed, plan(desired, installed))
    assert installed == desired


@given(MAPS)
def test_plan_from_a_state_to_itself_is_empty(state: dict[bytes, bytes]) -> None:
    assert plan(state, dict(state)).is_empty


@given(MAPS, MAPS, st.sets(KEYS))
def test_plan_of_the_keys_that_differ_is_the_whole_plan(
    desired: dict[bytes, bytes], installed: dict[bytes, bytes], others: set[bytes]
) -> None:
    differing = {key for key in desired | installed if desired.get(key) != installed.get(key)}
    assert plan(desired, installed, differing | others) == plan(desired, installed)


@given(MAPS, MAPS, st.lists(KEYS))
def test_plan_of_some_keys_touches_no_other(
    desired: dict[bytes, bytes], installed: dict[bytes, bytes], keys: list[bytes]
) -> None:
    change = plan(desired, installed, keys)
    assert {*change.adds, *change.modifies, *change.deletes} <= set(keys)
    advance(installed, change)
    assert all(installed.get(key) == desired.get(key) for key in keys)


@given(MAPS, MAPS)
def test_parts_of_a_plan_are_apart_and_modifies_keep_the_cookie(
    desired: dict[bytes, bytes], installed: dict[bytes, bytes]
) -> None:
    change = plan(desired, installed)
    assert len({*change.adds, *change.modifies, *change.deletes}) == len(change)
    assert all(
        installed[key][:8] == body[:8] and installed[key] != body for key, body in change.modifies.items()
    )
    assert all(key not in installed or installed[key][:8] != body[:8] for key, body in change.adds.items())
    assert all(key not in desired and installed[key] == body for key, body in change.deletes.items())
