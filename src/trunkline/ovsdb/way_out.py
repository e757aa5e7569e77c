"""The ways out of a chassis: how its networks reach their physical networks, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.core.name import is_mappable
from trunkline.ovsdb import nic
from trunkline.ovsdb.datum import every, one
from trunkline.ovsdb.nic import Nic, Vlans
from trunkline.ovsdb.switch_row import BridgeRow

if TYPE_CHECKING:
    from trunkline.core.model import Network, Uplink
    from trunkline.ovsdb.settings import Settings
    from trunkline.ovsdb.vswitch import SwitchReplica

TAG_BYTES = 4
"""What a second tag adds to a frame; the first one does not count in an MTU (IEEE 802.3 clause 3.2.7)."""


@dataclass(frozen=True)
class WaysOut:
    """The provider bridge and its NICs, by physical network.

    *fault_by_physnet* says why nothing leaves by a mapping. *passing* has the VLANs whose frames leave: none
    if there is such a fault, and nothing of a physical network while that is not known. *other_faults* are
    those of NICs and of VIFs in the wrong place, by subject.
    """

    bridge_by_physnet: Mapping[str, str]
    nics_by_physnet: Mapping[str, list[Nic]]
    fault_by_physnet: Mapping[str, str]
    passing: Mapping[str, Vlans]
    other_faults: Mapping[str, str]

    @property
    def faults(self) -> dict[str, str]:
        """The faults of mappings, NICs and misplaced VIFs, by subject."""
        mappings = {f"mapping {physnet}": fault for physnet, fault in self.fault_by_physnet.items()}
        return mappings | dict(self.other_faults)

    def carries(self, network: Network) -> bool:
        """Return whether frames of *network* leave its provider bridge."""
        return nic.lets_through(self.passing.get(network.physnet), network.vlan_id)

    def network_fault(self, network: Network) -> str | None:
        """Return why *network* does not reach its physical network as it should, None if it does.

        If its mapping does not work, that is a fault of the mapping, once for all of its networks.
        """
        if not is_mappable(network.physnet):
            return (
                f"physical network {network.physnet!r} cannot be mapped on any chassis: a name with a comma, "
                "a colon or outer blanks does not fit into the list of mappings; "
                "set another `physical_network`"
            )
        if network.physnet not in self.bridge_by_physnet:
            return (
                f"physical network {network.physnet} is not mapped to a bridge here; "
                f"add {network.physnet}:BRIDGE to trunkline-bridge-mappings"
            )
        if network.physnet not in self.fault_by_physnet and not self.carries(network):
            bridge = self.bridge_by_physnet[network.physnet]
            return nic.vlan_fault(bridge, self.nics_by_physnet[network.physnet], network.vlan_id)
        return self._mtu_fault(network)

    def _mtu_fault(self, network: Network) -> str | None:
        """Return why the largest frames of *network* do not fit through its uplink, None if they do.

        If its MTU is not managed, nobody knows how large they are
        (docs/adr/0101-an-mtu-that-is-not-given-is-not-judged.md).
        """
        way = nic.narrowest(self.nics_by_physnet.get(network.physnet, []), network.vlan_id)
        if way is None or way.mtu is None or network.mtu is None:
            return None
        has_second_tag = network.is_transparent and network.vlan_id is not None
        needed = network.mtu + (TAG_BYTES if has_second_tag else 0)
        if needed <= way.mtu:
            return None
        return (
            f"its MTU {network.mtu} needs an uplink with an MTU of {needed}, and {way.name} has {way.mtu}; "
            f"run: ip link set {way.name} mtu {needed}, or lower `mtu`"
        )


UNKNOWN = WaysOut({}, {}, {}, {}, {})
"""Before anything was read."""


def ways_out(
    switch: SwitchReplica,
    settings: Settings,
    uplinks: Mapping[str, Uplink],
    fault_by_physnet: Mapping[str, str],
) -> WaysOut:
    """Return the ways out by *uplinks*; *fault_by_physnet* says why no frame leaves by a mapping."""
    integration_bridge = settings.wiring.bridge
    bridge_by_physnet = settings.bridge_by_physnet
    nics_by_physnet = {physnet: nic.nics(switch, bridge) for physnet, bridge in bridge_by_physnet.items()}
    other_faults: dict[str, str] = {}
    for physnet, bridge in bridge_by_physnet.items():
        # One cause is one fault: if nothing gets out at all, that is of the mapping.
        if physnet not in fault_by_physnet and bridge != integration_bridge:
            other_faults |= nic.misplaced_faults(switch, bridge, integration_bridge)
            other_faults |= nic.bond_faults(bridge, nics_by_physnet[physnet])
    passing: dict[str, Vlans] = dict.fromkeys(fault_by_physnet, frozenset())
    for physnet in uplinks.keys() - fault_by_physnet.keys():
        passing[physnet] = nic.passing(nics_by_physnet[physnet])
    return WaysOut(bridge_by_physnet, nics_by_physnet, fault_by_physnet, passing, other_faults)


def shows_all_flows(switch: SwitchReplica, bridge: str) -> bool:
    """Return whether the bridge of that name forwards by no other flows than those that it shows.

    A standalone bridge that has lost its controller forwards by a hidden flow (ofproto/fail-open.c).
    """
    row = switch.row("Bridge", bridge)
    return row is not None and (
        one(row, BridgeRow.fail_mode) == "secure" or not every(row, BridgeRow.controller)
    )
