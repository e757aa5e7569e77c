"""The wiring: the integration bridge and the patch pair of each uplink, as they are and as they should be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkline.core.model import Uplink
from trunkline.ovsdb import integration_bridge, mtu_request, nic, patch_pair, restore_wait
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.integration_bridge import BRIDGE_MARK
from trunkline.ovsdb.interface import ofport_of
from trunkline.ovsdb.patch_pair import NO_VLAN, BridgeMapping, End
from trunkline.ovsdb.switch_row import (
    NB_IDENTITY,
    USE_MARK,
    BridgeRow,
    PortRow,
    RootRow,
)
from trunkline.ovsdb.vswitch import SwitchReplica

VLAN_LIMIT = "1"
"""How many tags of a frame Open vSwitch may parse: docs/adr/0015-vlan-limit-is-one.md says why."""


@dataclass(frozen=True)
class Wiring:
    """What should be on the local switch: the integration bridge and an uplink for each mapping.

    *trunks* says which VLAN ids (0: untagged) the patch port of each physical network lets through; None, or
    a physical network that is not there, means every VLAN. *mtu_by_iface_id* is the MTU to request for VIFs;
    None: no request. *nb_identity* is to be written as the identity of the northbound to obey; None: it
    stays. *released* are former integration bridges that no longer have flows of ours.
    """

    bridge: str
    datapath_type: str = ""
    mappings: tuple[BridgeMapping, ...] = ()
    trunks: Mapping[str, frozenset[int] | None] = field(default_factory=dict)
    mtu_by_iface_id: Mapping[str, int | None] = field(default_factory=dict)
    nb_identity: str | None = None
    released: frozenset[str] = frozenset()

    @property
    def physnet_by_bridge(self) -> dict[str, str]:
        """The mappings, the other way round."""
        return {mapping.bridge: mapping.physnet for mapping in self.mappings}

    def ends(self, mapping: BridgeMapping) -> tuple[End, End]:
        """Return the ends of the patch pair of *mapping*."""
        return patch_pair.ends(self.bridge, mapping, self.trunks.get(mapping.physnet))


# -- what is -------------------------------------------------------------------------------------------


def uplinks(
    switch: SwitchReplica, wiring: Wiring, dropping: Collection[str] = ()
) -> tuple[dict[str, Uplink], dict[str, str]]:
    """Return the present uplinks, and why no frame leaves by a mapping, if so; both by physnet.

    The bridges *dropping* have no flows.
    """
    uplink_by_physnet: dict[str, Uplink] = {}
    faults: dict[str, str] = {}
    for mapping in wiring.mappings:
        fault = patch_pair.mapping_fault(switch, wiring.bridge, mapping)
        interface = switch.row("Interface", mapping.inner)
        if fault is None and interface is not None:
            ofport = ofport_of(interface)
            if ofport is not None:
                uplink_by_physnet[mapping.physnet] = Uplink(mapping.physnet, mapping.bridge, ofport)
            ways = nic.nics(switch, mapping.bridge)
            fault = patch_pair.pair_fault(switch, wiring.bridge, mapping) or nic.fault(mapping.bridge, ways)
            if fault is None and mapping.bridge in dropping:
                fault = _empty_fault(switch, mapping.bridge)
        if fault is not None:
            faults[mapping.physnet] = fault
    return uplink_by_physnet, faults


def _empty_fault(switch: SwitchReplica, bridge: str) -> str:
    row = switch.row("Bridge", bridge)
    if row is not None and one(row, BridgeRow.fail_mode) == "secure":
        return (
            f"{bridge} is secure and has no flows, so it drops every frame; "
            f"run: ovs-vsctl set Bridge {bridge} fail_mode=standalone, or give it its flows"
        )
    return (
        f"{bridge} has no flows, so it drops every frame; "
        f"run: ovs-ofctl add-flow {bridge} actions=NORMAL, or give it its flows"
    )


def trunks(switch: SwitchReplica, mapping: BridgeMapping) -> frozenset[int] | None:
    """Return the VLAN ids that the patch port of the provider bridge lets through now; None: every one."""
    port = switch.row("Port", mapping.outer)
    if port is None or one(port, PortRow.vlan_mode) != "trunk" or not every(port, PortRow.trunks):
        return None
    return every(port, PortRow.trunks) - {NO_VLAN}


def is_wired(switch: SwitchReplica, wiring: Wiring) -> bool:
    """Return whether the switch is as *wiring* says."""
    bridge = switch.row("Bridge", wiring.bridge)
    return (
        bridge is not None
        and not any(True for _ in integration_bridge.amendments(bridge))
        and not _strays(switch, wiring)
        and not any(True for _ in _unfit(switch, wiring))
        and not any(True for _ in mtu_request.pending(switch, wiring.mtu_by_iface_id))
        and is_limited(switch)
        and not switch.must_bump_next_cfg
        and not any(True for _ in _releasable(switch, wiring))
        and wiring.nb_identity in (None, switch.external_ids.get(NB_IDENTITY))
    )


def _unfit(switch: SwitchReplica, wiring: Wiring) -> Iterator[End]:
    """Yield the patch ports that are missing, or not as they should be."""
    for mapping in wiring.mappings:
        if patch_pair.mapping_fault(switch, wiring.bridge, mapping) is None:
            yield from (end for end in wiring.ends(mapping) if not patch_pair.is_fit(switch, end))


def _strays(switch: SwitchReplica, wiring: Wiring) -> list[tuple[BridgeRow, PortRow]]:
    """Return the (bridge, port) rows of marked patch ports that no mapping asks for."""
    wanted = {
        (end.bridge, end.name)
        for mapping in wiring.mappings
        if switch.row("Bridge", mapping.bridge) is not None
        for end in wiring.ends(mapping)
    }
    strays = []
    for port_id in switch.marked_port_ids:
        port, bridge = switch.rows("Port").get(port_id), switch.bridge_of(port_id)
        if port is None or bridge is None:
            continue
        if (one(bridge, BridgeRow.name), one(port, PortRow.name)) not in wanted:
            strays.append((bridge, port))
    return strays


def _releasable(switch: SwitchReplica, wiring: Wiring) -> Iterator[BridgeRow]:
    """Yield the rows of the bridges that can be made what they were before the agent used them."""
    for name in wiring.released:
        row = switch.row("Bridge", name)
        if row is None or USE_MARK not in pairs(row, BridgeRow.external_ids):
            continue
        if integration_bridge.may_release(switch, row):
            yield row


def is_limited(switch: SwitchReplica) -> bool:
    """Return whether the switch parses one tag of a frame and no more, which is also the default."""
    return _vlan_limit(switch) == VLAN_LIMIT


def limit_faults(switch: SwitchReplica) -> dict[str, str]:
    """Return a fault while the switch may parse more than one tag of a frame."""
    if is_limited(switch):
        return {}
    return {
        "vlan-limit": f"Open_vSwitch other_config:vlan-limit is {_vlan_limit(switch)}, and with anything but "
        f"{VLAN_LIMIT} a VM can reach other VLANs; the agent sets it to {VLAN_LIMIT}; find what changes it"
    }


def _vlan_limit(switch: SwitchReplica) -> str:
    if switch.root is None:
        return VLAN_LIMIT
    return pairs(switch.root, RootRow.other_config).get("vlan-limit", VLAN_LIMIT)


# -- what should be ------------------------------------------------------------------------------------


class Written(NamedTuple):
    """What a write does, in words: *changes* to bridge and patch ports, and *others*.

    *has_removed* says whether it removes patch ports.
    """

    changes: list[str]
    others: list[str]
    has_removed: bool


def wire(switch: SwitchReplica, wiring: Wiring) -> Written:
    """Begin a write that brings the switch to *wiring*; if there is no bridge yet, it takes one more write.

    Patch ports of the right names that already are as they should be, such as those of another agent, are
    taken over: they are marked, and otherwise left as they are.

    A patch port of another bridge is removed by one write, and created by the next: wait for
    `SwitchReplica.is_realized` between them. If ovs-vswitchd 3.1 sees both at once, it moves the port and
    cuts it off from its peer, for good and without an error.
    """
    transaction = switch.begin("trunkline agent: bridge and patch ports")
    changes = _limit(switch)
    bridge = switch.row("Bridge", wiring.bridge)
    if bridge is None:
        integration_bridge.create(switch, transaction, wiring.bridge, wiring.datapath_type)
        switch.commit(transaction)
        return Written([*changes, f"create {wiring.bridge}"], [], has_removed=False)
    changes += integration_bridge.amend(bridge)
    strays = _strays(switch, wiring)
    for stray_bridge, port in strays:
        changes.append(f"remove {one(port, PortRow.name)}")
        stray_bridge.delvalue("ports", port.uuid)
    for end in list(_unfit(switch, wiring)):
        changes.append(f"set up {end.name}")
        patch_pair.set_up(switch, transaction, end)
    for left in list(_releasable(switch, wiring)):
        changes.append(f"release {one(left, BridgeRow.name)}")
        integration_bridge.release(left)
    unrequested = list(mtu_request.pending(switch, wiring.mtu_by_iface_id))
    others = [mtu_request.request(interface, mtu) for interface, mtu in unrequested]
    if wiring.nb_identity not in (None, switch.external_ids.get(NB_IDENTITY)):
        others.append(f"obey the northbound {wiring.nb_identity}")
        switch.require_root().setkey("external_ids", NB_IDENTITY, wiring.nb_identity)
    if switch.must_bump_next_cfg:
        others.append("have the switch act upon a database that was replaced")
        switch.bump_next_cfg()
    switch.commit(transaction)
    return Written(changes, others, has_removed=bool(strays))


def _limit(switch: SwitchReplica) -> list[str]:
    """Let the switch parse one tag of a frame; return that in words, if it is a change."""
    if is_limited(switch):
        return []
    was = _vlan_limit(switch)
    switch.require_root().setkey("other_config", "vlan-limit", VLAN_LIMIT)
    return [f"set vlan-limit to {VLAN_LIMIT}, from {was}"]


def unwire(switch: SwitchReplica, bridge: str) -> bool:
    """Begin a write that undoes what the agent wrote: patch ports, MTUs, *bridge* and former bridges.

    A bridge that the agent created is deleted, unless it still has ports of others, such as VIFs. Any other
    becomes what it was before; but one with VIFs stays secure, as a plain switch would connect them. Returns
    whether *bridge* is deleted.
    """
    transaction = switch.begin("trunkline agent: clean up")
    restore_wait.remove(switch)
    strays = _strays(switch, Wiring(bridge))
    for stray_bridge, port in strays:
        stray_bridge.delvalue("ports", port.uuid)
    for interface in switch.rows("Interface").values():
        if not mtu_request.is_requested(interface, None):
            mtu_request.request(interface, None)
    ours = {port.uuid for _, port in strays}
    gone = set()
    for name in {bridge, *switch.used_bridges.values()}:
        row = switch.row("Bridge", name)
        if row is None:
            continue
        is_created = BRIDGE_MARK in pairs(row, BridgeRow.external_ids)
        others = map(switch.rows("Port").get, every(row, BridgeRow.ports) - ours)
        if is_created and all(port is None or one(port, PortRow.name) == name for port in others):
            gone.add(name)
            switch.require_root().delvalue("bridges", row.uuid)
        elif USE_MARK in pairs(row, BridgeRow.external_ids):
            integration_bridge.release(row, is_whole=integration_bridge.may_release(switch, row))
    switch.commit(transaction)
    return bridge in gone
