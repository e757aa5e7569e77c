"""The oracle: who receives a frame, by the frame rules of DESIGN.md section 5 and nothing else.

It knows of no table, flow or view. The numbers in its comments are those of the rules. What the rules leave
open is settled here: a priority tag comes off where it is alone; nobody can tell what is behind a second tag,
nor which one that is; and what the switch cannot read (protocol 0) no secured port may send.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Literal

from model.frame import Frame, Tag
from model.rows import CHASSIS, Rows
from trunkline.core.flow import Field
from trunkline.core.model import IPPrefix, Network, Port

Refusal = Literal["MAC", "SERVER", "NEIGHBOUR", "ADDRESS"]
"""What of a frame a secured port may not send: what it says of itself, or of others."""

Receipt = tuple[int, tuple[Tag, ...]]
"""The port that a copy leaves by, and the tags that it carries."""

_DHCP_DISCOVERY = {
    Field.IPV4_SRC: 0,
    Field.IPV4_DST: 0xFFFFFFFF,
    Field.IP_PROTO: 17,
    Field.UDP_SRC: 68,
    Field.UDP_DST: 67,
}
_BEFORE_AN_ADDRESS = {131, 132, 133, 143}
_IGMP = 2
_ALL_HOSTS = 0xE0000001
_RARP, _RARP_REQUEST = 0x8035, 3
_PROBE = {Field.ARP_OP: 24, Field.ARP_TPA: 0xF4746C70}
_ANY: list[IPPrefix] = [ip_network("0.0.0.0/0"), ip_network("::/0")]
_GROUP = 1 << 40


class Oracle:
    """Says where frames go on `CHASSIS`, whose databases say *rows*."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._port_by_name = {port.name: port for port in rows.ports.values()}
        self._place = {id_: self._outlet(port) for id_, port in rows.ports.items()}
        self._local = {id_: place for id_, place in self._place.items() if isinstance(place, tuple)}
        self._network_here = {rows.ports[id_].network_id for id_ in self._local}

    def receipts(self, in_port: int, frame: Frame) -> list[Receipt]:
        """Return the copies of *frame*, which came in by *in_port*, sorted."""
        if len(frame.tags) > 1 and _first_id(frame) == 0:  # 12: to take it off would alter the frame
            return []
        if _is_probe(frame):  # 18
            return []
        found = self._from_wire(in_port, frame) or self._from_vif(in_port, frame)
        return sorted(receipt for receipt in found if receipt[0] != in_port)

    def _from_wire(self, in_port: int, frame: Frame) -> list[Receipt]:
        physnets = [uplink.physnet for uplink in self.rows.uplinks.values() if uplink.ofport == in_port]
        if not physnets or _is_no_station(frame.src):  # 7
            return []
        here = [net for net in self.rows.networks.values() if net.id in self._network_here]
        by_tag = {net.vlan_id: net for net in here if net.physnet == physnets[0]}
        tags, tag = frame.tags, _first_id(frame)
        network = by_tag.get(tag or None)  # 1, 2
        if network is not None and tag is not None:
            tags = tags[1:]
        elif by_tag.get(None) and self._carries_tags(by_tag[None]):  # 12
            network = by_tag[None]
        if network is None:  # 3
            return []
        if any(
            port.mac == frame.src and port.network_id == network.id and not self._is_listed(port)
            for port in map(self.rows.ports.__getitem__, self._local)
        ):  # 7
            return []
        return self._delivered(network, frame, tags, from_wire=True)

    def refusal(self, in_port: int, frame: Frame) -> tuple[int, Refusal] | None:
        """Return the key of the port that *frame*, untagged, is refused to by rule 13, and why.

        None: it is refused to nobody by that rule, or dropped by another one first.
        """
        port, _ = self._sender(in_port, frame)
        if port is None or not port.is_secured or _is_no_station(frame.src) or _is_control(frame.dst):
            return None
        if _is_probe(frame):
            return None
        why = self._refusal(port, frame)
        return None if why is None else (port.key, why)

    def _sender(self, in_port: int, frame: Frame) -> tuple[Port | None, tuple[Tag, ...]]:
        """Return the local port that *frame* comes from by *in_port*, and the tags that are left then."""
        port_by_outlet = {outlet: self.rows.ports[id_] for id_, outlet in self._local.items()}
        tag = _first_id(frame)
        if tag is not None and (in_port, tag) in port_by_outlet:  # 12
            return port_by_outlet[in_port, tag], frame.tags[1:]
        return port_by_outlet.get((in_port, None)), frame.tags

    def _from_vif(self, in_port: int, frame: Frame) -> list[Receipt]:
        port, tags = self._sender(in_port, frame)
        if port is None:  # 14
            return []
        tag = _first_id(frame)
        if tags == frame.tags and tag == 0:  # 11
            tags = ()
        if _is_no_station(frame.src):  # 13
            return []
        if _is_control(frame.dst) and not _passes_control(port):  # 17
            return []
        network = self.rows.networks[port.network_id]
        if port.is_secured and self._refusal(port, frame) is not None:  # 13
            return []
        return self._delivered(network, frame, tags, from_wire=False)

    def _delivered(
        self, network: Network, frame: Frame, tags: tuple[Tag, ...], *, from_wire: bool
    ) -> list[Receipt]:
        if tags and not self._carries_tags(network):  # 3, 11
            return []
        if tags == frame.tags and _first_id(frame) == 4095:  # 3
            return []
        here = {id_: at for id_, at in self._local.items() if self.rows.ports[id_].network_id == network.id}
        owners = {
            port.id
            for port in self.rows.ports.values()
            if port.network_id == network.id and frame.dst in self._macs(port)
        }
        is_shared = any(self.rows.ports[id_].mac != frame.dst for id_ in owners)
        to = {at for id_, at in here.items() if id_ in owners}
        is_known_remote = (
            any(self._place[id_] == "remote" for id_ in owners) and not network.learns_remote_ports
        )
        if _is_control(frame.dst):  # 17
            to, leaves = {at for id_, at in here.items() if _passes_control(self.rows.ports[id_])}, True
        elif frame.dst & _GROUP:  # 5, 10
            to, leaves = set(here.values()), True
        elif is_shared:  # 15
            leaves = not to or is_known_remote or network.learns_remote_ports
        elif to or is_known_remote:  # 1, 8, 9
            leaves = not to
        else:  # 6, 9, 15
            to = {
                at
                for id_, at in here.items()
                if self.rows.ports[id_].takes_unknown_macs and not self.rows.ports[id_].is_secured
            }
            leaves = network.floods_unknown
        receipts = [(ofport, ((Tag(vlan_id),) if vlan_id else ()) + tags) for ofport, vlan_id in to]
        uplink = self.rows.uplinks.get(network.physnet)
        if leaves and uplink is not None and not from_wire:  # 4, 5, 9, 10
            receipts.append((uplink.ofport, ((Tag(network.vlan_id),) if network.vlan_id else ()) + tags))
        return receipts

    def _carries_tags(self, network: Network) -> bool:
        """Return whether tags pass inside *network*: none that is, or could be, another network's (12)."""
        beside = (net for net in self.rows.networks.values() if net.physnet == network.physnet)
        is_alone = network.physnet in self.rows.whole_physnets and all(net.vlan_id is None for net in beside)
        return network.is_transparent and (network.vlan_id is not None or is_alone)

    def _refusal(self, port: Port, frame: Frame) -> Refusal | None:
        if frame.src not in self._macs(port):
            return "MAC"
        if len(frame.tags) > 1 or not all(tag.is_known for tag in frame.tags):
            return "ADDRESS"
        headers = dict(frame.headers)
        allowed = self._prefixes(port, frame.src)
        if Field.ARP_SHA in headers:
            tells_truth = headers[Field.ARP_SHA] == frame.src
            may_say = tells_truth and _may_say_by_arp(frame.ethertype, headers, allowed)
            return None if may_say else "NEIGHBOUR"
        if Field.IPV4_SRC in headers:
            return _refusal_of_ipv4(headers, allowed)
        return _refusal_of_ipv6(frame.src, headers, allowed) if Field.IPV6_SRC in headers else None

    def _prefixes(self, port: Port, mac: int) -> list[IPPrefix]:
        """Return the addresses that *port* may use as *mac*, `_ANY` for any."""
        pairs = [pair for pair in port.allowed_pairs if pair.mac == mac]
        own: list[IPPrefix] = [ip_network(address) for address in port.addresses] if port.mac == mac else []
        if any(pair.prefix is None for pair in pairs) or not (own or pairs):
            return _ANY
        halves = ((mac >> 24 ^ 0x020000) << 40) | 0xFFFE000000 | mac & 0xFFFFFF
        link_local = IPv6Network(IPv6Address(0xFE80 << 112 | halves))
        return [*own, *(pair.prefix for pair in pairs if pair.prefix is not None), link_local]

    def _outlet(self, port: Port) -> tuple[int, int | None] | str | None:
        """Return where *port* is: its outlet here, "remote", or None for nowhere (14)."""
        carrier = self._port_by_name.get(port.parent) if port.parent else port
        if not port.is_enabled or (carrier is not None and not carrier.is_enabled):
            return None
        if port.parent is not None and carrier is port:
            return "remote"
        vifs = self.rows.vifs.get(carrier.iface_id, ()) if carrier is not None else ()
        ofports = [vif.ofport for vif in vifs if vif.ofport is not None]
        if carrier is None or not ofports:
            return "remote"
        if self._has_rival(carrier):
            return "remote"
        if carrier is not port and carrier.parent is not None:
            return None
        holders = carrier.requested_chassis or (carrier.chassis or CHASSIS,)
        if holders[0] != CHASSIS:
            return "remote"
        if carrier is port:
            return ofports[0], None
        if self._is_refused_subport(port, carrier):
            return None
        return ofports[0], port.parent_vlan

    def _has_rival(self, port: Port) -> bool:
        """Whether the VIF with the iface-id of *port* is another port's."""

        def rank(each: Port) -> tuple[bool, bool, int]:
            return each.parent is not None, each.name != each.iface_id, each.key

        rivals = (each for each in self.rows.ports.values() if each.iface_id == port.iface_id)
        return any(rank(each) < rank(port) for each in rivals)

    def _is_refused_subport(self, port: Port, carrier: Port) -> bool:
        if port.parent_vlan is None or port.network_id == carrier.network_id:
            return True
        if self.rows.networks[carrier.network_id].is_transparent:  # 12
            return True
        return any(
            each.parent == port.parent
            and each.key < port.key
            and each.is_enabled
            and (each.parent_vlan == port.parent_vlan or each.network_id == port.network_id)
            for each in self.rows.ports.values()
        )

    def _macs(self, port: Port) -> set[int]:
        return {port.mac} | {pair.mac for pair in port.allowed_pairs}

    def _is_listed(self, port: Port) -> bool:
        return any(
            port.mac in self._macs(each) and each.network_id == port.network_id and each.id != port.id
            for each in self.rows.ports.values()
        )


