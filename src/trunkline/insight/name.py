"""The names of rows: what an operator calls a network or port that a flow knows by its key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.cookie import CookieParts, Subject
from trunkline.core.flow import Field, Set, Term
from trunkline.core.pipeline import NETWORK, SOURCE_PORT
from trunkline.northbound import iface_id
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such
from trunkline.openflow import message

if TYPE_CHECKING:
    from trunkline.insight.chassis import Chassis, Interface
    from trunkline.insight.connection import InstalledFlow
    from trunkline.northbound.client import Northbound

_FEW = 50
"""Up to so many ports are asked for one by one; more, and all are read: each question looks at every row."""


class PortName(NamedTuple):
    """The name of a port, and the key of its network if that is known."""

    name: str
    network_key: int | None


@dataclass(frozen=True)
class Names:
    """The names that are known; a row without one is called by its key.

    *source* says where they are from: `northbound`, or `VIFs`, of which there are only those of local ports.
    """

    port_by_key: Mapping[int, PortName] = field(default_factory=dict)
    network_by_key: Mapping[int, str] = field(default_factory=dict)
    interface_by_ofport: Mapping[int, Interface] = field(default_factory=dict)
    source: str = "none"

    def port(self, key: int) -> str:
        """Return what the port with *key* is called."""
        found = self.port_by_key.get(key)
        return f"port {key}" if found is None else found.name

    def network(self, key: int) -> str:
        """Return what the network with *key* is called."""
        return self.network_by_key.get(key, f"network {key}")

    def network_of(self, port_key: int) -> str | None:
        """Return the name of the network of the port with *port_key*, None if that is not known."""
        found = self.port_by_key.get(port_key)
        return None if found is None else self.network_by_key.get(found.network_key or 0)

    def interface(self, ofport: int) -> str:
        """Return the name of the interface with *ofport*."""
        found = self.interface_by_ofport.get(ofport)
        return f"ofport {ofport}" if found is None else found.name

    def row(self, parts: CookieParts) -> str | None:
        """Return what the row is called that a cookie names, None if it is the chassis itself."""
        match parts.subject:
            case Subject.PORT | Subject.VIF:
                return self.port(parts.key)
            case Subject.NETWORK:
                return self.network(parts.key)
            case Subject.MAC:
                return f"a shared MAC of {self.network(parts.key)}"
            case _:
                return None


def from_northbound(nb: Northbound, chassis: Chassis, port_keys: Collection[int]) -> Names:
    """Return the names of all networks and, at least, of the ports with *port_keys*."""
    columns = ("_uuid", "unique_key", "name", "network", "iface_id")
    selects = [select("Network", only=("_uuid", "unique_key", "name"))]
    if len(port_keys) > _FEW:
        selects.append(select("Port", only=columns))
    else:
        selects += [select("Port", ("unique_key", "==", key), only=columns) for key in sorted(port_keys)]
    networks, *ports = nb.read(*selects)
    key_by_uuid = {row["_uuid"]: row["unique_key"] for row in networks}
    name_by_iface_id = {iface_id.of(row): row["name"] for rows in ports for row in rows}
    return Names(
        port_by_key={
            row["unique_key"]: PortName(row["name"], key_by_uuid.get(row["network"]))
            for rows in ports
            for row in rows
        },
        network_by_key={row["unique_key"]: row["name"] for row in networks},
        interface_by_ofport={
            ofport: each._replace(port=name_by_iface_id.get(each.port or "", each.port))
            for ofport, each in chassis.interface_by_ofport.items()
        },
        source="northbound",
    )


def from_vifs(chassis: Chassis, classifying: Collection[InstalledFlow]) -> Names:
    """Return the names that VIFs give: *classifying* are the flows that say which port an ofport is.

    An iface-id is the port's name unless the port has another one for it.
    """
    named: dict[int, PortName] = {}
    for flow in classifying:
        decoded = message.decode(flow.key, flow.body)
        written = {action.field: action.value for action in decoded.actions if isinstance(action, Set)}
        ofports = [
            term.value for term in decoded.match if isinstance(term, Term) and term.field is Field.IN_PORT
        ]
        interface = chassis.interface_by_ofport.get(ofports[0]) if ofports else None
        # A sub-port's flow has its parent's VIF, and a tag.
        is_alone = len(decoded.match) == 1
        if SOURCE_PORT in written and interface is not None and interface.port and is_alone:
            named[written[SOURCE_PORT]] = PortName(interface.port, written.get(NETWORK))
    return Names(port_by_key=named, interface_by_ofport=chassis.interface_by_ofport, source="VIFs")


def port_key(nb: Northbound, name: str) -> int:
    """Return the key of the port called *name*; raise NotFoundError if there is none."""
    return _key(nb, "Port", name)


def network_key(nb: Northbound, name: str) -> int:
    """Return the key of the network called *name*; raise NotFoundError if there is none."""
    return _key(nb, "Network", name)


def _key(nb: Northbound, table: str, name: str) -> int:
    (rows,) = nb.read(select(table, ("name", "==", name), only=("unique_key",)))
    if not rows:
        raise no_such(table, name)
    return int(rows[0]["unique_key"])
