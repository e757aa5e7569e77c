"""Trunks: which VLANs each uplink lets through, where an operator wants no more of them than are in use.

Every change of `trunks` makes Open vSwitch forget all MACs and multicast groups that it learnt at that port,
also in VLANs that did not change (bundle_set in ofproto/ofproto-dpif.c).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias
from uuid import UUID

from trunkline.core.model import Network

Trunk: TypeAlias = frozenset[int] | None
"""VLAN ids, 0 for untagged; None is every VLAN."""

UNTAGGED = 0


class _Use(NamedTuple):
    physnet: str
    vlan_id: int | None
    """None: every VLAN, as a transparent flat network carries."""


class Trunks:
    """The VLANs in use here, by physical network.

    A VLAN is let through before there are flows for it, and no longer once there are none: `target` says
    what to set now, given what is set and whether the flows are in place.
    """

    def __init__(self) -> None:
        self._use_by_network: dict[UUID, _Use] = {}

    def say(self, network_id: UUID, network: Network | None) -> bool:
        """Note that *network* has local ports here, or has none (None); return whether that is new."""
        use = None
        if network is not None:
            untagged = None if network.is_transparent else UNTAGGED
            use = _Use(network.physnet, untagged if network.vlan_id is None else network.vlan_id)
        if self._use_by_network.get(network_id) == use:
            return False
        if use is None:
            del self._use_by_network[network_id]
        else:
            self._use_by_network[network_id] = use
        return True

    def wanted(self, physnet: str) -> Trunk:
        """Return the VLANs in use on *physnet*."""
        vlan_ids = {use.vlan_id for use in self._use_by_network.values() if use.physnet == physnet}
        return None if None in vlan_ids else frozenset(id_ for id_ in vlan_ids if id_ is not None)

    def target(self, live: Mapping[str, Trunk], *, are_flows_applied: bool) -> dict[str, Trunk]:
        """Return what to set for each physical network of *live*, which says what is set."""
        if are_flows_applied:
            return {physnet: self.wanted(physnet) for physnet in live}
        return {physnet: _union(trunk, self.wanted(physnet)) for physnet, trunk in live.items()}

    def are_covered(self, live: Mapping[str, Trunk]) -> bool:
        """Return whether *live* lets through all that is in use on its physical networks."""
        return all(_union(trunk, self.wanted(physnet)) == trunk for physnet, trunk in live.items())


def lets_through(trunk: Trunk, vlan_id: int | None) -> bool:
    """Return whether *trunk* lets frames with that tag (None: without) through."""
    return trunk is None or (UNTAGGED if vlan_id is None else vlan_id) in trunk


def _union(one: Trunk, other: Trunk) -> Trunk:
    return None if one is None or other is None else one | other
