"""What a chassis answers is data that can be used, whatever hands it is in, or it is one error."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.insight import parcel
from trunkline.insight.plan_summary import summary
from trunkline.northbound.body import MOST_DEPTH, UnreadableError, value
from trunkline.path.hop_form import parts

USELESS = {
    "lists inside each other, more than Python takes": "[" * 30_000 + "]" * 30_000,
    "lists inside each other, more than can be shown": "[" * 900 + "]" * 900,
    "objects inside each other": '{"a":' * 900 + "1" + "}" * 900,
    "no number": '{"age_s": NaN}',
    "infinity": "[Infinity]",
    "a number that becomes infinite": "[1e999]",
    "a number of 4,000 digits": "9" * 4000,
    "a number of more digits than Python converts": "9" * 60_000,
    "half of a pair of surrogates": r'"\ud800"',
    "a key that is half of a pair of surrogates": r'{"\ud800": 1}',
    "no JSON": "no",
    "nothing": "",
}


@pytest.mark.parametrize("text", USELESS.values(), ids=USELESS)
def test_what_cannot_be_used_is_one_error(text: str) -> None:
    with pytest.raises(UnreadableError) as found:
        value(text)
    assert len(str(found.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_all_else_is_what_was_written(written: Any) -> None:
    assert value(json.dumps(written)) == written


def test_data_may_be_nested_as_deep_as_answers_are() -> None:
    assert value("[" * MOST_DEPTH + "]" * MOST_DEPTH)


def packed(*lines: str) -> str:
    return base64.b64encode(zlib.compress("".join(f"{line}\n" for line in lines).encode(), 9)).decode()


@pytest.mark.parametrize(
    "text",
    [
        packed("[" * 100_000),
        packed("[1e999]"),
        packed("[" + "0," * 4_000_000 + "0]"),
        packed('["x"]')[:-8],
        "no base64",
        None,
        7,
    ],
)
def test_a_parcel_that_cannot_be_used_is_not_unpacked(text: Any) -> None:
    with pytest.raises(parcel.UNREADABLE):
        parcel.items(text)


@pytest.mark.parametrize(
    "counters", [["inf", 0, 0], [-1, 0, 0], [0, -1, 0], [0, 0, "9"], [0, 0, None], [0, 0.5, 0]]
)
def test_a_flow_of_impossible_counters_is_none(counters: list[Any]) -> None:
    with pytest.raises(parcel.UNREADABLE):
        parcel.flow(["00", "00", *counters])


@pytest.mark.parametrize(
    "line",
    [
        '["count","add",0,1,-5]',
        '["count","add","0",1,5]',
        '["port","1","x",null]',
        '["interface",-1,"x",null]',
    ],
)
def test_a_plan_of_impossible_numbers_is_none(line: str) -> None:
    with pytest.raises(parcel.UNREADABLE):
        summary({"packed": packed(line), "flows": 1})


def test_a_trace_takes_nothing_from_an_answer_but_what_hops_have() -> None:
    assert parts({"chassis": "c1", "mtu": 1500, "wire": 5, "enters": {}, "zzz": [[]]}) == {
        "chassis": "c1",
        "mtu": 1500,
    }
