"""The outcome of a subject: its view, which is what the apps may know of it, and its fault.

It depends only on the present inventory, never on the order in which the rows came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from trunkline.core.address import mac_text
from trunkline.core.inventory import Inventory
from trunkline.core.model import Network, Port, Vif
from trunkline.core.relation import AddressId
from trunkline.core.seat import Seat
from trunkline.core.subject import MacSubject, NetworkSubject, PortSubject, SubjectId, VifSubject
from trunkline.core.view import (
    ChassisView,
    LocalPortView,
    NetworkView,
    Outlet,
    RemotePortView,
    SharedMacView,
    SleepingVifView,
    View,
    Wire,
    weight,
)

Outcome: TypeAlias = tuple[View | None, str | None]
"""The view and the fault; None stands for no view and for no fault."""

NOTHING: Outcome = (None, None)


class Outcomes:
    """The outcomes of everything in *inventory*; `refresh` computes those of the marked subjects.

    A new inventory, for another chassis name, needs a new object.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._fault_by_subject: dict[SubjectId, tuple[str, str]] = {}

    def refresh(self, most: int | None = None) -> dict[SubjectId, View | None]:
        """Return the views of the marked subjects, None for those that now have none, and unmark them.

        It takes the subjects that were marked first until their weight is *most* (`view.weight`); None: all.
        """
        inventory, faults = self.inventory, self._fault_by_subject
        view_by_subject: dict[SubjectId, View | None] = {}
        total = 0
        for subject in inventory.marks:
            if most is not None and total >= most:
                break
            view, fault = outcome(inventory, subject)
            view_by_subject[subject] = view
            total += weight(view)
            if fault is not None:
                faults[subject] = (name(inventory, subject), fault)
            elif faults:
                faults.pop(subject, None)
        inventory.marks.unmark(view_by_subject)
        return view_by_subject

    @property
    def faults(self) -> dict[str, str]:
        """The reasons why this chassis cannot honour rows, by the row's name for operators (`port db`)."""
        return dict(self._fault_by_subject.values())


def contradictions(inventory: Inventory, holder_by_loser: Mapping[SubjectId, SubjectId]) -> dict[str, str]:
    """Return the faults of subjects that need a flow which another has (`Desired.conflicts`), by name."""
    return {
        name(inventory, loser): (
            f"{name(inventory, holder)} already has a flow with the same match; change one of them"
        )
        for loser, holder in holder_by_loser.items()
    }


def name(inventory: Inventory, subject: SubjectId) -> str:
    """Return the name of *subject* for operators."""
    match subject:
        case NetworkSubject(id_) if id_ in inventory.networks:
            return f"network {inventory.networks[id_].name}"
        case PortSubject(id_) if id_ in inventory.ports:
            return f"port {inventory.ports[id_].name}"
        case MacSubject(network_id, mac) if network_id in inventory.networks:
            return f"MAC {mac_text(mac)} of network {inventory.networks[network_id].name}"
        case VifSubject(iface_id):
            return f"vif {iface_id}"
        case _:
            return "pipeline"


def outcome(inventory: Inventory, subject: SubjectId) -> Outcome:
    """Return the view and the fault of *subject*; this changes nothing."""
    match subject:
        case PortSubject(id_):
            port = inventory.ports.get(id_)
            return NOTHING if port is None else _port_outcome(inventory, port)
        case NetworkSubject(id_):
            network = inventory.carried(id_)
            if network is None or id_ not in inventory.seats.locals_by_network:
                return NOTHING
            return _network_view(inventory, network), _network_fault(inventory, network)
        case MacSubject():
            return _shared_mac_view(inventory, subject), None
        case VifSubject(iface_id):
            return _sleeping_view(inventory, iface_id), _vif_fault(inventory, iface_id)
        case _:
            return ChassisView(tuple(sorted(uplink.ofport for uplink in inventory.uplinks.values()))), None


def _port_outcome(inventory: Inventory, port: Port) -> Outcome:
    at = inventory.seats.by_port[port.id]
    fault = at.fault or _security_fault(port)
    if fault is None and at.outlet is not None:
        fault = _address_fault(inventory, port) or port.option_fault
    return _port_view(inventory, port, at), fault


def _network_fault(inventory: Inventory, network: Network) -> str | None:
    if inventory.networks[network.id].is_open and network.physnet in inventory.relations.vlans_by_physnet:
        return (
            f"it carries its VMs' tags, and {network.physnet} also has VLAN networks, which such tags would "
            "reach: all its tags are dropped; use `vlan_transparent=false`, or another `physical_network`"
        )
    if network.learns_remote_ports and not network.floods_unknown:
        return (
            "it learns its remote ports, so all of them are unknown, but it drops unknown unicast; change "
            "`remote_ports` or `unknown_unicast`"
        )
    return None


def _address_fault(inventory: Inventory, port: Port) -> str | None:
    """Return the fault of *port* if another known port of its network has one of its addresses."""
    if port.may_share_addresses:
        return None
    for address in port.addresses:
        if len(inventory.relations.ids_by_address[AddressId(port.network_id, address)]) > 1:
            return (
                f"another port of its network also has its address {address}; remove it from one of them, "
                "or use `options:allow-duplicate-ip=true`"
            )
    return None


