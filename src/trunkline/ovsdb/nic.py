"""The NICs of a provider bridge: how frames leave for the physical network, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.interface import link_fault, ofport_of
from trunkline.ovsdb.switch_row import PHYSNET_MARK, BridgeRow, InterfaceRow, PortRow
from trunkline.ovsdb.vswitch import SwitchReplica

GUEST_TYPES = frozenset({"internal", "tap", "dpdkvhostuser", "dpdkvhostuserclient"})
"""The types of interfaces that lead to this host itself, or to a VM (ovs-vswitchd.conf.db(5), `type`)."""

GUEST_DRIVERS = frozenset({"tun"})
"""The Linux driver of a VM's tap; Open vSwitch shows it as `status:driver_name` of the interface."""


Vlans: TypeAlias = frozenset[int] | None
"""VLAN ids, with 0 for untagged frames; None is every VLAN."""

UNTAGGED = 0


def lets_through(vlans: Vlans, vlan_id: int | None) -> bool:
    """Return whether *vlans* let frames with that tag through (None: untagged ones)."""
    return vlans is None or (UNTAGGED if vlan_id is None else vlan_id) in vlans


class Nic(NamedTuple):
    """A way out of a provider bridge; *fault* says why no frame passes it.

    *vlan_ids* are the VLANs that its port carries, 0 for untagged frames (None: all), if the bridge works as
    a plain switch. *mtu* is None if it has none, like a tunnel. *bond* is the port that it is a part of.
    """

    name: str
    mtu: int | None
    vlan_ids: Vlans = None
    fault: str | None = None
    bond: str | None = None

    def carries(self, vlan_id: int | None) -> bool:
        """Return whether a frame with that tag (None: without) leaves by it."""
        return lets_through(self.vlan_ids, vlan_id)


def nics(switch: SwitchReplica, bridge: str) -> list[Nic]:
    """Return the ways out of the provider bridge of that name.

    Tunnels and patch ports that are not ours count; VIFs and the bridge's own port do not. If a bridge has
    nothing else, its other internal ports and taps count: there the host itself is the network. A veth
    counts, because nobody can tell where it leads.
    """
    found: dict[bool, list[Nic]] = {True: [], False: []}
    for port, interface in _interfaces(switch, bridge):
        external_ids = pairs(interface, InterfaceRow.external_ids)
        if (
            one(interface, InterfaceRow.name) == bridge
            or PHYSNET_MARK in external_ids
            or "iface-id" in external_ids
        ):
            continue
        is_guest = (
            one(interface, InterfaceRow.type) in GUEST_TYPES
            or pairs(interface, InterfaceRow.status).get("driver_name") in GUEST_DRIVERS
        )
        found[is_guest].append(_nic(switch, port, interface))
    return found[False] or found[True]


def entrances(switch: SwitchReplica, bridge: str, interface: InterfaceRow) -> list[Nic]:
    """Return by what frames may have come that enter *bridge* by *interface*.

    That is any member of its bond, and if it is a patch port, any way out of the bridge behind it.
    """
    ways = nics(switch, bridge)
    here = next((way for way in ways if way.name == one(interface, InterfaceRow.name)), None)
    if here is None:
        return []
    peer = switch.row("Interface", pairs(interface, InterfaceRow.options).get("peer", ""))
    port_id = None if peer is None else switch.port_id_of(peer.uuid)
    behind = None if port_id is None else switch.bridge_of(port_id)
    if peer is not None and behind is not None:
        name = one(peer, InterfaceRow.name)
        return [way for way in nics(switch, one(behind, BridgeRow.name)) if way.name != name]
    return [way for way in ways if way is here or (here.bond is not None and way.bond == here.bond)]


def receives_no_more_than_mtu(interface: InterfaceRow) -> bool:
    """Return whether what the other end of *interface* sends into it has to fit in its MTU.

    A veth drops longer frames (Linux, `is_skb_forwardable`), and an internal port is the sender itself.
    """
    driver = pairs(interface, InterfaceRow.status).get("driver_name")
    return driver == "veth" or one(interface, InterfaceRow.type) == "internal"


def misplaced_faults(switch: SwitchReplica, bridge: str, integration_bridge: str) -> dict[str, str]:
    """Return a fault, by subject, for each VIF that is plugged into the provider bridge of that name."""
    return {
        f"vif {iface_id}": f"{one(interface, InterfaceRow.name)} is on the provider bridge {bridge}, "
        f"past all flows; plug it into {integration_bridge}, or remove its iface-id"
        for _, interface in _interfaces(switch, bridge)
        if (iface_id := pairs(interface, InterfaceRow.external_ids).get("iface-id"))
    }


def _interfaces(switch: SwitchReplica, bridge: str) -> Iterator[tuple[PortRow, InterfaceRow]]:
    """Yield the interfaces of the bridge of that name, each with its port, in the order of names."""
    pairs_ = []
    for port_id in switch.ports_of(bridge):
        port = switch.rows("Port").get(port_id)
        if port is None:
            continue
        for interface_id in every(port, PortRow.interfaces):
            interface = switch.rows("Interface").get(interface_id)
            if interface is not None:
                pairs_.append((port, interface))
    yield from sorted(pairs_, key=lambda pair: one(pair[1], InterfaceRow.name))


