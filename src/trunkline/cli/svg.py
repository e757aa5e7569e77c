"""The topology as an SVG 1.1 picture: three columns of boxes, and lines between those that share ports.

As the columns are given, nothing has to be laid out, and no library is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from wcwidth import clip, wcswidth

from trunkline.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.cli.drawing import Box, Drawing

_LINE = 16
_PADDING = 6
_GAP = 10
_MARGIN = 20
_CHASSIS_X = 760
_CHASSIS_WIDTH = 380
_CHARACTER = 7.3
"""The width of a character of the font, in pixels: of 12 pixels, in a monospaced font."""

_FAULTY = ' class="faulty"'
_STYLE = (
    "text{font:12px monospace;fill:#1a1a1a}"
    "rect{fill:#f4f6f8;stroke:#5b6b7b}"
    "path{fill:none;stroke:#9aa7b4}"
    ".faulty rect{fill:#fdecee;stroke:#b00020;stroke-width:2}"
    ".faulty text{fill:#b00020}"
    "path.faulty{stroke:#b00020;stroke-width:2}"
)


class _Place(NamedTuple):
    """Where a box is, and its *lines*."""

    x: int
    y: int
    width: int
    lines: list[str]

    @property
    def height(self) -> int:
        return _LINE * len(self.lines) + 2 * _PADDING

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


def lines(drawn: Drawing) -> Iterator[str]:
    """Yield the lines of a picture of *drawn*, which are one XML 1.0 document."""
    networks = [box for _, box in drawn.networks]
    physnet_places = _column(drawn.physnets, x=_MARGIN, width=180)
    network_places = _column(networks, x=320, width=240)
    chassis_places = _column(drawn.chassis, _CHASSIS_X, _CHASSIS_WIDTH)
    places = [*physnet_places, *network_places, *chassis_places]
    height = max((place.y + place.height for place in places), default=0) + _MARGIN
    width = _CHASSIS_X + _CHASSIS_WIDTH + _MARGIN
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
    yield "<title>Physical networks, their networks, and the chassis that have ports of these</title>"
    yield f'<style>{_STYLE}</style><rect width="100%" height="100%" style="fill:#fff;stroke:none"/>'
    for number, (physnet, box) in enumerate(drawn.networks):
        said = f"{drawn.physnets[physnet].label}: {box.label}"
        yield _path(physnet_places[physnet], network_places[number], said)
    # What is faulty is drawn over all else.
    for (network, chassis), share in sorted(drawn.shares.items(), key=lambda item: item[1].total.is_faulty):
        total, ends = share.total, f"{networks[network].label}, {drawn.chassis[chassis].label}"
        said = f"{ends}: {total.up:,} of {total.ports:,} ports up"
        yield _path(network_places[network], chassis_places[chassis], said, total.is_faulty)
    for place, box in zip(places, [*drawn.physnets, *networks, *drawn.chassis], strict=True):
        yield from _box(place, box)
    yield "</svg>"


def _column(boxes: list[Box], x: int, width: int) -> list[_Place]:
    """Return the places of *boxes*, one below the other."""
    most = int((width - 2 * _PADDING) / _CHARACTER)
    places: list[_Place] = []
    y = _MARGIN
    for box in boxes:
        head = " ".join(filter(None, [box.label, f"({box.note})" if box.note else ""]))
        parts = [_cut(part, most) for part in (head, box.condition and f"✗ {box.condition}") if part]
        places.append(_Place(x, y, width, [*parts, *_wrapped(box.listed, most)]))
        y += places[-1].height + _GAP
    return places


def _box(place: _Place, box: Box) -> Iterator[str]:
    """Yield a box; what a reader sees if he points at it is the whole text, however long."""
    whole = " ".join(filter(None, [box.label, box.note, box.condition, ", ".join(box.listed)]))
    yield f"<g{_FAULTY if box.condition else ''}><title>{_escaped(whole)}</title>"
    yield f'<rect x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}" rx="3"/>'
    for number, line in enumerate(place.lines):
        y = place.y + _PADDING + _LINE * number + 12
        yield f'<text x="{place.x + _PADDING}" y="{y}">{_escaped(line)}</text>'
    yield "</g>"


def _path(start: _Place, end: _Place, said: str, is_faulty: bool = False) -> str:
    """Return the line from *start* to *end*; a reader who points at it sees what is *said*."""
    from_x, to_x = start.x + start.width, end.x
    bend = (from_x + to_x) // 2
    way = f"M{from_x} {start.middle}C{bend} {start.middle} {bend} {end.middle} {to_x} {end.middle}"
    return f'<path{_FAULTY if is_faulty else ""} d="{way}"><title>{_escaped(said)}</title></path>'


def _wrapped(names: tuple[str, ...], most: int) -> Iterator[str]:
    """Yield lines with *names*, none of more than *most* characters."""
    line = ""
    for name in map(printable, names):
        name = _cut(name, most - 1)
        if line and wcswidth(f"{line} {name},") > most:
            yield line
            line = ""
        line = f"{line} {name}," if line else f"{name},"
    if line:
        yield line.rstrip(",")


def _cut(text: str, most: int) -> str:
    text = printable(text)
    return text if wcswidth(text) <= most else f"{clip(text, 0, most - 1)}…"


def _escaped(text: str) -> str:
    # What XML 1.0 cannot carry at all, such as control characters, is not printable either.
    return escape(printable(text))
