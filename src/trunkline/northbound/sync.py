"""The acknowledgement that an operator waits for: every chassis has applied all that is committed.

A request adds one to `NB_Global:nb_cfg`. An agent takes a snapshot of the northbound and of its switch's
database. When the switch has acknowledged all that follows from it, the agent writes the snapshot's nb_cfg
to its `Chassis` row. A chassis creates its row before its switch gets a flow that follows from the
northbound. So a chassis that has no row yet when a request is made will see all that was committed before.

An agent that cannot apply a request soon writes that it has heard of it (`nb_cfg_heard`): it is *behind*. If
a chassis does not even do that while somebody waits for `PATIENCE_S` or longer, and the northbound is there
all that time, it is *silent* until it answers a request: its row says so (`silent_at`). Clocks of other hosts
are not used (docs/adr/0021-sync-compares-no-clocks.md).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import TimedOutError
from trunkline.core.name import natural
from trunkline.northbound.operation import decoded_row, increment, select, update
from trunkline.northbound.refusal import only_global

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.watch import Rows

    Report: TypeAlias = Callable[[int, int], None]
    """Takes how many of how many have answered."""

PATIENCE_S = 10.0
"""How long a chassis must leave a request unanswered to be silent, by the clock of the waiting program."""

_ANSWERS = ("nb_cfg", "nb_cfg_heard")
"""The columns by which a chassis answers."""


def unheard(done: int, total: int) -> None:
    """Take a report that nobody wants."""


class LaggingError(TimedOutError):
    """Not every live chassis has answered in time; *lagging* names those, and *silent* the silent ones."""

    def __init__(
        self, lagging: frozenset[str], silent: frozenset[str], nb_cfg: int, timeout_s: float
    ) -> None:
        names = ", ".join(
            [
                *sorted(lagging, key=natural),
                *(f"{name} (silent)" for name in sorted(silent, key=natural)),
            ]
        )
        super().__init__(
            f"after {timeout_s:g} s these chassis have not applied {nb_cfg}: {names}; "
            f"see `trunkline chassis show`, and check that their agents run"
        )
        self.lagging = lagging
        self.silent = silent


class Rival(NamedTuple):
    """A host with the `system-id` of another host, the *chassis*; it applies nothing that is committed.

    *is_denied*: the other host has answered that it is the chassis. Until then, this host may be the same
    one, after a restart.
    """

    chassis: str
    hostname: str
    is_denied: bool


class Request(NamedTuple):
    """A request to all chassis: the *live* ones are waited for, the *silent* ones and *rivals* are not."""

    nb_cfg: int
    live: frozenset[str]
    silent: frozenset[str]
    rivals: tuple[Rival, ...] = ()


def is_silent(chassis: Mapping[str, Any]) -> bool:
    """Return whether *chassis* did not answer a request in time, and has not answered one since."""
    return bool(chassis["silent_at"] == _last_answer(chassis))


def has_applied(chassis: Mapping[str, Any], nb_cfg: int, latest: int) -> bool:
    """Return whether *chassis* has applied the request *nb_cfg*; the number of the last request is *latest*.

    A number beyond *latest* is not an answer: it is left from another `NB_Global` row.
    """
    return bool(nb_cfg <= chassis["nb_cfg"] <= latest)


def has_heard(chassis: Mapping[str, Any], nb_cfg: int, latest: int) -> bool:
    """Return whether *chassis* has heard of the request *nb_cfg*; the last request is *latest*."""
    return has_applied(chassis, nb_cfg, latest) or bool(nb_cfg <= chassis["nb_cfg_heard"] <= latest)


def _last_answer(chassis: Mapping[str, Any]) -> int:
    """Return the number of the last request that *chassis* has applied, or heard of."""
    return int(max(chassis["nb_cfg"], chassis["nb_cfg_heard"]))


def request(nb: Northbound) -> Request:
    """Ask every chassis to acknowledge what is committed now; one transaction.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
    """
    now_ms = time.time_ns() // 1_000_000
    _, _, after, chassis = nb.transact(
        [
            increment("NB_Global", "nb_cfg"),
            update("NB_Global", row={"nb_cfg_timestamp": now_ms}),
            select("NB_Global", only=("_uuid", "nb_cfg")),
            select("Chassis", only=("name", *_ANSWERS, "silent_at", "claims", "denied")),
        ]
    )
    nb_cfg = only_global(after["rows"])["nb_cfg"]
    rows = [decoded_row("Chassis", row) for row in chassis["rows"]]
    silent = frozenset(row["name"] for row in rows if is_silent(row))
    live = frozenset(row["name"] for row in rows) - silent
    rivals = sorted(
        Rival(row["name"], hostname, host in row["denied"])
        for row in rows
        for host, hostname in row["claims"].items()
    )
    return Request(nb_cfg, live, silent, tuple(rivals))


def wait(nb: Northbound, asked: Request, timeout_s: float, report: Report = unheard) -> frozenset[str]:
    """Wait until every live chassis of *asked* has answered or was deleted.

    *report* is told how many of the live ones have, out of how many, when that changes.

    Return the silent ones that have not answered. If the connection is lost, the wait goes on when the server
    is back, or with another member of the cluster.

    Raises:
        LaggingError: a live chassis has not answered within *timeout_s*.
        UnreachableError: there is no connection when *timeout_s* is over.
    """
    missing = unanswered(nb, asked, timeout_s, has_applied, report)
    lagging = {name: row for name, row in missing.rows.items() if name in asked.live}
    silent = asked.silent & missing.rows.keys()
    if not lagging:
        return silent
    if missing.asked_s >= PATIENCE_S:
        nb.transact(
            [
                update(
                    "Chassis",
                    ("name", "==", name),
                    *((column, "==", row[column]) for column in _ANSWERS),
                    row={"silent_at": _last_answer(row)},
                )
                for name, row in lagging.items()
                if row["nb_cfg_heard"] < asked.nb_cfg
            ]
        )
    raise LaggingError(frozenset(lagging), silent, asked.nb_cfg, timeout_s)


class Unanswered(NamedTuple):
    """The *rows* of the chassis that have not answered, by name; for *quiet_s* no answer has come.

    For *asked_s* the request has been there for them to answer: less than was waited if the northbound was
    away meanwhile.
    """

    rows: dict[str, Mapping[str, Any]]
    quiet_s: float
    asked_s: float


def unanswered(
    nb: Northbound,
    asked: Request,
    timeout_s: float,
    has_answered: Callable[[Mapping[str, Any], int, int], bool],
    report: Report = unheard,
) -> Unanswered:
    """Wait until all live chassis have answered *asked*, or for *timeout_s*; return those that have not.

    *has_answered* decides, by a row, the number of the request and that of the last one. Reports and raises
    as `wait` does.
    """
    began_s = heard_s = time.monotonic()

    def missing(rows: Rows) -> dict[str, Mapping[str, Any]]:
        latest = max((row["nb_cfg"] for row in rows["NB_Global"].values()), default=0)
        return {
            row["name"]: row
            for row in rows["Chassis"].values()
            if row["name"] in asked.live | asked.silent and not has_answered(row, asked.nb_cfg, latest)
        }

    def is_over(rows: Rows) -> bool:
        nonlocal heard_s
        heard_s = time.monotonic()
        awaited = asked.live & missing(rows).keys()
        report(len(asked.live) - len(awaited), len(asked.live))
        return not awaited

    watched = select("Chassis", only=("name", *_ANSWERS)), select("NB_Global", only=("nb_cfg",))
    with nb.watch(*watched) as watch:
        watch.wait_until(is_over, timeout_s)
        now_s = time.monotonic()
        return Unanswered(missing(watch.rows), now_s - heard_s, now_s - (watch.resumed_s or began_s))
