"""The member of a cluster, or the single server, that a client connects to."""

from __future__ import annotations

import json
import math
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.northbound.fit import fit
from trunkline.northbound.rpc import RequestError, Rpc, UnreachableError, sensible
from trunkline.northbound.schema import DATABASE, schema, version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline.northbound.operation import Operation
    from trunkline.northbound.rpc import Tls

_ELECTION_PAUSE_S = 0.1

FIRST_GLANCE_S = 1.0
"""How long each of several servers may take to answer at first: one that hangs must not hold up a command
that another one can serve. If none does, each may take twice as long, and so on."""

_WRITES = frozenset({"insert", "update", "mutate", "delete"})
_CUT_OFF = "is cut off from its cluster; use another member, or see `trunkline nb status`"


def connect(
    remotes: str,
    timeout_s: float,
    tls: Tls | None = None,
    *,
    end_s: float = math.inf,
    prefers_leader: bool = False,
    last: set[str] | None = None,
) -> Rpc:
    """Return a connection to the first of *remotes*, comma separated, that serves the northbound.

    Any member of a cluster will do: a follower forwards writes to the leader. If *prefers_leader*, the leader
    is taken if it is among them. A member that is cut off from its cluster is passed over, and so is one
    that does not answer soon. If there is no other, they are all tried again for *timeout_s*, with more
    patience: a leader may be about to be elected. None is tried beyond *end_s* (`time.monotonic`). Those in
    *last*, if it is given, are tried last; it is kept up to date with those that failed.

    Raises:
        InvalidValueError: one of *remotes* is not a remote.
        UnreachableError: none of them serves it; the text has a reason for each.
    """
    named = [each for part in remotes.split(",") if (each := part.strip())]
    deadline = min(time.monotonic() + timeout_s, end_s)
    limit_s = timeout_s if len(named) < 2 else min(FIRST_GLANCE_S, timeout_s)
    last = set() if last is None else last
    why: dict[str, _Failure] = {}
    while True:
        failures: list[_Failure] = []
        order = sorted(named, key=last.__contains__)
        found = [*islice(_fits(order, limit_s, tls, end_s, failures), None if prefers_leader else 1)]
        last.clear()
        last.update(each.remote for each in failures)
        # What was known before of a server that there was no time to try again is better than nothing.
        why |= {each.remote: each for each in failures if each.is_tried or each.remote not in why}
        if found:
            best = next((rpc for rpc, is_leader in found if is_leader), found[0][0])
            for rpc, _ in found:
                if rpc is not best:
                    rpc.close()
            return best
        may_change = any(each.is_cut_off or (each.is_late and limit_s < timeout_s) for each in failures)
        if time.monotonic() >= deadline or not may_change:
            break
        limit_s = min(2 * limit_s, timeout_s)
        time.sleep(_ELECTION_PAUSE_S)
    raise UnreachableError(_why([why[each] for each in dict.fromkeys(named)]))


class _Failure(NamedTuple):
    """Why the server at *remote* cannot be used; *is_late*: it has not answered in time."""

    remote: str
    text: str
    is_late: bool = False
    is_tried: bool = True

    @property
    def is_cut_off(self) -> bool:
        return self.text.endswith(_CUT_OFF)


def _why(failures: Sequence[_Failure]) -> str:
    """Return why no server can be used, in one line.

    >>> _why([_Failure("unix:a", "unix:a: nobody listens there; see"), _Failure("unix:b", f": {_CUT_OFF}")])
    ... # doctest: +NORMALIZE_WHITESPACE
    'the northbound has no leader, as most members of its cluster do not work: unix:b is cut off from it;
     unix:a: nobody listens there. Start these members; see `trunkline nb status` on each'
    """
    cut_off = [each.remote for each in failures if each.is_cut_off]
    others = [each.text.partition("; ")[0] for each in failures if not each.is_cut_off]
    if not cut_off or not others:
        return (
            "; ".join(each.text for each in failures)
            or "no remote is given; use `remotes`, for example unix:PATH"
        )
    parts = [f"{', '.join(cut_off)} {'is' if len(cut_off) == 1 else 'are'} cut off from it", *others]
    return (
        f"the northbound has no leader, as most members of its cluster do not work: {'; '.join(parts)}. "
        "Start these members; see `trunkline nb status` on each"
    )