def _first_id(frame: Frame) -> int | None:
    """Return the VLAN id of the frame's first tag, None if it has none that a switch knows (3)."""
    return frame.tags[0].vlan_id if frame.tags and frame.tags[0].is_known else None


def _is_control(mac: int) -> bool:
    return 0x0180C2000000 <= mac <= 0x0180C200000F


def _is_probe(frame: Frame) -> bool:
    """Return whether *frame* is one of a probe: nobody can tell what is behind a second tag (18)."""
    is_seen = len(frame.tags) < 2 and all(tag.is_known for tag in frame.tags)
    return is_seen and frame.ethertype == _RARP and _PROBE.items() <= dict(frame.headers).items()


def _passes_control(port: Port) -> bool:
    return port.passes_control and not port.is_secured


def _is_no_station(mac: int) -> bool:
    return mac == 0 or bool(mac & _GROUP)


def _may_say_by_arp(ethertype: int, headers: dict[Field, int], allowed: list[IPPrefix]) -> bool:
    if ethertype == _RARP:
        return headers[Field.ARP_OP] == _RARP_REQUEST
    is_probe = headers[Field.ARP_SPA] == 0 and _is_in(headers[Field.ARP_TPA], 4, allowed)
    return is_probe or _is_in(headers[Field.ARP_SPA], 4, allowed)


