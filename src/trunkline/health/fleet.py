"""The fleet: what the northbound says of all chassis, networks and ports at one moment."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.name import natural
from trunkline.northbound.liveness import UNSETTLED, WELL, state
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such, only_global
from trunkline.probe.duplicate import kept
from trunkline.probe.record import records_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.liveness import Asked, Unasked
    from trunkline.northbound.operation import Operation, Row
    from trunkline.probe.duplicate import Kept
    from trunkline.probe.record import Records

_NETWORK = ("_uuid", "name", "network_type", "physical_network", "segmentation_id", "mtu", "external_ids")
_PORT = (
    *("name", "iface_id", "network", "mac", "addresses", "enabled", "requested_chassis", "chassis", "up"),
    *("parent", "parent_vlan", "options", "external_ids", "unique_key"),
)


_WITHIN_REACH = WELL | UNSETTLED
"""The states of a chassis that may answer a question; also of one that was not waited for."""


class Times(NamedTuple):
    """When chassis were asked, and when their rows were read, in milliseconds since the epoch."""

    asked_ms: int
    read_ms: int


@dataclass(frozen=True)
class Fleet:
    """The rows, and the request that chassis were asked by before (*asked*, with its *times*; None: no one).

    *ports* may be those of one network only; *latest* is the number of the last request.
    """

    latest: int
    chassis: Sequence[Row]
    networks: Sequence[Row]
    ports: Sequence[Row]
    asked: Asked | Unasked | None = None
    times: Times | None = None
    probes: Mapping[str, Records] = field(default_factory=dict)
    """What is kept of the probes of networks, by the network's UUID."""
    duplicates: Sequence[Kept] = ()
    """Who used addresses of ports, too, when that was last asked."""

    @cached_property
    def chassis_by_name(self) -> Mapping[str, Row]:
        """The chassis, by name."""
        return {row["name"]: row for row in self.chassis}

    @cached_property
    def state_by_chassis(self) -> Mapping[str, str]:
        """The state of each chassis (`trunkline.northbound.liveness`)."""
        return {row["name"]: state(row, self.latest, self.asked) for row in self.chassis}

    @cached_property
    def network_by_id(self) -> Mapping[str, Row]:
        """The networks, by UUID."""
        return {row["_uuid"]: row for row in self.networks}

    @cached_property
    def port_by_name(self) -> Mapping[str, Row]:
        """The ports, by name."""
        return {row["name"]: row for row in self.ports}

    @cached_property
    def ports_by_network(self) -> Mapping[str, Sequence[Row]]:
        """The ports of each network, by the network's UUID."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.ports:
            found[row["network"]].append(row)
        return found

    @cached_property
    def chassis_by_network(self) -> Mapping[str, frozenset[str]]:
        """The names of the chassis that hold ports of each network, or on which some are requested."""
        found: dict[str, set[str]] = defaultdict(set)
        for row in self.ports:
            if row["enabled"] is not False:
                found[row["network"]].update(requested(row) if row["chassis"] is None else [row["chassis"]])
        return {network_id: frozenset(names) for network_id, names in found.items()}

    def speakers(self, network_id: str) -> dict[str, Row]:
        """Return the first port that is up, by name, of the network on each chassis that may answer."""
        found: dict[str, Row] = {}
        for row in sorted(self.ports_by_network.get(network_id, ()), key=lambda row: natural(row["name"])):
            if (
                row["up"]
                and row["enabled"] is not False
                and self.state_by_chassis.get(row["chassis"]) in _WITHIN_REACH
            ):
                found.setdefault(row["chassis"], row)
        return found


def requested(port: Row) -> list[str]:
    """Return the names of the chassis on which *port* is requested; the first is where it belongs."""
    return [name.strip() for name in (port["requested_chassis"] or "").split(",") if name.strip()]


def read(
    nb: Northbound,
    asked: Asked | Unasked | None = None,
    times: Times | None = None,
    *,
    network: str | None = None,
    port: str | None = None,
) -> Fleet:
    """Return the fleet, with the ports of one *network*, or of the network of one *port*, if one is given.

    Of a trunk, that includes the parent and all its sub-ports.

    Raises:
        NotFoundError: there is no such network, or no such port.
        RefusedError: the database has no `NB_Global` row, or several.
    """
    rows = _port_rows(nb, network, port)
    global_rows, chassis, networks, probes, *ports = nb.read(
        select("NB_Global", only=("_uuid", "nb_cfg")),
        select("Chassis"),
        select("Network", only=_NETWORK),
        select("Probe"),
        *rows,
    )
    latest = only_global(global_rows)["nb_cfg"]
    port_by_name = {row["name"]: row for found in ports for row in found}
    return Fleet(
        latest,
        chassis,
        networks,
        list(port_by_name.values()),
        asked,
        times,
        records_of(nb, probes),
        [each for row in probes for each in kept(row)],
    )


def _port_rows(nb: Northbound, network: str | None, port: str | None) -> list[Operation]:
    """Return the operations that read the ports."""
    if network is not None:
        (found,) = nb.read(select("Network", ("name", "==", network), only=("_uuid",)))
        if not found:
            raise no_such("Network", network)
        return [select("Port", ("network", "==", found[0]["_uuid"]), only=_PORT)]
    if port is None:
        return [select("Port", only=_PORT)]
    (found,) = nb.read(select("Port", ("name", "==", port), only=("network", "parent")))
    if not found:
        raise no_such("Port", port)
    trunk = found[0]["parent"] or port
    return [
        select("Port", ("network", "==", found[0]["network"]), only=_PORT),
        select("Port", ("name", "==", trunk), only=_PORT),
        select("Port", ("parent", "==", trunk), only=_PORT),
    ]
