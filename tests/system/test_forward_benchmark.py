"""`scripts/bench forward` on the kernel's datapath: it measures each of its cases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from device import kernel_only

pytestmark = pytest.mark.system

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench.py"
WAYS = ("VM → wire", "VM → VM", "wire → VM")


@kernel_only
def test_each_case_of_forwarding_is_measured_beside_a_bridge_that_only_learns(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH), "forward", "--quick", "--datapath", "system", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    costs = [series for series in found["series"] if series["case"] == "frame cost"]
    assert costs, {series["case"] for series in found["series"]}
    for way in WAYS:
        works = {(series["contender"], series["work"]) for series in costs if series["work"].startswith(way)}
        assert len(works) == 4, works
    mixed = {series["contender"] for series in costs if series["work"].startswith("a mix")}
    assert {"trunkline", "normal", "normal + drops"} <= mixed
    assert all(value > 0 for series in costs for value in series["values"])