def _vif_fault(inventory: Inventory, iface_id: str) -> str | None:
    vifs = inventory.vifs.get(iface_id, ())
    if not vifs:
        return None
    port = inventory.port_of_vif(iface_id)
    if port is None:
        return f"no port has iface-id {iface_id}; create it, or correct iface-id of {vifs[0].interface}"
    used = vifs[0]
    if port.parent is not None and port.parent != port.name:
        return (
            f"{iface_id} is a sub-port of {port.parent} and uses its VIF; correct iface-id of "
            f"{used.interface}, or clear `parent`"
        )
    if used.link_fault is not None:
        return f"{used.interface} {used.link_fault}"
    if len(vifs) > 1:
        others = ", ".join(vif.interface for vif in vifs[1:])
        return (
            f"{others} also has this iface-id; {used.interface} is in use; "
            f"unplug the one that is not the VM's, such as: ovs-vsctl del-port {vifs[1].interface}"
        )
    return f"{used.interface}: {used.error}" if used.error else _attachment_fault(port, used)


def _attachment_fault(port: Port, vif: Vif) -> str | None:
    """Return the fault of *vif* if its VM has a MAC with which *port* does not work."""
    mac = vif.attached_mac
    if mac is None or mac == port.mac or port.takes_unknown_macs:
        return None
    if any(pair.mac == mac for pair in port.allowed_pairs):
        return None
    return (
        f"{vif.interface} is attached to a VM with MAC {mac_text(mac)}, and its port has "
        f"{mac_text(port.mac)}; give the VM the MAC of its port, or change `mac`"
    )


def _sleeping_view(inventory: Inventory, iface_id: str) -> SleepingVifView | None:
    port = inventory.port_of_vif(iface_id)
    at = None if port is None else inventory.seats.by_port.get(port.id)
    if port is None or at is None or at.sleeping_ofport is None:
        return None
    return SleepingVifView(port.key, port.mac, at.sleeping_ofport)


def _wire(inventory: Inventory, network: Network) -> Wire | None:
    uplink = inventory.uplinks.get(network.physnet)
    return Wire(uplink.ofport, network.vlan_id) if uplink is not None else None


def _network_view(inventory: Inventory, network: Network) -> NetworkView:
    outlets, unknown_outlets, control_outlets = [], [], []
    for port_id in inventory.seats.locals_by_network[network.id]:
        outlet = inventory.seats.by_port[port_id].outlet
        if outlet is None:
            continue
        outlets.append(outlet)
        port = inventory.ports[port_id]
        if _receives_unknown(port):
            unknown_outlets.append(outlet)
        if _passes_control(port):
            control_outlets.append(outlet)
    return NetworkView(
        key=network.key,
        wire=_wire(inventory, network),
        floods_unknown=network.floods_unknown,
        is_transparent=network.is_transparent,
        outlets=tuple(sorted(outlets, key=_outlet_order)),
        unknown_outlets=tuple(sorted(unknown_outlets, key=_outlet_order)),
        control_outlets=tuple(sorted(control_outlets, key=_outlet_order)),
    )


def _port_view(inventory: Inventory, port: Port, at: Seat) -> LocalPortView | RemotePortView | None:
    network = inventory.carried(port.network_id)
    if network is None:
        return None
    wire = _wire(inventory, network)
    has_own_mac = not inventory.relations.is_listed(port.network_id, port.mac)
    if at.outlet is not None:
        return LocalPortView(
            key=port.key,
            network_key=network.key,
            mac=port.mac,
            outlet=at.outlet,
            wire=wire,
            has_own_mac=has_own_mac,
            is_transparent=network.is_transparent,
            is_secured=port.is_secured,
            is_announced=port.is_announced and not _is_leaving(inventory, port),
            passes_control=_passes_control(port),
            addresses=port.addresses,
            allowed_pairs=port.allowed_pairs,
        )
    is_explicit = at.is_remote and not network.learns_remote_ports
    if not is_explicit or network.id not in inventory.seats.locals_by_network:
        return None
    return RemotePortView(port.key, network.key, port.mac, wire, has_own_mac)


def _is_leaving(inventory: Inventory, port: Port) -> bool:
    """Return whether *port* may already have moved away: this is the main chassis of a migration.

    An announcement from here would then lead its frames to the wrong chassis. If the migration is cancelled,
    the port is announced again.
    """
    requested = inventory.carrier(port).requested_chassis
    return len(requested) > 1 and requested[0] == inventory.chassis


def _shared_mac_view(inventory: Inventory, shared: MacSubject) -> SharedMacView | None:
    network = inventory.networks.get(shared.network_id)
    port_ids = inventory.relations.listers_by_mac[shared]
    if network is None or not port_ids or network.id not in inventory.seats.locals_by_network:
        return None
    owner_id = inventory.relations.owner_id_by_mac.get(shared)
    if owner_id is not None:
        port_ids = port_ids | {owner_id}
    seat_by_port = inventory.seats.by_port
    local_ids = port_ids & inventory.seats.locals_by_network[network.id]
    outlets = {outlet for id_ in local_ids if (outlet := seat_by_port[id_].outlet) is not None}
    reaches_wire = (
        network.learns_remote_ports or not outlets or any(seat_by_port[id_].is_remote for id_ in port_ids)
    )
    return SharedMacView(
        network_key=network.key,
        mac=shared.mac,
        outlets=tuple(sorted(outlets, key=_outlet_order)),
        is_on_wire=_wire(inventory, network) is not None and reaches_wire,
    )


def _outlet_order(outlet: Outlet) -> tuple[int, int]:
    return (outlet.vlan_id or 0, outlet.ofport)


def _receives_unknown(port: Port) -> bool:
    """Return whether unknown unicast reaches *port*; with port security it does not."""
    return port.takes_unknown_macs and not port.is_secured


def _passes_control(port: Port) -> bool:
    """Return whether control frames pass to and from *port*; with port security they do not."""
    return port.passes_control and not port.is_secured


def _security_fault(port: Port) -> str | None:
    if port.takes_unknown_macs and port.is_secured:
        return "`unknown_macs` needs port security off; set `port_security=false`"
    if port.passes_control and port.is_secured:
        return "`options:control-frames=true` needs port security off; set `port_security=false`"
    return None
