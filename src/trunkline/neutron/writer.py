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
from trunkline.northbound.step import Change, Create, Delete, Ensure, Put

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.step import Step


def row_of(step: Step) -> Row:
    """Return which row *step* writes."""
    match step:
        case Change(table, name) | Delete(table, name):
            return Row(table, name)
        case Create(spec) | Ensure(spec) | Put(spec):
            return Row("Port" if isinstance(spec, PortSpec) else "Network", spec.name)


def write(nb: Northbound, steps: Sequence[Step]) -> dict[Row, str]:
    """Do *steps*, in one transaction if all can be done, and return those that cannot, with the reason.

    One transaction lets rows swap what only one of them may have. If it is refused, the networks are written
    first, and then the ports whose networks are there.

    Raises:
        ChangedError: a row is no longer as it was read, or is there now; some steps may be done.
        UnreachableError: the northbound was lost.
    """
    if not steps or _refusal(nb, steps) is None:
        return {}
    refused = _refused(nb, [step for step in steps if _is_network(step)])
    rest: list[Step] = []
    for step in steps:
        network = _network_of(step)
        if network in refused:
            refused[row_of(step)] = f"its network was refused: {refused[network]}"
        elif not _is_network(step):
            rest.append(step)
    return refused | _refused(nb, rest)


def _refused(nb: Northbound, steps: Sequence[Step]) -> dict[Row, str]:
    """Do *steps*; if they are refused, each half of them. Return those that are refused by themselves."""
    reason = _refusal(nb, steps) if steps else None
    if reason is None:
        return {}
    if len(steps) == 1:
        return {row_of(steps[0]): reason}
    middle = len(steps) // 2
    return _refused(nb, steps[:middle]) | _refused(nb, steps[middle:])


def _refusal(nb: Northbound, steps: Sequence[Step]) -> str | None:
    """Do *steps*, all or none, and return why they were refused; None: they are done."""
    try:
        nb.write(steps)
    except ChangedError:
        raise
    except (RefusedError, NotFoundError, InvalidValueError, TransactionError) as error:
        created = {row_of(step) for step in steps if isinstance(step, Create)}
        if _is_outdated(error, created):
            raise ChangedError(str(error), error.place) from error
        return str(error)
    return None


def _is_outdated(error: TrunklineError, created: Collection[Row]) -> bool:
    """Return whether *error* says that a row has come, or gone, since it was read."""
    place = error.place
    if place is None or place.row is None:
        return False
    row = Row(place.table, place.row)
    if isinstance(error, NotFoundError):
        return place.table != "Chassis" and row not in created
    return place.column == "name" and row in created


def _is_network(step: Step) -> bool:
    """Return whether *step* leaves a network."""
    return row_of(step).table == "Network" and not isinstance(step, Delete)


def _network_of(step: Step) -> Row | None:
    """Return the network that the port of *step* is to be in; None if it is no port, or stays where it is."""
    match step:
        case Create(PortSpec(network=network)):
            return Row("Network", network)
        case Change("Port", _, columns) if "network" in columns:
            return Row("Network", columns["network"])
        case _:
            return None
