"""What may come of frames, by the rows of both databases and the frame rules alone (docs/frames.md).

It shares no code with what makes flows: it imports no app and no view. It says what may happen at most. That
a frame is dropped, or reaches only some of those that it may reach, is always allowed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.proof.space import ALL, HIDDEN, Cube, vlan_ids

_NO_VLAN_ID = 4095
Outlet = tuple[int, int | None]
"""An ofport, and the VLAN id of the tag that frames have there; None: no tag."""


class Meant(NamedTuple):
    """What some frames are: frames of a network, or of none, so that not one copy may leave.

    *is_from_wire*: they came by the network's uplink. *keeps_tag*: their outermost tag stays on them.
    """

    network_id: UUID | None
    is_from_wire: bool = False
    keeps_tag: bool = False


DROPPED = Meant(None)


class Intent:
    """What may come of frames on *chassis*.

    *vifs* are by iface-id, the one in use first; *uplinks* by physical network. Of the physical networks
    *whole_physnets* all networks are known.
    """

    def __init__(
        self,
        chassis: str,
        networks: Mapping[UUID, Network],
        ports: Mapping[UUID, Port],
        vifs: Mapping[str, tuple[Vif, ...]],
        uplinks: Mapping[str, Uplink],
        whole_physnets: Collection[str],
    ) -> None:
        self._chassis = chassis
        self.networks = networks
        self._ports = ports
        self._vifs = vifs
        self._uplinks = uplinks
        self._physnet_by_ofport = {uplink.ofport: uplink.physnet for uplink in uplinks.values()}
        self._tagged_alone = self._transparent(whole_physnets)
        self._port_by_name = {port.name: port for port in ports.values()}
        self.port_by_outlet = self._outlets()
        self._outlets_by_network: dict[UUID, set[Outlet]] = defaultdict(set)
        for outlet, port in self.port_by_outlet.items():
            self._outlets_by_network[port.network_id].add(outlet)
        self._vlan_ids_by_ofport: dict[int, list[int]] = defaultdict(list)
        for ofport, vlan_id in self.port_by_outlet:
            if vlan_id is not None:
                self._vlan_ids_by_ofport[ofport].append(vlan_id)

    @property
    def ofports(self) -> set[int]:
        """The ports that frames may come in by or leave by."""
        vifs = {vif.ofport for vifs in self._vifs.values() for vif in vifs if vif.ofport is not None}
        return vifs | self._physnet_by_ofport.keys()

    # -- who is where ------------------------------------------------------------------------------

    def _transparent(self, whole_physnets: Collection[str]) -> set[UUID]:
        """Return the networks inside which tags pass; a flat one only if it is alone (rule 12)."""
        shared = {net.physnet for net in self.networks.values() if net.vlan_id is not None}
        return {
            net.id
            for net in self.networks.values()
            if net.is_transparent
            and (net.vlan_id is not None or (net.physnet in whole_physnets and net.physnet not in shared))
        }

    def _outlets(self) -> dict[Outlet, Port]:
        """Return the ports that are here, by outlet (rules 12, 14)."""
        found: dict[Outlet, Port] = {}
        ofport_by_carrier: dict[str, int] = {}
        for port in sorted(self._ports.values(), key=_claim):
            ofports = [vif.ofport for vif in self._vifs.get(port.iface_id, ()) if vif.ofport is not None]
            if not ofports or ofports[0] in ofport_by_carrier.values():
                continue
            ofport_by_carrier[port.name] = ofports[0]
            if port.is_enabled and port.parent is None and self._is_here(port):
                found[ofports[0], None] = port
        for port in sorted(self._ports.values(), key=lambda each: each.key):
            carrier = None if port.parent is None else self._port_by_name.get(port.parent)
            ofport = None if carrier is None else ofport_by_carrier.get(carrier.name)
            if carrier is None or ofport is None or (ofport, None) not in found or not port.is_enabled:
                continue
            beside = [each for (at, vlan_id), each in found.items() if at == ofport]
            is_refused = (
                port.parent_vlan is None
                or (ofport, port.parent_vlan) in found
                or any(each.network_id == port.network_id for each in beside)
                or self.networks[carrier.network_id].is_transparent
            )
            if not is_refused:
                found[ofport, port.parent_vlan] = port
        return found

    def _is_here(self, port: Port) -> bool:
        """Return whether *port* may be used here; of a migration, both chassis may."""
        return self._chassis in (port.requested_chassis or (port.chassis or self._chassis,))

    # -- what frames are ---------------------------------------------------------------------------

    def untagged(self, ofport: int) -> Meant:
        """Return what the frames without a tag are that come in by *ofport*."""
        if ofport in self._physnet_by_ofport:
            return self._from_wire(ofport, None)
        port = self.port_by_outlet.get((ofport, None))
        return DROPPED if port is None else Meant(port.network_id)

    def tagged(self, ofport: int) -> Iterator[tuple[Cube, Meant]]:
        """Yield sets of frames with a tag that come in by *ofport*, and what they are; the first set counts.

        The last one has every frame.
        """
        if ofport in self._physnet_by_ofport:
            yield from self._tagged_from_wire(ofport)
        else:
            yield from self._tagged_from_vif(ofport)

    def _tagged_from_wire(self, ofport: int) -> Iterator[tuple[Cube, Meant]]:
        physnet = self._physnet_by_ofport[ofport]
        yield from self._before_another_tag()
        yield vlan_ids(0), self._from_wire(ofport, None)
        for network in self.networks.values():
            if network.physnet == physnet and network.vlan_id is not None:
                yield vlan_ids(network.vlan_id), self._from_wire(ofport, network.vlan_id)
        yield vlan_ids(_NO_VLAN_ID), DROPPED
        flat = self._from_wire(ofport, None)
        yield ALL, flat._replace(keeps_tag=True) if flat.network_id in self._tagged_alone else DROPPED

    def _tagged_from_vif(self, ofport: int) -> Iterator[tuple[Cube, Meant]]:
        yield from self._before_another_tag()
        for vlan_id in self._vlan_ids_by_ofport.get(ofport, ()):
            yield vlan_ids(vlan_id), Meant(self.port_by_outlet[ofport, vlan_id].network_id)
        own = self.untagged(ofport)
        yield vlan_ids(0), own
        yield vlan_ids(_NO_VLAN_ID), DROPPED
        yield ALL, own._replace(keeps_tag=True) if own.network_id in self._tagged_alone else DROPPED

    @staticmethod
    def _before_another_tag() -> Iterator[tuple[Cube, Meant]]:
        """Yield the frames with a priority tag before another tag: none of them may pass (rule 11)."""
        for hidden in HIDDEN:
            both = vlan_ids(0).meet(hidden)
            if both is not None:
                yield both, DROPPED

    def _from_wire(self, ofport: int, vlan_id: int | None) -> Meant:
        """Return what frames of the physical network of *ofport* are, by its VLAN (rules 1, 2, 4)."""
        physnet = self._physnet_by_ofport[ofport]
        for network in self.networks.values():
            if (network.physnet, network.vlan_id) == (physnet, vlan_id):
                return Meant(network.id, is_from_wire=True)
        return DROPPED

    # -- where they may go -------------------------------------------------------------------------

    def may_hide_a_tag(self, meant: Meant) -> bool:
        """Return whether a tag that the switch does not read may be inside these frames (rules 3, 11)."""
        return meant.network_id in self._tagged_alone

    def entry(self, meant: Meant) -> int | None:
        """Return the ofport by which frames come from its physical network, None if they do not."""
        if meant.network_id is None or not meant.is_from_wire:
            return None
        return self._uplinks[self.networks[meant.network_id].physnet].ofport

    def outlets(self, meant: Meant) -> set[Outlet]:
        """Return where copies may leave; what comes from the wire does not go back there (rules 4, 5, 8)."""
        if meant.network_id is None:
            return set()
        network = self.networks[meant.network_id]
        found = set(self._outlets_by_network.get(network.id, ()))
        uplink = self._uplinks.get(network.physnet)
        if uplink is not None and not meant.is_from_wire:
            found.add((uplink.ofport, network.vlan_id))
        return found


def _claim(port: Port) -> tuple[bool, bool, int]:
    """Order the ports with one iface-id: the first has the VIF."""
    return port.parent is not None, port.name != port.iface_id, port.key
