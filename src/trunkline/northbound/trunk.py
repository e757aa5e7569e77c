"""The rules of trunks: which port may be a sub-port of which, by the ports as they will be.

The other ports are read, and the transaction is guarded against changes of them
(`trunkline.northbound.check.COUNT_CHANGE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.error import Place
from trunkline.northbound.conflict import Conflict
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from trunkline.northbound.conflict import Written
    from trunkline.northbound.operation import Operation, Row

FEW = 4
"""How many ports are looked for one by one; if there are more, all ports are read at once."""

_COLUMNS = ("name", "network", "parent", "parent_vlan")


def selects(rows: Collection[Mapping[str, Any]]) -> list[Operation]:
    """Return the operations that read what `conflicts` needs to check *rows*, ports to be written.

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


def moved(written: Iterable[Written]) -> list[Row]:
    """Return those of the ports *written* that `conflicts` has to look at, as they will be."""
    return [
        row.new
        for row in written
        if (row.new["parent"] is not None if row.old is None else row.writes(_COLUMNS[1:]))
    ]


def conflicts(
    rows: Iterable[Mapping[str, Any]], there: Iterable[Row], transparent: Mapping[str, str]
) -> Iterator[Conflict]:
    """Yield what of *rows*, ports as they will be, conflicts with another port.

    *there* are the ports that `selects` reads, and *transparent* the names of the transparent networks by
    UUID. A network can be on a VIF only once: Open vSwitch does not send a frame out of the port where it
    came in. A parent cannot be in a transparent network: a VM's tag there could be that of a sub-port.
    """
    own: dict[str, Mapping[str, Any]] = {row["name"]: row for row in rows}
    # Those that are not written come first: they are in the way, and not the other way round.
    port_by_name = {row["name"]: row for row in there if row["name"] not in own} | own
    names_by_place: dict[tuple[str, str, Any], list[str]] = {}
    for name, port in port_by_name.items():
        for place in _places(port):
            names_by_place.setdefault(place, []).append(name)
    sub_ports: dict[str, list[str]] = {}
    for name, port in port_by_name.items():
        if port["parent"] is not None:
            sub_ports.setdefault(port["parent"], []).append(name)
    for name, row in own.items():
        parent = row["parent"]
        if parent is None:
            if others := names_by_place.get((name, "network", row["network"]), []):
                text = f"port {name!r} has a sub-port in that network; pick another `network`"
                yield _conflict(name, ("network",), text, others)
            continue
        yield from _of_parent(name, parent, port_by_name.get(parent), transparent)
        yield from _of_sub_port(row, port_by_name.get(parent), names_by_place)
        if name in sub_ports:
            yield _conflict(
                name,
                ("parent",),
                f"port {name!r} has sub-ports, so it cannot be a sub-port; clear `parent` of them first",
                sub_ports[name],
            )


def _conflict(name: str, columns: tuple[str, ...], text: str, others: Iterable[str]) -> Conflict:
    error = RefusedError(text, Place("Port", name, columns[0]))
    return Conflict(name, columns, error, tuple(other for other in others if other != name))


def _of_sub_port(
    row: Mapping[str, Any],
    trunk: Mapping[str, Any] | None,
    names_by_place: Mapping[tuple[str, str, Any], list[str]],
) -> Iterator[Conflict]:
    """Yield what keeps *row*, a sub-port, from being on *trunk*, its parent, beside other sub-ports."""
    name, parent, tag, network = row["name"], row["parent"], row["parent_vlan"], row["network"]
    same_tag = names_by_place[parent, "tag", tag]
    if tag is not None and same_tag[0] != name:
        text = f"port {parent!r} already has a sub-port with tag {tag}; pick another `parent_vlan`"
        yield _conflict(name, ("parent_vlan", "parent"), text, same_tag[:1])
    if trunk is not None and trunk["network"] == network:
        text = f"port {parent!r} is in the same network; pick another `network` or `parent`"
        yield _conflict(name, ("network", "parent"), text, [parent])
    same_network = names_by_place[parent, "network", network]
    if same_network[0] != name:
        text = f"port {parent!r} already has a sub-port in that network; pick another `network`"
        yield _conflict(name, ("network", "parent"), text, same_network[:1])


def _places(port: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    parent = port["parent"]
    if parent is None:
        return []
    return [(parent, "tag", port["parent_vlan"]), (parent, "network", port["network"])]


def _of_parent(
    name: str, parent: str, trunk: Mapping[str, Any] | None, transparent: Mapping[str, str]
) -> Iterator[Conflict]:
    """Yield what keeps *parent*, whose row is *trunk*, from being the parent of the port *name*."""
    if trunk is None or trunk["parent"] is not None:
        text = f"port {parent!r} cannot be a parent: it does not exist, or is a sub-port itself"
        yield _conflict(name, ("parent",), text, [] if trunk is None else [parent])
    elif trunk["network"] in transparent:
        text = (
            f"port {parent!r} cannot be a parent: network {transparent[trunk['network']]!r} carries its VMs' "
            "tags; use `vlan_transparent=false` there, or another `parent`"
        )
        yield _conflict(name, ("parent",), text, [parent])


def opened(written: Iterable[Written]) -> list[Row]:
    """Return those of the networks *written* that are there and newly carry their VMs' tags."""
    return [
        row.new
        for row in written
        if row.old is not None and row.new["vlan_transparent"] and row.writes(["vlan_transparent"])
    ]


def opened_selects(networks: Iterable[Mapping[str, Any]]) -> list[Operation]:
    """Return the operations that read what `within` needs to check *networks*, rows with their UUIDs."""
    inside = [select("Port", ("network", "==", row["_uuid"]), only=_COLUMNS) for row in networks]
    return [*inside, select("Port", ("parent", "!=", None), only=_COLUMNS)] if inside else []


def within(networks: Mapping[str, str], ports: Collection[Mapping[str, Any]]) -> Iterator[Conflict]:
    """Yield each of *networks*, which carry their VMs' tags, that has a trunk's port in it.

    *ports* are those in them, and all sub-ports; *networks* are names, by what ports have as `network`.
    """
    parents = {row["parent"] for row in ports} - {None}
    trunks: dict[str, str] = {}
    for row in ports:
        if row["name"] in parents and row["network"] in networks:
            trunks.setdefault(networks[row["network"]], row["name"])
    for name, trunk in trunks.items():
        text = (
            f"network {name!r} cannot carry its VMs' tags: port {trunk!r} in it has sub-ports, whose tags "
            "they could be; use `vlan_transparent=false`, or delete the sub-ports first"
        )
        yield Conflict(
            name, ("vlan_transparent",), RefusedError(text, Place("Network", name, "vlan_transparent"))
        )


def sub_port_selects(names: Collection[str]) -> list[Operation]:
    """Return the operations that read the sub-ports of the ports called *names*."""
    if len(names) > FEW:
        return [select("Port", ("parent", "!=", None), only=("name", "parent"))]
    return [select("Port", ("parent", "==", name), only=("name", "parent")) for name in sorted(names)]


def orphans(names: Collection[str], there: Iterable[Row]) -> Iterator[Conflict]:
    """Yield those of the ports *names*, which go, that are parents of ports *there* which do not."""
    for row in there:
        if row["parent"] in names and row["name"] not in names:
            error = RefusedError(
                f"port {row['parent']!r} has sub-ports; delete them with it, or before it",
                Place("Port", row["name"], "parent"),
            )
            yield Conflict(row["parent"], ("parent",), error, (row["name"],))
