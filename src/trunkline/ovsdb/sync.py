"""The acknowledgement that an operator waits for: every live chassis has applied all that is committed.

A request adds one to `NB_Global:nb_cfg`; an agent that has applied a snapshot of the northbound, and what its
switch's database held then, and had the switch acknowledge it, writes that snapshot's nb_cfg to its `Chassis`
row.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import TimedOutError
from trunkline.ovsdb.operation import increment, select, update
from trunkline.ovsdb.refusal import RefusedError
from trunkline.ovsdb.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from trunkline.ovsdb.northbound import Northbound
    from trunkline.ovsdb.operation import Row

PATIENCE_MS = 10_000
"""How long a chassis may leave a request unanswered before the next one does not wait for it."""


class LaggingError(TimedOutError):
    """Not every live chassis has answered in time; *lagging* names those."""

    def __init__(self, lagging: frozenset[str], nb_cfg: int, timeout_s: float) -> None:
        names = ", ".join(sorted(lagging))
        super().__init__(
            f"after {timeout_s:g} s these chassis have not applied {nb_cfg}: {names}; "
            f"see `trunkline chassis show`, and whether their agents run"
        )
        self.lagging = lagging


class Request(NamedTuple):
    """A request to all chassis: the *live* ones are waited for, the *silent* ones are not."""

    nb_cfg: int
    live: frozenset[str]
    silent: frozenset[str]


def is_live(chassis: Mapping[str, Any], previous: Mapping[str, Any], now_ms: int) -> bool:
    """Whether *chassis* is one to wait for, *previous* being `NB_Global` as the last request left it.

    It is when it has answered that request, or has had less than `PATIENCE_MS` to do so, or has shown itself
    since: a chassis that has just registered has had no request yet.
    """
    return bool(
        chassis["nb_cfg"] >= previous["nb_cfg"]
        or now_ms - previous["nb_cfg_timestamp"] < PATIENCE_MS
        or chassis["nb_cfg_timestamp"] > previous["nb_cfg_timestamp"]
    )


def request(nb: Northbound) -> Request:
    """Ask every chassis to say when it has applied what is committed now; one transaction.

    Raises:
        RefusedError: the database has no `NB_Global` row.
    """
    now_ms = time.time_ns() // 1_000_000
    columns = ("nb_cfg", "nb_cfg_timestamp")
    before, chassis, _, _, after = nb.transact(
        [
            select("NB_Global", only=columns),
            select("Chassis", only=("name", *columns)),
            increment("NB_Global", "nb_cfg"),
            update("NB_Global", row={"nb_cfg_timestamp": now_ms}),
            select("NB_Global", only=columns),
        ]
    )
    if not before["rows"]:
        raise RefusedError("the northbound has no NB_Global row; `trunkline nb start` makes it")
    previous: Row = before["rows"][0]
    live = frozenset(row["name"] for row in chassis["rows"] if is_live(row, previous, now_ms))
    silent = frozenset(row["name"] for row in chassis["rows"]) - live
    return Request(after["rows"][0]["nb_cfg"], live, silent)


def wait(nb: Northbound, asked: Request, timeout_s: float) -> None:
    """Return when every live chassis of *asked* has answered, or was deleted.

    Raises:
        LaggingError: some have not, within *timeout_s*.
        UnreachableError: the northbound was lost.
    """
    # A connection may wait more than once, and still hear what an earlier wait asked to be told.
    monitor_id = f"sync {time.monotonic_ns()}"
    deadline_s = time.monotonic() + timeout_s
    watched = {"Chassis": {"columns": ["name", "nb_cfg"]}}
    first = nb.rpc.request("monitor", [DATABASE, monitor_id, watched], max(timeout_s, 1.0))
    lagging = _lagging(nb, asked, monitor_id, first, deadline_s)
    nb.rpc.request("monitor_cancel", [monitor_id], max(timeout_s, 1.0))
    if lagging:
        raise LaggingError(lagging, asked.nb_cfg, timeout_s)


def _lagging(
    nb: Northbound, asked: Request, monitor_id: str, updates: Mapping[str, Any], deadline_s: float
) -> frozenset[str]:
    """Return who has not answered when everybody has, or at *deadline_s*; *updates* are the rows at first."""
    rows: dict[str, Mapping[str, Any]] = {}
    while True:
        for uuid, change in updates.get("Chassis", {}).items():
            rows.pop(uuid, None)
            if "new" in change:
                rows[uuid] = change["new"]
        lagging = asked.live & {row["name"] for row in rows.values() if row["nb_cfg"] < asked.nb_cfg}
        if not lagging:
            return lagging
        notification = nb.rpc.notification(max(deadline_s - time.monotonic(), 0.0))
        if notification is None:
            return lagging
        is_ours = notification.method == "update" and notification.params[0] == monitor_id
        updates = notification.params[1] if is_ours else {}
