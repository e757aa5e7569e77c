"""The roles of the northbound, as rows."""

from __future__ import annotations

from typing import Any

from trunkline.northbound.access import CHASSIS_ROLE, CLAIMING_ROLE, ROLES, grant, is_granted
from trunkline.northbound.schema import columns


def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows that `grant` makes, as a database would show them."""
    roles, permissions = [], []
    for operation in grant([]):
        row = operation["row"]
        if operation["table"] == "RBAC_Role":
            named = {table: reference[1] for table, reference in row["permissions"][1]}
            roles.append({"_uuid": row["name"], "name": row["name"], "permissions": named})
        else:
            sets = {column: sorted(row[column][1]) for column in ("authorization", "update")}
            permissions.append(row | sets | {"_uuid": operation["uuid-name"]})
    return roles, permissions


def test_what_was_granted_is_seen_as_granted() -> None:
    assert is_granted(*rows())


def test_nothing_or_more_than_was_granted_is_not() -> None:
    assert not is_granted([], [])
    roles, permissions = rows()
    permissions[0]["update"] = [*permissions[0]["update"], "name"]
    assert not is_granted(roles, permissions)


def test_granting_again_takes_the_old_rows_away_and_leaves_roles_of_others() -> None:
    roles, _ = rows()
    deleted = [step for step in grant([*roles, {"name": "mine", "_uuid": "x"}]) if step["op"] == "delete"]
    assert sum(step["table"] == "RBAC_Role" for step in deleted) == len(ROLES)


def test_a_role_names_columns_that_there_are_and_never_one_that_decides_its_own_rights() -> None:
    for role in (CHASSIS_ROLE, CLAIMING_ROLE):
        for table, permission in ROLES[role].items():
            assert set(permission.columns) <= columns(table).keys()
            assert {"name", "requested_chassis"}.isdisjoint(permission.columns)
