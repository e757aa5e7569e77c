"""The plots of a run: medians of all durations, and how the contenders forward beside us (matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from report import number
from series import Results, Series

# SVG text as text, and the same file for the same figures.
matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "trunkline", "font.size": 8})

from matplotlib import pyplot  # noqa: E402 - the backend is chosen before

COLOURS = {
    "trunkline": "#0b6e4f",
    "ovn": "#b3541e",
    "ovn + acl": "#d98e5f",
    "normal": "#5b5ea6",
    "normal + drops": "#9a9cc9",
    "ovs-ofctl": "#5b5ea6",
    "os-ken": "#8a8d91",
}
FORWARD_CASES = ("frame cost", "first frame", "round trip", "frames", "tcp", "udp")
MOST_TIMES_OURS = 2.0
"""Where the scale of the forwarding plot ends; the number of a longer bar says how long it is."""


class _Bar(NamedTuple):
    series: Series
    length: float
    said: str


def write(results: Results, folder: Path) -> None:
    """Write `results.svg` and `forward.svg` into *folder*, each if there is anything to show."""
    durations = [
        _Bar(series, series.median, f"{series.contender} {number(series.median, series.unit)}")
        for series in results.series
        if series.unit == "s" and series.values and series.case != "cpu"
    ]
    _draw(durations, folder / "results.svg", "median, seconds", is_logarithmic=True)
    ratios = [
        _Bar(series, min(ratio, MOST_TIMES_OURS), f"{series.contender} {ratio:.2f}")
        for series in results.series
        if series.case in FORWARD_CASES and (ratio := results.ratio(series)) is not None
    ]
    _draw(ratios, folder / "forward.svg", "times what Trunkline takes", mark=1.0)


def _draw(
    bars: Sequence[_Bar], path: Path, axis: str, *, is_logarithmic: bool = False, mark: float | None = None
) -> None:
    """Draw *bars* from top to bottom, those of one work together; a line at *mark*."""
    if not bars:
        return
    groups: dict[str, list[_Bar]] = {}
    for bar in bars:
        groups.setdefault(f"{bar.series.case}: {bar.series.work}", []).append(bar)
    bars = [bar for group in groups.values() for bar in group]
    labels = [label for label, group in groups.items() for _ in group]
    # A gap of half a bar before each new work.
    gaps = [label != above for label, above in zip(labels, [None, *labels], strict=False)]
    places = [at + 0.5 * sum(gaps[: at + 1]) for at in range(len(bars))]
    figure, axes = pyplot.subplots(figsize=(9, 0.6 + 0.18 * places[-1]), layout="constrained")
    drawn = axes.barh(
        places,
        [bar.length for bar in bars],
        color=[COLOURS.get(bar.series.contender, "#888888") for bar in bars],
        log=is_logarithmic,
    )
    axes.bar_label(drawn, [bar.said for bar in bars], padding=3)
    named = [(place, label) for place, label, gap in zip(places, labels, gaps, strict=True) if gap]
    axes.set_yticks([place for place, _ in named], [label for _, label in named])
    axes.invert_yaxis()
    axes.margins(x=0.2, y=0.01)
    axes.set_xlabel(axis)
    if mark is not None:
        axes.axvline(mark, color=COLOURS["trunkline"], zorder=0)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
