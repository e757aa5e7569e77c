"""What settings of the switch do to frames of this chassis, past its flows, as findings.

What is set, what becomes of which frames, and what ends it is said by `trunkline.path.hindrance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.health.finding import Finding
from trunkline.path.hindrance import SWITCH, Hindrance, Kind, Place, Replies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from uuid import UUID

    from trunkline.core.inventory import Inventory
    from trunkline.core.model import Port
    from trunkline.health.finding import Severity
    from trunkline.ovsdb.settings import Settings
    from trunkline.ovsdb.vswitch import SwitchReplica

CODE = "T417"
"""The code of a setting that has none of its own."""

MIRROR_CODE, PATCH_CODE = "T406", "T209"

_CODES = {Kind.MIRROR: MIRROR_CODE, Kind.PATCH: PATCH_CODE}

_TOLD = frozenset({Kind.RESTORE_WAIT, Kind.DOWN})
"""What is a fault already (T402, T304)."""

_PARTIAL = frozenset({Kind.CONTROLLER, Kind.FRAGMENTS, Kind.TAKEN})
"""What keeps some frames alone from passing, or passes too many: ports work that have none of these."""


def findings(
    inventory: Inventory,
    switch: SwitchReplica,
    settings: Settings,
    said: Replies | None,
    ports: Collection[Port],
    subjects: Collection[str] | None = None,
) -> Iterator[Finding | None]:
    """Yield what hinders frames of *ports*, which are local; None after each step, where rows may change.

    *said* is what the switch says besides its rows, None if it does not answer. Of all that is found,
    only what is about one of *subjects*, or the switch, is yielded; None: everything.
    """
    place = Place(switch, settings.wiring, inventory.networks)
    for port in _all(inventory, ports):
        seat = inventory.seats.by_port.get(port.id)
        if seat is not None and seat.outlet is not None:
            place.add(*seat.outlet, port, inventory.vifs.get(port.iface_id, ()))
        yield None
    for each in place.hindrances(Replies() if said is None else said, inventory.uplinks):
        if each is None:
            yield None
        elif each.kind not in _TOLD and (
            subjects is None or not {SWITCH, *subjects}.isdisjoint(each.subjects)
        ):
            yield _finding(inventory.chassis, each)


def _all(inventory: Inventory, ports: Iterable[Port]) -> Iterator[Port]:
    """Yield *ports*, each once, and the ports whose VIFs they use."""
    seen: set[UUID] = set()
    for port in ports:
        for each in (port, inventory.carrier(port)):
            if each.id not in seen:
                seen.add(each.id)
                yield each


def _finding(chassis: str, hindrance: Hindrance) -> Finding:
    severity: Severity = "warning" if hindrance.kind in _PARTIAL else "error"
    subject, *also = hindrance.subjects
    return Finding(
        _CODES.get(hindrance.kind, CODE),
        severity,
        subject,
        chassis,
        None,
        hindrance.text,
        hindrance.remedy,
        tuple(also),
    )
