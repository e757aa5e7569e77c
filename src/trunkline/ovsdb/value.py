"""Rows of the northbound as values; data that the schema allows may still be invalid, and is a fault then."""

from __future__ import annotations

from collections.abc import Collection

from trunkline.core.address import AddressError, mac_text, parse_allowed_pair, parse_ip, parse_port_mac
from trunkline.core.error import TrunklineError
from trunkline.core.model import MAX_ADDRESSES, MAX_PAIRS, MAX_REQUESTED, AllowedPair, Network, Port
from trunkline.northbound.port_option import option_fault
from trunkline.northbound.schema import ALLOW_DUPLICATE_IP, ANNOUNCE, CONTROL_FRAMES
from trunkline.ovsdb.datum import every, one, pairs, several
from trunkline.ovsdb.nb_row import NetworkRow, PortRow

_MAX_VLAN_ID, _MAX_NETWORK_KEY, _MAX_PORT_KEY = 4094, (1 << 24) - 1, (1 << 32) - 1
"""What the pipeline has room for. Our schema allows no other values; that of another program might."""


class RowError(TrunklineError):
    """A row that the schema allows and that is invalid all the same."""


def network_of(row: NetworkRow) -> Network:
    """Return the network that *row* describes; raise RowError if it contradicts itself."""
    kind, vlan_id = one(row, NetworkRow.network_type), one(row, NetworkRow.segmentation_id)
    is_vlan = kind == "vlan"
    if kind not in ("vlan", "flat"):
        raise RowError(f"its type is {kind!r}; set it to vlan or flat")
    _check_range("segmentation_id", vlan_id, _MAX_VLAN_ID)
    _check_range("unique_key", one(row, NetworkRow.unique_key), _MAX_NETWORK_KEY)
    if is_vlan and vlan_id is None:
        raise RowError("it is of type vlan and has no segmentation_id; set one of 1-4094")
    if not is_vlan and vlan_id is not None:
        raise RowError(f"it is flat and has segmentation_id {vlan_id}; clear it, or set the type to vlan")
    return Network(
        id=row.uuid,
        name=one(row, NetworkRow.name),
        key=one(row, NetworkRow.unique_key),
        physnet=one(row, NetworkRow.physical_network),
        vlan_id=vlan_id,
        mtu=one(row, NetworkRow.mtu),
        floods_unknown=one(row, NetworkRow.unknown_unicast) != "drop",
        learns_remote_ports=one(row, NetworkRow.remote_ports) == "learned",
        is_transparent=one(row, NetworkRow.vlan_transparent),
    )


_PORT_VALUES = (
    *(PortRow.name, PortRow.unique_key, PortRow.network, PortRow.mac),
    *(PortRow.enabled, PortRow.port_security, PortRow.unknown_macs),
    *(PortRow.requested_chassis, PortRow.chassis, PortRow.up, PortRow.parent, PortRow.parent_vlan),
    PortRow.iface_id,
)
"""The columns of a port that hold one value; a chassis reads 10,000 of them when it starts."""


def port_of(row: PortRow) -> Port:
    """Return the port that *row* describes.

    Raises:
        RowError, AddressError: the row is invalid.
    """
    values = several(row, _PORT_VALUES)
    name, key, network_id, mac, is_enabled, is_secured, takes_unknown_macs = values[:7]
    requested, chassis, is_up, parent, parent_vlan, iface_id = values[7:]
    _check_range("unique_key", key, _MAX_PORT_KEY)
    _check_range("parent_vlan", parent_vlan, _MAX_VLAN_ID)
    addresses = every(row, PortRow.addresses)
    _check_count("addresses", len(addresses), MAX_ADDRESSES)
    options = pairs(row, PortRow.options)
    return Port(
        id=row.uuid,
        name=name,
        key=key,
        network_id=network_id,
        mac=_mac(mac),
        addresses=tuple(map(parse_ip, sorted(addresses))),
        is_enabled=is_enabled is not False,
        is_secured=is_secured is not False,
        allowed_pairs=_allowed_pairs(every(row, PortRow.allowed_address_pairs)),
        takes_unknown_macs=takes_unknown_macs,
        requested_chassis=_chassis_names(requested) if requested else (),
        chassis=chassis,
        is_up=bool(is_up),
        parent=parent,
        parent_vlan=parent_vlan,
        is_announced=options.get(ANNOUNCE) != "false",
        may_share_addresses=options.get(ALLOW_DUPLICATE_IP) == "true",
        passes_control=options.get(CONTROL_FRAMES) == "true",
        option_fault=option_fault(options) if options else None,
        given_iface_id=iface_id,
    )


def _check_range(column: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise RowError(f"its {column} is {value}; set one of 1-{most}")


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise RowError(f"it has {count} {what}; a port may have {most}")


def _allowed_pairs(texts: Collection[str]) -> tuple[AllowedPair, ...]:
    _check_count("allowed address pairs", len(texts), MAX_PAIRS)
    return tuple([AllowedPair(*parse_allowed_pair(text)) for text in sorted(texts)])


def _chassis_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    _check_count("requested chassis", len(names), MAX_REQUESTED)
    return names


def _mac(text: str) -> int:
    """Return the MAC address *text*, which must be spelled as Trunkline writes it.

    The database compares text, so its index keeps a MAC from being twice in a network only if each MAC has
    one spelling. A chassis may not have loaded the other row, so it cannot tell.
    """
    mac = parse_port_mac(text)
    if text != mac_text(mac):
        raise AddressError(
            f"its MAC is written {text}; write it as {mac_text(mac)}, or set `mac` by `trunkline port set`"
        )
    return mac
