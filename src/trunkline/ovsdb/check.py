"""What a transaction asks of the database before it may commit, and the sentence for where it does not hold.

A check stands among the operations, after those whose outcome it is about, so that no other writer comes
between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.ovsdb.operation import delete, expect
from trunkline.ovsdb.refusal import NotFoundError, RefusedError, no_such

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trunkline.ovsdb.operation import Condition, Operation, Row


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


def no_sub_ports(name: str) -> Check:
    """Return the check that the port called *name* is nobody's parent."""
    return Check(
        expect("Port", ("parent", "==", name), rows=[], only=("name",)),
        RefusedError(f"port {name!r} has sub-ports; delete them with it, or before it"),
    )


def trunk_checks(row: Row) -> list[Check]:
    """Return what must hold of the trunk that *row* is part of, once it is written; its network is a UUID.

    A network is on a VIF once: Open vSwitch does not send a frame back out of the port that it came in by.
    """
    parent, tag, name = row["parent"], row["parent_vlan"], row["name"]
    in_network: Condition = ("network", "==", row["network"])
    if parent is None:
        return [
            Check(
                expect("Port", ("parent", "==", name), in_network, rows=[], only=("name",)),
                RefusedError(f"port {name!r} has a sub-port in that network; pick another --network"),
            )
        ]
    is_parent: Condition = ("name", "==", parent)
    shares_tag: tuple[Condition, Condition] = (("parent", "==", parent), ("parent_vlan", "==", tag))
    return [
        Check(
            expect("Port", is_parent, rows=[{"name": parent, "parent": None}], only=("name", "parent")),
            RefusedError(f"port {parent!r} cannot be a parent: there is none, or it is a sub-port itself"),
        ),
        Check(
            expect("Port", *shares_tag, rows=[{"name": name}], only=("name",)),
            RefusedError(
                f"port {parent!r} already has a sub-port with tag {tag}; pick another --parent-vlan"
            ),
        ),
        Check(
            expect("Port", is_parent, in_network, rows=[], only=("name",)),
            RefusedError(f"port {parent!r} is in the same network; pick another --network or --parent"),
        ),
        Check(
            expect("Port", ("parent", "==", parent), in_network, rows=[{"name": name}], only=("name",)),
            RefusedError(f"port {parent!r} already has a sub-port in that network; pick another --network"),
        ),
        Check(
            expect("Port", ("parent", "==", name), rows=[], only=("name",)),
            RefusedError(f"port {name!r} has sub-ports, so it cannot be one; take --parent from them first"),
        ),
    ]


def physnet_checks(rows: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Return what must hold of the physical networks of *rows*, networks as they are once written.

    The tags of a flat network's VMs are those of the VLANs beside it, so one that carries them is alone.
    """
    checks = []
    with_vlans = {row["physical_network"] for row in rows if row["network_type"] == "vlan"}
    for physnet in sorted(with_vlans):
        is_open = (("network_type", "==", "flat"), ("vlan_transparent", "==", True))
        checks.append(
            Check(
                expect("Network", ("physical_network", "==", physnet), *is_open, rows=[], only=("name",)),
                RefusedError(
                    f"the flat network of {physnet} carries its VMs' tags, which would reach that VLAN; "
                    "use --no-vlan-transparent there, or another --physical-network"
                ),
            )
        )
    for physnet in sorted({row["physical_network"] for row in rows if _is_open(row)}):
        is_vlan: Condition = ("network_type", "==", "vlan")
        checks.append(
            Check(
                expect("Network", ("physical_network", "==", physnet), is_vlan, rows=[], only=("name",)),
                RefusedError(
                    f"{physnet} has VLAN networks, which the tags of a flat network's VMs would reach; "
                    "use --no-vlan-transparent, or another --physical-network"
                ),
            )
        )
    return checks


def _is_open(row: Mapping[str, Any]) -> bool:
    return row["network_type"] == "flat" and bool(row["vlan_transparent"])


def deletion(table: str, name: str) -> list[Operation | Check]:
    """Return the steps that delete the row of *table* called *name*, which there must be."""
    named: Condition = ("name", "==", name)
    exists = expect(table, named, rows=[{"name": name}], only=("name",))
    return [Check(exists, NotFoundError(no_such(table.lower(), name))), delete(table, named)]
