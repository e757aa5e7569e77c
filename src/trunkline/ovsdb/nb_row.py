"""What the agent reads and writes of the northbound: the kind of row that each table has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload
from uuid import UUID

from trunkline.ovsdb.row import Row

if TYPE_CHECKING:
    from trunkline.ovsdb.row import Many, Maybe, One, Pairs, References


class GlobalRow(Row):
    """The row of `NB_Global`."""

    nb_cfg: One[int]
    identity: One[str]
    external_ids: Pairs


class NetworkRow(Row):
    """A row of `Network`."""

    name: One[str]
    unique_key: One[int]
    network_type: One[str]
    physical_network: One[str]
    segmentation_id: Maybe[int]
    mtu: Maybe[int]
    unknown_unicast: Maybe[str]
    remote_ports: Maybe[str]
    vlan_transparent: One[bool]


class PortRow(Row):
    """A row of `Port`."""

    name: One[str]
    iface_id: Maybe[str]
    unique_key: One[int]
    network: One[UUID]
    mac: One[str]
    addresses: Many[str]
    enabled: Maybe[bool]
    port_security: Maybe[bool]
    allowed_address_pairs: Many[str]
    unknown_macs: One[bool]
    requested_chassis: Maybe[str]
    chassis: Maybe[str]
    up: Maybe[bool]
    parent: Maybe[str]
    parent_vlan: Maybe[int]
    options: Pairs


class ChassisRow(Row):
    """A row of `Chassis`."""

    name: One[str]
    hostname: One[str]
    host: One[str]
    claims: Pairs
    denied: Many[str]
    bridge_mappings: Pairs
    integration_bridge: One[str]
    datapath_type: One[str]
    iface_types: Many[str]
    ready_ports: Many[str]
    nb_cfg: One[int]
    nb_cfg_heard: One[int]
    nb_cfg_timestamp: One[int]
    version: One[str]
    faults: Pairs


class RequestRow(Row):
    """A row of `Request`, as far as a chassis needs it."""

    kind: One[str]
    parameters: Pairs
    by: One[str]
    ttl_s: One[int]


class AnswerRow(Row):
    """A row of `Answer`."""

    request: Maybe[UUID]
    chassis: One[str]
    state: One[str]
    body: One[str]
    over: References[RequestRow]


ROWS: dict[str, type[Row]] = {
    "NB_Global": GlobalRow,
    "Network": NetworkRow,
    "Port": PortRow,
    "Chassis": ChassisRow,
    "Request": RequestRow,
    "Answer": AnswerRow,
}
"""The kind of row that each table has."""


class Rows(Protocol):
    """The rows of a table by id, each of the kind that the table has."""

    @overload
    def __call__(self, table: Literal["NB_Global"]) -> Mapping[UUID, GlobalRow]: ...
    @overload
    def __call__(self, table: Literal["Network"]) -> Mapping[UUID, NetworkRow]: ...
    @overload
    def __call__(self, table: Literal["Port"]) -> Mapping[UUID, PortRow]: ...
    @overload
    def __call__(self, table: Literal["Chassis"]) -> Mapping[UUID, ChassisRow]: ...
    @overload
    def __call__(self, table: Literal["Request"]) -> Mapping[UUID, RequestRow]: ...
    @overload
    def __call__(self, table: Literal["Answer"]) -> Mapping[UUID, AnswerRow]: ...
    @overload
    def __call__(self, table: str) -> Mapping[UUID, Any]: ...
