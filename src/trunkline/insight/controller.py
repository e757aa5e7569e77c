"""The OpenFlow controllers that the bridges of a switch have, and whether they run."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.host.remote import parse
from trunkline.northbound import member
from trunkline.northbound.operation import select
from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import Rpc, sensible

if TYPE_CHECKING:
    from collections.abc import Collection

_TIMEOUT_S = 5.0
_LISTENS_S = 1.0


class Controller(NamedTuple):
    """A controller by its *target*; *is_there* is None if the target is of a kind that tells nothing."""

    target: str
    is_there: bool | None


def controllers(remote: str, ids: Collection[str]) -> list[Controller]:
    """Return the controllers whose rows have these *ids* in the `Open_vSwitch` database at *remote*.

    Whether one is there is found by connecting to it: the column `is_connected` is up to 5 s old.

    Raises:
        UnreachableError: the database does not answer.
    """
    if not ids:
        return []
    rpc = Rpc.connect(remote, _TIMEOUT_S, peer=SWITCH)
    try:
        asked = [select("Controller", only=("_uuid", "target"))]
        (result,) = member.transact(rpc, "Open_vSwitch", asked, _TIMEOUT_S)
    finally:
        rpc.close()
    with sensible(remote):
        rows: list[dict[str, Any]] = result["rows"]
        targets = sorted({str(row["target"]) for row in rows if row["_uuid"][1] in ids})
    return [Controller(target, _listens(target)) for target in targets]


def _listens(target: str) -> bool | None:
    if not target.startswith("tcp:"):
        return None
    _, host, port = parse(target)
    try:
        socket.create_connection((host, port), _LISTENS_S).close()
    except OSError:
        return False
    return True
