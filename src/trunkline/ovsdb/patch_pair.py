"""The patch pair of an uplink: how it should be, and what keeps it from being that or from passing frames."""

from __future__ import annotations

from typing import Any, NamedTuple

from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.interface import ofport_of
from trunkline.ovsdb.switch_row import PHYSNET_MARK, InterfaceRow, PortRow
from trunkline.ovsdb.vswitch import SwitchReplica

NO_VLAN = 4095
"""The only VLAN id in `trunks` if nothing is let through: an empty column would mean every VLAN."""


class BridgeMapping(NamedTuple):
    """A bridge mapping: *physnet* is reached through the provider bridge named *bridge*."""

    physnet: str
    bridge: str

    @property
    def inner(self) -> str:
        """The name of the patch port on the integration bridge."""
        return f"int-{self.bridge}"

    @property
    def outer(self) -> str:
        """The name of the patch port on the provider bridge."""
        return f"phy-{self.bridge}"


class Vlans(NamedTuple):
    """The columns of a port that say which frames pass it, if its bridge works as a plain switch."""

    vlan_mode: str | None
    trunks: frozenset[int]
    tag: int | None = None
    cvlans: frozenset[int] = frozenset()
    protected: bool = False


class End(NamedTuple):
    """One end of an uplink's patch pair; *trunks* None lets every VLAN through."""

    bridge: str
    name: str
    peer: str
    physnet: str
    trunks: frozenset[int] | None

    @property
    def vlans(self) -> Vlans:
        """The columns of the port that let just *trunks* through."""
        if self.trunks is None:
            return Vlans(None, frozenset())
        return Vlans("trunk", self.trunks or frozenset({NO_VLAN}))


def ends(bridge: str, mapping: BridgeMapping, trunks: frozenset[int] | None = None) -> tuple[End, End]:
    """Return how the ends of the pair between the integration *bridge* and that of *mapping* should be."""
    return (
        End(bridge, mapping.inner, mapping.outer, mapping.physnet, None),
        End(mapping.bridge, mapping.outer, mapping.inner, mapping.physnet, trunks),
    )


# -- what is -------------------------------------------------------------------------------------------


_NO_PEER = "No usable peer"
"""How Open vSwitch says that the other end is not there.

It may write so just after the other end came, and clears it only when it reads its settings anew. So it is
out of date if both ends are there.
"""


def mapping_fault(switch: SwitchReplica, bridge: str, mapping: BridgeMapping) -> str | None:
    """Return why the pair of *mapping* cannot be made or kept; None if it can."""
    if mapping.bridge == bridge:
        return f"{mapping.bridge} is the integration bridge; map {mapping.physnet} to another bridge"
    if switch.row("Bridge", mapping.bridge) is None:
        return f"bridge {mapping.bridge} does not exist; create it, or correct trunkline-bridge-mappings"
    for end in ends(bridge, mapping):
        interface = switch.row("Interface", end.name)
        if interface is None:
            continue
        port_id = switch.port_id_of(interface.uuid)
        is_ours = port_id in switch.marked_port_ids or _is_patched(interface, end)
        if not is_ours or port_id not in switch.ports_of(end.bridge):
            return f"{end.name} exists and is not the patch port from {end.bridge} to {end.peer}; rename it"
    return None


def peer(switch: SwitchReplica, end: End) -> str | None:
    """Return the name of the patch port that the one of *end* leads to; None if it leads to none."""
    interface = switch.row("Interface", end.name)
    return None if interface is None else _peer(interface)


def _peer(interface: InterfaceRow) -> str | None:
    if one(interface, InterfaceRow.type) != "patch":
        return None
    return pairs(interface, InterfaceRow.options).get("peer")


def _is_patched(interface: InterfaceRow, end: End) -> bool:
    return _peer(interface) == end.peer


def pair_fault(switch: SwitchReplica, bridge: str, mapping: BridgeMapping) -> str | None:
    """Return why no frame passes the patch pair; None if frames do.

    Ends in different datapaths have ofports all the same, and sometimes one of them has an error.
    """
    here, there = map(switch.datapath_type, (bridge, mapping.bridge))
    if here != there:
        return (
            f"{mapping.bridge} is in datapath {there} and {bridge} in {here}, and no patch "
            "port reaches from one to the other; give both bridges one datapath_type"
        )
    ends = {name: switch.row("Interface", name) for name in (mapping.inner, mapping.outer)}
    are_peers = all(end is not None and ofport_of(end) is not None for end in ends.values())
    for name, end in ends.items():
        if end is None:
            continue
        error = one(end, InterfaceRow.error)
        if error and not (are_peers and error.startswith(_NO_PEER)):
            return f"{name}: {error}"
        if ofport_of(end) is None and switch.is_idle:
            return f"{name} has no OpenFlow port; see the log of ovs-vswitchd"
    return None


def is_fit(switch: SwitchReplica, end: End) -> bool:
    """Return whether the patch port is there, and is as *end* says."""
    port, interface = switch.row("Port", end.name), switch.row("Interface", end.name)
    return (
        port is not None
        and interface is not None
        and pairs(port, PortRow.external_ids).get(PHYSNET_MARK) == end.physnet
        and _is_patched(interface, end)
        and _vlans(port) == end.vlans
    )


def _vlans(port: PortRow) -> Vlans:
    return Vlans(
        one(port, PortRow.vlan_mode),
        every(port, PortRow.trunks),
        one(port, PortRow.tag),
        every(port, PortRow.cvlans),
        bool(one(port, PortRow.protected)),
    )


# -- what should be ------------------------------------------------------------------------------------


def set_up(switch: SwitchReplica, transaction: Any, end: End) -> None:
    """Create the patch port as *end* says, or set it so."""
    port, interface = switch.row("Port", end.name), switch.row("Interface", end.name)
    if port is None or interface is None:
        interface = transaction.insert(switch.table("Interface"))
        port = transaction.insert(switch.table("Port"))
        interface.name = port.name = end.name
        port.interfaces = [interface]
        interface.external_ids = port.external_ids = {PHYSNET_MARK: end.physnet}
        bridge = switch.row("Bridge", end.bridge)
        assert bridge is not None, "a mapping to a bridge that is not there is a fault, and has no ends"
        bridge.addvalue("ports", port.uuid)
    else:
        for row in (port, interface):
            row.setkey("external_ids", PHYSNET_MARK, end.physnet)
    interface.type, interface.options = "patch", {"peer": end.peer}
    vlans = end.vlans
    port.vlan_mode = [] if vlans.vlan_mode is None else [vlans.vlan_mode]
    port.tag = [] if vlans.tag is None else [vlans.tag]
    port.trunks, port.cvlans, port.protected = sorted(vlans.trunks), sorted(vlans.cvlans), vlans.protected
