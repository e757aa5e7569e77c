"""The ends of a trace: from where a frame comes and whom it should reach, by the rows of the northbound."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, TypeVar

from trunkline.core.address import AddressError, mac_text, parse_mac
from trunkline.core.error import TrunklineError
from trunkline.northbound import iface_id
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import NotFoundError, no_such
from trunkline.path.sample import BROADCAST, group_mac, is_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trunkline.core.model import IPAddress
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class End:
    """A port as a trace needs it; *iface_id* and *chassis* are of its VIF, or of its trunk's for a *tag*."""

    name: str
    mac: int
    addresses: tuple[IPAddress, ...]
    iface_id: str
    chassis: str | None
    tag: int | None = None
    is_enabled: bool = True
    is_announced: bool = True
    takes_unknown: bool = False
    pair_macs: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Wire:
    """A network as it is on the wire; *vlan_id* is None if it is flat."""

    name: str
    physnet: str
    vlan_id: int | None
    uuid: str
    mtu: int | None = None

    def __str__(self) -> str:
        return f"{self.physnet} [{'untagged' if self.vlan_id is None else self.vlan_id}]"


@dataclass(frozen=True)
class Source:
    """From where the frame comes: *port*, None if from the physical network of *wire*."""

    wire: Wire
    port: End | None = None


@dataclass(frozen=True)
class Target:
    """Whom the frame is for: *mac*, and the ports that should receive it.

    *address* is the one that was asked for, or the port's. *is_unknown*: no port has it. *stranger*: the port
    is in that other network.
    """

    mac: int
    ends: tuple[End, ...] = ()
    address: IPAddress | None = None
    is_unknown: bool = False
    stranger: str | None = None

    @property
    def is_group(self) -> bool:
        """Whether it is for a group."""
        return is_group(self.mac)


class InvalidPortError(TrunklineError):
    """A port has a MAC that is none, so no chassis has flows of it."""


class UnboundError(TrunklineError):
    """A port has no VIF, so there is no chassis to ask."""


def source(nb: Northbound, name: str, vlan_id: int | None) -> Source:
    """Return from where a frame comes: the port called *name*, or the physical network with the VLAN.

    Raises:
        NotFoundError: there is neither; or no network has that VLAN.
        UnboundError: the port is enabled, and has no VIF.
    """
    ports, networks = nb.read(
        select("Port", ("name", "==", name)), select("Network", ("physical_network", "==", name))
    )
    if ports:
        found = _end(ports[0], _parents(nb, ports))
        if found.chassis is None and found.is_enabled:
            raise UnboundError("; ".join(unbound(found)))
        (rows,) = nb.read(select("Network", ("_uuid", "==", ports[0]["network"])))
        return Source(_wire(rows[0]), found)
    if not networks:
        raise NotFoundError(
            f"no port and no physical network is called {name!r}; see `trunkline port list` and "
            "`trunkline network list`"
        )
    for row in networks:
        if row["segmentation_id"] == vlan_id:
            return Source(_wire(row))
    what = "untagged frames" if vlan_id is None else f"VLAN {vlan_id}"
    known = ", ".join(sorted(str(_wire(row)) for row in networks[:10]))
    raise NotFoundError(f"no network has {what} on {name}; there are {known}")


def unbound(end: End) -> tuple[str, str]:
    """Return why no chassis holds *end*, and what to do."""
    if not end.is_enabled:
        return (
            f"{end.name} is disabled, so nothing passes it",
            f"trunkline port set {shlex.quote(end.name)} `enabled=true`",
        )
    return (
        f"{end.name} has no VIF: no chassis holds it",
        f"plug in an interface with external_ids:iface-id={shlex.quote(end.iface_id)}",
    )


