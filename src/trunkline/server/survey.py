"""What `trunkline nb status` shows about the server on this machine, or about any northbound."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trunkline.host.listener import bound
from trunkline.northbound import member
from trunkline.northbound.client import Northbound
from trunkline.northbound.connection import connections
from trunkline.northbound.rpc import UnreachableError, sensible
from trunkline.northbound.schema import DATABASE
from trunkline.server.tool import ToolError

if TYPE_CHECKING:
    from trunkline.server.process import Server

_PATIENCE_S = 3


def of_server(server: Server) -> dict[str, Any]:
    """Return the state of *server* on this machine; that takes a few seconds at most.

    `running`, `pid`, `db`, `db_bytes`; if it runs, `answers`; if it answers, `remotes` (where it really
    listens), `not_listening` (where it should listen and does not), `schema_version`, `rows` and
    `connections` (each None if there is no leader to read them from), and its place in its `cluster`.
    """
    pid = server.pid()
    size = server.db.stat().st_size if server.db.exists() else None
    seen: dict[str, Any] = {"running": pid is not None, "pid": pid, "db": str(server.db), "db_bytes": size}
    if pid is None:
        return seen
    try:
        told = server.listeners()
    except ToolError as error:
        return seen | {"answers": False, "reason": str(error)}
    remotes = bound(told, pid)
    held = {"schema_version": None, "rows": None, "connections": None}
    try:
        with (
            server.entrance(remotes, _PATIENCE_S) as place,
            Northbound.connect(place, timeout_s=_PATIENCE_S) as nb,
        ):
            held = _held(nb)
    except (ToolError, UnreachableError) as error:
        seen["reason"] = str(error)
    told += held["connections"] or {}
    listening = bound(told, pid)
    seen |= {"answers": True, "remotes": remotes}
    seen |= {"not_listening": [place for place in told if place not in listening], **held}
    standing = server.standing()
    return seen if standing is None else seen | {"cluster": asdict(standing)}


def of_northbound(nb: Northbound) -> dict[str, Any]:
    """Return what the server that *nb* is connected to serves.

    `remote`; its `model`, and whether it is the `leader` (`_Server` in ovsdb-server(5)); then
    `schema_version`, `rows` and `connections`.
    """
    known = {"op": "select", "table": "Database", "where": [["name", "==", DATABASE]]}
    rpc = nb.rpc
    results = member.transact(rpc, "_Server", [known], _PATIENCE_S)
    with sensible(rpc.remote):
        (row,) = results[0]["rows"]
        seen = {"remote": rpc.remote, "model": row["model"], "leader": row["leader"]}
    return seen | _held(nb)


def _held(nb: Northbound) -> dict[str, Any]:
    return {
        "schema_version": nb.schema_version(),
        "rows": nb.row_counts(),
        "connections": connections(nb),
    }
