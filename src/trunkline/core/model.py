"""The content of the two databases as plain values: networks, ports, VIFs and uplinks.

MAC addresses are 48-bit integers, IP addresses are `ipaddress` values. `trunkline.ovsdb` turns rows into
these values. A row that it cannot turn into a value becomes a fault there and never gets here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple, TypeAlias
from uuid import UUID

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPPrefix: TypeAlias = IPv4Network | IPv6Network

MAX_MTU = 65535

MAX_ADDRESSES = MAX_PAIRS = 1024
"""How many addresses, and allowed pairs, a port may have, so that the cost of one row is bounded."""

MAX_REQUESTED = 16
"""How many chassis a port may be requested on; a migration takes two."""


class Network(NamedTuple):
    """A logical L2 network on one physical network.

    *key* is 1 to 2**24 - 1; *vlan_id* is 1–4094, or None for a flat network; *mtu* is None if it is not
    managed.
    """

    id: UUID
    name: str
    key: int
    physnet: str
    vlan_id: int | None
    mtu: int | None = None
    floods_unknown: bool = True
    learns_remote_ports: bool = False
    is_transparent: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its VMs' tags could be tags of its physical network: it is flat and transparent."""
        return self.is_transparent and self.vlan_id is None


class AllowedPair(NamedTuple):
    """A further MAC, and optionally a prefix of addresses, that a port may use."""

    mac: int
    prefix: IPPrefix | None = None


class Port(NamedTuple):
    """A logical port; it is local on the chassis that has its VIF.

    *key* is 1 to 2**32 - 1. *requested_chassis* names the chassis that should hold the port, the main one
    first; empty means any chassis that has the VIF. *chassis* is the one that holds it now. A sub-port of a
    trunk has *parent*, the name of the port whose VIF it shares, and *parent_vlan*, its tag there (1–4094).
    *given_iface_id* is the iface-id of its VIF if that is not the port's name.
    *passes_control* asks for control frames (`frame.CONTROL_GROUPS`) to and from it; only an unsecured port
    gets them. *option_fault* says which of its options is ignored, and why.
    """

    id: UUID
    name: str
    key: int
    network_id: UUID
    mac: int
    addresses: tuple[IPAddress, ...] = ()
    is_enabled: bool = True
    is_secured: bool = True
    allowed_pairs: tuple[AllowedPair, ...] = ()
    takes_unknown_macs: bool = False
    requested_chassis: tuple[str, ...] = ()
    chassis: str | None = None
    is_up: bool = False
    parent: str | None = None
    parent_vlan: int | None = None
    is_announced: bool = True
    may_share_addresses: bool = False
    passes_control: bool = False
    option_fault: str | None = None
    given_iface_id: str | None = None

    @property
    def iface_id(self) -> str:
        """The iface-id of its VIF."""
        return self.given_iface_id or self.name


class Vif(NamedTuple):
    """An interface of the integration bridge that names a port, by the iface-id of that port.

    *ofport* is None while the switch has not assigned one; *error* is the reason that the switch gives.
    *link_fault* says why no frames pass although there is an ofport. *attached_mac* is the MAC that the VM
    has, if whoever attached it (libvirt, Nova) says so.
    """

    iface_id: str
    interface: str
    ofport: int | None
    error: str | None = None
    link_fault: str | None = None
    attached_mac: int | None = None


class Uplink(NamedTuple):
    """The patch pair to the provider bridge through which *physnet* is reached.

    *ofport* is the patch port's number on the integration bridge.
    """

    physnet: str
    bridge: str
    ofport: int
