"""The northbound's file: created from the schema, or converted to it, while no server has it open."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TrunklineError
from trunkline.northbound.access import grant, granted, is_granted
from trunkline.northbound.operation import decoded_row, select
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH, version
from trunkline.server.copy import free_path
from trunkline.server.global_row import completion, read
from trunkline.server.record import drop_torn_tail
from trunkline.server.tool import ToolError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.northbound.operation import Operation, Row


_MAGIC = b"OVSDB "
"""How each file of a database begins (ovsdb(5))."""


class DatafileError(TrunklineError):
    """This program cannot serve the northbound from the file."""


def prepare(db: Path, cluster_local: str | None = None, cluster_remotes: Sequence[str] = ()) -> str | None:
    """Create *db*, or convert it to the present schema and add the rows that every northbound has.

    A new file is standalone. With *cluster_local* (`tcp|ssl:IP:PORT`) it is a member of a cluster: the first
    one or, with *cluster_remotes*, one that joins. If an older standalone file is converted, a copy is kept
    as `<db>.<version>.backup`. A cluster is converted while it runs, by `trunkline.server.upgrade`.

    Return a line that says what was dropped from a file that a crash damaged, None if it is undamaged.

    Raises:
        DatafileError: *db* is another database, of a newer schema, or standalone and should be a member's.
        FileInUseError: *db* has a damaged end, and another program has it open.
        ToolError: a program of Open vSwitch is missing or failed.
    """
    if not db.exists():
        _create(db, cluster_local, cluster_remotes)
        return None
    if not db.is_file():
        raise DatafileError(f"{db} is not a file; give another `db`")
    dropped = drop_torn_tail(db)
    with db.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DatafileError(f"{db} is no database; give another `db`")
    name = run("ovsdb-tool", "db-name", str(db))
    if name != DATABASE:
        raise DatafileError(f"{db} holds the database {name}, not {DATABASE}; give another `db`")
    if is_standalone(db):
        if cluster_local is not None:
            raise DatafileError(
                f"{db} is a standalone database; for a cluster of what it holds, run: "
                f"mv {db} {db}.standalone && ovsdb-tool create-cluster {db} {db}.standalone {cluster_local}"
            )
        _convert(db)
        _furnish(db)
    return dropped


def _create(db: Path, cluster_local: str | None, cluster_remotes: Sequence[str]) -> None:
    """Create *db*, whole or not at all."""
    if cluster_remotes and cluster_local is None:
        raise DatafileError("a member that joins a cluster needs an address; give `cluster_local`")
    with tempfile.TemporaryDirectory(prefix=".trunkline-", dir=db.parent) as folder:
        draft, member = Path(folder, "nb.db"), Path(folder, "member.db")
        if cluster_remotes and cluster_local is not None:
            run("ovsdb-tool", "join-cluster", str(member), DATABASE, cluster_local, *cluster_remotes)
        else:
            run("ovsdb-tool", "create", str(draft), str(SCHEMA_PATH))
            _furnish(draft)
            if cluster_local is not None:
                run("ovsdb-tool", "create-cluster", str(member), str(draft), cluster_local)
        (draft if cluster_local is None else member).rename(db)


def _convert(db: Path) -> None:
    theirs = run("ovsdb-tool", "db-version", str(db))
    if numbers(theirs) > numbers(version()):
        raise DatafileError(
            f"the schema of {db} has version {theirs}, newer than {version()}; upgrade trunkline"
        )
    if run("ovsdb-tool", "needs-conversion", str(db), str(SCHEMA_PATH)) == "no":
        return
    shutil.copy2(db, free_path(db, f"{theirs}.backup"))
    run("ovsdb-tool", "convert", str(db), str(SCHEMA_PATH))


def _furnish(db: Path) -> None:
    """Insert the rows that every northbound has, if they are missing: `NB_Global`, and the roles."""
    missing = completion(_query(db, read()))
    if missing is not None:
        _transact(db, "transact", list(missing))
    roles, permissions = _query(db, granted())
    if not is_granted(roles, permissions):
        _transact(db, "transact", grant(roles))


def _query(db: Path, selects: list[Operation]) -> list[list[Row]]:
    found = zip(selects, _transact(db, "query", selects), strict=True)
    return [[decoded_row(asked["table"], row) for row in result["rows"]] for asked, result in found]


def _transact(db: Path, verb: str, operations: list[Any]) -> list[Any]:
    results: list[Any] = json.loads(run("ovsdb-tool", verb, str(db), json.dumps([DATABASE, *operations])))
    for result in results:
        if result and "error" in result:
            raise ToolError(f"ovsdb-tool: {db}: {result['error']}")
    return results


def is_standalone(db: Path) -> bool:
    """Return whether the file *db* is a standalone database, and not a member's part of a cluster."""
    try:
        run("ovsdb-tool", "db-is-standalone", str(db))
    except ToolError:
        return False
    return True


def has_certificate(db: Path) -> bool:
    """Return whether the standalone database *db* has an SSL row, which names the files for TLS."""
    return _query(db, [select("SSL")]) != [[]]


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, which compare as versions do."""
    return tuple(map(int, text.split(".")))
