"""Checks: what must be true in the database for a transaction to commit, and the error if it is not.

A check is one of the operations of the transaction. It stands after those whose result it checks, so no other
writer can come between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import Place
from trunkline.northbound.operation import delete, expect, increment
from trunkline.northbound.refusal import NotFoundError, RefusedError, no_such, some

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from trunkline.northbound.operation import Condition, Operation


COUNT_CHANGE = increment("NB_Global", "next_port_key")
"""Goes with each write of `COUNTED_COLUMNS`, and with the deletion of a port; creating a port raises the key
anyway. So as long as the key is the same, so is what was read of those columns."""

COUNTED_COLUMNS = frozenset({"parent", "parent_vlan", "network", "addresses", "iface_id"})


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


def physnet_checks(rows: Collection[Mapping[str, Any]]) -> list[Check]:
    """Return the checks of the physical networks of *rows*, networks as they are once written.

    If a flat network carries its VMs' tags, they reach VLAN networks of the same physical network. So it must
    be the only network there.
    """
    own = {row["name"] for row in rows}

    def check(physnet: str, conditions: Iterable[Condition], sentence: Callable[[str], str]) -> Check:
        def blame(names: list[str]) -> RefusedError:
            others = [name for name in names if name not in own]
            place = Place("Network", others[0] if others else None, "physical_network")
            return RefusedError(sentence(f" {some(others)}" if others else ""), place)

        where: tuple[Condition, ...] = (("physical_network", "==", physnet), *conditions)
        return Check(expect("Network", *where, rows=[], only=("name",)), blame([]), blame)

    def flat(physnet: str) -> Check:
        return check(
            physnet,
            (("network_type", "==", "flat"), ("vlan_transparent", "==", True)),
            lambda names: (
                f"the flat network{names} of {physnet} carries its VMs' tags, which would reach that VLAN; "
                "use `vlan_transparent=false` there, or another `physical_network`"
            ),
        )

    def vlans(physnet: str) -> Check:
        return check(
            physnet,
            (("network_type", "==", "vlan"),),
            lambda names: (
                f"{physnet} has VLAN networks{names}, which the tags of a flat network's VMs would reach; "
                "use `vlan_transparent=false`, or another `physical_network`"
            ),
        )

    with_vlans = {row["physical_network"] for row in rows if row["network_type"] == "vlan"}
    with_open = {row["physical_network"] for row in rows if _is_open(row)}
    return [*map(flat, sorted(with_vlans)), *map(vlans, sorted(with_open))]


def _is_open(row: Mapping[str, Any]) -> bool:
    return row["network_type"] == "flat" and bool(row["vlan_transparent"])


def chassis_checks(requested: Iterable[str | None]) -> list[Check]:
    """Return the checks that the chassis in *requested*, values of `Port.requested_chassis`, exist.

    A port that is requested on a chassis that does not exist would be cut off.
    """
    names = dict.fromkeys(
        name.strip() for each in dict.fromkeys(requested) for name in (each or "").split(",") if name.strip()
    )
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
