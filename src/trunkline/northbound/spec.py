"""Specs: networks and ports to be created, checked by themselves.

What depends on other rows (a name or a tag that is in use) is checked when they are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.address import (
    allowed_pair_text,
    ip_text,
    parse_allowed_pair,
    port_mac_text,
)
from trunkline.core.error import InvalidValueError, Place
from trunkline.core.model import MAX_ADDRESSES, MAX_PAIRS, MAX_REQUESTED
from trunkline.core.name import check_name, check_physnet
from trunkline.northbound.port_option import check_options
from trunkline.northbound.schema import ALLOW_DUPLICATE_IP, CONTROL_FRAMES, FIRST_CHASSIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MIN_VLAN_ID, MAX_VLAN_ID = 1, 4094
MIN_MTU, MAX_MTU = 68, 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network to be created; for a value left out, agents use their default.

    *network_type* is `vlan` or `flat`; a `vlan` network has *segmentation_id* 1–4094, a `flat` one None.
    *mtu* is 68–65535, None if the MTU is not managed.

    Raises:
        InvalidValueError: a value is wrong, or does not go with another.
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
    _row: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", self._checked())

    def row(self) -> dict[str, Any]:
        """Return the columns of the network's row."""
        return self._row

    def _checked(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in self.__slots__ if name != "_row"}
        row["external_ids"] = dict(self.external_ids)
        refuse_faults(faults("Network", row))
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """A port to be created; addresses in any spelling, *network* and *parent* by name.

    *enabled* and *port_security* are on if None. *allowed_address_pairs* are `MAC` or `MAC,IP-or-prefix`.
    A sub-port of a trunk has *parent* and *parent_vlan* (1–4094), any other port neither. *iface_id* is that
    of its VIF if that is not *name*.

    Raises:
        AddressError: an address is invalid.
        InvalidValueError: a value is wrong, or does not go with another.
    """

    name: str
    network: str
    mac: str
    iface_id: str | None = None
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
    _row: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", self._checked())

    def row(self) -> dict[str, Any]:
        """Return the columns of the port's row with canonical addresses; *network* is still a name."""
        return self._row

    def _checked(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in self.__slots__ if name != "_row"}
        row |= {"options": dict(self.options), "external_ids": dict(self.external_ids)}
        row, wrong = canonical(self.name, row)
        refuse_faults(chain(wrong, faults("Port", row)))
        return completed("Port", row)


