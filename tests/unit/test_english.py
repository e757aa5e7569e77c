"""Phrases that cost readers, and the usual words for them. None of them is good English somewhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = [path for folder in ("src", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TEXTS = [path for path in (*CODE, *PAGES) if path != Path(__file__)]

USUAL = {
    r"(?<![Tt]here )\b(?:is|are|was) no more\b(?! than)": "no longer exists",
    r"\b(?:None|True|False|empty) where\b": "… if",
    r"\b\w+Error`? where\b": "… if",
    r"\bthat there (?:is|are)(?=[.,;)])": "name them: the present rows, all rows",
    r"\btakes? hold\b": "takes effect",
    r"\bheld against\b": "compared with, checked against",
    r"(?<![Aa]s )\bof now\b(?! on)": "present",
    r"\bgo(?:es)? on and on\b": "keeps",
    r"[,;] where not\b": "if not",
    r"\bmakes? no sense\b": "is invalid, cannot be read",
}
"""A pattern of each phrase, and what to write in its place."""


def test_phrases_that_cost_readers_are_nowhere() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()} (write: {usual})"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for phrase, usual in USUAL.items()
        if re.search(phrase, line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("phrase", "line"),
    [
        (0, "The chassis that held it is no more."),
        (1, "Return the port, None where there is none."),
        (2, "Raises `DecodeError` where it is cut short."),
        (3, "Return the rows that there are."),
        (4, "The change takes hold at once."),
        (5, "A flow is held against the rule of its table."),
        (6, "Return the flows of now."),
        (7, "It goes on and on."),
        (8, "It says so, where not it is silent."),
        (9, "The answer makes no sense."),
    ],
)
def test_each_phrase_is_found(phrase: int, line: str) -> None:
    assert re.search(list(USUAL)[phrase], line)


@pytest.mark.parametrize(
    "line",
    [
        "There is no more data.",
        "It is no more than a name.",
        "From now on it is used. As of now, it is not.",
        "An error where the file ends, and the place where it is.",
        "It must be held in place against the wall.",
        "Return whether there are rows that there is no room for.",
    ],
)
def test_good_english_is_left_alone(line: str) -> None:
    assert [phrase for phrase in USUAL if re.search(phrase, line)] == []