def _nic(switch: SwitchReplica, port: PortRow, interface: InterfaceRow) -> Nic:
    fault = link_fault(interface) or _lacp_fault(port, interface)
    if ofport_of(interface) is None and (one(interface, InterfaceRow.ofport) is not None or switch.is_idle):
        fault = f"cannot be used: {one(interface, InterfaceRow.error) or 'it has no OpenFlow port'}"
    return Nic(
        one(interface, InterfaceRow.name),
        one(interface, InterfaceRow.mtu),
        _vlan_ids(port),
        fault,
        one(port, PortRow.name) if len(every(port, PortRow.interfaces)) > 1 else None,
    )


def _lacp_fault(port: PortRow, interface: InterfaceRow) -> str | None:
    """Return why a bond with LACP does not use the interface; None if it does, or there is no such bond."""
    is_negotiated = (
        one(port, PortRow.lacp) in ("active", "passive")
        and one(interface, InterfaceRow.lacp_current) is False
    )
    if not is_negotiated or pairs(port, PortRow.other_config).get("lacp-fallback-ab") == "true":
        return None
    return "has no LACP partner; check the switch port at its other end"


def _vlan_ids(port: PortRow) -> Vlans:
    """Return the VLANs that the port carries (ovs-vswitchd.conf.db(5), `vlan_mode`)."""
    tag, trunks, mode = one(port, PortRow.tag), every(port, PortRow.trunks), one(port, PortRow.vlan_mode)
    if mode in ("access", "dot1q-tunnel") or (mode is None and tag is not None):
        return frozenset({tag or 0})
    if not trunks:
        return None
    return trunks | {tag or 0} if mode in ("native-tagged", "native-untagged") else trunks


def fault(bridge: str, ways: list[Nic]) -> str | None:
    """Return why no frame gets out of *bridge* by any of its *ways*; None if frames do.

    >>> fault("br-ex", [Nic("eth1", 1500, fault="has no link"), Nic("eth2", 1500)])
    >>> fault("br-ex", [Nic("eth1", 1500, fault="has no link")])
    'nothing gets out of br-ex: eth1 has no link'
    """
    if not ways:
        return f"nothing gets out of {bridge}: it has no NIC; run: ovs-vsctl add-port {bridge} NIC"
    if any(nic.fault is None for nic in ways):
        return None
    return f"nothing gets out of {bridge}: " + "; ".join(f"{nic.name} {nic.fault}" for nic in ways)


def bond_faults(bridge: str, ways: list[Nic]) -> dict[str, str]:
    """Return a fault, by subject, for each of *ways* that its bond works without.

    Traffic goes on, and ends with the next one that fails. Of NICs without a bond nobody knows which ones
    are needed.

    >>> bond_faults("br-ex", [Nic("eth1", 1500, bond="b"), Nic("eth2", 1500, fault="has no link", bond="b")])
    {'nic eth2': 'bond b of br-ex works without it: eth2 has no link'}
    """
    working = {way.bond for way in ways if way.fault is None}
    return {
        f"nic {way.name}": f"bond {way.bond} of {bridge} works without it: {way.name} {way.fault}"
        for way in ways
        if way.fault is not None and way.bond is not None and way.bond in working
    }


def passing(ways: list[Nic]) -> Vlans:
    """Return the VLANs whose frames get out by one of the *ways*, 0 for untagged; None: every one.

    >>> passing([Nic("eth1", 1500, frozenset({7})), Nic("eth2", 1500, fault="has no link")])
    frozenset({7})
    """
    sets = [nic.vlan_ids for nic in ways if nic.fault is None]
    return None if None in sets else frozenset().union(*(vlan_ids for vlan_ids in sets if vlan_ids))


def vlan_fault(bridge: str, ways: list[Nic], vlan_id: int | None) -> str | None:
    """Return why no frame with that tag (None: untagged) gets out of *bridge*; None if frames do.

    >>> vlan_fault("br-ex", [Nic("eth1", 1500, frozenset({7}))], 7)
    >>> vlan_fault("br-ex", [Nic("eth1", 1500, frozenset({7}))], None)
    'no untagged frame gets out of br-ex: eth1 does not carry it; see tag, trunks and vlan_mode of its Port'
    """
    if any(nic.fault is None and nic.carries(vlan_id) for nic in ways):
        return None
    what = "untagged frame" if vlan_id is None else f"frame of VLAN {vlan_id}"
    return (
        f"no {what} gets out of {bridge}: "
        + "; ".join(f"{nic.name} {nic.fault or 'does not carry it'}" for nic in ways)
        + "; see tag, trunks and vlan_mode of its Port"
    )


def mtu(ways: list[Nic], vlan_id: int | None) -> int | None:
    """Return the smallest MTU of the ways that a frame with that tag takes; None if none is known.

    >>> mtu([Nic("eth1", 9000), Nic("gw", 1400, frozenset({300}))], 101)
    9000
    """
    found = narrowest(ways, vlan_id)
    return None if found is None else found.mtu


def narrowest(ways: list[Nic], vlan_id: int | None) -> Nic | None:
    """Return that of the ways with the smallest MTU for a frame with that tag; None if none has an MTU."""
    known = {way.mtu: way for way in reversed(ways) if way.mtu is not None and way.carries(vlan_id)}
    return known[min(known)] if known else None
