"""The servers of the northbound: whether each of those that are named can be used, and keeps up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from trunkline.health.finding import Finding
from trunkline.northbound import member
from trunkline.northbound.rpc import Rpc, UnreachableError, sensible
from trunkline.northbound.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trunkline.health.finding import Severity
    from trunkline.northbound.rpc import Tls

PATIENCE_S = 2.0
"""How long each server has to answer."""

MOST_BEHIND = 1000
"""How many entries of the log a member may be behind: the members are not asked at the same moment."""


class Member(NamedTuple):
    """A server at *remote*: *failure* is why it cannot be asked.

    *is_connected* says whether it is in contact with its cluster. *entry* is the entry of the log that it has
    come to, None if it is no member of a cluster.
    """

    remote: str
    failure: str | None = None
    is_connected: bool = True
    entry: int | None = None


def members(remotes: str, tls: Tls | None = None) -> list[Member]:
    """Return the servers at *remotes*, comma separated. This takes `PATIENCE_S` for each that hangs."""
    return [_member(remote, tls) for each in remotes.split(",") if (remote := each.strip())]


def _member(remote: str, tls: Tls | None) -> Member:
    asked = {
        "op": "select",
        "table": "Database",
        "where": [["name", "==", DATABASE]],
        "columns": ["model", "connected", "index"],
    }
    end_s = time.monotonic() + PATIENCE_S
    try:
        rpc = Rpc.connect(remote, PATIENCE_S, tls)
        try:
            results = member.transact(rpc, "_Server", [asked], max(end_s - time.monotonic(), 0.1))
        finally:
            rpc.close()
        with sensible(remote):
            rows = results[0]["rows"]
            if not rows:
                return Member(remote, f"{remote}: it does not serve {DATABASE}")
            index = rows[0]["index"]
            is_member = rows[0]["model"] == "clustered" and isinstance(index, int)
            return Member(remote, None, bool(rows[0]["connected"]), index if is_member else None)
    except UnreachableError as error:
        return Member(remote, str(error))


def findings(found: Sequence[Member], *, is_any_silent: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with the servers in *found*; at least one of them can be used.

    *is_any_silent*: some chassis do not answer. Those that were connected to a server that hangs notice it
    after a while, and cannot answer before.
    """
    newest = max((each.entry or 0 for each in found), default=0)
    for each in found:
        if each.failure is not None:
            reason = each.failure.removeprefix(f"{each.remote}: ")
            text = f"it does not answer: {reason.partition('; ')[0]}"
            if is_any_silent:
                text += ", and chassis that were connected to it cannot answer until they have left it"
            # As an error, it comes before those chassis.
            severity: Severity = "error" if is_any_silent else "warning"
            yield _finding("T105", each, text, "start it, or see its log", severity)
        elif not each.is_connected:
            yield _finding(
                "T105",
                each,
                "it is cut off from its cluster",
                "start the other members; there, run: trunkline nb status",
            )
        elif each.entry is not None and newest - each.entry > MOST_BEHIND:
            yield _finding(
                "T106",
                each,
                f"it is {newest - each.entry:,} entries of the log behind another member",
                "see its load and its disk; there, run: trunkline nb status",
            )


def _finding(code: str, of: Member, text: str, remedy: str, severity: Severity = "warning") -> Finding:
    return Finding(code, severity, f"northbound {of.remote}", None, None, text, remedy)
