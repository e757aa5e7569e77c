"""What should come of frames, by the rows of both databases and the frame rules alone (docs/frames.md).

It shares no code with what makes flows: it imports no app and no view. It says exactly which copies of a
frame should leave, where, and with which tags.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

from trunkline.core.field import Field
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.proof.permission import NO_STATION, OF_PROBE, control_frames, macs, permissions
from trunkline.proof.space import ALL, HIDDEN, UNTAGGED, Cube, cube, vlan_ids

_NO_VLAN_ID = 4095
_REMOTE = "remote"
_INSIDE = "a tag inside"

Outlet = tuple[int, int | None]
"""An ofport, and the VLAN id of the tag that frames have there; None: no tag."""

Receiver = int | str
"""To whom a frame is: a MAC that some port has, or one of the kinds below."""

GROUP, CONTROL, UNKNOWN = "group", "control", "unknown"


class Meant(NamedTuple):
    """What some frames are: frames of the network *network_id*; None: of no network that is here.

    *refusal* is why not one copy of them may leave, None if they pass. *is_from_wire*: they came by the
    network's uplink. *keeps_tag*: their outermost tag stays on them.
    """

    network_id: UUID | None
    refusal: str | None = None
    is_from_wire: bool = False
    keeps_tag: bool = False


NOBODY = Meant(None, "from no port that is here")
Kind = tuple[Cube, Meant]


class Intent:
    """What should come of frames on *chassis*.

    *vifs* are by iface-id, the one in use first; *uplinks* by physical network. Of the physical networks
    *whole_physnets* all networks are known. The ports *awake* migrate here, and their VIFs have spoken.
    """

    def __init__(
        self,
        chassis: str,
        networks: Mapping[UUID, Network],
        ports: Mapping[UUID, Port],
        vifs: Mapping[str, tuple[Vif, ...]],
        uplinks: Mapping[str, Uplink],
        whole_physnets: Collection[str],
        awake: Collection[UUID] = (),
    ) -> None:
        self._chassis = chassis
        # Whatever becomes of the mappings that were given, this intent stays as it is.
        self.networks = dict(networks)
        self.ports = dict(ports)
        self._vifs = vifs
        self.uplinks = dict(uplinks)
        self._awake = awake
        self._physnet_by_ofport = {uplink.ofport: uplink.physnet for uplink in uplinks.values()}
        self.carrying_tags = self._transparent(whole_physnets)
        self._port_by_name = {port.name: port for port in ports.values()}
        self._holder = self._holders()
        self._subports = self._rivals()
        self.place = self._places()
        self.port_by_outlet = {
            place: ports[port_id] for port_id, place in self.place.items() if isinstance(place, tuple)
        }
        self._here: dict[UUID, list[tuple[Outlet, Port]]] = defaultdict(list)
        self._vlan_ids_by_ofport: dict[int, list[int]] = defaultdict(list)
        for outlet, port in self.port_by_outlet.items():
            self._here[port.network_id].append((outlet, port))
            if outlet[1] is not None:
                self._vlan_ids_by_ofport[outlet[0]].append(outlet[1])
        self._owners: dict[UUID, dict[int, list[Port]]] = defaultdict(lambda: defaultdict(list))
        for port in ports.values():
            for mac in macs(port) if port.allowed_pairs else (port.mac,):
                self._owners[port.network_id][mac].append(port)

    @property
    def ofports(self) -> set[int]:
        """The ports that frames may come in by or leave by."""
        vifs = {vif.ofport for vifs in self._vifs.values() for vif in vifs if vif.ofport is not None}
        return vifs | self._physnet_by_ofport.keys()

    @property
    def frame(self) -> Hashable:
        """What all ports have in common: whatever else changes, changes for some of them."""
        networks = frozenset(self.networks.values())
        present = frozenset(network_id for network_id, ports in self._here.items() if ports)
        return networks, frozenset(self.uplinks.values()), frozenset(self.carrying_tags), present

    @property
    def lone_ports(self) -> dict[int, Port]:
        """The ports that are here, by the ofports that no sub-port has besides."""
        return {
            ofport: port
            for (ofport, vlan_id), port in self.port_by_outlet.items()
            if vlan_id is None and ofport not in self._vlan_ids_by_ofport
        }

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

    def _holders(self) -> dict[str, UUID]:
        """Return whose each VIF is, by its iface-id: of several ports that have that, the first one's."""
        claims: dict[str, list[Port]] = defaultdict(list)
        for port in self.ports.values():
            if self._vifs.get(port.iface_id):
                claims[port.iface_id].append(port)
        return {iface_id: min(ports, key=_claim).id for iface_id, ports in claims.items()}

    def _rivals(self) -> dict[str, list[Port]]:
        """Return the sub-ports that are enabled by the name of their parent."""
        found: dict[str, list[Port]] = defaultdict(list)
        for port in self.ports.values():
            if port.parent is not None and port.is_enabled:
                found[port.parent].append(port)
        return found

    def _places(self) -> dict[UUID, Outlet | str | None]:
        """Return where each port is. Most are elsewhere, and of these each costs as little as can be."""
        found: dict[UUID, Outlet | str | None] = dict.fromkeys(self.ports, _REMOTE)
        for port in self.ports.values():
            if port.parent is not None or not port.is_enabled or self._vifs.get(port.iface_id):
                found[port.id] = self._placed(port)
        return found

    def _placed(self, port: Port) -> Outlet | str | None:
        """Return where *port* is: its outlet here, `_REMOTE`, or None for nowhere (rules 12, 14)."""
        carrier = port if port.parent is None else self._port_by_name.get(port.parent)
        if not port.is_enabled or (carrier is not None and not carrier.is_enabled):
            return None
        if carrier is None or (port.parent is not None and carrier is port):
            return _REMOTE
        ofports = [vif.ofport for vif in self._vifs.get(carrier.iface_id, ()) if vif.ofport is not None]
        if not ofports or self._holder[carrier.iface_id] != carrier.id:
            return _REMOTE
        if carrier is not port and carrier.parent is not None:
            return None
        if not self._is_here(carrier):
            return _REMOTE
        if carrier is port:
            return ofports[0], None
        return None if self._is_refused(port, carrier) else (ofports[0], port.parent_vlan)

    def _is_here(self, port: Port) -> bool:
        """Return whether *port* may be used here; where it migrates to, once its VIF has spoken."""
        if port.requested_chassis:
            return port.requested_chassis[0] == self._chassis or (
                self._chassis in port.requested_chassis and port.id in self._awake
            )
        return port.chassis in (None, self._chassis)

    def _is_refused(self, port: Port, carrier: Port) -> bool:
        """Return whether the sub-port *port* cannot be one of *carrier*."""
        if port.parent_vlan is None or port.network_id == carrier.network_id:
            return True
        return self.networks[carrier.network_id].is_transparent or any(
            each.key < port.key
            and (each.parent_vlan == port.parent_vlan or each.network_id == port.network_id)
            for each in self._subports[carrier.name]
        )

    # -- what frames are ---------------------------------------------------------------------------

    def kinds(self, ofport: int, *, is_tagged: bool) -> Iterator[Kind]:
        """Yield sets of frames that come in by *ofport*, with a tag or without, and what they are.

        The first set that a frame is in counts. The last one has every frame.
        """
        physnet = self._physnet_by_ofport.get(ofport)
        if physnet is not None:
            yield from self._from_wire(physnet, is_tagged=is_tagged)
        else:
            yield from self._from_vif(ofport, is_tagged=is_tagged)
        yield ALL, NOBODY

    def _from_vif(self, ofport: int, *, is_tagged: bool) -> Iterator[Kind]:
        port = self.port_by_outlet.get((ofport, None))
        own = Meant(None if port is None else port.network_id)
        if not is_tagged:
            if port is not None:
                yield from self._sent(port, ALL, own)
            return
        yield from _before_another_tag(own)
        for vlan_id in self._vlan_ids_by_ofport.get(ofport, ()):
            sub = self.port_by_outlet[ofport, vlan_id]
            yield from self._sent(sub, vlan_ids(vlan_id), Meant(sub.network_id))
        if port is None:
            return
        yield from self._sent(port, vlan_ids(0), own)
        yield vlan_ids(_NO_VLAN_ID), own._replace(refusal="VLAN id 4095")
        if port.network_id in self.carrying_tags:
            yield from self._sent(port, ALL, own._replace(keeps_tag=True))
        else:
            yield ALL, own._replace(refusal="a tag of the sender's own choice")

    def _sent(self, port: Port, frames: Cube, meant: Meant) -> Iterator[Kind]:
        for some, refusal in permissions(port, carries_tags=port.network_id in self.carrying_tags):
            met = some.meet(frames)
            if met is not None:
                yield met, meant._replace(refusal=refusal)

    def _from_wire(self, physnet: str, *, is_tagged: bool) -> Iterator[Kind]:
        here = {
            network.vlan_id: network
            for network in self.networks.values()
            if network.physnet == physnet and network.id in self._here
        }
        flat = here.get(None)
        if not is_tagged:
            yield from self._arrived(flat, UNTAGGED)
            return
        yield from _before_another_tag(NOBODY)
        yield from self._arrived(flat, vlan_ids(0))
        for vlan_id, network in here.items():
            if vlan_id is not None:
                yield from self._arrived(network, vlan_ids(vlan_id))
        yield vlan_ids(_NO_VLAN_ID), NOBODY
        if flat is not None and flat.id in self.carrying_tags:
            yield from self._arrived(flat, ALL, keeps_tag=True)

    def _arrived(self, network: Network | None, frames: Cube, *, keeps_tag: bool = False) -> Iterator[Kind]:
        """Yield what the *frames* are that arrive as those of *network* (rules 1–4, 7, 18)."""
        if network is None:
            yield frames, NOBODY
            return
        meant = Meant(network.id, None, is_from_wire=True, keeps_tag=keeps_tag)
        own = {port.mac for _, port in self._here[network.id]}
        reflected = [mac for mac in sorted(own) if len(self._owners[network.id][mac]) == 1]
        for some, refusal in (
            OF_PROBE,
            *((nobody, "a source that no station can have") for nobody in NO_STATION),
            *((cube(Field.ETH_SRC, mac), "the MAC of a port that is here") for mac in reflected),
            *((hidden, _INSIDE) for hidden in HIDDEN if network.id not in self.carrying_tags),
            (ALL, None),
        ):
            met = some.meet(frames)
            if met is not None:
                yield met, meant._replace(refusal=refusal)

    # -- who gets them -----------------------------------------------------------------------------

    def known_macs(self, meant: Meant) -> Collection[int]:
        """Return the MACs of the network of *meant* that some port has."""
        return () if meant.network_id is None else self._owners[meant.network_id].keys()

    def outlets(self, meant: Meant, to: Receiver) -> list[Outlet]:
        """Return where copies of frames leave that are *meant* so and go *to* somebody (rules 4–10, 15)."""
        if meant.network_id is None or meant.refusal is not None:
            return []
        network = self.networks[meant.network_id]
        here = self._here[network.id]
        if to == CONTROL:
            found, leaves = [outlet for outlet, port in here if control_frames(port)], True
        elif to == GROUP:
            found, leaves = [outlet for outlet, _ in here], True
        else:
            found, leaves = self._unicast(network, to)
        uplink = self.uplinks.get(network.physnet)
        if leaves and uplink is not None and not meant.is_from_wire:
            found.append((uplink.ofport, network.vlan_id))
        return found

    def _unicast(self, network: Network, to: Receiver) -> tuple[list[Outlet], bool]:
        """Return the outlets here of frames to one MAC, and whether they leave by the wire too."""
        owners = self._owners[network.id].get(to, []) if isinstance(to, int) else []
        places = [self.place[port.id] for port in owners]
        found = [place for place in places if isinstance(place, tuple)]
        is_remote = _REMOTE in places and not network.learns_remote_ports
        if any(port.mac != to for port in owners):
            return found, not found or is_remote or network.learns_remote_ports
        if found or is_remote:
            return found, not found
        takers = [
            outlet
            for outlet, port in self._here[network.id]
            if port.takes_unknown_macs and not port.is_secured
        ]
        return takers, network.floods_unknown

    def network_at(self, outlet: Outlet) -> UUID | None:
        """Return whose network frames are in that leave by *outlet*, None if that is no network here."""
        ofport, vlan_id = outlet
        physnet = self._physnet_by_ofport.get(ofport)
        if physnet is None:
            port = self.port_by_outlet.get(outlet)
            return None if port is None else port.network_id
        return next(
            (net.id for net in self.networks.values() if (net.physnet, net.vlan_id) == (physnet, vlan_id)),
            None,
        )

    def concerns(self, network_id: UUID, ofport: int) -> bool:
        """Return whether frames from *ofport* could be of that network, whatever tags they have."""
        if ofport in self._physnet_by_ofport:
            return self.networks[network_id].physnet == self._physnet_by_ofport[ofport]
        return any(
            port.network_id == network_id for (at, _), port in self.port_by_outlet.items() if at == ofport
        )


def _before_another_tag(meant: Meant) -> Iterator[Kind]:
    """Yield the frames with a priority tag before another tag: none of them may pass (rule 11)."""
    for hidden in HIDDEN:
        met = vlan_ids(0).meet(hidden)
        if met is not None:
            yield met, meant._replace(refusal="a priority tag before another tag")


def _claim(port: Port) -> tuple[bool, bool, int]:
    """Order the ports with one iface-id: the first has the VIF."""
    return port.parent is not None, port.name != port.iface_id, port.key
