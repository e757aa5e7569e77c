"""`docs/frames.md` names a test for every frame rule, and every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "frames.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    assert set(re.findall(r"\btest_\w+(?=`)", PAGE)) - defined == set()


def test_every_frame_rule_has_a_row() -> None:
    rules = re.findall(r"^\| (\d+(?:, \d+)*)", PAGE, re.MULTILINE)
    assert {int(number) for rule in rules for number in rule.split(", ")} == set(range(1, 19))
