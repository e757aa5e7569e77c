"""What the northbound should hold, by what Neutron's database says: one pure function.

A segment is a network, and a port that this driver has bound is a port; both are called by Neutron's id. A
segment or port that the northbound cannot have is a fault of that one, and stops no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import InvalidValueError
from trunkline.northbound.schema import SET
from trunkline.northbound.spec import MIN_MTU, NetworkSpec, PortSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.neutron.host import Hosts
    from trunkline.neutron.resource import Binding, Port, Resources, Segment

SET_NAME = "neutron"
"""The set of all rows that the driver makes: rows of other sets, and of none, are never touched."""

_OURS = {SET: SET_NAME}

NETWORK_TYPES = ("vlan", "flat")
"""The types of networks that chassis carry."""


class Row(NamedTuple):
    """A row of `Network` or `Port` by its name."""

    table: str
    name: str


class Desired(NamedTuple):
    """The rows that should be, those that stay as they are, and those that cannot be, with the reason."""

    specs: dict[Row, NetworkSpec | PortSpec]
    held: frozenset[Row]
    faults: dict[Row, str]


def desired(resources: Resources, hosts: Hosts) -> Desired:
    """Return what the northbound should hold of *resources*."""
    specs: dict[Row, NetworkSpec | PortSpec] = {}
    held: set[Row] = set()
    faults: dict[Row, str] = {}
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
            try:
                specs[row] = _port(port, main, main.segment_id, hosts)
            except InvalidValueError as error:
                held.add(row)
                faults[row] = str(error)
    return Desired(specs, frozenset(held), faults)


def _network(segment: Segment) -> NetworkSpec:
    mtu = segment.mtu
    return NetworkSpec(
        name=segment.id,
        network_type=segment.network_type,
        physical_network=segment.physical_network or "",
        segmentation_id=segment.segmentation_id,
        # Neutron allows less than a frame of IPv4 needs.
        mtu=mtu if mtu is not None and mtu >= MIN_MTU else None,
        vlan_transparent=segment.is_transparent,
        external_ids={
            SET: SET_NAME,
            "neutron:network": segment.network_id,
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
