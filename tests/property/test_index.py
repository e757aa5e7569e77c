"""An index, against sets by key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.index import Index

KEYS = st.sampled_from("ab")
EDITS = st.lists(st.tuples(st.integers(0, 3), st.none() | KEYS, st.none() | KEYS))


@given(EDITS)
def test_an_index_is_sets_by_key_however_values_move(edits: list[tuple[int, str | None, str | None]]) -> None:
    index: Index[str, int] = Index()
    values_by_key: dict[str, set[int]] = {}
    for value, old_key, new_key in edits:
        index.move(value, old_key, new_key)
        if old_key != new_key:
            values_by_key.get(old_key or "", set()).discard(value)
        if new_key is not None and (old_key != new_key):
            values_by_key.setdefault(new_key, set()).add(value)
        values_by_key = {key: values for key, values in values_by_key.items() if values}
        assert {key: set(index[key]) for key in index} == values_by_key
        assert [key in index for key in "ab"] == [key in values_by_key for key in "ab"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), KEYS)))
def test_an_index_tells_how_many_values_a_key_has_now(edits: list[tuple[bool, int, str]]) -> None:
    index: Index[str, int] = Index()
    for is_there, value, key in edits:
        count = (index.add if is_there else index.discard)(value, key)
        assert count == len(index[key])
        assert (value in index[key]) == is_there
