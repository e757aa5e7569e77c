"""The report of a run: a table, and JSON."""

from __future__ import annotations

import json
import math
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil
from series import Results
from tabulate import tabulate


def number(value: float, unit: str) -> str:
    """Return *value* as a reader wants it, with its unit."""
    if math.isnan(value):
        return "-"
    if unit == "s":
        if value < 1e-3:
            return f"{value * 1e6:,.2f} µs"
        return f"{value * 1e3:,.1f} ms" if value < 1 else f"{value:,.2f} s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.2f} {unit}"


def table(results: Results) -> str:
    """Return all series as a table; the ratio is how many times as much as ours the others take."""
    rows = []
    for series in results.series:
        ratio = results.ratio(series)
        rows.append(
            [
                series.case,
                series.work,
                series.contender,
                number(series.median, series.unit),
                number(series.percentile(99), series.unit),
                f"{number(min(series.values), series.unit)} – {number(max(series.values), series.unit)}"
                if series.values
                else "",
                len(series.values),
                "" if ratio is None else f"{ratio:.2f}",
                series.note,
            ]
        )
    headers = ["case", "work", "contender", "median", "p99", "spread", "n", "× ours", "note"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def machine() -> dict[str, Any]:
    """Return what the run was made on."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    versions = {}
    # OVN is not there if only forwarding on the kernel's datapath is measured.
    for program in filter(shutil.which, ("ovs-vswitchd", "ovn-controller")):
        shown = subprocess.run([program, "--version"], capture_output=True, text=True)
        versions[program] = shown.stdout.splitlines()[0] if shown.stdout else ""
    return {
        "processors": psutil.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **versions,
    }


def write_json(results: Results, path: Path) -> None:
    """Write every value of every series to *path*, a series a line, with the machine."""
    lines = ",\n".join(
        json.dumps(_rounded(series.as_json()), ensure_ascii=False) for series in results.series
    )
    path.write_text(f'{{"machine": {json.dumps(machine())},\n"series": [\n{lines}\n]}}\n')


def _rounded(value: Any) -> Any:
    """Return *value* with all that is measured in it to six digits."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
