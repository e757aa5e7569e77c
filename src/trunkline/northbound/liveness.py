"""Liveness: which chassis answer now, found by asking them, and what is known of the others.

A chassis is *live* (it has applied what is committed), *behind* (it has heard of the request and not applied
it), or *silent* (neither); *no switch* if its agent answers and its switch does not forward, and *disobeys*
if it obeys another northbound. It is *unknown* if the northbound was still busy with answers of others when
the time was over, or seems to be. *current* is a chassis that was not asked and had applied the last request,
whenever that was.

No state follows from a clock of another host, and nothing is written while nobody asks
(docs/adr/0045-liveness-is-asked-for.md).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from trunkline.northbound import sync
from trunkline.northbound.refusal import TransactionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.sync import Report

PATIENCE_S = 2.0
"""How long to wait for chassis: four times as long as one that is behind takes to answer."""

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
    """

    nb_cfg: int
    chassis: frozenset[str]
    is_quiet: bool


def ask(
    nb: Northbound,
    of: Collection[str] | None = None,
    timeout_s: float = PATIENCE_S,
    report: Report = sync.unheard,
) -> Asked | None:
    """Ask all chassis whether they live, and wait for those called *of*; None if that is not permitted.

    Ends when each has answered, but for those known to be silent, or after *timeout_s*. *report* is told how
    many have, out of how many, when that changes.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
        UnreachableError: the northbound was lost.
    """
    try:
        request = sync.request(nb)
    except TransactionError as error:
        # By a role (RBAC), and on a listener that is read only (ovsdb-server(7)).
        if error.error in ("permission error", "not allowed"):
            return None
        raise
    if of is not None:
        request = request._replace(live=request.live & frozenset(of), silent=request.silent & frozenset(of))
    missing = sync.unanswered(nb, request, timeout_s, sync.has_heard, report)
    is_any_heard = len(request.live) < MANY or not request.live <= missing.rows.keys()
    is_quiet = missing.quiet_s >= QUIET_S and missing.asked_s >= timeout_s
    return Asked(request.nb_cfg, request.live | request.silent, is_quiet and is_any_heard)


def state(chassis: Mapping[str, Any], latest: int, asked: Asked | None) -> str:
    """Return the state of *chassis*, a row, where the latest request is *latest*."""
    if asked is None:
        if sync.is_silent(chassis):
            return "silent"
    elif not sync.has_heard(chassis, asked.nb_cfg, latest):
        is_over = asked.is_quiet and chassis["name"] in asked.chassis
        return "silent" if is_over or sync.is_silent(chassis) else "unknown"
    if OTHER_NORTHBOUND in chassis["faults"]:
        return "disobeys"
    if NO_SWITCH in chassis["faults"]:
        return "no switch"
    if not sync.has_applied(chassis, latest if asked is None else asked.nb_cfg, latest):
        return "behind"
    return "current" if asked is None else "live"


def answer_age_s(chassis: Mapping[str, Any], latest: int, asked: Asked | None) -> float | None:
    """Return how long ago *chassis* answered: 0 if it has answered *asked*, None if it never has.

    Otherwise it is the age of what it last applied, by the chassis' own clock and this one: for people, who
    see that a clock is wrong.
    """
    if asked is not None and sync.has_heard(chassis, asked.nb_cfg, latest):
        return 0.0
    if not chassis["nb_cfg_timestamp"]:
        return None
    at_s = chassis["nb_cfg_timestamp"] / 1000
    return float(max(0.0, round(time.time() - at_s, 1)))
