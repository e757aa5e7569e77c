"""Views: everything that an app may know of the chassis, a network or a port (see `core/outcome.py`)."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from trunkline.core.model import AllowedPair, IPAddress


class Outlet(NamedTuple):
    """The last step to a local port: out of *ofport*, with the tag *vlan_id* if it is a trunk's sub-port."""

    ofport: int
    vlan_id: int | None = None


class Wire(NamedTuple):
    """How a network is reached from here: the uplink's *ofport* and the tag *vlan_id* (None: untagged)."""

    ofport: int
    vlan_id: int | None


class ChassisView(NamedTuple):
    """The chassis: the ofports of its uplinks, sorted."""

    uplinks: tuple[int, ...]


class NetworkView(NamedTuple):
    """A network that has local ports here.

    *wire* is None if its physical network is not mapped on this chassis; its local ports still reach one
    another. *outlets* are those of all its local ports, *unknown_outlets* of the ports that take unknown
    MACs, and *control_outlets* of the ports that get control frames; all sorted by tag and then by ofport.
    """

    key: int
    wire: Wire | None
    floods_unknown: bool
    is_transparent: bool
    outlets: tuple[Outlet, ...]
    unknown_outlets: tuple[Outlet, ...]
    control_outlets: tuple[Outlet, ...]


class LocalPortView(NamedTuple):
    """A port whose VIF is here and may send.

    *has_own_mac* is False if its MAC is shared: then a `SharedMacView` delivers to it.
    """

    key: int
    network_key: int
    mac: int
    outlet: Outlet
    wire: Wire | None
    has_own_mac: bool
    is_transparent: bool
    is_secured: bool
    is_announced: bool
    passes_control: bool
    addresses: tuple[IPAddress, ...]
    allowed_pairs: tuple[AllowedPair, ...]


class SleepingVifView(NamedTuple):
    """The VIF of a port that migrates here: it is blocked until it sends a frame, which wakes the port."""

    key: int
    mac: int
    ofport: int


class RemotePortView(NamedTuple):
    """A port that is elsewhere; *has_own_mac* as for a local port.

    Without a *wire* it cannot be reached, but it is known: a frame for it is not unknown unicast.
    """

    key: int
    network_key: int
    mac: int
    wire: Wire | None
    has_own_mac: bool


class SharedMacView(NamedTuple):
    """A MAC that an allowed pair lists, so several ports may own it (VRRP).

    *outlets* are those of the local ports that own it, sorted. *is_on_wire* says that a remote port owns it,
    or that no local port does.
    """

    network_key: int
    mac: int
    outlets: tuple[Outlet, ...]
    is_on_wire: bool


View: TypeAlias = ChassisView | NetworkView | LocalPortView | SleepingVifView | RemotePortView | SharedMacView


def weight(view: View | None) -> int:
    """Return the work that *view* makes, counted in remote ports, at least 1. It limits a slice of work.

    A port at its limits has some 14,000 flows. A MAC that 1,000 ports here list is one flow with as many
    outputs; it takes a millisecond to gather, sort and encode them.
    """
    match view:
        case RemotePortView():
            return 1
        case LocalPortView():
            return 1 + (len(view.addresses) + len(view.allowed_pairs)) // 2
        case NetworkView() | SharedMacView():
            return 1 + len(view.outlets) // 8
        case _:
            return 1
