"""The upgrade of a running northbound to this program's schema and roles, which a cluster needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.northbound import transaction
from trunkline.northbound.access import grant, granted, is_granted
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import expect
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH, version
from trunkline.northbound.transaction import Guard
from trunkline.server.copy import free_path, write_new
from trunkline.server.datafile import numbers
from trunkline.server.global_row import completion, read
from trunkline.server.tool import ToolError, output, run

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.northbound.transaction import Part

_CONVERSION_TIMEOUT_S = 300.0


def upgrade(place: str, db: Path) -> None:
    """Convert the northbound served at *place* if its schema is older, and add the roles that it lacks.

    A copy of the database before the conversion is kept as a standalone file beside *db*, this member's file.
    A newer schema is left as it is: another member was upgraded first. If another member upgrades at the same
    time, both succeed, and the upgrade is done once.

    Raises:
        ToolError: the database does not fit the schema, or did not answer in time.
        UnreachableError: the connection to the northbound was lost.
    """
    theirs = run("ovsdb-client", "get-schema-version", place, DATABASE)
    if numbers(theirs) > numbers(version()):
        return
    if theirs != version():
        write_new(free_path(db, f"{theirs}.backup"), output("ovsdb-client", "backup", place, DATABASE))
        try:
            run("ovsdb-client", "convert", place, str(SCHEMA_PATH), timeout_s=_CONVERSION_TIMEOUT_S)
        except ToolError:
            if run("ovsdb-client", "get-schema-version", place, DATABASE) != version():
                raise
    with Northbound.connect(place) as nb:
        transaction.write(nb, lambda: _completed_global(nb))
        transaction.write(nb, lambda: _granted_roles(nb))


def _completed_global(nb: Northbound) -> list[Part]:
    missing = completion(nb.read(*read()))
    return [] if missing is None else [Guard(missing.as_read), missing.operation]


def _granted_roles(nb: Northbound) -> list[Part]:
    roles, permissions = nb.read(*granted())
    if is_granted(roles, permissions):
        return []
    only = ("name", "permissions")
    as_read = expect("RBAC_Role", rows=[{column: row[column] for column in only} for row in roles], only=only)
    return [Guard(as_read), *grant(roles)]
