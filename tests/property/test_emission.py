"""Data as YAML: what is written is read again, by the rules of YAML 1.1 and 1.2."""

from __future__ import annotations

import cProfile
import pstats
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trunkline.manifest.emission import Emission

TRICKY = [
    "",
    "yes",
    "null",
    "~",
    "1",
    "0o17",
    "1e3",
    "10:20:30:40:50:01",
    "- a",
    "a: b",
    "#",
    "é端",
    "\x85",
    " ",
]
TEXTS = st.one_of(st.sampled_from(TRICKY), st.text(max_size=12))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=20,
)


@given(DATA)
def test_what_is_written_is_read_again(data: Any) -> None:
    for emission in (Emission(), Emission(allow_unicode=True, is_marked=True)):
        for _ in range(2):
            assert yaml.safe_load(emission.text(data)) == data
    assert Emission().text(data).isascii()


@given(
    st.dictionaries(
        st.from_regex("[a-z_]{1,9}", fullmatch=True), st.sampled_from([None, True, 1, "a b", "1"])
    )
)
def test_it_is_what_pyyaml_writes_by_itself(data: Any) -> None:
    assert Emission().text([data]) == yaml.safe_dump([data], sort_keys=False, default_flow_style=False)


@pytest.mark.parametrize("text", ["0o17", "1e3", "+.5"])
def test_a_text_that_is_a_number_to_yaml_1_2_is_in_quotes(text: str) -> None:
    assert Emission().text([text]) == f"- '{text}'\n"


def test_no_part_of_a_document_refers_to_another() -> None:
    shared = ["a"]
    assert Emission().text([shared, shared]) == "- - a\n- - a\n"


def test_how_a_value_is_written_is_decided_once_however_often_it_comes() -> None:
    """So YAML takes less than twice the time of JSON; PyYAML alone decides 32,000 times here."""
    rows = [{"name": f"vm{n}", **dict.fromkeys("abcdefghijklmno", True)} for n in range(1000)]
    profile = cProfile.Profile()
    profile.runcall(Emission().text, rows)
    calls: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    resolved = sum(count for (_, _, name), (count, *_) in calls.items() if name == "resolve")
    assert 0 < resolved <= 2 * (1000 + 15 + 2)
