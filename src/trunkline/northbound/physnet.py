"""Which networks may share a physical network.

If a flat network carries its VMs' tags, they reach the VLAN networks of the same physical network. So it must
be the only network there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from trunkline.core.error import Place
from trunkline.northbound.check import Check
from trunkline.northbound.conflict import Conflict, beside
from trunkline.northbound.operation import expect
from trunkline.northbound.refusal import RefusedError, some

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from trunkline.northbound.conflict import Written
    from trunkline.northbound.operation import Condition, Row

_Kind = Literal["vlan", "open"]

_COLUMNS = ("network_type", "physical_network", "vlan_transparent")
_FOES: Mapping[_Kind, _Kind] = {"vlan": "open", "open": "vlan"}
_CONDITIONS: Mapping[_Kind, tuple[Condition, ...]] = {
    "vlan": (("network_type", "==", "vlan"),),
    "open": (("network_type", "==", "flat"), ("vlan_transparent", "==", True)),
}


def _kind(row: Mapping[str, Any]) -> _Kind | None:
    """Return what *row*, a network, is: `open` is a flat one that carries its VMs' tags."""
    if row["network_type"] == "vlan":
        return "vlan"
    return "open" if row["vlan_transparent"] else None


def moved(written: Iterable[Written]) -> list[Row]:
    """Return those of the networks *written* that may now share a physical network, as they will be."""
    return [row.new for row in written if row.writes(_COLUMNS)]


def checks(rows: Collection[Mapping[str, Any]]) -> list[Check]:
    """Return the checks of the physical networks of *rows*, networks as they are once written."""
    own = {row["name"] for row in rows}

    def check(kind: _Kind, physnet: str) -> Check:
        def blame(names: list[str]) -> RefusedError:
            return _refused(kind, physnet, [name for name in names if name not in own])

        where: tuple[Condition, ...] = (("physical_network", "==", physnet), *_CONDITIONS[_FOES[kind]])
        return Check(expect("Network", *where, rows=[], only=("name",)), blame([]), blame)

    found = {(kind, row["physical_network"]) for row in rows if (kind := _kind(row)) is not None}
    return [check(kind, physnet) for kind, physnet in sorted(found, reverse=True)]


def conflicts(written: Collection[Written], there: Iterable[Row]) -> Iterator[Conflict]:
    """Yield each network *written* that cannot share its physical network with one *there*, or before it."""
    rows = moved(written)
    own = {row["name"] for row in rows}
    names: dict[tuple[_Kind, str], list[str]] = {}
    for row in (*beside(there, written), *(each.new for each in written if each.new["name"] not in own)):
        if (kind := _kind(row)) is not None:
            names.setdefault((kind, row["physical_network"]), []).append(row["name"])
    for row in rows:
        if (kind := _kind(row)) is None:
            continue
        physnet = row["physical_network"]
        if others := names.get((_FOES[kind], physnet)):
            columns = ("physical_network", "network_type", "vlan_transparent")
            yield Conflict(row["name"], columns, _refused(kind, physnet, others), tuple(others))
        names.setdefault((kind, physnet), []).append(row["name"])


def _refused(kind: _Kind, physnet: str, others: Sequence[str]) -> RefusedError:
    """Return why a network of *kind* cannot be on *physnet* beside *others*."""
    names = f" {some(others)}" if others else ""
    text = (
        f"the flat network{names} of {physnet} carries its VMs' tags, which would reach that VLAN; "
        "use `vlan_transparent=false` there, or another `physical_network`"
        if kind == "vlan"
        else f"{physnet} has VLAN networks{names}, which the tags of a flat network's VMs would reach; "
        "use `vlan_transparent=false`, or another `physical_network`"
    )
    return RefusedError(text, Place("Network", others[0] if others else None, "physical_network"))
