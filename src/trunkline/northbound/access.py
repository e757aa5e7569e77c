"""Who may write what over a connection that has a role: the RBAC rows of the northbound (ovsdb-server(7)).

A role limits a client to the listed tables, and there to some rows. In such a row, before the write, a column
of `authorization` equals the client's name, the CN of its certificate. `column:key` stands for a value in a
map. A role does not limit what a client reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.northbound.operation import NamedUuid, delete, insert, select
from trunkline.northbound.schema import FIRST_CHASSIS

if TYPE_CHECKING:
    from trunkline.northbound.operation import Operation, Row

CHASSIS_ROLE = "trunkline-chassis"
"""The role of agents: their own chassis, and the binding of ports that it holds or is requested to hold."""

CLAIMING_ROLE = "trunkline-chassis-claiming"
"""The same, with the binding of every port: for sites that do not set `Port.requested_chassis`."""

VIEWER_ROLE = "trunkline-viewer"
"""The role of those who only look: they may ask questions of chassis, by their own name, and nothing else."""


class Permission(NamedTuple):
    """What a role may write in one table."""

    authorization: tuple[str, ...]
    columns: tuple[str, ...]
    may_insert_and_delete: bool = False


_CHASSIS = Permission(
    ("name",),
    (
        *("hostname", "host", "claims", "denied"),
        *("bridge_mappings", "integration_bridge", "datapath_type", "iface_types", "ready_ports"),
        *("nb_cfg", "nb_cfg_heard", "nb_cfg_timestamp", "version", "faults"),
    ),
    may_insert_and_delete=True,
)
_BINDING = ("chassis", "up")

_ANSWER = Permission(("chassis",), (), may_insert_and_delete=True)

_HOLDERS = ("chassis", "requested_chassis", f"options:{FIRST_CHASSIS}")

ROLES: dict[str, dict[str, Permission]] = {
    CHASSIS_ROLE: {"Chassis": _CHASSIS, "Port": Permission(_HOLDERS, _BINDING), "Answer": _ANSWER},
    # RBAC has no "is empty". A rule that lets a chassis take a port that nobody holds has to allow any row.
    CLAIMING_ROLE: {"Chassis": _CHASSIS, "Port": Permission(("",), _BINDING), "Answer": _ANSWER},
    VIEWER_ROLE: {"Request": Permission(("by",), (), may_insert_and_delete=True)},
}
"""The permissions of each role by table."""


def granted() -> list[Operation]:
    """Return the operations that read the rows for `is_granted`."""
    return [select("RBAC_Role"), select("RBAC_Permission")]


def is_granted(roles: list[Row], permissions: list[Row]) -> bool:
    """Return whether the rows of both tables give each of `ROLES` its permissions, and no others."""
    permission_by_id = {
        row["_uuid"]: Permission(
            tuple(sorted(row["authorization"])), tuple(sorted(row["update"])), row["insert_delete"]
        )
        for row in permissions
    }
    found = {
        row["name"]: {table: permission_by_id.get(id_) for table, id_ in row["permissions"].items()}
        for row in roles
    }
    return all(
        found.get(role)
        == {
            table: each._replace(
                authorization=tuple(sorted(each.authorization)), columns=tuple(sorted(each.columns))
            )
            for table, each in wanted.items()
        }
        for role, wanted in ROLES.items()
    )


def grant(roles: list[Row]) -> list[Operation]:
    """Return the operations that create `ROLES`, and delete those of *roles* that have the same names."""
    operations: list[Operation] = []
    for row in roles:
        if row["name"] in ROLES:
            operations += [
                delete("RBAC_Permission", ("_uuid", "==", id_)) for id_ in row["permissions"].values()
            ]
            operations.append(delete("RBAC_Role", ("_uuid", "==", row["_uuid"])))
    for number, (role, permissions) in enumerate(ROLES.items()):
        names: dict[str, Any] = {}
        for table, each in permissions.items():
            names[table] = NamedUuid(f"permission_{number}_{table}")
            row = {
                "table": table,
                "authorization": list(each.authorization),
                "update": list(each.columns),
                "insert_delete": each.may_insert_and_delete,
            }
            operations.append(insert("RBAC_Permission", row, names[table]))
        operations.append(insert("RBAC_Role", {"name": role, "permissions": names}))
    return operations
