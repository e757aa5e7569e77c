"""Obstacles: everything that keeps documents from being applied, as the northbound is now."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from trunkline.core.amount import counted
from trunkline.core.error import Place
from trunkline.core.spelling import slip
from trunkline.manifest.complaint import MOST, Complaint, summary
from trunkline.manifest.difference import difference
from trunkline.manifest.document import shortened
from trunkline.manifest.present import ports_in, present, widened
from trunkline.northbound import duplicate, iface_id, physnet, trunk, unique
from trunkline.northbound.check import requested_names
from trunkline.northbound.conflict import Conflict, beside
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import RefusedError, no_such, some

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from trunkline.manifest.difference import Difference, RowChange
    from trunkline.manifest.form import Kind
    from trunkline.manifest.present import Present
    from trunkline.manifest.wanted import Wanted
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row


class ConflictError(RefusedError):
    """Documents that do not go with what the northbound holds, with everything that is in the way."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(summary(complaints))
        self.complaints = complaints


def judged(
    nb: Northbound,
    rows: Sequence[Wanted],
    set_: str,
    *,
    prunes: bool = False,
    adopts: bool = False,
    is_committed: bool = False,
) -> tuple[Present, Difference]:
    """Return what there is, and what makes it as *rows* want it; the other arguments are `difference`'s.

    If it is *committed* next, whether rows can be beside one another is left to the database.

    Raises:
        ConflictError: that cannot be, with everything that is in the way.
    """
    there = present(nb, rows, set_ if prunes else None)
    found = difference(rows, there, set_, prunes=prunes, adopts=adopts)
    if found.complaints or not is_committed:
        told = obstacles(nb, found, there)
        if told:
            raise ConflictError(told)
    return there, found


def obstacles(
    nb: Northbound, found: Difference, there: Present, assumed: Collection[str] | None = frozenset()
) -> list[Complaint]:
    """Return everything that keeps *found*, the difference from *there*, from being applied as *nb* is now.

    Networks called one of *assumed* are taken to be there; None: any. If there are some, *found* does not
    have all rows that documents want, so nothing is said of those that are deleted.
    """
    is_whole = assumed is not None and not assumed
    others = widened(nb, there, found.written("Port"), found.gone("Port"))
    change_by_row = {(change.table, change.name): change for change in found.changes}
    told = list(found.complaints)
    for kind, conflict in islice(_conflicts(nb, found, others, assumed), MOST):
        change = change_by_row[kind, conflict.name]
        if _is_known(conflict, change, [change_by_row.get((kind, other)) for other in conflict.others]):
            is_own = bool(conflict.others) and all((kind, other) in found.names for other in conflict.others)
            if change.wanted is not None:
                complaint = change.wanted.complaint(str(conflict.error), conflict.columns[0], conflict.item)
                told.append(complaint._replace(is_own=is_own))
            elif is_whole:
                told.append(Complaint(None, str(conflict.error)))
    return told


def _is_known(conflict: Conflict, change: RowChange, others: Sequence[RowChange | None]) -> bool:
    """Return whether *conflict* is there whatever the columns are to be that are wrong."""
    wrong = change.wrong.union(*(other.wrong for other in others if other is not None))
    return wrong.isdisjoint(conflict.columns)


def _conflicts(
    nb: Northbound, found: Difference, there: Present, assumed: Collection[str] | None
) -> Iterator[tuple[Kind, Conflict]]:
    """Yield each conflict of the rows of *found*, with the kind of the row."""
    networks, ports = found.written("Network"), found.written("Port")
    gone = found.gone("Port")
    staying = list(beside(there.networks.values(), networks, found.gone("Network")))
    beside_ports = list(beside(there.ports.values(), ports, gone))
    own_ports = [row.new for row in ports]
    for of_network in (
        unique.conflicts("Network", networks, staying),
        physnet.conflicts(networks, staying),
        _inhabited(nb, found, there),
        _opened(nb, found, there, [*beside_ports, *own_ports]),
    ):
        yield from (("Network", each) for each in of_network)
    all_networks = [*staying, *(row.new for row in networks)]
    transparent = {row["name"]: row["name"] for row in all_networks if row["vlan_transparent"]}
    for of_port in (
        _without_network(own_ports, {row["name"] for row in all_networks}, there, assumed),
        _without_chassis(nb, found),
        unique.conflicts("Port", ports, beside_ports),
        duplicate.conflicts(ports, beside_ports),
        iface_id.conflicts(iface_id.named(ports), [*beside_ports, *own_ports]),
        trunk.conflicts(trunk.moved(ports), [*beside_ports, *own_ports], transparent),
        trunk.orphans(gone, [*beside_ports, *own_ports]),
    ):
        yield from (("Port", each) for each in of_port)


def _without_network(
    ports: Sequence[Row], networks: Collection[str], there: Present, assumed: Collection[str] | None
) -> Iterator[Conflict]:
    if assumed is None:
        return
    for port in ports:
        name = port["network"]
        if name not in networks and name not in assumed:
            shown, hint = f"network '{shortened(name)}'", slip(str(name), networks)
            text = f"there is no {shown}; {hint or 'see `trunkline network list`'}"
            if name in there.networks:
                text = f"{shown} is in no file, and so it would be deleted; add it to the files"
            error = RefusedError(text, Place("Port", port["name"], "network"))
            yield Conflict(port["name"], ("network",), error)


def _without_chassis(nb: Northbound, found: Difference) -> Iterator[Conflict]:
    """Yield the ports that are now requested on a chassis that does not exist."""
    column = "requested_chassis"
    asked = [row.new for row in found.written("Port") if row.new[column] and row.writes([column])]
    if not asked:
        return
    known = {row["name"] for row in nb.read(select("Chassis", only=("name",)))[0]}
    for port in asked:
        for name in requested_names(port[column]):
            if name not in known:
                yield Conflict(port["name"], (column,), no_such("Chassis", name, known=known))


def _opened(nb: Northbound, found: Difference, there: Present, ports: Sequence[Row]) -> Iterator[Conflict]:
    """Yield the networks that newly carry their VMs' tags and have a trunk among *ports*, or among others."""
    rows = trunk.opened(found.written("Network"))
    if rows and not there.has_all_ports:
        known = {row["name"] for row in ports} | found.gone("Port")
        names = {row["_uuid"]: row["name"] for row in there.networks.values()}
        others = {row["name"]: row for read in nb.read(*trunk.opened_selects(rows)) for row in read}
        more = [row for name, row in others.items() if name not in known]
        ports = [*ports, *(row | {"network": names[row["network"]]} for row in more)]
    yield from trunk.within({row["name"]: row["name"] for row in rows}, ports)


def _inhabited(nb: Northbound, found: Difference, there: Present) -> Iterator[Conflict]:
    """Yield the networks that go while ports stay in them."""
    networks = found.gone("Network")
    leaving = found.gone("Port") | {
        row.new["name"] for row in found.written("Port") if row.writes(["network"])
    }
    staying: dict[str, list[str]] = {}
    for port in ports_in(nb, there, networks):
        if port["name"] not in leaving:
            staying.setdefault(port["network"], []).append(port["name"])
    for name, ports in staying.items():
        text = (
            f"network {name!r} is in no file, but {counted(len(ports), 'port')} {some(ports)} would stay in "
            "it; add it to the files, or move or delete what is in it first"
        )
        yield Conflict(name, ("name",), RefusedError(text, Place("Network", name)))
