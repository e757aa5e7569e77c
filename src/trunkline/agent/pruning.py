"""Pruning: which VLANs each uplink lets through, if an operator wants only those that are in use.

At each change of `trunks`, Open vSwitch forgets all MACs and multicast groups that it has learnt at that
port, even in VLANs that did not change (bundle_set in ofproto/ofproto-dpif.c).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import Network
from trunkline.ovsdb.nic import UNTAGGED, Vlans


class _Use(NamedTuple):
    physnet: str
    vlan_id: int | None
    """None: every VLAN; a transparent flat network carries them all."""


class AllowedVlans:
    """The VLANs in use here, by physical network.

    A VLAN is let through before its flows are there, and until they are gone: `target` says what to set
    now, given what is set already and whether the flows are in place.
    """

    def __init__(self) -> None:
        self._use_by_network: dict[UUID, _Use] = {}
        self._networks_by_use: Index[_Use, UUID] = Index()
        self._vlan_ids_by_physnet: dict[str, set[int | None]] = {}

    def set_use(self, network_id: UUID, network: Network | None) -> bool:
        """Note that *network* has local ports here, or none (None); return whether that changes its use."""
        old, use = self._use_by_network.pop(network_id, None), None
        if network is not None:
            untagged = None if network.is_transparent else UNTAGGED
            use = _Use(network.physnet, untagged if network.vlan_id is None else network.vlan_id)
            self._use_by_network[network_id] = use
        self._networks_by_use.move(network_id, old, use)
        for each in (old, use):
            if each is not None:
                vlan_ids = self._vlan_ids_by_physnet.setdefault(each.physnet, set())
                (vlan_ids.add if each in self._networks_by_use else vlan_ids.discard)(each.vlan_id)
        return use != old

    def wanted(self, physnet: str) -> Vlans:
        """Return the VLANs in use on *physnet*."""
        vlan_ids = self._vlan_ids_by_physnet.get(physnet, set())
        return None if None in vlan_ids else frozenset(id_ for id_ in vlan_ids if id_ is not None)

    def target(self, live: Mapping[str, Vlans], *, are_flows_applied: bool) -> dict[str, Vlans]:
        """Return what to set for each physical network of *live*, which says what is set now."""
        if are_flows_applied:
            return {physnet: self.wanted(physnet) for physnet in live}
        return {physnet: _union(vlans, self.wanted(physnet)) for physnet, vlans in live.items()}

    def are_covered(self, live: Mapping[str, Vlans]) -> bool:
        """Return whether *live* lets through all VLANs in use on its physical networks."""
        return all(_union(vlans, self.wanted(physnet)) == vlans for physnet, vlans in live.items())


def _union(one: Vlans, other: Vlans) -> Vlans:
    return None if one is None or other is None else one | other