def completed(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return *row*, new in *table* and right, with the columns that follow from others."""
    first = first_chassis(row["requested_chassis"]) if table == "Port" else None
    return row if first is None else row | {"options": row["options"] | {FIRST_CHASSIS: first}}


def first_chassis(requested: str | None) -> str | None:
    """Return the first chassis in *requested* (`Port.requested_chassis`) if it has several, else None.

    >>> first_chassis("c1, c2"), first_chassis("c1"), first_chassis(None)
    ('c1', None, None)
    """
    names = list(filter(None, _names(requested)))
    return names[0] if len(names) > 1 else None


def _names(requested: str | None) -> list[str]:
    return [name.strip() for name in requested.split(",")] if requested else []


class Fault(NamedTuple):
    """Something that is wrong with a row by itself; *columns* show it, and the first of them is to blame.

    If it is one item of that column, it is *item*.
    """

    columns: tuple[str, ...]
    error: InvalidValueError
    item: str | None = None


def refuse_faults(found: Iterable[Fault]) -> None:
    """Raise the first of the faults *found*, if there is one."""
    for fault in found:
        raise fault.error


_CANONICAL: Mapping[str, Callable[[str], str]] = {
    "mac": port_mac_text,
    "addresses": ip_text,
    "allowed_address_pairs": lambda text: allowed_pair_text(*parse_allowed_pair(text)),
}
"""The function that returns an address in the spelling of the northbound, by the column of a port."""


def canonical(name: str, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Return *row*, columns of the port *name*, with its addresses in the spelling of the northbound.

    Those that are invalid are left out, and each of them is a fault.
    """
    found, wrong = dict(row), []
    for column, text_of in _CANONICAL.items():
        given = row.get(column)
        if not given and (given is None or column != "mac"):
            if given is not None:
                found[column] = []
            continue
        texts = []
        for text in [given] if column == "mac" else given:
            try:
                texts.append(text_of(text))
            except InvalidValueError as error:
                error.place = Place("Port", name, column)
                wrong.append(Fault((column,), error, text))
        if column != "mac":
            found[column] = sorted(set(texts)) if texts[1:] else texts
        elif texts:
            found[column] = texts[0]
        else:
            del found[column]
    return found, wrong


def canonical_port(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same as `canonical`, if there is no fault.

    Raises:
        AddressError: an address is invalid.
    """
    found, wrong = canonical(name, row)
    refuse_faults(wrong)
    return found


def faults(table: str, row: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Iterator[Fault]:
    """Yield everything that is wrong with *row* of *table* by itself; the texts name the columns to change.

    What names and options may be is only asked of the columns *given*, by default of all: a wrong one that
    the row has already is no reason to refuse a change of others.
    """
    rules = _network_faults if table == "Network" else _port_faults
    yield from _wrong_words(table, row["name"], row if given is None else given)
    for columns, reason in rules(row):
        yield Fault(columns, InvalidValueError(reason, Place(table, row["name"], columns[0])))


_CHECKS: Mapping[str, Mapping[str, Callable[[Any], None]]] = {
    "Network": {"name": partial(check_name, "network"), "physical_network": check_physnet},
    "Port": {
        "name": partial(check_name, "port"),
        "iface_id": partial(check_name, "VIF"),
        "options": check_options,
    },
}
"""The functions that raise an error if a name, or options, are wrong, by table and column."""


def _wrong_words(table: str, row: str, given: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the names and options *given* for the row called *row* of *table*."""
    for column, check in _CHECKS[table].items():
        value = given.get(column)
        if value or (column == "name" and value is not None):
            try:
                check(value)
            except InvalidValueError as error:
                error.place = Place(table, row, column)
                yield Fault((column,), error)


def _network_faults(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    vlan_id, mtu = row["segmentation_id"], row["mtu"]
    if not row["physical_network"]:
        yield ("physical_network",), "a network needs a physical network; give `physical_network`"
    match row["network_type"]:
        case "vlan" if vlan_id is None:
            yield (
                ("segmentation_id", "network_type"),
                f"a vlan network needs a VLAN id; give `segmentation_id` {MIN_VLAN_ID}–{MAX_VLAN_ID}",
            )
        case "flat" if vlan_id is not None:
            yield (
                ("segmentation_id", "network_type"),
                "a flat network has no VLAN id; leave out `segmentation_id`, or use `network_type=vlan`",
            )
        case "vlan" | "flat":
            pass
        case other:
            yield ("network_type",), f"{other!r} is not a network type; use vlan or flat"
    if row["remote_ports"] == "learned" and row["unknown_unicast"] == "drop":
        yield (
            ("unknown_unicast", "remote_ports"),
            "with `remote_ports=learned` all remote MACs are unknown unicast; use `unknown_unicast=forward`",
        )
    if not _is_vlan_id(vlan_id):
        yield ("segmentation_id",), _NO_VLAN_ID.format(vlan_id)
    if mtu is not None and not MIN_MTU <= mtu <= MAX_MTU:
        yield ("mtu",), f"{mtu} is not an MTU; use {MIN_MTU}–{MAX_MTU}"


def _port_faults(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    parent, parent_vlan = row["parent"], row["parent_vlan"]
    if row["port_security"] is not False:
        if row["unknown_macs"]:
            yield (
                ("port_security", "unknown_macs"),
                "`unknown_macs` needs port security off; add `port_security=false`",
            )
        if row["options"].get(CONTROL_FRAMES) == "true":
            yield (
                ("port_security", "options"),
                f"`options:{CONTROL_FRAMES}=true` needs port security off; add `port_security=false`",
            )
    if (parent is None) != (parent_vlan is None):
        yield (
            ("parent", "parent_vlan"),
            "a sub-port has both a parent and a tag; give `parent` and `parent_vlan` together",
        )
    if parent is not None and row["iface_id"] is not None:
        yield (
            ("iface_id", "parent"),
            "a sub-port uses the VIF of its parent; leave out `iface_id`, or clear `parent`",
        )
    if parent == row["name"]:
        yield ("parent",), "a port cannot be its own parent; give the trunk's port as `parent`"
    if not _is_vlan_id(parent_vlan):
        yield ("parent_vlan",), _NO_VLAN_ID.format(parent_vlan)
    if not row["network"]:
        yield ("network",), _NO_NETWORK
    requested = _names(row["requested_chassis"])
    if requested[1:] and (not all(requested) or len(set(requested)) < len(requested)):
        yield (
            ("requested_chassis",),
            "`requested_chassis` has a chassis twice, or an empty name between commas",
        )
    for column, values, most in (
        ("addresses", row["addresses"], MAX_ADDRESSES),
        ("allowed_address_pairs", row["allowed_address_pairs"], MAX_PAIRS),
        ("requested_chassis", requested, MAX_REQUESTED),
    ):
        if len(values) > most:
            what = column.replace("_", " ")
            yield (column,), f"{len(values)} {what} are more than a port may have; give {most} at most"


_NO_NETWORK = "a port is in a network; give `network`"
_NO_VLAN_ID = f"{{}} is not a VLAN id; use {MIN_VLAN_ID}–{MAX_VLAN_ID}"


def no_network(port: str) -> InvalidValueError:
    """Return the error to raise if the port *port* has no network."""
    return InvalidValueError(_NO_NETWORK, Place("Port", port, "network"))


def _is_vlan_id(value: int | None) -> bool:
    return value is None or MIN_VLAN_ID <= value <= MAX_VLAN_ID


def refuse_duplicates(networks: Sequence[Mapping[str, Any]], ports: Sequence[Mapping[str, Any]]) -> None:
    """Raise InvalidValueError if two rows of one request exclude each other."""
    for network in _duplicates(networks, "name"):
        raise InvalidValueError(
            f"network {network['name']!r} is asked for twice", Place("Network", network["name"], "name")
        )
    for network in _duplicates(networks, "physical_network", "segmentation_id"):
        tag = network["segmentation_id"]
        what = "untagged" if tag is None else f"with VLAN {tag}"
        raise InvalidValueError(
            f"two of the networks asked for are {what} on {network['physical_network']}",
            Place("Network", network["name"], "segmentation_id"),
        )
    for port in _duplicates(ports, "name"):
        raise InvalidValueError(
            f"port {port['name']!r} is asked for twice", Place("Port", port["name"], "name")
        )
    for port in _duplicates(ports, "network", "mac"):
        raise InvalidValueError(
            f"two of the ports asked for have MAC {port['mac']} in network {port['network']!r}",
            Place("Port", port["name"], "mac"),
        )
    owned = set[tuple[str, str]]()
    for port in ports:
        if port["options"].get(ALLOW_DUPLICATE_IP) == "true":
            continue
        for address in port["addresses"]:
            if (port["network"], address) in owned:
                raise InvalidValueError(
                    f"two of the ports asked for have {address} in network {port['network']!r}; "
                    "give it to one of them, or use `options:allow-duplicate-ip=true`",
                    Place("Port", port["name"], "addresses"),
                )
            owned.add((port["network"], address))


def _duplicates(rows: Sequence[Mapping[str, Any]], *columns: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of *rows* that are equal in *columns* to one before them."""
    values_of, seen = itemgetter(*columns), set[Any]()
    for row in rows:
        values = values_of(row)
        if values in seen:
            yield row
        seen.add(values)
