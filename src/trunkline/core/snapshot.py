"""The snapshot: the rows as the apps may see them, in views, and why some cannot be honoured.

A change marks the subjects that it touches; `refresh` computes the views of those alone. What a view is
depends on the present rows only, never on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from uuid import UUID

from trunkline.core.address import mac_text
from trunkline.core.model import Network, Port
from trunkline.core.pipeline import Subject
from trunkline.core.rows import CHASSIS as CHASSIS
from trunkline.core.rows import AddressId, Rows
from trunkline.core.rows import Changes as Changes
from trunkline.core.rows import MacId as MacId
from trunkline.core.rows import SubjectId as SubjectId
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
)


class Snapshot(Rows):
    """The rows that concern the chassis named *chassis*, seen as views."""

    def __init__(self, chassis: str) -> None:
        super().__init__(chassis)
        self._fault_by_subject: dict[SubjectId, tuple[str, str]] = {}

    @property
    def faults(self) -> dict[str, str]:
        """Why this chassis cannot honour a row, by the row's name as an operator knows it (`port db`)."""
        return dict(self._fault_by_subject.values())

    def contradictions(self, holder_by_loser: Mapping[SubjectId, SubjectId]) -> dict[str, str]:
        """Return the faults, by subject, of those that want a flow which another has: `Desired.conflicts`."""
        return {
            self.name(
                loser
            ): f"{self.name(holder)} has what it wants, by a flow of the same match; change one"
            for loser, holder in holder_by_loser.items()
        }

    def name(self, subject: SubjectId) -> str:
        """Return what an operator calls *subject*."""
        match subject:
            case Subject.NETWORK, UUID() as id_ if id_ in self.networks:
                return f"network {self.networks[id_].name}"
            case Subject.PORT, UUID() as id_ if id_ in self.ports:
                return f"port {self.ports[id_].name}"
            case Subject.MAC, MacId() as id_ if id_.network_id in self.networks:
                return f"MAC {mac_text(id_.mac)} of network {self.networks[id_.network_id].name}"
            case Subject.VIF, str() as id_:
                return f"vif {id_}"
            case _:
                return "pipeline"

    def refresh(self, most: int | None = None) -> dict[SubjectId, View | None]:
        """Return the views of the marked subjects, None where there is none now, and unmark them.

        Of more than *most*, those that were marked first.
        """
        if most is None or len(self._dirty) <= most:
            dirty, self._dirty = self._dirty, {}
        else:
            dirty = dict(islice(self._dirty.items(), most))
            for subject in dirty:
                del self._dirty[subject]
        return {subject: self.view(subject) for subject in dirty}

    def view(self, subject: SubjectId) -> View | None:
        """Return the view of *subject*, None where it has none, and note or withdraw its fault."""
        kind, id_ = subject
        fault: str | None = None
        view: View | None = None
        match kind, id_:
            case Subject.NETWORK, UUID():
                network = self.carried(id_)
                if network is not None and self._locals_by_network[id_]:
                    fault = self._network_fault(network)
                    view = self._network_view(network)
            case Subject.PORT, UUID():
                port = self.ports.get(id_)
                if port is not None:
                    own_fault = port.option_fault if self.is_local(id_) else None
                    fault = (
                        self._seats[id_].fault or _port_fault(port) or self._address_fault(port) or own_fault
                    )
                    view = self._port_view(port)
            case Subject.MAC, MacId():
                view = self._shared_mac_view(id_)
            case Subject.VIF, str():
                fault = self._vif_fault(id_)
                view = self._sleeping_view(id_)
            case _:
                view = ChassisView(tuple(sorted(uplink.ofport for uplink in self.uplinks.values())))
        if fault is None:
            self._fault_by_subject.pop(subject, None)
        else:
            self._fault_by_subject[subject] = (self.name(subject), fault)
        return view

    def _network_fault(self, network: Network) -> str | None:
        if self.networks[network.id].is_open and network.physnet in self._vlans_by_physnet:
            return (
                f"it carries its VMs' tags, and {network.physnet} also has VLAN networks, which those would "
                "reach: all its tags are dropped; use --no-vlan-transparent, or another --physical-network"
            )
        if network.learns_remote_ports and not network.floods_unknown:
            return "it learns its remote ports, so that all are unknown, and drops unknown unicast"
        return None

    def _address_fault(self, port: Port) -> str | None:
        """Return which address of a port that is here another port of its network has, as far as is known."""
        if port.may_share_addresses or not self.is_local(port.id):
            return None
        for address in port.addresses:
            if len(self._ids_by_address[AddressId(port.network_id, address)]) > 1:
                return (
                    f"another port of its network has its address {address} too; take it from one of them, "
                    "or use --allow-duplicate-ip"
                )
        return None

    def _vif_fault(self, iface_id: str) -> str | None:
        vifs = self.vifs.get(iface_id, ())
        if not vifs:
            return None
        if iface_id not in self._port_id_by_name:
            return f"no port is named {iface_id}; create it, or correct iface-id of {vifs[0].interface}"
        used = vifs[0]
        if used.link_fault is not None:
            return f"{used.interface} {used.link_fault}"
        if len(vifs) > 1:
            others = ", ".join(vif.interface for vif in vifs[1:])
            return (
                f"{others} also has this iface-id; {used.interface}, which was there first, is used; "
                "remove the one that is wrong"
            )
        return f"{used.interface}: {used.error}" if used.error else None

    def _sleeping_view(self, iface_id: str) -> SleepingVifView | None:
        port_id = self._port_id_by_name.get(iface_id)
        at = self._seats.get(port_id) if port_id is not None else None
        if port_id is None or at is None or at.sleeping_ofport is None:
            return None
        port = self.ports[port_id]
        return SleepingVifView(port.key, port.mac, at.sleeping_ofport)

    def _wire(self, network: Network) -> Wire | None:
        uplink = self.uplinks.get(network.physnet)
        return Wire(uplink.ofport, network.vlan_id) if uplink is not None else None

    def _network_view(self, network: Network) -> NetworkView:
        outlets, unknown_outlets, control_outlets = [], [], []
        for port_id in self._locals_by_network[network.id]:
            outlet = self._seats[port_id].outlet
            if outlet is None:
                continue
            outlets.append(outlet)
            port = self.ports[port_id]
            if _receives_unknown(port):
                unknown_outlets.append(outlet)
            if _passes_control(port):
                control_outlets.append(outlet)
        return NetworkView(
            key=network.key,
            wire=self._wire(network),
            floods_unknown=network.floods_unknown,
            is_transparent=network.is_transparent,
            outlets=tuple(sorted(outlets, key=_outlet_order)),
            unknown_outlets=tuple(sorted(unknown_outlets, key=_outlet_order)),
            control_outlets=tuple(sorted(control_outlets, key=_outlet_order)),
        )

    def _port_view(self, port: Port) -> LocalPortView | RemotePortView | None:
        network = self.carried(port.network_id)
        if network is None:
            return None
        wire = self._wire(network)
        has_own_mac = not self._listers_by_mac[MacId(port.network_id, port.mac)]
        at = self._seats[port.id]
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
                is_announced=port.is_announced and not self._is_leaving(port),
                passes_control=_passes_control(port),
                addresses=port.addresses,
                allowed_pairs=port.allowed_pairs,
            )
        is_explicit = at.is_remote and not network.learns_remote_ports
        if not is_explicit or not self._locals_by_network[network.id]:
            return None
        return RemotePortView(port.key, network.key, port.mac, wire, has_own_mac)

    def _is_leaving(self, port: Port) -> bool:
        """Whether *port* may have gone on from here: this is the main chassis of a migration.

        To announce it here would turn its frames away from where it is. When the migration is called off,
        it is announced anew.
        """
        requested = self.carrier(port).requested_chassis
        return len(requested) > 1 and requested[0] == self.chassis

    def _shared_mac_view(self, mac_id: MacId) -> SharedMacView | None:
        network = self.networks.get(mac_id.network_id)
        listers = self._listers_by_mac[mac_id]
        if network is None or not listers or not self._locals_by_network[network.id]:
            return None
        owner_id = self._owner_id_by_mac.get(mac_id)
        seats = [self._seats[id_] for id_ in (listers | {owner_id} if owner_id is not None else listers)]
        outlets = tuple(sorted({seat.outlet for seat in seats if seat.outlet is not None}, key=_outlet_order))
        reaches_wire = network.learns_remote_ports or not outlets or any(seat.is_remote for seat in seats)
        return SharedMacView(
            network.key, mac_id.mac, outlets, self._wire(network) is not None and reaches_wire
        )


def _outlet_order(outlet: Outlet) -> tuple[int, int]:
    return (outlet.vlan_id or 0, outlet.ofport)


def _receives_unknown(port: Port) -> bool:
    """Return whether unknown unicast reaches *port*: not where it is held to the MACs that are known."""
    return port.takes_unknown_macs and not port.is_secured


def _passes_control(port: Port) -> bool:
    """Return whether control frames pass to and from *port*: not where it is held to what it may send."""
    return port.passes_control and not port.is_secured


def _port_fault(port: Port) -> str | None:
    if port.takes_unknown_macs and port.is_secured:
        return "it should take unknown MACs, but port security is on; set --no-port-security"
    if port.passes_control and port.is_secured:
        return "control frames should pass it, but port security is on; set --no-port-security"
    return None
