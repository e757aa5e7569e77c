"""The rules of trunks: which port may be a sub-port of which, by the ports as they will be.

The other ports are read, and the transaction is guarded against changes of them
(`trunkline.northbound.check.COUNT_CHANGE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.error import Place
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trunkline.northbound.operation import Operation, Row

FEW = 4
"""How many ports are looked for one by one; if there are more, all ports are read at once."""

_COLUMNS = ("name", "network", "parent", "parent_vlan")


def selects(rows: Collection[Mapping[str, Any]]) -> list[Operation]:
    """Return the operations that read what `refuse_wrong` needs to check *rows*, ports to be written.

    The last one reads the transparent networks, the others read ports.
    """
    transparent = select("Network", ("vlan_transparent", "==", True), only=("_uuid", "name"))
    if len(rows) > FEW:
        return [select("Port", only=_COLUMNS), transparent]
    names, parents = {row["name"] for row in rows}, {row["parent"] for row in rows} - {None}
    return [
        *(select("Port", ("name", "==", name), only=_COLUMNS) for name in sorted(parents)),
        *(select("Port", ("parent", "==", name), only=_COLUMNS) for name in sorted(names | parents)),
        transparent,
    ]


def refuse_wrong(
    rows: Iterable[Mapping[str, Any]], there: Iterable[Row], transparent: Mapping[str, str]
) -> None:
    """Raise RefusedError if one of *rows*, ports as they will be, conflicts with another port.

    *there* are the ports that `selects` reads, and *transparent* the names of the transparent networks by
    UUID. A network can be on a VIF only once: Open vSwitch does not send a frame out of the port where it
    came in. A parent cannot be in a transparent network: a VM's tag there could be that of a sub-port.
    """
    wanted = list(rows)
    port_by_name: dict[str, Mapping[str, Any]] = {row["name"]: row for row in there}
    port_by_name |= {row["name"]: row for row in wanted}
    names_by_place: dict[tuple[str, str, Any], set[str]] = {}
    for name, port in port_by_name.items():
        for place in _places(port):
            names_by_place.setdefault(place, set()).add(name)
    parents = {port["parent"] for port in port_by_name.values()}
    for row in wanted:
        name, parent = row["name"], row["parent"]
        if parent is None:
            if (name, "network", row["network"]) in names_by_place:
                raise RefusedError(
                    f"port {name!r} has a sub-port in that network; pick another `network`",
                    Place("Port", name, "network"),
                )
            continue
        trunk = port_by_name.get(parent)
        _refuse_parent(name, parent, trunk, transparent)
        if len(names_by_place[parent, "tag", row["parent_vlan"]]) > 1:
            raise RefusedError(
                f"port {parent!r} already has a sub-port with tag {row['parent_vlan']}; "
                "pick another `parent_vlan`",
                Place("Port", name, "parent_vlan"),
            )
        if trunk is not None and trunk["network"] == row["network"]:
            raise RefusedError(
                f"port {parent!r} is in the same network; pick another `network` or `parent`",
                Place("Port", name, "network"),
            )
        if len(names_by_place[parent, "network", row["network"]]) > 1:
            raise RefusedError(
                f"port {parent!r} already has a sub-port in that network; pick another `network`",
                Place("Port", name, "network"),
            )
        if name in parents:
            raise RefusedError(
                f"port {name!r} has sub-ports, so it cannot be a sub-port; clear `parent` of them first",
                Place("Port", name, "parent"),
            )


def _places(port: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    parent = port["parent"]
    if parent is None:
        return []
    return [(parent, "tag", port["parent_vlan"]), (parent, "network", port["network"])]


def _refuse_parent(
    name: str, parent: str, trunk: Mapping[str, Any] | None, transparent: Mapping[str, str]
) -> None:
    """Raise RefusedError if *parent*, whose row is *trunk*, cannot be the parent of the port *name*."""
    place = Place("Port", name, "parent")
    if trunk is None or trunk["parent"] is not None:
        raise RefusedError(
            f"port {parent!r} cannot be a parent: it does not exist, or is a sub-port itself", place
        )
    if trunk["network"] in transparent:
        raise RefusedError(
            f"port {parent!r} cannot be a parent: network {transparent[trunk['network']]!r} carries its VMs' "
            "tags; use `vlan_transparent=false` there, or another `parent`",
            place,
        )


def sub_port_selects(names: Collection[str]) -> list[Operation]:
    """Return the operations that read the sub-ports of the ports called *names*."""
    if len(names) > FEW:
        return [select("Port", ("parent", "!=", None), only=("name", "parent"))]
    return [select("Port", ("parent", "==", name), only=("name", "parent")) for name in sorted(names)]


def refuse_orphans(names: Collection[str], there: Iterable[Row]) -> None:
    """Raise RefusedError if the parent of one of the ports *there* is among *names*, and the port is not."""
    for row in there:
        if row["parent"] in names and row["name"] not in names:
            raise RefusedError(
                f"port {row['parent']!r} has sub-ports; delete them with it, or before it",
                Place("Port", row["name"], "parent"),
            )
