"""The northbound's file: made from the schema, or brought up to it, while no server runs on it."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TrunklineError
from trunkline.northbound.access import grant, granted, is_granted
from trunkline.northbound.operation import decoded_row
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH, version
from trunkline.server.copy import free_path
from trunkline.server.global_row import completion, read
from trunkline.server.record import drop_torn_tail
from trunkline.server.tool import ToolError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.northbound.operation import Operation, Row


class DatafileError(TrunklineError):
    """The file is not one that this program can serve the northbound from."""


def prepare(db: Path, cluster_local: str | None = None, cluster_remotes: Sequence[str] = ()) -> str | None:
    """Make *db* a file of the present schema, with what every northbound has; one that is so is left alone.

    A new file is standalone, or where *cluster_local* (`tcp|ssl:IP:PORT`) is given a member of a cluster: the
    first one or, given *cluster_remotes*, one that joins. An older standalone file is converted, and a copy
    kept as `<db>.<version>.backup`. A cluster is converted while it runs, by `trunkline.server.upgrade`.

    Return in one line what was dropped of a file that a crash tore, None where it is whole.

    Raises:
        DatafileError: *db* is another database, of a newer schema, or standalone and should be a member's.
        FileInUseError: *db* has a torn end, and another program has it open.
        ToolError: a program of Open vSwitch is missing or refuses.
    """
    if not db.exists():
        _create(db, cluster_local, cluster_remotes)
        return None
    if not db.is_file():
        raise DatafileError(f"{db} is not a file; give another `db`")
    dropped = drop_torn_tail(db)
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
    """Make *db*, whole or not at all."""
    if cluster_remotes and cluster_local is None:
        raise DatafileError("a member that joins a cluster has an address; give `cluster_local`")
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
            f"{db} has version {theirs} of the schema, newer than {version()}; upgrade trunkline"
        )
    if run("ovsdb-tool", "needs-conversion", str(db), str(SCHEMA_PATH)) == "no":
        return
    shutil.copy2(db, free_path(db, f"{theirs}.backup"))
    run("ovsdb-tool", "convert", str(db), str(SCHEMA_PATH))


def _furnish(db: Path) -> None:
    """Insert what every northbound has where it is missing: the `NB_Global` row, and the roles of chassis."""
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
    """Return whether the file *db* is a standalone database, not a member's share of a cluster."""
    try:
        run("ovsdb-tool", "db-is-standalone", str(db))
    except ToolError:
        return False
    return True


def numbers(text: str) -> tuple[int, ...]:
    """Return the parts of a version, which compare as versions do."""
    return tuple(map(int, text.split(".")))
