"""What an operator asks for: a network or a port to be created, held against what can be said of it alone.

What depends on other rows (a name that is taken, a tag in use) is the database's to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trunkline.core.address import (
    allowed_pair_text,
    mac_text,
    parse_allowed_pair,
    parse_ip,
    parse_port_mac,
)
from trunkline.core.error import InvalidValueError
from trunkline.core.model import MAX_ADDRESSES, MAX_PAIRS, MAX_REQUESTED
from trunkline.core.name import check_name, check_physnet
from trunkline.northbound.port_option import check_options
from trunkline.northbound.schema import ALLOW_DUPLICATE_IP, CONTROL_FRAMES, FIRST_CHASSIS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MIN_VLAN_ID, MAX_VLAN_ID = 1, 4094
MIN_MTU, MAX_MTU = 68, 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network to be created; a value left out stands for the default of the agents.

    *network_type* is `vlan` or `flat`; a `vlan` network has *segmentation_id* 1–4094, a `flat` one None.
    *mtu* is 68–65535, None where the MTU is not managed.

    Raises:
        InvalidValueError: the values do not go together.
    """

    name: str
    network_type: str
    physical_network: str
    segmentation_id: int | None = None
    mtu: int | None = None
    unknown_unicast: str | None = None
    remote_ports: str | None = None
    vlan_transparent: bool = False
    external_ids: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.row()

    def row(self) -> dict[str, Any]:
        """Return the columns of the network's row."""
        row = {name: getattr(self, name) for name in self.__slots__} | {
            "external_ids": dict(self.external_ids)
        }
        check_name("network", row["name"])
        check_network(row)
        if row["physical_network"]:
            check_physnet(row["physical_network"])
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """A port to be created; addresses in any spelling, *network* and *parent* by name.

    *enabled* and *port_security* are on where None. *allowed_address_pairs* are `MAC` or `MAC,IP-or-prefix`.
    A sub-port of a trunk has *parent* and *parent_vlan* (1–4094), any other port neither.

    Raises:
        AddressError: an address is not one.
        InvalidValueError: the values do not go together.
    """

    name: str
    network: str
    mac: str
    addresses: tuple[str, ...] = ()
    enabled: bool | None = None
    port_security: bool | None = None
    allowed_address_pairs: tuple[str, ...] = ()
    unknown_macs: bool = False
    requested_chassis: str | None = None
    parent: str | None = None
    parent_vlan: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    external_ids: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.row()

    def row(self) -> dict[str, Any]:
        """Return the columns of the port's row, addresses canonical; *network* is still a name."""
        row = {name: getattr(self, name) for name in self.__slots__}
        row |= {"options": dict(self.options), "external_ids": dict(self.external_ids)}
        check_options(self.options)
        first = first_chassis(self.requested_chassis)
        if first is not None:
            row["options"][FIRST_CHASSIS] = first
        check_name("port", row["name"])
        row = canonical_port(row)
        check_port(row)
        return row


def first_chassis(requested: str | None) -> str | None:
    """Return the first of several chassis in *requested*, as `Port.requested_chassis` has them; else None.

    >>> first_chassis("c1, c2"), first_chassis("c1"), first_chassis(None)
    ('c1', None, None)
    """
    names = [name.strip() for name in (requested or "").split(",") if name.strip()]
    return names[0] if len(names) > 1 else None


