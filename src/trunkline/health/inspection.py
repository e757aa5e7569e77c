"""An inspection: what a chassis sees of itself that no fault says, as findings.

It is a function of what was read: the rows of both databases, and what the flows have counted. What keeps a
port from working and needs no count is a fault already; `trunkline.health.cause` makes findings of those.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from trunkline.core.amount import counted
from trunkline.health import hindered, refused
from trunkline.health.finding import Finding
from trunkline.health.refused import PortCounts
from trunkline.health.unheard import WireCounts
from trunkline.openflow import tally
from trunkline.ovsdb import nic
from trunkline.ovsdb.datum import every, one
from trunkline.ovsdb.interface import driver_fault
from trunkline.ovsdb.mtu_request import MTU_TYPES
from trunkline.ovsdb.switch_row import RESTORE_WAIT, BridgeRow, InterfaceRow, PortRow

if TYPE_CHECKING:
    from trunkline.core.inventory import Inventory
    from trunkline.core.model import Network, Port
    from trunkline.health.finding import Severity
    from trunkline.ovsdb.settings import Settings
    from trunkline.ovsdb.vswitch import SwitchReplica
    from trunkline.path.hindrance import Replies


class Scope(NamedTuple):
    """What is inspected: a *port* or a *network* by its name, with all that it needs; None: everything."""

    port: str | None = None
    network: str | None = None


class Counts:
    """What all flows have counted, each of them noted once."""

    def __init__(self) -> None:
        self.ports = PortCounts()
        self.wires = WireCounts()

    def note(self, some: list[tally.Count]) -> None:
        """Take note of *some*."""
        self.ports.note(some)
        self.wires.note(some)


@dataclass(frozen=True)
class Seen:
    """What was read of a chassis. *faults* are those that it has.

    *counts* is None if its flows were not counted, and *said* if the switch was not asked for it.
    """

    switch: SwitchReplica
    settings: Settings
    inventory: Inventory
    counts: Counts | None
    said: Replies | None
    faults: Mapping[str, str]

    @property
    def chassis(self) -> str:
        """The name of the chassis."""
        return self.inventory.chassis

    def finding(
        self, code: str, subject: str, text: str, remedy: str, severity: Severity = "warning"
    ) -> Finding:
        """Return the finding with that content."""
        return Finding(code, severity, subject, self.chassis, None, text, remedy)


def findings(seen: Seen, scope: Scope) -> Iterator[Finding | None]:
    """Yield what is found within *scope*; None after each step, where the rows may change."""
    mirrors = 0
    for found in _hindered(seen, scope):
        mirrors += found is not None and found.code == hindered.MIRROR_CODE
        yield found
    yield from _bridge(seen, mirrors)
    yield None
    port_ids = _port_ids(seen.inventory, scope)
    ports = [port for id_ in port_ids if (port := seen.inventory.ports.get(id_)) is not None]
    yield None
    network_ids = {port.network_id for port in ports}
    networks = [each for id_ in network_ids if (each := seen.inventory.networks.get(id_)) is not None]
    for physnet, bridge in seen.settings.bridge_by_physnet.items():
        if scope == Scope() or any(network.physnet == physnet for network in networks):
            yield from _nics(seen, physnet, bridge)
            yield None
    for each in networks:
        yield _silence(seen, each, scope)
    for port in ports:
        network = seen.inventory.networks.get(port.network_id)
        if network is not None:
            yield from _vif(seen, port, network)
            if seen.counts is not None:
                yield from refused.findings(seen.chassis, port, network.name, seen.counts.ports.of(port.key))
        yield None


def _hindered(seen: Seen, scope: Scope) -> Iterator[Finding | None]:
    """Yield the settings of the switch that hinder frames of *scope*.

    Why an uplink does not lead to its bridge may be a fault already.
    """
    inventory = seen.inventory
    ids, subjects = _port_ids(inventory, scope), None
    if scope.port is not None:
        port = inventory.port_named(scope.port)
        if port is not None:
            if _is_protected(seen, inventory.carrier(port)):
                # It and others of its network hinder one another.
                ids += inventory.seats.locals_by_network[port.network_id]
            subjects = _subjects(inventory, port)
    ports = [port for id_ in ids if (port := inventory.ports.get(id_)) is not None]
    yield None
    for each in hindered.findings(inventory, seen.switch, seen.settings, seen.said, ports, subjects):
        if each is None or each.code != hindered.PATCH_CODE or each.subject not in seen.faults:
            yield each


def _is_protected(seen: Seen, port: Port) -> bool:
    """Return whether a VIF of *port* is at a protected port of the switch."""
    vifs = seen.inventory.vifs.get(port.iface_id, ())
    return any(
        one(row, PortRow.protected)
        for row in (seen.switch.port_of(vif.interface) for vif in vifs)
        if row is not None
    )


def _subjects(inventory: Inventory, port: Port) -> set[str]:
    """Return what a finding is about that concerns *port*."""
    subjects = {f"port {port.name}", f"port {inventory.carrier(port).name}"}
    network = inventory.networks.get(port.network_id)
    return (
        subjects if network is None else subjects | {f"network {network.name}", f"mapping {network.physnet}"}
    )


def _silence(seen: Seen, network: Network, scope: Scope) -> Finding | None:
    """Return that nothing comes from the wire for *network*, None if that is not so or a fault says why."""
    if seen.counts is None or not seen.faults.keys().isdisjoint(
        (f"network {network.name}", f"mapping {network.physnet}")
    ):
        return None
    inventory = seen.inventory
    keys = (inventory.ports[id_].key for id_ in inventory.seats.locals_by_network[network.id])
    return seen.counts.wires.finding(seen.chassis, network, keys, is_asked_about=scope.port is not None)


def _port_ids(inventory: Inventory, scope: Scope) -> list[UUID]:
    """Return the local ports of *scope*; with a sub-port, its parent, whose VIF it uses."""
    if scope.port is not None:
        port = inventory.port_named(scope.port)
        ids = () if port is None else dict.fromkeys((port.id, inventory.carrier(port).id))
        return [id_ for id_ in ids if inventory.is_local(id_)]
    return [
        id_
        for id_ in inventory.local_ports()
        if scope.network is None or _network_name(inventory, inventory.ports[id_]) == scope.network
    ]


def _network_name(inventory: Inventory, port: Port) -> str | None:
    network = inventory.networks.get(port.network_id)
    return None if network is None else network.name


def _bridge(seen: Seen, told: int) -> Iterator[Finding]:
    """Yield what is found of the switch and of the integration bridge; *told* of its mirrors are already."""
    bridge = seen.settings.wiring.bridge
    if seen.switch.waits_for_flows and "switch" not in seen.faults:
        yield seen.finding(
            "T402",
            "switch",
            f"{RESTORE_WAIT} is set: when ovs-vswitchd starts the next time, it forwards nothing",
            f"ovs-vsctl remove Open_vSwitch . other_config {RESTORE_WAIT}",
        )
    row = seen.switch.row("Bridge", bridge)
    mirrors = 0 if row is None else len(every(row, BridgeRow.mirrors)) - told
    if mirrors > 0:
        yield seen.finding(
            "T406",
            "switch",
            f"{bridge} has {counted(mirrors, 'mirror')}, which sends copies of frames past all flows of ours",
            f"see: ovs-vsctl list mirror; if nobody needs it: ovs-vsctl clear Bridge {bridge} mirrors",
        )
    for cookie, number in sorted(seen.counts.ports.others.items()) if seen.counts is not None else ():
        yield seen.finding(
            "T405",
            "switch",
            f"another program has {counted(number, 'flow')} on {bridge}, "
            f"cookie {cookie:#x}; they may take frames before ours do",
            "find the program; to remove them: "
            f"ovs-ofctl -O OpenFlow14 del-flows {bridge} cookie={cookie:#x}/-1",
        )


def _nics(seen: Seen, physnet: str, bridge: str) -> Iterator[Finding]:
    """Yield the NICs of *bridge* that do not work although another one does; of a bond, that is a fault."""
    subject = f"mapping {physnet}"
    if subject in seen.faults:
        return
    ways = nic.nics(seen.switch, bridge)
    for way in ways:
        if way.fault is not None and f"nic {way.name}" not in seen.faults:
            text, _, remedy = way.fault.partition("; ")
            yield seen.finding(
                "T208",
                subject,
                f"{bridge} has {len(ways)} NICs, and {way.name} {text}",
                remedy.removeprefix("run: ") or f"see: ovs-vsctl list interface {way.name}",
            )


def _vif(seen: Seen, port: Port, network: Network) -> Iterator[Finding]:
    """Yield what is found of the VIF of *port*; a sub-port has none of its own."""
    vifs = seen.inventory.vifs.get(port.iface_id, ())
    row = seen.switch.row("Interface", vifs[0].interface) if vifs else None
    if row is None:
        return
    interface, subject = one(row, InterfaceRow.name), f"vif {port.iface_id}"
    fault = driver_fault(row)
    if fault is not None:
        # Without a driver, nothing is known of the MTU either.
        text, _, remedy = fault.partition("; ")
        yield seen.finding("T304", subject, f"{interface} {text}", remedy, "error")
        return
    mtu, wanted = one(row, InterfaceRow.mtu), seen.inventory.mtu_of(port.iface_id)
    if mtu is None or one(row, InterfaceRow.type) not in MTU_TYPES:
        return
    if wanted is not None and mtu != wanted:
        yield seen.finding(
            "T310",
            subject,
            f"{interface} has an MTU of {mtu}, and network {network.name} needs {wanted}: "
            "large frames may be lost",
            f"ip link set {interface} mtu {wanted}, and the same in the VM",
        )
        return
    bridge = seen.settings.bridge_by_physnet.get(network.physnet)
    available = None if bridge is None else nic.mtu(nic.nics(seen.switch, bridge), network.vlan_id)
    if wanted is None and available is not None and mtu > available:
        yield seen.finding(
            "T310",
            subject,
            f"{interface} has an MTU of {mtu}, and the NIC of {bridge} only {available}: "
            "large frames are lost",
            f"trunkline network set {shlex.quote(network.name)} `mtu={available}`, "
            "or raise the MTU of the NIC",
        )
