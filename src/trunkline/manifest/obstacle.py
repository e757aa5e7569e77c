"""Obstacles: everything that is wrong with documents, although something of them is known to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.manifest.consequence import consequences
from trunkline.manifest.difference import ConflictError, difference
from trunkline.manifest.present import present
from trunkline.manifest.refused import refusals

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from trunkline.manifest.complaint import Complaint
    from trunkline.manifest.difference import Difference
    from trunkline.manifest.wanted import Wanted
    from trunkline.northbound.client import Northbound


def obstacles(
    nb: Northbound,
    rows: Sequence[Wanted],
    set_: str,
    *,
    prunes: bool = False,
    adopts: bool = False,
    assumed: Collection[str] | None = (),
) -> list[Complaint]:
    """Return what keeps *rows* from being applied as *nb* is now; the other arguments are `difference`'s."""
    there = present(nb, rows, set_ if prunes else None)
    found: list[Complaint] = []
    wanted: Difference | None
    try:
        wanted = difference(rows, there, set_, prunes=prunes, adopts=adopts, assumed=assumed)
    except ConflictError as error:
        found += error.complaints
        wanted = error.rest
    if wanted is None:
        return found
    try:
        consequences(nb, wanted, there)
    except ConflictError as error:
        found += error.complaints
    found += refusals(nb, wanted)
    return found
