"""What the agent reads and writes of the switch's database: the kind of row that each table has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload
from uuid import UUID

from trunkline.ovsdb.row import Row

if TYPE_CHECKING:
    from trunkline.ovsdb.row import Many, Maybe, One, Pairs, References

NB_IDENTITY = "trunkline-nb-identity"
"""The key of the `Open_vSwitch` row's `external_ids` that names the northbound which this chassis obeys."""

PHYSNET_MARK = "trunkline-physnet"
"""The key of `external_ids` that marks a patch port as ours, and says for which physical network."""

USE_MARK = "trunkline-before"
"""The key of a bridge's `external_ids` that marks the integration bridge, and says what it was before."""

MTU_MARK = "trunkline-mtu"
"""The key of a VIF's `external_ids` that says which MTU the agent has requested for it."""

RESTORE_WAIT = "flow-restore-wait"
"""The key of `other_config` by which an ovs-vswitchd that starts handles no new frame until it goes."""

RESTORE_MARK = "trunkline-restore-wait"
"""The key of the `Open_vSwitch` row's `external_ids` that says that the agent has set `RESTORE_WAIT`."""


class RootRow(Row):
    """The row of `Open_vSwitch`."""

    bridges: References[BridgeRow]
    external_ids: Pairs
    other_config: Pairs
    next_cfg: One[int]
    cur_cfg: One[int]
    iface_types: Many[str]
    ovs_version: Maybe[str]
    ssl: Maybe[UUID]


class BridgeRow(Row):
    """A row of `Bridge`."""

    name: One[str]
    ports: References[PortRow]
    fail_mode: Maybe[str]
    controller: Many[UUID]
    mirrors: Many[UUID]
    protocols: Many[str]
    stp_enable: One[bool]
    rstp_enable: One[bool]
    datapath_type: One[str]
    datapath_id: Maybe[str]
    other_config: Pairs
    external_ids: Pairs


class PortRow(Row):
    """A row of `Port`."""

    name: One[str]
    interfaces: References[InterfaceRow]
    vlan_mode: Maybe[str]
    tag: Maybe[int]
    trunks: Many[int]
    cvlans: Many[int]
    protected: One[bool]
    lacp: Maybe[str]
    other_config: Pairs
    external_ids: Pairs


class InterfaceRow(Row):
    """A row of `Interface`."""

    name: One[str]
    type: One[str]
    options: Pairs
    ofport: Maybe[int]
    error: Maybe[str]
    admin_state: Maybe[str]
    link_state: Maybe[str]
    lacp_current: Maybe[bool]
    status: Pairs
    mtu: Maybe[int]
    mtu_request: Maybe[int]
    external_ids: Pairs


class SslRow(Row):
    """A row of `SSL`."""

    private_key: One[str]
    certificate: One[str]
    ca_cert: One[str]


ROWS: dict[str, type[Row]] = {
    "Open_vSwitch": RootRow,
    "Bridge": BridgeRow,
    "Port": PortRow,
    "Interface": InterfaceRow,
    "SSL": SslRow,
}
"""The kind of row that each table has."""


class Rows(Protocol):
    """The rows of a table by id, each of the kind that the table has."""

    @overload
    def __call__(self, table: Literal["Open_vSwitch"]) -> Mapping[UUID, RootRow]: ...
    @overload
    def __call__(self, table: Literal["Bridge"]) -> Mapping[UUID, BridgeRow]: ...
    @overload
    def __call__(self, table: Literal["Port"]) -> Mapping[UUID, PortRow]: ...
    @overload
    def __call__(self, table: Literal["Interface"]) -> Mapping[UUID, InterfaceRow]: ...
    @overload
    def __call__(self, table: Literal["SSL"]) -> Mapping[UUID, SslRow]: ...
    @overload
    def __call__(self, table: str) -> Mapping[UUID, Any]: ...


def _optional(key: str) -> dict[str, Any]:
    return {"type": {"key": key, "min": 0, "max": 1}}


def _references(table: str) -> dict[str, Any]:
    return {"type": {"key": {"type": "uuid", "refTable": table}, "min": 0, "max": "unlimited"}}


_MAP = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
_STRING = {"type": "string"}
_BOOLEAN = {"type": "boolean"}
_VALUES = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
_VLANS = {"type": {"key": "integer", "min": 0, "max": 4096}}

SCHEMA: dict[str, Any] = {
    "name": "Open_vSwitch",
    "version": "8.0.0",
    "tables": {
        "Open_vSwitch": {
            "isRoot": True,
            "columns": {
                "bridges": _references("Bridge"),
                "external_ids": _MAP,
                "other_config": _MAP,
                "next_cfg": {"type": "integer"},
                "cur_cfg": {"type": "integer"},
                "iface_types": _VALUES,
                "ovs_version": _optional("string"),
                "ssl": {"type": {"key": {"type": "uuid", "refTable": "SSL"}, "min": 0, "max": 1}},
            },
        },
        "Bridge": {
            "columns": {
                "name": _STRING,
                "ports": _references("Port"),
                "fail_mode": _optional("string"),
                "controller": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
                "mirrors": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
                "protocols": _VALUES,
                "stp_enable": _BOOLEAN,
                "rstp_enable": _BOOLEAN,
                "datapath_type": _STRING,
                "datapath_id": _optional("string"),
                "other_config": _MAP,
                "external_ids": _MAP,
            },
        },
        "Port": {
            "columns": {
                "name": _STRING,
                "interfaces": _references("Interface"),
                "vlan_mode": _optional("string"),
                "tag": _optional("integer"),
                "trunks": _VLANS,
                "cvlans": _VLANS,
                "protected": _BOOLEAN,
                "lacp": _optional("string"),
                "other_config": _MAP,
                "external_ids": _MAP,
            },
        },
        "Interface": {
            "columns": {
                "name": _STRING,
                "type": _STRING,
                "options": _MAP,
                "ofport": _optional("integer"),
                "error": _optional("string"),
                "admin_state": _optional("string"),
                "link_state": _optional("string"),
                "lacp_current": _optional("boolean"),
                "status": _MAP,
                "mtu": _optional("integer"),
                "mtu_request": _optional("integer"),
                "external_ids": _MAP,
            },
        },
        "SSL": {"columns": {"private_key": _STRING, "certificate": _STRING, "ca_cert": _STRING}},
    },
}
"""The part of the schema vswitch.ovsschema that the agent reads or writes (ovs-vswitchd.conf.db(5))."""
