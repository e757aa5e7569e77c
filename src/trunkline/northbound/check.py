"""What a transaction asks of the database before it may commit, and the sentence for where it does not hold.

A check stands among the operations, after those whose outcome it is about, so that no other writer comes
between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import Place
from trunkline.northbound.operation import delete, expect, increment
from trunkline.northbound.refusal import NotFoundError, RefusedError, no_such, some

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from trunkline.northbound.operation import Condition, Operation


NEWS = increment("NB_Global", "next_port_key")
"""What goes with a write of a port's parent, network or addresses and with its end; its creation moves the
key by itself. So who has read ports can hold a transaction to nothing of that having changed."""

NEWS_COLUMNS = frozenset({"parent", "parent_vlan", "network", "addresses"})


class Check(NamedTuple):
    """An operation that aborts the transaction unless something holds, and what to say then."""

    operation: Operation
    error: RefusedError | NotFoundError
    blame: Callable[[list[str]], RefusedError] | None = None
    """Says it better by the names of the rows that the operation found, one at least."""

    @property
    def culprits(self) -> Operation:
        """The operation that reads the names of those rows."""
        return {key: self.operation[key] for key in ("table", "where")} | {
            "op": "select",
            "columns": ["name"],
        }


def physnet_checks(rows: Collection[Mapping[str, Any]]) -> list[Check]:
    """Return what must hold of the physical networks of *rows*, networks as they are once written.

    The tags of a flat network's VMs are those of the VLANs beside it, so one that carries them is alone.
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
    """Return what must hold of *requested*, values of `Port.requested_chassis`: there are such chassis.

    A port that is requested where there is none would be cut off.
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
    """Return the steps that delete the row of *table* called *name*, which was *id_* when it was looked for.

    By the id, which the database has an index of, so that many rows cost what they are many.
    """
    same: Condition = ("_uuid", "==", id_)
    exists = expect(table, same, rows=[{"name": name}], only=("name",))
    return [Check(exists, no_such(table, name)), delete(table, same)]
