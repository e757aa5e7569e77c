"""What both databases say at one moment, as the tests write it; and the flows that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from trunkline import apps
from trunkline.core.flow import Flow
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes
from trunkline.core.subject import SubjectId
from trunkline.core.view import View

CHASSIS = "chassis-a"

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Rows:
    """The rows that concern `CHASSIS`; VIFs by iface-id, uplinks by physical network."""

    networks: Mapping[UUID, Network] = field(default_factory=dict)
    ports: Mapping[UUID, Port] = field(default_factory=dict)
    vifs: Mapping[str, tuple[Vif, ...]] = field(default_factory=dict)
    uplinks: Mapping[str, Uplink] = field(default_factory=dict)
    whole_physnets: frozenset[str] = frozenset({"physnet1", "physnet2"})
    """The physical networks whose networks are all among *networks*."""


def changes(old: Rows, new: Rows) -> Changes:
    """Return what turns *old* into *new*."""
    return Changes(
        networks=_differing(old.networks, new.networks),
        ports=_differing(old.ports, new.ports),
        vifs={iface_id: vifs or () for iface_id, vifs in _differing(old.vifs, new.vifs).items()},
        uplinks=_differing(old.uplinks, new.uplinks),
        whole_physnets=new.whole_physnets,
    )


def inventory(rows: Rows) -> Inventory:
    """Return an inventory that has seen *rows* and nothing before."""
    fresh = Inventory(CHASSIS)
    fresh.change(changes(Rows(), rows))
    return fresh


def outcomes(rows: Rows) -> Outcomes:
    """Return the outcomes of an inventory that has seen *rows* and nothing before; none is computed yet."""
    return Outcomes(inventory(rows))


def views(rows: Rows) -> dict[SubjectId, View]:
    """Return the views of *rows*, computed afresh."""
    return {subject: view for subject, view in outcomes(rows).refresh().items() if view is not None}


def flows(rows: Rows) -> list[Flow]:
    """Return the flows of *rows*, computed afresh."""
    return [flow for view in views(rows).values() for flow in apps.flows(view)]


def _differing(old: Mapping[K, V], new: Mapping[K, V]) -> dict[K, V | None]:
    return {key: new.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
