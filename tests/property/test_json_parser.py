"""The parser that the connections to databases use, against the one that `ovs` ships."""

from __future__ import annotations

import importlib.util
import itertools
import json
from typing import Any

import ovs.json
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.ovsdb.parser import Parser


def _shipped() -> Any:
    """Return a copy of `ovs.json` that nobody has changed, parsing in Python."""
    spec = importlib.util.spec_from_file_location("shipped_json", ovs.json.__file__)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PARSER = module.PARSER_PY
    return module


SHIPPED = _shipped()

# The shipped parser refuses a NUL, which no OVSDB string holds (RFC 7047 section 3.1).
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.text(
    '{}[]"\\,: u1\n', max_size=8
)
atoms = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | text
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
messages = st.lists(values, max_size=4) | st.dictionaries(text, values, max_size=4)
layouts = st.sampled_from([None, 0, 2])


def fed(parser: Any, stream: str, cuts: list[int]) -> tuple[int, bool, Any]:
    """Feed *stream* piece by piece; return how much was taken, whether that was all, and the value."""
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    taken = 0
    for start, end in itertools.pairwise(edges):
        count = parser.feed(stream[start:end])
        taken += count
        if parser.is_done() or count < end - start:
            break
    return taken, parser.is_done(), parser.finish()


@given(
    messages,
    messages,
    layouts,
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=8),
    st.text(" \n", max_size=2),
)
def test_a_message_is_what_the_shipped_parser_makes_of_it_wherever_it_is_cut(
    first: Any, second: Any, indent: int | None, is_ascii: bool, cuts: list[int], gap: str
) -> None:
    stream = gap + json.dumps(first, indent=indent, ensure_ascii=is_ascii)
    stream += json.dumps(second, indent=indent, ensure_ascii=is_ascii)
    assert (
        fed(Parser(), stream, cuts)
        == fed(SHIPPED.Parser(), stream, cuts)
        == (
            *(len(gap) + len(json.dumps(first, indent=indent, ensure_ascii=is_ascii)), True),
            first,
        )
    )


@given(messages, st.integers(0, 400), st.lists(st.integers(0, 400), max_size=4))
def test_a_message_that_is_cut_short_is_not_done_and_has_no_value(
    message: Any, length: int, cuts: list[int]
) -> None:
    whole = json.dumps(message)
    stream = whole[: length % len(whole)]
    taken, is_done, error = fed(Parser(), stream, cuts)
    assert (taken, is_done) == fed(SHIPPED.Parser(), stream, cuts)[:2] == (len(stream), False)
    assert isinstance(error, str)


@pytest.mark.parametrize(
    "nonsense", ["true", "5", '"a"', "}", "[1 2]", '{"a" 1}', "[nul]", "[NaN]", "[1,]", '["\n"]', "[01]"]
)
def test_what_is_no_message_is_an_error_as_with_the_shipped_parser(nonsense: str) -> None:
    for parser in (Parser(), SHIPPED.Parser()):
        assert isinstance(fed(parser, nonsense, [])[2], str)


@pytest.mark.parametrize("trailer", ["", " \n", "x", "{}"])
def test_a_whole_file_may_have_nothing_after_its_value(trailer: str) -> None:
    is_error = [
        isinstance(fed(parser, '{"a": 1}' + trailer, [])[2], str)
        for parser in (Parser(check_trailer=True), SHIPPED.Parser(check_trailer=True))
    ]
    assert is_error[0] is is_error[1] is bool(trailer.strip())