def target(nb: Northbound, text: str, here: Source) -> Target:
    """Return whom *text* names, as *here* would find it: a port, a MAC or an IP address.

    Raises:
        NotFoundError: it is no address, and no port is called so.
    """
    (port_rows,) = nb.read(select("Port", ("name", "==", text)))
    if port_rows:
        if port_rows[0]["network"] != here.wire.uuid:
            (networks,) = nb.read(select("Network", ("_uuid", "==", port_rows[0]["network"])))
            return Target(_mac(port_rows[0]), stranger=networks[0]["name"])
        end = _end(port_rows[0], _parents(nb, port_rows))
        return Target(end.mac, (end,), first(end.addresses))
    try:
        return _by_mac(nb, parse_mac(text), here)
    except AddressError:
        pass
    try:
        address = ip_address(text)
    except ValueError:
        raise no_such("Port", text) from None
    group = group_mac(address)
    if group is not None:
        return Target(group, everybody(nb, here), address)
    rows = nb.read(
        select("Port", ("network", "==", here.wire.uuid), ("addresses", "includes", [str(address)]))
    )[0]
    ends = tuple(_end(row, _parents(nb, rows)) for row in rows)
    if ends:
        return Target(ends[0].mac, ends, address)
    return Target(BROADCAST, everybody(nb, here), address, is_unknown=True)


def everybody(nb: Northbound, here: Source) -> tuple[End, ...]:
    """Return the ports of the network that a frame for everybody should reach: enabled ones with a VIF."""
    (rows,) = nb.read(select("Port", ("network", "==", here.wire.uuid)))
    parents = _parents(nb, rows)
    sender = None if here.port is None else here.port.name
    ends = (_end(row, parents) for row in rows if row["name"] != sender and _is_mac(row["mac"]))
    return tuple(end for end in ends if end.is_enabled and end.chassis is not None)


def _by_mac(nb: Northbound, mac: int, here: Source) -> Target:
    if is_group(mac):
        return Target(mac, everybody(nb, here))
    (rows,) = nb.read(
        select("Port", ("network", "==", here.wire.uuid), ("mac", "==", mac_text(mac))),
    )
    ends = tuple(_end(row, _parents(nb, rows)) for row in rows)
    others = () if ends else everybody(nb, here)
    ends = ends or tuple(end for end in others if mac in end.pair_macs)
    if ends:
        return Target(mac, ends, first(ends[0].addresses))
    return Target(mac, tuple(end for end in others if end.takes_unknown), is_unknown=True)


def first(addresses: Iterable[IPAddress]) -> IPAddress | None:
    """Return the first of *addresses*; None if there is none."""
    return next(iter(addresses), None)


def _parents(nb: Northbound, rows: list[Row]) -> dict[str, Row]:
    """Return the trunks of the sub-ports among *rows*, by name."""
    names = {row["parent"] for row in rows if row["parent"]}
    found = nb.read(*(select("Port", ("name", "==", name)) for name in sorted(names))) if names else []
    return {row["name"]: row for rows_ in found for row in rows_}


def _end(row: Row, parents: dict[str, Row]) -> End:
    carrier = parents.get(row["parent"] or "", row)
    options: dict[str, str] = row["options"] or {}
    return End(
        name=row["name"],
        mac=_mac(row),
        addresses=tuple(_addresses(row["addresses"])),
        iface_id=iface_id.of(carrier),
        chassis=carrier["chassis"],
        tag=row["parent_vlan"] if carrier is not row else None,
        is_enabled=row["enabled"] is not False and carrier["enabled"] is not False,
        is_announced=options.get("announce") != "false" and bool(row["up"]),
        takes_unknown=bool(row["unknown_macs"]),
        pair_macs=frozenset(_pair_macs(row["allowed_address_pairs"])),
    )


def _mac(row: Row) -> int:
    try:
        return parse_mac(row["mac"])
    except AddressError as error:
        name = shlex.quote(row["name"])
        raise InvalidPortError(f"port {name}: {error}, by: trunkline port set {name} `mac=MAC`") from error


def _is_mac(text: str) -> bool:
    return _parsed(parse_mac, text) is not None


def _addresses(texts: Iterable[str]) -> Iterator[IPv4Address | IPv6Address]:
    """Yield what of *texts* is an address: another client may write what is none, which is a fault."""
    return (found for text in texts if (found := _parsed(ip_address, text)) is not None)


def _pair_macs(texts: Iterable[str]) -> Iterator[int]:
    macs = (text.partition(",")[0] for text in texts)
    return (found for mac in macs if (found := _parsed(parse_mac, mac)) is not None)


def _parsed(parse: Callable[[str], _Parsed], text: str) -> _Parsed | None:
    try:
        return parse(text)
    except (AddressError, ValueError):
        return None


def _wire(row: dict[str, Any]) -> Wire:
    return Wire(row["name"], row["physical_network"], row["segmentation_id"], row["_uuid"], row["mtu"])
