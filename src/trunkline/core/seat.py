"""A seat: where a port is from this chassis' point of view, and why it is not here although its VIF is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import Port, Vif
from trunkline.core.view import Outlet


class Seat(NamedTuple):
    """Where a port of the network *network_id* is.

    It is local if it has an *outlet*, remote if *is_remote*, and otherwise nowhere: disabled, or refused with
    *fault*. If this is the additional chassis of a migration and the port waits here, it is remote, and its
    VIF is at *sleeping_ofport*.
    """

    network_id: UUID
    outlet: Outlet | None = None
    is_remote: bool = False
    sleeping_ofport: int | None = None
    fault: str | None = None


class Seats:
    """Where each port is, and which ports are local in which network."""

    def __init__(self) -> None:
        self.by_port: dict[UUID, Seat] = {}
        self.locals_by_network: Index[UUID, UUID] = Index()
        self.sleeping: set[UUID] = set()
        """The ports that migrate here and wait for the first frame of their VIFs."""

    def replace(self, port_id: UUID, new: Seat | None) -> Seat | None:
        """Give the port the seat *new*, or None if the port was deleted; return its previous seat."""
        old = self.by_port.get(port_id)
        if new is not None:
            self.by_port[port_id] = new
        elif old is not None:
            del self.by_port[port_id]
        self.locals_by_network.move(port_id, local_network_id(old), local_network_id(new))
        if is_sleeping(new):
            self.sleeping.add(port_id)
        elif is_sleeping(old):
            self.sleeping.discard(port_id)
        return old

    @property
    def local_count(self) -> int:
        """The number of local ports."""
        return sum(len(self.locals_by_network[network_id]) for network_id in self.locals_by_network)

    def is_local(self, port_id: UUID) -> bool:
        """Return whether the port with *port_id* has its VIF here and may send."""
        found = self.by_port.get(port_id)
        return found is not None and found.outlet is not None


def local_network_id(seat: Seat | None) -> UUID | None:
    """Return the network in which a port with *seat* is local, or None if it is not local."""
    return seat.network_id if seat is not None and seat.outlet is not None else None


def is_sleeping(seat: Seat | None) -> bool:
    """Return whether a port with *seat* migrates here and waits for its VIF to speak."""
    return seat is not None and seat.sleeping_ofport is not None


def seat(port: Port, carrier: Port, vifs: tuple[Vif, ...], chassis: str, *, is_awake: bool) -> Seat:
    """Return the seat of *port* on *chassis*.

    *carrier* is the port whose VIF it uses (its parent, or itself). *vifs* are the carrier's VIFs here, best
    first. *is_awake* matters on the additional chassis of a migration: the carrier's VIF has sent a frame. A
    port that is requested elsewhere, or that another chassis holds, is remote even if it has a VIF here.
    """
    if not (port.is_enabled and carrier.is_enabled):
        return Seat(port.network_id)
    ofport = next((vif.ofport for vif in vifs if vif.ofport is not None), None) if vifs else None
    if ofport is None:
        return Seat(port.network_id, is_remote=True)
    if carrier is not port and carrier.parent is not None:
        return Seat(
            port.network_id,
            fault=f"its parent {carrier.name} is itself a sub-port; give it another `parent`",
        )
    refusal = _refusal(carrier, chassis)
    if refusal is not None:
        return Seat(port.network_id, is_remote=True, fault=refusal)
    if carrier.requested_chassis and chassis != carrier.requested_chassis[0] and not is_awake:
        return Seat(port.network_id, is_remote=True, sleeping_ofport=ofport if carrier is port else None)
    return Seat(port.network_id, outlet=Outlet(ofport, port.parent_vlan if carrier is not port else None))


def _refusal(carrier: Port, chassis: str) -> str | None:
    if carrier.requested_chassis:
        if chassis in carrier.requested_chassis:
            return None
        return f"its VIF is here, but it is requested on {' and '.join(carrier.requested_chassis)}"
    if carrier.chassis in (None, chassis):
        return None
    return (
        f"its VIF is here, but chassis {carrier.chassis} holds it; "
        "set `requested_chassis` to the chassis where it belongs"
    )


def own_parent_fault(port: Port) -> str | None:
    """Return why *port* cannot use its VIF here if it is its own parent, or else None."""
    return "it is its own parent; clear `parent`, or name another port" if port.parent == port.name else None


def iface_id_fault(port: Port, holder: Port) -> str:
    """Return why *port* cannot use the VIF that is here and has its iface-id: it is the VIF of *holder*."""
    return f"iface-id {port.iface_id} belongs to port {holder.name}; give one of them another `iface_id`"


def rival_fault(
    port: Port, parent: Port, holders: Iterable[Port], *, is_parent_transparent: bool = False
) -> str | None:
    """Return why *port* cannot be a sub-port of *parent*, or None if it can.

    *holders* are the ports that have its tag and its network (`trunkline.core.stake`). On a VIF, a tag
    belongs to one port, and a network to one port: Open vSwitch does not send a frame back out of the port
    where it came in, so two ports of one network could not reach each other there. Of two rivals, the port
    with the lower key has it. If the parent's network is transparent, no sub-port is possible, because an
    inner tag would reach the VIF as the tag of a sub-port.
    """
    if port.parent_vlan is None:
        return f"it has parent {parent.name} but no `parent_vlan`; set one"
    if port.network_id == parent.network_id:
        return f"its parent {parent.name} is in the same network; put it in another `network`"
    if is_parent_transparent:
        return (
            f"the network of its parent {parent.name} carries its VMs' tags; "
            "use `vlan_transparent=false` there, or another `parent`"
        )
    for rival in holders:
        if rival.key >= port.key or not rival.is_enabled:
            continue
        if rival.parent_vlan == port.parent_vlan:
            return (
                f"tag {port.parent_vlan} of {parent.name} belongs to port {rival.name}; "
                "pick another `parent_vlan`"
            )
        if rival.network_id == port.network_id:
            return f"port {rival.name} of the same parent is in the same network; put it in another `network`"
    return None
