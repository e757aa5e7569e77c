"""Findings: their codes, and their form as JSON."""

from __future__ import annotations

import re

from trunkline.health.finding import CODES, Finding


def test_a_code_is_t_and_three_digits_and_means_one_sentence() -> None:
    for code, meaning in CODES.items():
        assert re.fullmatch(r"T[1-5]\d\d", code)
        assert re.fullmatch(r"[A-Z][^.]*\.", meaning)
    assert len(set(CODES.values())) == len(CODES)


def test_a_finding_is_the_same_after_json() -> None:
    finding = Finding("T304", "error", "vif vm1", "c1", None, "tap1 has no link", "start the VM")
    assert Finding(**finding.data()) == finding
    assert list(finding.data()) == [
        "code",
        "severity",
        "subject",
        "chassis",
        "since",
        "text",
        "remedy",
        "also",
    ]
