"""The report of a run: a table, JSON, and a plot."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from series import Results, Series
from tabulate import tabulate

COLOURS = {
    "trunkline": "#0b6e4f",
    "ovn": "#b3541e",
    "normal": "#5b5ea6",
    "ovs-ofctl": "#5b5ea6",
    "os-ken": "#8a8d91",
}
BAR_PX, GAP_PX, LABEL_PX, WIDTH_PX = 14, 10, 300, 900


def _number(value: float, unit: str) -> str:
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
                _number(series.median, series.unit),
                _number(series.percentile(99), series.unit),
                f"{_number(min(series.values), series.unit)} – {_number(max(series.values), series.unit)}"
                if series.values
                else "",
                len(series.values),
                "" if ratio is None else f"{ratio:.2f}",
                series.note,
            ]
        )
    headers = ["case", "work", "who", "median", "p99", "spread", "n", "× ours", "note"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def machine() -> dict[str, Any]:
    """Return what the run was made on."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    versions = {}
    for program in ("ovs-vswitchd", "ovn-controller"):
        shown = subprocess.run([program, "--version"], capture_output=True, text=True)
        versions[program] = shown.stdout.splitlines()[0] if shown.stdout else ""
    return {
        "processors": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "memory_gib": round(memory_kib / 2**20),
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


def write_plot(results: Results, path: Path) -> None:
    """Write the medians of all durations to *path* as an SVG: bars, on a logarithmic scale."""
    shown = [
        series for series in results.series if series.unit == "s" and series.values and series.case != "cpu"
    ]
    if not shown:
        return
    low = math.floor(math.log10(min(series.median for series in shown)))
    high = math.ceil(math.log10(max(series.median for series in shown)))
    scale = (WIDTH_PX - LABEL_PX - 90) / max(1, high - low)
    body = list(_bars(shown, low, scale))
    height = int(body.pop()) + 30
    grid = [
        f'<line x1="{x:.0f}" x2="{x:.0f}" y1="20" y2="{height - 20}" stroke="#ddd"/>'
        f'<text x="{x:.0f}" y="{height - 6}" text-anchor="middle">{_number(10.0**power, "s")}</text>'
        for power in range(low, high + 1)
        for x in [LABEL_PX + (power - low) * scale]
    ]
    size = f'width="{WIDTH_PX}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    path.write_text(
        "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *grid, *body, "</svg>"]) + "\n"
    )


def _bars(shown: list[Series], low: int, scale: float) -> Iterator[str]:
    """Yield the bars, and last the height that they take."""
    y, above = 24, ""
    for series in shown:
        label = f"{series.case}: {series.work}"
        if label != above:
            y += GAP_PX
            yield f'<text x="{LABEL_PX - 8}" y="{y + BAR_PX - 3}" text-anchor="end">{escape(label)}</text>'
        above = label
        length = max(1.0, (math.log10(series.median) - low) * scale)
        colour = COLOURS.get(series.contender, "#888")
        yield f'<rect x="{LABEL_PX}" y="{y}" width="{length:.0f}" height="{BAR_PX - 2}" fill="{colour}"/>'
        said = f"{series.contender} {_number(series.median, series.unit)}"
        yield f'<text x="{LABEL_PX + length + 5:.0f}" y="{y + BAR_PX - 4}">{escape(said)}</text>'
        y += BAR_PX
    yield str(y)
