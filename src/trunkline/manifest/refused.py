"""What the northbound refused of a difference, told of the document that asked for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trunkline.core.error import InvalidValueError
from trunkline.manifest.complaint import Complaint
from trunkline.manifest.difference import ConflictError
from trunkline.manifest.document import shortened
from trunkline.manifest.form import SPECS
from trunkline.manifest.present import set_of
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import ChangedError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.core.error import TrunklineError
    from trunkline.manifest.difference import Difference, RowChange
    from trunkline.northbound.client import Northbound

_ASKING = {"Chassis": "requested_chassis", "Network": "network"}
"""The column that names a row of the table which is not there."""


MOST_ROUNDS = 10
"""How many refusals are looked for, one after the other."""


def refused(nb: Northbound, wanted: Difference, error: TrunklineError) -> ConflictError:
    """Return what to say of *wanted*, whose steps *nb* refused by *error*, and the changes that remain."""
    change, told = _blamed(nb, wanted, error)
    told = told._replace(is_own=_is_own(wanted, change, error))
    if change is None or change.table != "Port":
        # Others may need a network, and nothing needs a port.
        return ConflictError([told])
    return ConflictError([told], wanted._replace(changes=[c for c in wanted.changes if c is not change]))


def _is_own(wanted: Difference, change: RowChange | None, error: TrunklineError) -> bool:
    """Return whether *error*, about *change*, is so whatever the northbound holds.

    So it is if it speaks of another row that a document wants, and does not say that this one is missing.
    """
    if isinstance(error, InvalidValueError):
        return True
    if change is None or change.wanted is None or isinstance(error, (ChangedError, NotFoundError)):
        return False
    return any(
        (table, word) in wanted.names for table in SPECS for word in _words(str(error)) - {change.name}
    )


def refusals(nb: Northbound, wanted: Difference) -> Iterator[Complaint]:
    """Yield what *nb* would refuse of *wanted* now, and of what remains of it without that."""
    for _ in range(MOST_ROUNDS):
        try:
            nb.rehearse(wanted.steps)
        except (InvalidValueError, RefusedError, NotFoundError) as error:
            conflict = refused(nb, wanted, error)
            yield from conflict.complaints
            if conflict.rest is None:
                return
            wanted = conflict.rest
        else:
            return


def _blamed(nb: Northbound, wanted: Difference, error: TrunklineError) -> tuple[RowChange | None, Complaint]:
    """Return the change that *error* is about, if it is known, and the complaint."""
    place = error.place
    if place is None:
        return None, Complaint(None, str(error))
    for change in wanted.changes:
        if (change.table, change.name) == place[:2]:
            if _is_beaten(change, error):
                return change, Complaint(None, _meanwhile(nb, change))
            if change.wanted is not None:
                return change, change.wanted.complaint(str(error), place.column)
    column = _ASKING.get(place.table) if isinstance(error, NotFoundError) else place.column
    return next(_asking(wanted, column, str(error)), (None, Complaint(None, str(error))))


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


def _asking(wanted: Difference, column: str | None, text: str) -> Iterator[tuple[RowChange, Complaint]]:
    """Yield *text* as a complaint about each row that is given as *column* what the text speaks of."""
    words = _words(text)
    for change in wanted.changes:
        new, document = change.new, change.wanted
        if new is None or document is None or column not in change.changed():
            continue
        if not words.isdisjoint(_items(new[column])):
            yield change, document.complaint(text, column)


def _words(text: str) -> set[str]:
    return set(re.split(r"[\s;,'()]+", text))


def _items(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return re.split(r"[\s,]+", str(value))
