"""Liveness: which chassis answer now, found by asking them, and what is known of the others.

A chassis is *live* (it has applied what is committed), *behind* (it has heard of the request and not applied
it), or *silent* (neither); *no switch* if its agent answers and its switch does not forward, and *disobeys*
if it obeys another northbound. It is *unknown* if the northbound was still busy with answers of others when
the time was over, or seems to be, or if it could not be asked. *current* is a chassis that nobody wanted to
ask and that had applied the last request, whenever that was.

Somebody who may not write `nb_cfg` (a viewer) asks by a question, a row of `Request`. A chassis has heard of
it if it answers, whatever it says.

No state follows from a clock of another host, and nothing is written while nobody asks
(docs/adr/0045-liveness-is-asked-for.md).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from trunkline.northbound import question, sync
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import NotFoundError, RefusedError, TransactionError, only_global
from trunkline.northbound.rpc import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.sync import Report

PATIENCE_S = 2.0
"""How long to wait for chassis: four times as long as one that is behind takes to answer."""

COMMIT_S = 5.0
"""How long the northbound may take to commit a request: a cluster without a majority never does."""

STATE = "state"
"""The kind of question that costs a chassis least."""

QUIET_S = 0.5
"""If no answer has come for so long, the northbound is not busy with answers."""

MANY = 10
"""If not one of so many chassis answers in time, it is the northbound that is taken for busy."""

WELL = frozenset({"live", "current"})
"""The states of a chassis that has applied all that it is known to have been asked to."""

UNSETTLED = frozenset({"behind", "unknown"})
"""The states that may change by themselves: of a chassis that is at work, or whose answer is on its way."""

NO_SWITCH = "switch"
"""The subject of the fault of a chassis that does not forward, or is not known to."""

OTHER_NORTHBOUND = "northbound"
"""The subject of the fault of a chassis that obeys another northbound than the one that it reports to."""


class Asked(NamedTuple):
    """All chassis were asked by the request *nb_cfg*; those called *chassis* were waited for.

    *is_quiet* says that no more answers were coming in, from a northbound that was there all the time.
    *heard* are those that have answered, if they were asked by a question.
    """

    nb_cfg: int
    chassis: frozenset[str]
    is_quiet: bool
    heard: frozenset[str] | None = None


class Unasked(NamedTuple):
    """The chassis could not be asked, for a *reason*: nobody knows which of them live."""

    reason: str
    remedy: str


def ask(
    nb: Northbound,
    of: Collection[str] | None = None,
    timeout_s: float = PATIENCE_S,
    report: Report = sync.unheard,
) -> Asked | Unasked:
    """Ask all chassis whether they live, and wait for those called *of*.

    Ends when each has answered, but for those known to be silent, or after *timeout_s*. *report* is told how
    many have, out of how many, when that changes.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
        UnreachableError: the northbound was lost.
    """
    try:
        with nb.within(COMMIT_S):
            request = sync.request(nb)
    except TransactionError as error:
        # By a role (RBAC), and on a listener that is read only (ovsdb-server(7)).
        if error.error in ("permission error", "not allowed"):
            return _questioned(nb, of, timeout_s, report)
        raise
    except UnreachableError:
        # Somebody is there who does not commit, or nobody: then this raises, and says so.
        with nb.within(COMMIT_S):
            nb.read(select("NB_Global", only=("_uuid",)))
        return Unasked(
            f"the northbound has committed nothing for {COMMIT_S:g} s",
            "run this again; if it stays, see `trunkline nb status` on each member of its cluster",
        )
    if of is not None:
        request = request._replace(live=request.live & frozenset(of), silent=request.silent & frozenset(of))
    missing = sync.unanswered(nb, request, timeout_s, sync.has_heard, report)
    is_any_heard = len(request.live) < MANY or not request.live <= missing.rows.keys()
    is_quiet = missing.quiet_s >= QUIET_S and missing.asked_s >= timeout_s
    return Asked(request.nb_cfg, request.live | request.silent, is_quiet and is_any_heard)


def _questioned(
    nb: Northbound, of: Collection[str] | None, timeout_s: float, report: Report
) -> Asked | Unasked:
    """Ask the chassis called *of*, by default all, by a question."""
    global_rows, rows = nb.read(
        select("NB_Global", only=("_uuid", "nb_cfg")), select("Chassis", only=("name",))
    )
    nb_cfg = only_global(global_rows)["nb_cfg"]
    names = frozenset(row["name"] for row in rows)
    if of is not None:
        names &= frozenset(of)
    try:
        found = question.ask(nb, STATE, names, timeout_s=timeout_s, report=report)
    except (RefusedError, NotFoundError, TransactionError):
        return Unasked(
            "this connection may neither write `nb_cfg` nor ask questions (it has a role, or is read-only)",
            "use a connection with the role trunkline-viewer, or with none",
        )
    heard = frozenset(found.by_chassis)
    is_any_heard = len(names) < MANY or bool(heard)
    # An agent answers one question after the other, and may work on one for seconds.
    waited = names - (question.engaged(nb, found.over) if found.missing else frozenset())
    return Asked(nb_cfg, waited, found.is_patient and is_any_heard, heard)


def state(chassis: Mapping[str, Any], latest: int, asked: Asked | Unasked | None) -> str:
    """Return the state of *chassis*, a row, where the latest request is *latest*."""
    if not isinstance(asked, Asked):
        if sync.is_silent(chassis):
            return "silent"
        if asked is not None:
            return "unknown"
    elif not _has_heard(chassis, latest, asked):
        is_over = asked.is_quiet and chassis["name"] in asked.chassis
        return "silent" if is_over or sync.is_silent(chassis) else "unknown"
    if OTHER_NORTHBOUND in chassis["faults"]:
        return "disobeys"
    if NO_SWITCH in chassis["faults"]:
        return "no switch"
    if not sync.has_applied(chassis, latest if asked is None else asked.nb_cfg, latest):
        return "behind"
    return "current" if asked is None else "live"


def _has_heard(chassis: Mapping[str, Any], latest: int, asked: Asked) -> bool:
    """Return whether *chassis* has answered what was *asked*.

    A question asks for more than the last request, which it may have answered long ago.
    """
    if asked.heard is not None:
        return chassis["name"] in asked.heard
    return sync.has_heard(chassis, asked.nb_cfg, latest)


def answer_age_s(chassis: Mapping[str, Any], latest: int, asked: Asked | Unasked | None) -> float | None:
    """Return how long ago *chassis* answered: 0 if it has answered *asked*, None if it never has.

    Otherwise it is the age of what it last applied, by the chassis' own clock and this one: for people, who
    see that a clock is wrong.
    """
    if isinstance(asked, Asked) and _has_heard(chassis, latest, asked):
        return 0.0
    if not chassis["nb_cfg_timestamp"]:
        return None
    at_s = chassis["nb_cfg_timestamp"] / 1000
    return float(max(0.0, round(time.time() - at_s, 1)))
