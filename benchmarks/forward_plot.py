"""The plot of the forwarding benchmark: how many times what ours takes the others take, on a linear scale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from report import BAR_PX, COLOURS, GAP_PX, LABEL_PX, WIDTH_PX
from series import Results, Series

CASES = ("frame cost", "first frame", "round trip", "frames", "tcp", "udp")
MOST = 2.0
"""Where the scale ends; a longer bar is cut there, and its number says how long it is."""

SCALE = (WIDTH_PX - LABEL_PX - 90) / MOST


def write(results: Results, path: Path) -> None:
    """Write the plot as an SVG to *path*; nothing where there is nothing to compare."""
    shown = [(series, results.ratio(series)) for series in results.series if series.case in CASES]
    body = list(_bars([(series, ratio) for series, ratio in shown if ratio is not None]))
    height = int(body.pop()) + 30
    if len(body) == 0:
        return
    lines = [
        f'<line x1="{x:.0f}" x2="{x:.0f}" y1="20" y2="{height - 20}" stroke="{colour}"/>'
        f'<text x="{x:.0f}" y="{height - 6}" text-anchor="middle">{mark:g} × ours</text>'
        for mark, colour in ((0.5, "#ddd"), (1.0, "#0b6e4f"), (1.5, "#ddd"))
        for x in [LABEL_PX + mark * SCALE]
    ]
    size = f'width="{WIDTH_PX}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    background = '<rect width="100%" height="100%" fill="white"/>'
    path.write_text("\n".join([head, background, *body, *lines, "</svg>"]) + "\n")


def _bars(shown: list[tuple[Series, float]]) -> Iterator[str]:
    """Yield the bars, and last the height that they take."""
    y, above = 24, ""
    for series, ratio in shown:
        label = f"{series.case}: {series.work}"
        if label != above:
            y += GAP_PX
            yield f'<text x="{LABEL_PX - 8}" y="{y + BAR_PX - 3}" text-anchor="end">{escape(label)}</text>'
        above = label
        length, colour = min(ratio, MOST) * SCALE, COLOURS.get(series.contender, "#888")
        yield f'<rect x="{LABEL_PX}" y="{y}" width="{length:.0f}" height="{BAR_PX - 2}" fill="{colour}"/>'
        said = f"{series.contender} {ratio:.2f}"
        yield f'<text x="{LABEL_PX + length + 5:.0f}" y="{y + BAR_PX - 4}">{escape(said)}</text>'
        y += BAR_PX
    yield str(y)
