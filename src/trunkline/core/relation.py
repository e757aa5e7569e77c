"""Relations: which networks and ports belong together, found without looking at the others."""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import NamedTuple, TypeVar
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import IPAddress, Network, Port
from trunkline.core.stake import Stakes
from trunkline.core.subject import MacSubject, PortSubject, SubjectId

K = TypeVar("K")
V = TypeVar("V")


class AddressId(NamedTuple):
    """An IP address in a network."""

    network_id: UUID
    address: IPAddress


class Relations:
    """The relations between the networks and ports that were given to `replace_network` and `replace_port`.

    Read the indexes; only these two methods change them. The cost of a row here depends only on its own size.
    """

    def __init__(self) -> None:
        self.networks_by_physnet: Index[str, UUID] = Index()
        self.open_by_physnet: Index[str, UUID] = Index()
        """The networks whose `Network.is_open` is true."""
        self.vlans_by_physnet: Index[str, UUID] = Index()
        """The networks that have a VLAN id."""
        self.port_id_by_name: dict[str, UUID] = {}
        self.ids_by_iface_id: Index[str, UUID] = Index()
        """The ports that a VIF with an iface-id could be of; only one of them can have it."""
        self.port_id_by_key: dict[int, UUID] = {}
        self.owner_id_by_mac: dict[MacSubject, UUID] = {}
        self.ports_by_network: Index[UUID, UUID] = Index()
        self.subports_by_parent: Index[str, UUID] = Index()
        self.ids_by_address: Index[AddressId, UUID] = Index()
        """The ports that have an address and may not share it."""
        self.listers_by_mac: Index[MacSubject, UUID] = Index()
        """The ports with an allowed pair that lists a MAC other than their own."""
        self.macs_by_network: Index[UUID, MacSubject] = Index()
        """The MACs that have listers."""
        self.stakes = Stakes()

    def replace_network(self, network_id: UUID, old: Network | None, new: Network | None) -> set[UUID]:
        """Replace the network *old* by *new*; None stands for no network.

        Return the open networks whose physical network now has its first VLAN network, or has lost its last.
        """
        physnets = {each.physnet for each in (old, new) if each is not None}
        with_vlans = {physnet for physnet in physnets if physnet in self.vlans_by_physnet}
        self.networks_by_physnet.move(network_id, old.physnet if old else None, new.physnet if new else None)
        self.open_by_physnet.move(
            network_id,
            old.physnet if old and old.is_open else None,
            new.physnet if new and new.is_open else None,
        )
        self.vlans_by_physnet.move(
            network_id,
            old.physnet if old and old.vlan_id else None,
            new.physnet if new and new.vlan_id else None,
        )
        return {
            open_id
            for physnet in physnets
            if (physnet in self.vlans_by_physnet) != (physnet in with_vlans)
            for open_id in self.open_by_physnet[physnet]
        }

    def replace_port(self, port_id: UUID, old: Port | None, new: Port | None) -> set[SubjectId]:
        """Replace the port *old* by *new*; None stands for no port.

        Return the subjects whose relation to it has changed: shared MACs, their owners, and rivals for an
        address.
        """
        self.stakes.replace(old, new)
        self.ports_by_network.move(port_id, old.network_id if old else None, new.network_id if new else None)
        self.subports_by_parent.move(port_id, old.parent if old else None, new.parent if new else None)
        self.ids_by_iface_id.move(port_id, old.iface_id if old else None, new.iface_id if new else None)
        if old is not None:
            _forget(self.port_id_by_name, old.name, port_id)
            _forget(self.port_id_by_key, old.key, port_id)
        if new is not None:
            self.port_id_by_name[new.name] = port_id
            self.port_id_by_key[new.key] = port_id
        touched: set[SubjectId] = set()
        if old is None or new is None or _addressing(old) != _addressing(new):
            self._replace_addresses(port_id, _own_addresses(old), _own_addresses(new), touched)
        if old is None or new is None or _mac_sharing(old) != _mac_sharing(new):
            self._replace_owner(port_id, _own_mac(old), _own_mac(new), touched)
            self._replace_lister(port_id, listed_macs(old), listed_macs(new), touched)
        return touched

    def is_listed(self, network_id: UUID, mac: int) -> bool:
        """Return whether an allowed pair lists that MAC in that network; in most networks none lists any."""
        return network_id in self.macs_by_network and MacSubject(network_id, mac) in self.listers_by_mac

    def _replace_addresses(
        self, port_id: UUID, old: Collection[AddressId], new: Collection[AddressId], touched: set[SubjectId]
    ) -> None:
        """Touch the ports that get their first rival for an address, or lose the last one."""
        ids = self.ids_by_address
        gone, come = (set(old) - set(new), set(new) - set(old)) if old and new else (old, new)
        contested = [each for each in gone if ids.discard(port_id, each) == 1]
        contested += [each for each in come if ids.add(port_id, each) == 2]
        for address_id in contested:
            touched.update(map(PortSubject, ids[address_id]))

    def _replace_owner(
        self, port_id: UUID, old: MacSubject | None, new: MacSubject | None, touched: set[SubjectId]
    ) -> None:
        """Touch the shared MACs that the port owns or owned."""
        if old == new:
            return
        if old is not None:
            _forget(self.owner_id_by_mac, old, port_id)
        if new is not None:
            self.owner_id_by_mac[new] = port_id
        for mac in (old, new):
            if mac is not None and self.is_listed(mac.network_id, mac.mac):
                touched.add(mac)

    def _replace_lister(
        self, port_id: UUID, old: Set[MacSubject], new: Set[MacSubject], touched: set[SubjectId]
    ) -> None:
        """Touch the MACs that the port newly lists or no longer lists, and the ports that own them."""
        for mac in old ^ new:
            is_here = mac in new
            self.listers_by_mac.move(port_id, None if is_here else mac, mac if is_here else None)
            is_listed = mac in self.listers_by_mac
            self.macs_by_network.move(
                mac, None if is_listed else mac.network_id, mac.network_id if is_listed else None
            )
            touched.add(mac)
            owner_id = self.owner_id_by_mac.get(mac)
            if owner_id is not None:
                touched.add(PortSubject(owner_id))


def _addressing(port: Port) -> tuple[object, ...]:
    return port.network_id, port.addresses, port.may_share_addresses


def _mac_sharing(port: Port) -> tuple[object, ...]:
    return port.network_id, port.mac, port.allowed_pairs


def _own_mac(port: Port | None) -> MacSubject | None:
    return None if port is None else MacSubject(port.network_id, port.mac)


def _own_addresses(port: Port | None) -> list[AddressId]:
    """Return the addresses that no other port should have; none if *port* may share them."""
    if port is None or port.may_share_addresses:
        return []
    return [AddressId(port.network_id, address) for address in port.addresses]


def listed_macs(port: Port | None) -> Set[MacSubject]:
    """Return the MACs, other than its own, that *port*'s allowed pairs list."""
    if port is None or not port.allowed_pairs:
        return frozenset()
    return {MacSubject(port.network_id, pair.mac) for pair in port.allowed_pairs if pair.mac != port.mac}


def _forget(values: dict[K, V], key: K, value: V) -> None:
    """Delete *key*, unless its value is no longer *value*."""
    if values.get(key) == value:
        del values[key]
