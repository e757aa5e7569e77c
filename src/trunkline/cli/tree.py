"""The topology as text: a line for each network, below its physical network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wcwidth import wcswidth

from trunkline.cli.drawing import DOWN
from trunkline.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.cli.drawing import Box, Drawing, Member


def lines(drawn: Drawing) -> Iterator[str]:
    """Yield the lines of *drawn*, and below them one for each trouble that chassis have, with their names.

    A network's line has its chassis, with how many ports are up there, of how many: `c2 4/5 !`. A `✗` instead
    of the `!` says that none is.
    """
    for number, physnet in enumerate(drawn.physnets):
        head = f"{_titled(physnet)} "
        inside = [(n, _titled(box)) for n, (at, box) in enumerate(drawn.networks) if at == number]
        width = max((wcswidth(title) for _, title in inside), default=0)
        branches = ["─"] if len(inside) == 1 else ["┬", *"├" * (len(inside) - 2), "└"]
        for (n, title), branch in zip(inside, branches, strict=False):
            padding = " " * (width - wcswidth(title))
            yield f"{head}{branch} {title}{padding} ─ {_members(drawn, n)}"
            head = " " * wcswidth(head)
        if not inside:
            yield f"{head}─ no network"
    faulty = [box for box in drawn.chassis if box.condition]
    if faulty:
        yield ""
    for condition in dict.fromkeys(box.condition for box in faulty):
        names = [name for box in faulty if box.condition == condition for name in box.names]
        yield printable(f"✗ {condition}: {', '.join(names)}")


def _titled(box: Box) -> str:
    """Return what *box* stands for, with the names of all that is faulty."""
    parts = [box.label, box.note, f"✗ {box.condition}" if box.condition not in ("", DOWN) else ""]
    said = " ".join(filter(None, parts))
    return printable(f"{said} ({', '.join(box.listed)})" if box.listed else said)


def _members(drawn: Drawing, network: int) -> str:
    """Return the chassis that have ports of *network*, the number of a box.

    If the picture has not all chassis by name, those without a port that is down are counted only.
    """
    is_whole = not any(box.names[1:] for box in drawn.chassis)
    found = [
        (drawn.chassis[chassis], member)
        for (at, chassis), share in drawn.shares.items()
        if at == network
        for member in share.members
    ]
    parts = [_member(box, member) for box, member in found if is_whole or member.is_faulty]
    rest = [] if is_whole else [member for _, member in found if not member.is_faulty]
    if rest:
        counts = f"{sum(each.up for each in rest):,}/{sum(each.ports for each in rest):,}"
        parts.append(f"{len(rest):,} {'more' if parts else 'chassis'} {counts}")
    return printable(" · ".join(parts)) or "no chassis"


def _member(box: Box, member: Member) -> str:
    """Return *member* with its numbers, and the trouble of the chassis if a port is down."""
    mark = ("!" if member.up else "✗") if member.is_faulty else ""
    trouble = box.condition if member.is_faulty and box.condition != DOWN else ""
    return " ".join(filter(None, [member.chassis, f"{member.up:,}/{member.ports:,}", mark, trouble]))
