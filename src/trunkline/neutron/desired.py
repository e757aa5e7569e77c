"""What the northbound should hold, by what Neutron's database says: one pure function.

A segment is a network, and a port that this driver has bound is a port; both are called by Neutron's id. A
segment or port that the northbound cannot have is a fault of that one, and stops no other. Of allowed address
pairs, of which Neutron takes more than a chassis can do, those that cannot be are left out.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.address import parse_allowed_pair
from trunkline.core.error import InvalidValueError
from trunkline.core.model import MAX_PAIRS
from trunkline.northbound.schema import SET
from trunkline.northbound.spec import MAX_MTU, MIN_MTU, NetworkSpec, PortSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.neutron.host import Hosts
    from trunkline.neutron.resource import Binding, Port, Resources, Segment

SET_NAME = "neutron"
"""The set of all rows that the driver makes: rows of other sets, and of none, are never touched."""

NETWORK = "neutron:network"
"""The key of a network's `external_ids` for the id of the network of Neutron that it is a segment of."""

_OURS = {SET: SET_NAME}

NETWORK_TYPES = ("vlan", "flat")
"""The types of networks that chassis carry."""


class Row(NamedTuple):
    """A row of `Network` or `Port` by its name."""

    table: str
    name: str


class Desired(NamedTuple):
    """The rows that should be, those that stay as they are, and those that cannot be, with the reason.

    *omissions* say what is left out of rows that should be, and why.
    """

    specs: dict[Row, NetworkSpec | PortSpec]
    held: frozenset[Row]
    faults: dict[Row, str]
    omissions: dict[Row, str]


def desired(resources: Resources, hosts: Hosts) -> Desired:
    """Return what the northbound should hold of *resources*."""
    specs: dict[Row, NetworkSpec | PortSpec] = {}
    held: set[Row] = set()
    faults: dict[Row, str] = {}
    omissions: dict[Row, str] = {}
    for segment in resources.segments:
        if segment.network_type in NETWORK_TYPES and segment.physical_network:
            row = Row("Network", segment.id)
            try:
                specs[row] = _network(segment)
            except InvalidValueError as error:
                held.add(row)
                faults[row] = str(error)
    for port in resources.ports:
        row, main = Row("Port", port.id), port.main
        if port.is_between_bindings:
            held.add(row)
        elif main is None or main.segment_id is None:
            continue
        elif Row("Network", main.segment_id) in held:
            held.add(row)
        elif Row("Network", main.segment_id) in specs:
            pairs, wrong = _pairs(port)
            if wrong:
                omissions[row] = f"{len(wrong)} of its allowed address pairs left out: {wrong[0]}"
            try:
                specs[row] = _port(port._replace(pairs=pairs), main, main.segment_id, hosts)
            except InvalidValueError as error:
                held.add(row)
                faults[row] = str(error)
    return Desired(specs, frozenset(held), faults, omissions)


def _network(segment: Segment) -> NetworkSpec:
    mtu = segment.mtu
    return NetworkSpec(
        name=segment.id,
        network_type=segment.network_type,
        physical_network=segment.physical_network or "",
        segmentation_id=segment.segmentation_id,
        # Neutron allows less than a frame of IPv4 needs, and more than one can have.
        mtu=mtu if mtu is not None and MIN_MTU <= mtu <= MAX_MTU else None,
        vlan_transparent=segment.is_transparent,
        external_ids={
            SET: SET_NAME,
            NETWORK: segment.network_id,
            "neutron:name": segment.network_name,
        },
    )


def _port(port: Port, main: Binding, segment_id: str, hosts: Hosts) -> PortSpec:
    return PortSpec(
        name=port.id,
        network=segment_id,
        mac=port.mac,
        addresses=port.addresses,
        enabled=port.is_enabled,
        port_security=port.is_secured,
        allowed_address_pairs=port.pairs,
        requested_chassis=",".join(_requested(port, main, hosts)),
        parent=port.parent_id,
        parent_vlan=port.parent_vlan,
        external_ids=_OURS,
    )


def _pairs(port: Port) -> tuple[tuple[str, ...], list[str]]:
    """Return the allowed address pairs of *port* that can be, and what is wrong with each of the others."""
    usable: list[str] = []
    wrong: list[str] = []
    for text in port.pairs:
        mac, _, prefix = text.partition(",")
        pair = f"{mac},{_masked(prefix)}"
        try:
            parse_allowed_pair(pair)
        except InvalidValueError as error:
            wrong.append(str(error))
        else:
            usable.append(pair)
    wrong += [f"a port may have {MAX_PAIRS} at most"] * len(usable[MAX_PAIRS:])
    return tuple(usable[:MAX_PAIRS]), wrong


def _masked(prefix: str) -> str:
    """Return *prefix* without the bits beyond its length, with which Neutron takes it too."""
    try:
        return str(ip_network(prefix, strict=False))
    except ValueError:
        return prefix


def _requested(port: Port, main: Binding, hosts: Hosts) -> Iterator[str]:
    """Yield the chassis on which *port* is requested, the main one first."""
    for host in filter(None, (main.host, port.additional_host())):
        chassis = hosts.chassis_of(host)
        if chassis is None:
            raise InvalidValueError(
                f"it is bound to host {host!r}, and no chassis has that hostname; start its agent, or see "
                "`trunkline chassis list`"
            )
        yield chassis
