"""Bringing a running northbound up to this program's schema and roles, as a cluster needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.northbound.access import grant, granted, is_granted
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import expect
from trunkline.northbound.refusal import TransactionError
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH, version
from trunkline.server.copy import free_path, write_new
from trunkline.server.datafile import numbers
from trunkline.server.global_row import completion, read
from trunkline.server.tool import ToolError, output, run

if TYPE_CHECKING:
    from pathlib import Path

_CONVERSION_TIMEOUT_S = 300.0


def upgrade(place: str, db: Path) -> None:
    """Convert the northbound served at *place* where its schema is older; give it the roles that it lacks.

    A copy of what it held before is kept beside *db*, this member's file, as a standalone file. A newer
    schema is left as it is: another member was upgraded first. Members and clients stay connected meanwhile.
    Where another member does the same at this moment, both succeed, and it is done once.

    Raises:
        ToolError: the database does not fit the schema, or did not answer in time.
        UnreachableError: the northbound was lost meanwhile.
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
        _complete_global(nb)
        if not _are_roles_granted(nb):
            _grant_roles(nb)


def _complete_global(nb: Northbound) -> None:
    try:
        nb.transact(completion(nb.read(*read())))
    except TransactionError:
        if completion(nb.read(*read())):
            raise


def _are_roles_granted(nb: Northbound) -> bool:
    return is_granted(*nb.read(*granted()))


def _grant_roles(nb: Northbound) -> None:
    roles, _ = nb.read(*granted())
    columns = ("name", "permissions")
    as_read = expect(
        "RBAC_Role", rows=[{column: row[column] for column in columns} for row in roles], only=columns
    )
    try:
        nb.transact([as_read, *grant(roles)])
    except TransactionError:
        if not _are_roles_granted(nb):
            raise
