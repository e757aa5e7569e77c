"""Checks: what must be true in the database for a transaction to commit, and the error if it is not.

A check is one of the operations of the transaction. It stands after those whose result it checks, so no other
writer can come between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.northbound.operation import delete, expect, increment
from trunkline.northbound.refusal import NotFoundError, RefusedError, no_such

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trunkline.northbound.operation import Condition, Operation


COUNT_CHANGE = increment("NB_Global", "next_port_key")
"""Goes with each write of `COUNTED_COLUMNS`, with the deletion of a port, and with a network's beginning to
carry its VMs' tags, which its trunks rest on; creating a port raises the key
anyway. So as long as the key is the same, so is what was read of those columns."""

COUNTED_COLUMNS = frozenset({"parent", "parent_vlan", "network", "addresses", "iface_id", "options"})


class Check(NamedTuple):
    """An operation that aborts the transaction unless something is true, and the error to raise then."""

    operation: Operation
    error: RefusedError | NotFoundError
    blame: Callable[[list[str]], RefusedError] | None = None
    """Returns a better error, by the names of the rows that the operation found (one at least)."""

    @property
    def culprits(self) -> Operation:
        """The operation that reads the names of those rows."""
        return {key: self.operation[key] for key in ("table", "where")} | {
            "op": "select",
            "columns": ["name"],
        }


def requested_names(requested: str | None) -> list[str]:
    """Return the names of the chassis in *requested*, a value of `Port.requested_chassis`."""
    return [name.strip() for name in (requested or "").split(",") if name.strip()]


def chassis_checks(requested: Iterable[str | None]) -> list[Check]:
    """Return the checks that the chassis in *requested*, values of `Port.requested_chassis`, exist.

    A port that is requested on a chassis that does not exist would be cut off.
    """
    names = dict.fromkeys(name for each in dict.fromkeys(requested) for name in requested_names(each))
    return [
        Check(
            expect("Chassis", ("name", "==", name), rows=[{"name": name}], only=("name",)),
            no_such("Chassis", name),
        )
        for name in names
    ]


def deletion(table: str, name: str, id_: str) -> list[Operation | Check]:
    """Return what deletes the row of *table* called *name*, whose UUID was *id_* when it was read.

    The database has an index of UUIDs, so the cost of each row does not grow with the table.
    """
    same: Condition = ("_uuid", "==", id_)
    exists = expect(table, same, rows=[{"name": name}], only=("name",))
    return [Check(exists, no_such(table, name)), delete(table, same)]
