"""A seat: where a port is, as this chassis sees it, and why not here although its VIF is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import Port, Vif
from trunkline.core.view import Outlet


class Seat(NamedTuple):
    """Where a port of the network *network_id* is.

    Local when it has an *outlet*, remote when *is_remote*, else nowhere (disabled, or refused with *fault*).
    A remote port that waits here as the additional chassis of a migration has its VIF at *sleeping_ofport*.
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
        """The ports that migrate here and wait for their VIFs to speak."""

    def replace(self, port_id: UUID, new: Seat | None) -> Seat | None:
        """Let the port have the seat *new*, None when it is gone; return the seat that it had."""
        old = self.by_port.get(port_id)
        if new is not None:
            self.by_port[port_id] = new
        elif old is not None:
            del self.by_port[port_id]
        self.locals_by_network.move(port_id, local_network_id(old), local_network_id(new))
        is_sleeping = new is not None and new.sleeping_ofport is not None
        (self.sleeping.add if is_sleeping else self.sleeping.discard)(port_id)
        return old

    def is_local(self, port_id: UUID) -> bool:
        """Return whether the port with *port_id* has its VIF here and may speak."""
        found = self.by_port.get(port_id)
        return found is not None and found.outlet is not None


def local_network_id(seat: Seat | None) -> UUID | None:
    """Return the network that a port with *seat* is local in, None if it is local in none."""
    return seat.network_id if seat is not None and seat.outlet is not None else None


def seat(port: Port, carrier: Port, vifs: tuple[Vif, ...], chassis: str, *, is_awake: bool) -> Seat:
    """Return the seat of *port* on *chassis*.

    *carrier* is the port whose VIF it uses (its parent, or itself) and *vifs* are that one's VIFs here, best
    first. *is_awake* says that the carrier, when here as the additional chassis of a migration, has spoken.
    A port that was requested elsewhere, or that another chassis holds, is remote whatever VIF is here.
    """
    if not (port.is_enabled and carrier.is_enabled):
        return Seat(port.network_id)
    ofport = next((vif.ofport for vif in vifs if vif.ofport is not None), None)
    if ofport is None:
        return Seat(port.network_id, is_remote=True)
    if carrier is not port and carrier.parent is not None:
        return Seat(
            port.network_id,
            fault=f"its parent {carrier.name} is itself a sub-port; give it a parent that is not",
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
        "set requested-chassis to say where it belongs"
    )


def own_parent_fault(port: Port) -> str | None:
    """Return why *port*, whose VIF is here, cannot use it, or None if it is not its own parent."""
    return "it is its own parent; clear `parent`, or name another port" if port.parent == port.name else None


def rival_fault(
    port: Port, parent: Port, holders: Iterable[Port], *, is_parent_transparent: bool = False
) -> str | None:
    """Return why *port* cannot be a sub-port of *parent*, or None when it can.

    *holders* are the ports that have its tag and its network (`trunkline.core.stake`). A tag of a VIF belongs
    to one port, and a network is on a VIF once: Open vSwitch does not send a frame back out of the port that
    it came in by, so two ports of one network could not reach each other there. Of two that contend, the one
    with the lower key has it. Where the parent's network is transparent, a tag inside it would reach the VIF
    as that of a sub-port.
    """
    if port.parent_vlan is None:
        return f"it has parent {parent.name} but no parent-vlan; set one"
    if port.network_id == parent.network_id:
        return f"its parent {parent.name} is in the same network; put it in another"
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
            return f"port {rival.name} of the same parent is in the same network; put it in another"
    return None
