"""The topology as text for graphviz, in its language DOT: `dot -Tsvg` draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.cli.drawing import Box, Drawing

_FAULTY = ', color="#b00020", fontcolor="#b00020"'


def lines(drawn: Drawing) -> Iterator[str]:
    """Yield the lines of a graph with a node for each box of *drawn*, and an edge for each share of ports."""
    yield "graph trunkline {"
    yield '  graph [rankdir=LR, ranksep=2]; node [shape=box, fontname="monospace"]; edge [fontsize=10];'
    for number, box in enumerate(drawn.physnets):
        yield _node(f"p{number}", box)
    for number, (physnet, box) in enumerate(drawn.networks):
        yield _node(f"n{number}", box)
        yield f"  p{physnet} -- n{number};"
    for number, box in enumerate(drawn.chassis):
        yield _node(f"c{number}", box)
    for (network, chassis), share in drawn.shares.items():
        total = share.total
        colour = _FAULTY if total.is_faulty else ""
        yield f'  n{network} -- c{chassis} [label="{total.up}/{total.ports}"{colour}];'
    yield "}"


def _node(name: str, box: Box) -> str:
    parts = [box.label, box.note, box.condition, ", ".join(box.listed)]
    label = r"\n".join(_escaped(part) for part in parts if part)
    return f'  {name} [label="{label}"{_FAULTY if box.condition else ""}];'


def _escaped(text: str) -> str:
    """Return *text* for a quoted label: there, backslashes and entities such as `&lt;` have a meaning."""
    return printable(text).replace("\\", r"\\").replace('"', r"\"").replace("&", "&amp;")
