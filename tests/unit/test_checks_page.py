"""The page of checks has a section for each code, which begins with what it means; each has a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.health.cause import CAUSES
from trunkline.health.finding import CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "checks.md").read_text()

TESTS = sorted((ROOT / "tests").glob("*/test_*.py"))

SECTIONS = dict(re.findall(r"^### (T\d{3})\n\n(.*?)(?=\n#|\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_there_is_a_section_for_each_code_and_no_other_in_the_order_of_the_codes() -> None:
    assert re.findall(r"^### (.*)$", PAGE, re.MULTILINE) == list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_section_begins_with_what_the_code_means_and_goes_on(code: str) -> None:
    first, _, more = SECTIONS[code].partition("\n\n")
    assert first == CODES[code]
    assert len(more.split()) > 3


def test_each_code_is_produced_by_a_test() -> None:
    """Those of faults by `test_cause`, which goes through all texts that an agent can report."""
    tests = "".join(path.read_text() for path in TESTS if path != Path(__file__))
    produced = {cause.code for cause in CAUSES} | set(re.findall(r'"(T[1-5]\d\d)"', tests))
    assert CODES.keys() - produced == set()