def canonical_port(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row*, some or all columns of a port, with its addresses as the northbound writes them.

    Raises:
        AddressError: an address is not one.
    """
    canonical = dict(row)
    if "mac" in row:
        canonical["mac"] = mac_text(parse_port_mac(row["mac"]))
    if "addresses" in row:
        canonical["addresses"] = sorted({str(parse_ip(text)) for text in row["addresses"]})
    if "allowed_address_pairs" in row:
        pairs = {allowed_pair_text(*parse_allowed_pair(text)) for text in row["allowed_address_pairs"]}
        canonical["allowed_address_pairs"] = sorted(pairs)
    return canonical


def check_network(row: Mapping[str, Any]) -> None:
    """Hold *row*, a whole network, against what must be true of a network by itself.

    Raises:
        InvalidValueError: it is not; the text names the option to change.
    """
    if not row["physical_network"]:
        raise InvalidValueError("a network needs a physical network; give --physical-network")
    vlan_id = row["segmentation_id"]
    match row["network_type"]:
        case "vlan" if vlan_id is None:
            raise InvalidValueError(
                f"a vlan network needs a VLAN id; give --segment {MIN_VLAN_ID}–{MAX_VLAN_ID}"
            )
        case "flat" if vlan_id is not None:
            raise InvalidValueError("a flat network has no VLAN id; leave out --segment, or use --type vlan")
        case "vlan" | "flat":
            pass
        case other:
            raise InvalidValueError(f"{other!r} is not a network type; use vlan or flat")
    if row["remote_ports"] == "learned" and row["unknown_unicast"] == "drop":
        raise InvalidValueError(
            "with --remote-ports learned every remote port is an unknown one; use --unknown-unicast forward"
        )
    _check_range("a VLAN id", vlan_id, MIN_VLAN_ID, MAX_VLAN_ID)
    _check_range("an MTU", row["mtu"], MIN_MTU, MAX_MTU)


def check_port(row: Mapping[str, Any]) -> None:
    """Hold *row*, a whole port, against what must be true of a port by itself.

    Raises:
        InvalidValueError: it is not; the text names the option to change.
    """
    if row["unknown_macs"] and row["port_security"] is not False:
        raise InvalidValueError("--unknown-macs needs port security off; add --no-port-security")
    if row["options"].get(CONTROL_FRAMES) == "true" and row["port_security"] is not False:
        raise InvalidValueError(
            f"--option {CONTROL_FRAMES}=true needs port security off; add --no-port-security"
        )
    if (row["parent"] is None) != (row["parent_vlan"] is None):
        raise InvalidValueError(
            "a sub-port has both a parent and a tag; give --parent and --parent-vlan together"
        )
    if row["parent"] == row["name"]:
        raise InvalidValueError("a port cannot be its own parent; give the trunk's port as --parent")
    _check_range("a VLAN id", row["parent_vlan"], MIN_VLAN_ID, MAX_VLAN_ID)
    _check_count("addresses", len(row["addresses"]), MAX_ADDRESSES)
    _check_count("allowed address pairs", len(row["allowed_address_pairs"]), MAX_PAIRS)
    _check_count("requested chassis", len((row["requested_chassis"] or "").split(",")), MAX_REQUESTED)


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidValueError(f"{count} {what} are more than a port may have; give {most} at most")


def _check_range(what: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise InvalidValueError(f"{value} is not {what}; use {lowest}–{highest}")


def refuse_twins(networks: Sequence[Mapping[str, Any]], ports: Sequence[Mapping[str, Any]]) -> None:
    """Raise InvalidValueError where two rows of one request cannot both be."""
    for network in _twins(networks, ("name",)):
        raise InvalidValueError(f"network {network['name']!r} is asked for twice")
    for network in _twins(networks, ("physical_network", "segmentation_id")):
        tag = network["segmentation_id"]
        what = "untagged" if tag is None else f"with VLAN {tag}"
        raise InvalidValueError(f"two of the networks asked for are {what} on {network['physical_network']}")
    for port in _twins(ports, ("name",)):
        raise InvalidValueError(f"port {port['name']!r} is asked for twice")
    for port in _twins(ports, ("network", "mac")):
        raise InvalidValueError(
            f"two of the ports asked for have MAC {port['mac']} in network {port['network']!r}"
        )
    singles = (port for port in ports if port["options"].get(ALLOW_DUPLICATE_IP) != "true")
    owned = [{"network": p["network"], "address": address} for p in singles for address in p["addresses"]]
    for each in _twins(owned, ("network", "address")):
        raise InvalidValueError(
            f"two of the ports asked for have {each['address']} in network {each['network']!r}; "
            "give it to one of them, or use --allow-duplicate-ip"
        )


def _twins(rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of *rows* that are equal in *columns* to one before them."""
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        values = tuple(row[column] for column in columns)
        if values in seen:
            yield row
        seen.add(values)
