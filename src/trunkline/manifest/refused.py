"""What the northbound refused of a difference, told of the document that asked for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trunkline.manifest.complaint import Complaint, ConflictError
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


def refused(nb: Northbound, wanted: Difference, error: TrunklineError) -> ConflictError:
    """Return what to say of *wanted*, whose steps *nb* refused by *error*."""
    place = error.place
    if place is None:
        return ConflictError([Complaint(None, str(error))])
    for change in wanted.changes:
        if (change.table, change.name) == place[:2]:
            if _is_beaten(change, error):
                return ConflictError([Complaint(None, _meanwhile(nb, change))])
            if change.wanted is not None:
                return ConflictError([change.wanted.complaint(str(error), place.column)])
    column = _ASKING.get(place.table) if isinstance(error, NotFoundError) else place.column
    complaints = _asking(wanted, column, str(error))
    return ConflictError([next(complaints, Complaint(None, str(error)))])


def _is_beaten(change: RowChange, error: TrunklineError) -> bool:
    """Whether *error* says that somebody else came first to the row of *change*."""
    if isinstance(error, ChangedError):
        return True
    if isinstance(error, NotFoundError):
        return change.old is not None
    return change.old is None and error.place is not None and error.place.column == "name"


def _meanwhile(nb: Northbound, change: RowChange) -> str:
    subject = f"{change.table.lower()} {shortened(change.name)}"
    (rows,) = nb.read(select(change.table, ("name", "==", change.name)))
    if not rows:
        return f"{subject} was deleted meanwhile; run again"
    owner = set_of(rows[0])
    is_told = owner is not None and (change.old is None or owner != set_of(change.old))
    by = f' (by set "{owner}")' if is_told else ""
    return f"{subject} was {'made' if change.old is None else 'changed'} meanwhile{by}; run again"


def _asking(wanted: Difference, column: str | None, text: str) -> Iterator[Complaint]:
    """Yield *text* as a complaint about each row that is given as *column* what the text speaks of."""
    words = set(re.split(r"[\s;,'()]+", text))
    for change in wanted.changes:
        new, document = change.new, change.wanted
        if new is None or document is None or column not in change.changed():
            continue
        if not words.isdisjoint(_items(new[column])):
            yield document.complaint(text, column)


def _items(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return re.split(r"[\s,]+", str(value))
