"""Every band has words: what it is for, the frame rules that it keeps, and a remedy if it drops."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.cli.column import OPTIONS, in_options
from trunkline.core.pipeline import Band
from trunkline.insight.meaning import BAND_BY_PLACE, MEANING

ROOT = Path(__file__).parents[2]
BANDS = list(Band)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_a_band_has_a_meaning_with_rules_that_the_page_of_rules_has(band: Band) -> None:
    page = (ROOT / "docs" / "frames.md").read_text(encoding="utf-8")
    known = {
        int(number)
        for numbers in re.findall(r"^\| (\d+(?:, \d+)*)", page, re.MULTILINE)
        for number in numbers.split(", ")
    }
    assert MEANING[band].rules
    assert set(MEANING[band].rules) <= known


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_what_a_band_is_for_can_be_read_without_its_neighbours(band: Band) -> None:
    assert not re.match(r"likewise|the same|ditto", band.purpose)


def test_no_two_bands_have_table_and_priority_in_common() -> None:
    assert len(BAND_BY_PLACE) == len(BANDS)


@pytest.mark.parametrize("band", [band for band in BANDS if MEANING[band].remedy], ids=lambda band: band.name)
def test_a_remedy_names_options_that_the_program_has(band: Band) -> None:
    remedy = in_options((MEANING[band].remedy or "").format(port="vm1", network="blue"))
    known = set(re.findall(r"--[a-z-]+", " ".join(OPTIONS.values())))
    named = set(re.findall(r"--[a-z-]+", remedy))
    assert named <= known
    assert "{" not in remedy
    # What is left in backticks is a command.
    assert all(quoted.startswith("trunkline ") for quoted in re.findall(r"`([^`]*)`", remedy))