def _refusal_of_ipv4(headers: dict[Field, int], allowed: list[IPPrefix]) -> Refusal | None:
    if not headers[Field.IP_PROTO]:
        return "ADDRESS"
    if headers.get(Field.UDP_DST) == 68:
        return "SERVER"
    to = headers[Field.IPV4_DST]
    is_report = headers[Field.IP_PROTO] == _IGMP and to >> 28 == 0xE and to != _ALL_HOSTS
    if headers[Field.IPV4_SRC] == 0 and is_report:
        return None
    is_discovery = headers.items() >= _DHCP_DISCOVERY.items()
    return None if is_discovery or _is_in(headers[Field.IPV4_SRC], 4, allowed) else "ADDRESS"


def _refusal_of_ipv6(mac: int, headers: dict[Field, int], allowed: list[IPPrefix]) -> Refusal | None:
    kind = headers.get(Field.ICMPV6_TYPE)
    if not headers[Field.IP_PROTO]:
        return "ADDRESS"
    if headers.get(Field.UDP_DST) == 546 or kind in (134, 137):
        return "SERVER"
    about = headers.get(Field.ND_TARGET)
    options = {headers.get(Field.ND_SLL, 0), headers.get(Field.ND_TLL, 0)}
    if about == 0 or not options <= {0, mac}:
        return "NEIGHBOUR"
    if kind == 136 and not _is_in(about or 0, 6, allowed):
        return "NEIGHBOUR"
    if _is_in(headers[Field.IPV6_SRC], 6, allowed):
        return None
    is_solicitation = kind == 135 and _is_in(about or 0, 6, allowed)
    is_before_an_address = headers[Field.IPV6_SRC] == 0 and (is_solicitation or kind in _BEFORE_AN_ADDRESS)
    return None if is_before_an_address else "ADDRESS"


def _is_in(address: int, version: int, prefixes: list[IPPrefix]) -> bool:
    kind = IPv4Network if version == 4 else IPv6Network
    return any(
        isinstance(prefix, kind) and int(prefix.network_address) == address & int(prefix.netmask)
        for prefix in prefixes
    )