def transact(rpc: Rpc, database: str, operations: Sequence[Operation], timeout_s: float) -> list[Any]:
    """Do *operations* on *database* in one transaction (RFC 7047 section 4.1.3), and return the results.

    Raises:
        UnreachableError: the server does not know the method or the database, or its answer cannot be
            read; or the answer was lost, and then it is unknown whether a write was done.
    """
    try:
        results = rpc.request("transact", [database, *operations], timeout_s)
    except RequestError as error:
        raise UnreachableError(f"{rpc.remote}: {error}") from error
    except UnreachableError as error:
        if not any(operation["op"] in _WRITES for operation in operations):
            raise
        raise UnreachableError(
            f"{error}; it is unknown whether the change was made or still will be: check before you repeat it"
        ) from error
    with sensible(rpc.remote):
        return [None if result is None else dict(result) for result in results]


def _fits(
    remotes: Sequence[str], timeout_s: float, tls: Tls | None, end_s: float, failures: list[_Failure]
) -> Iterator[tuple[Rpc, bool]]:
    """Yield a connection to each of *remotes* that fits, and whether it is to the leader of a cluster.

    Why the others do not fit is added to *failures*.
    """
    for remote in remotes:
        began_s = time.monotonic()
        limit_s = min(timeout_s, end_s - began_s)
        if limit_s <= 0:
            failures.append(_Failure(remote, f"{remote}: there was no time to try it", is_tried=False))
            continue
        rpc = None
        try:
            rpc = Rpc.connect(remote, limit_s, tls)
            reason, is_leader = _judged(rpc, min(timeout_s, end_s - time.monotonic()))
            text = None if reason is None else f"{remote}: {reason}"
        except UnreachableError as error:
            text, is_leader = str(error), False
        if text is None and rpc is not None:
            yield rpc, is_leader
            continue
        if rpc is not None:
            rpc.close()
        failures.append(_Failure(remote, text or "", time.monotonic() >= began_s + limit_s))


def is_leader(rpc: Rpc, timeout_s: float) -> bool:
    """Return whether the server is the leader of its cluster, or the only server.

    Raises:
        UnreachableError: it did not answer, or does not serve the northbound.
    """
    reason, leads = _judged(rpc, timeout_s)
    if reason is not None:
        raise UnreachableError(f"{rpc.remote}: {reason}")
    return leads


def is_alone(rpc: Rpc, timeout_s: float) -> bool:
    """Return whether the server is the only one: no member of a cluster, and no relay of another server.

    Raises:
        UnreachableError: it did not answer.
    """
    only = [["name", "==", DATABASE]]
    asked = {"op": "select", "table": "Database", "where": only, "columns": ["model"]}
    results = transact(rpc, "_Server", [asked], timeout_s)
    with sensible(rpc.remote):
        return [row["model"] for row in results[0]["rows"]] == ["standalone"]


def _judged(rpc: Rpc, timeout_s: float) -> tuple[str | None, bool]:
    """Return why the server at *rpc* cannot be used, None if it can, and whether it leads.

    A server's database `_Server` says which databases it serves, and in what state (ovsdb-server(5)). One
    that serves a file alone leads. Raises UnreachableError if it does not answer.
    """
    columns = ["name", "connected", "schema", "leader"]
    known = {"op": "select", "table": "Database", "where": [], "columns": columns}
    results = transact(rpc, "_Server", [known], max(timeout_s, 0.001))
    with sensible(rpc.remote):
        rows = results[0]["rows"]
        return _misfit(rows), any(row["leader"] for row in rows if row["name"] == DATABASE)


def _misfit(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why a server with these *rows* of `Database` cannot be used, None if it can."""
    served = {row["name"]: row for row in rows if row["name"] != "_Server"}
    row = served.get(DATABASE)
    if row is None:
        others = f"serves only {', '.join(sorted(served))}" if served else "serves no database"
        is_switch = "Open_vSwitch" in served
        hint = "; is this the switch's own database?" if is_switch else "; is another one meant (`remotes`)?"
        return f"{others}, not {DATABASE}{hint}"
    if not row["connected"] or not isinstance(row["schema"], str):
        return _CUT_OFF
    there = json.loads(row["schema"])
    theirs, ours = (tuple(map(int, text.split("."))) for text in (there["version"], version()))
    if theirs[0] != ours[0] or theirs < ours:
        side = "this program" if theirs > ours else "the northbound, by `trunkline nb start`"
        return f"its schema has version {'.'.join(map(str, theirs))}, not {version()}; upgrade {side}"
    needed = {table: spec["columns"] for table, spec in schema()["tables"].items()}
    reason = fit(schema(), there, needed).reason
    return None if reason is None else f"its {DATABASE} is another program's, or was altered: {reason}"
