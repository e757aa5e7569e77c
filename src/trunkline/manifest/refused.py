"""What the northbound refused of a difference, told of the document that asked for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.manifest.complaint import Complaint
from trunkline.manifest.document import shortened
from trunkline.manifest.present import set_of
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import ChangedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.core.error import TrunklineError
    from trunkline.manifest.difference import Difference, RowChange
    from trunkline.northbound.client import Northbound

_ASKING = {"Chassis": "requested_chassis", "Network": "network"}
"""The column that names a row of the table which is not there."""


class Refusal(NamedTuple):
    """What the northbound refused, in words; *is_beaten* says that somebody else came first."""

    complaint: Complaint
    is_beaten: bool


def refusal(nb: Northbound, wanted: Difference, error: TrunklineError) -> Refusal:
    """Return what to say of *wanted*, whose steps *nb* refused by *error*."""
    place, text = error.place, str(error)
    if place is None:
        return Refusal(Complaint(None, text), is_beaten=False)
    for change in wanted.changes:
        if (change.table, change.name) == place[:2]:
            beaten = _meanwhile(nb, change, error)
            if beaten is not None:
                return Refusal(Complaint(None, beaten), is_beaten=True)
            if change.wanted is not None:
                return Refusal(change.wanted.complaint(text, place.column), is_beaten=False)
    column = _ASKING.get(place.table) if isinstance(error, NotFoundError) else place.column
    return Refusal(next(_asking(wanted, column, text), Complaint(None, text)), is_beaten=False)


def _meanwhile(nb: Northbound, change: RowChange, error: TrunklineError) -> str | None:
    """Return what somebody else has done to the row of *change*, None if *error* does not say that."""
    subject = f"{change.table.lower()} {shortened(change.name)}"
    (rows,) = nb.read(select(change.table, ("name", "==", change.name)))
    is_made = change.old is None and bool(rows)
    if not is_made and not isinstance(
        error, ChangedError if change.old is None else (ChangedError, NotFoundError)
    ):
        return None
    if not rows:
        return f"{subject} was deleted meanwhile; run again"
    owner = set_of(rows[0])
    is_told = owner is not None and (change.old is None or owner != set_of(change.old))
    by = f' (by set "{owner}")' if is_told else ""
    return f"{subject} was {'made' if change.old is None else 'changed'} meanwhile{by}; run again"


def _asking(wanted: Difference, column: str | None, text: str) -> Iterator[Complaint]:
    """Yield *text* as a complaint about each row that is given as *column* what the text speaks of."""
    words = _words(text)
    for change in wanted.changes:
        new, document = change.new, change.wanted
        if new is None or document is None or column not in change.changed():
            continue
        if not words.isdisjoint(_items(new[column])):
            yield document.complaint(text, column)


def _words(text: str) -> set[str]:
    return set(re.split(r"[\s;,'()]+", text))


def _items(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return re.split(r"[\s,]+", str(value))
