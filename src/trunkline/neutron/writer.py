"""Writing steps of which some may be refused: all others are done, and each refusal is told by its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError, TrunklineError
from trunkline.neutron.desired import Row
from trunkline.northbound.client import (
    ChangedError,
    NotFoundError,
    PortSpec,
    RefusedError,
    TransactionError,
)
from trunkline.northbound.step import Change, Create, Delete, Ensure, Insert, Put

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.step import Step


def row_of(step: Step) -> Row:
    """Return which row *step* writes."""
    match step:
        case Insert(table, row):
            return Row(table, row["name"])
        case Change(table, name) | Delete(table, name):
            return Row(table, name)
        case Create(spec) | Ensure(spec) | Put(spec):
            return Row("Port" if isinstance(spec, PortSpec) else "Network", spec.name)


def write(nb: Northbound, steps: Sequence[Step], known: Collection[Row]) -> dict[Row, str]:
    """Do *steps*, in one transaction if all can be done, and return those that cannot, with the reason.

    One transaction lets rows swap what only one of them may have. If it is refused, the networks are written
    first, then the ports, and then the sub-ports, without those that need a row which was refused. *known*
    are the rows that were there when the northbound was read.

    Raises:
        ChangedError: a row is no longer as it was read, or is there now; some steps may be done.
        UnreachableError: the northbound was lost.
    """
    if not steps or _refusal(nb, steps, known) is None:
        return {}
    refused: dict[Row, str] = {}
    for rank in range(3):
        ready: list[Step] = []
        for step in steps:
            if _rank(step) != rank:
                continue
            lacking = next((what for what, row in _needs(step).items() if row in refused), None)
            if lacking is None:
                ready.append(step)
            else:
                reason = refused[_needs(step)[lacking]]
                refused[row_of(step)] = f"its {lacking} was refused: {reason}"
        refused |= _refused(nb, ready, known)
    return refused


def concerned(steps: Sequence[Step], rows: Collection[Row]) -> set[Row]:
    """Return *rows*, and those of *steps* that need one of them."""
    found = set(rows)
    for step in sorted(steps, key=_rank):
        if not found.isdisjoint(_needs(step).values()):
            found.add(row_of(step))
    return found


def _refused(nb: Northbound, steps: Sequence[Step], known: Collection[Row]) -> dict[Row, str]:
    """Do *steps*; if they are refused, each half of them. Return those that are refused by themselves."""
    reason = _refusal(nb, steps, known) if steps else None
    if reason is None:
        return {}
    if len(steps) == 1:
        return {row_of(steps[0]): reason}
    middle = len(steps) // 2
    return _refused(nb, steps[:middle], known) | _refused(nb, steps[middle:], known)


def _refusal(nb: Northbound, steps: Sequence[Step], known: Collection[Row]) -> str | None:
    """Do *steps*, all or none, and return why they were refused; None: they are done."""
    try:
        nb.write(steps)
    except ChangedError:
        raise
    except (RefusedError, NotFoundError, InvalidValueError, TransactionError) as error:
        created = {row_of(step) for step in steps if isinstance(step, Create)}
        if _is_outdated(error, created, known):
            raise ChangedError(str(error), error.place) from error
        return str(error)
    return None


def _is_outdated(error: TrunklineError, created: Collection[Row], known: Collection[Row]) -> bool:
    """Return whether *error* says that a row has come, or gone, since it was read."""
    place = error.place
    if place is None or place.row is None:
        return False
    row = Row(place.table, place.row)
    if isinstance(error, NotFoundError):
        return row in known
    return place.column == "name" and row in created


def _rank(step: Step) -> int:
    """Return 0 for what leaves a network, 2 for what leaves a sub-port, and 1 for all else."""
    if row_of(step).table == "Network" and not isinstance(step, Delete):
        return 0
    return 2 if "parent" in _needs(step) else 1


def _needs(step: Step) -> dict[str, Row]:
    """Return the rows that the row of *step* refers to anew, by what they are to it."""
    match step:
        case Create(PortSpec(network=network, parent=parent)):
            named = {"network": network, "parent": parent}
        case Change("Port", _, columns) | Insert("Port", columns):
            named = {what: columns.get(what) for what in ("network", "parent")}
        case _:
            return {}
    tables = {"network": "Network", "parent": "Port"}
    return {what: Row(tables[what], name) for what, name in named.items() if name}
