"""What chassis answer to a check: their own findings, or that there are none to be had."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trunkline.health.cause import UNKNOWN
from trunkline.health.finding import CODES, Finding
from trunkline.northbound import sync
from trunkline.northbound.question import DONE, ask
from trunkline.northbound.refusal import NotFoundError, RefusedError, TransactionError
from trunkline.path.silence import SWITCH_REMEDY, remedy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.question import Answer, Answers
    from trunkline.northbound.sync import Report

KIND = "check"
"""The kind of the question (`Request:kind`)."""

PATIENCE_S = 5.0
"""How long chassis have to answer."""

MOST_CHARACTERS = 1000
"""How much of a text is taken: a chassis in wrong hands may answer anything."""

MOST_SUBJECTS = 100
"""How many further subjects of a finding are taken."""

MOST_WAIT_S = 5.0
"""How long it is waited, at most, until a chassis knows better."""

SILENT = "T506"
"""The code of a chassis that did not answer."""

COUNTED = "what its flows have dropped"
SET = "which settings of its switch keep frames from passing"
"""What a switch may not say, in words."""


def asked_findings(
    nb: Northbound,
    chassis: Collection[str],
    parameters: Mapping[str, str] | None = None,
    report: Report = sync.unheard,
) -> list[Finding]:
    """Ask *chassis* what they find at themselves; return that, with a finding for each that does not say.

    *parameters* may name one `port` or one `network`. *report* is as that of `question.ask`.

    Raises:
        UnreachableError: the northbound was lost.
    """
    return [replace(each, wait_s=None) for each in _asked(nb, chassis, parameters, report)]


def _asked(
    nb: Northbound, chassis: Collection[str], parameters: Mapping[str, str] | None, report: Report
) -> list[Finding]:
    if not chassis:
        return []
    try:
        return list(findings(ask(nb, KIND, chassis, parameters, timeout_s=PATIENCE_S, report=report)))
    except (RefusedError, NotFoundError, TransactionError) as error:
        text, _, act = str(error).partition("; ")
        return [_unanswered(name, f"it was not asked: {text}", act or "run this again") for name in chassis]


def settled_findings(
    nb: Northbound,
    chassis: Collection[str],
    parameters: Mapping[str, str],
    report: Report = sync.unheard,
) -> list[Finding]:
    """Do what `asked_findings` does; if it is too early to tell whether something is an error, ask again."""
    found = _asked(nb, chassis, parameters, report)
    waits_s = [each.wait_s for each in found if each.wait_s is not None]
    if not waits_s:
        return found
    time.sleep(max(waits_s))
    return asked_findings(nb, chassis, parameters, report)


def findings(answers: Answers) -> Iterator[Finding]:
    """Yield what is in *answers*, and a finding for each chassis without a proper one."""
    for name in sorted(answers.missing):
        yield _unanswered(name, f"it did not answer within {PATIENCE_S:g} s", "run this again")
    for name, answer in sorted(answers.by_chassis.items()):
        yield from _of_chassis(name, answer)


def _of_chassis(name: str, answer: Answer) -> Iterator[Finding]:
    if answer.state != DONE:
        text = f"it does not say what it finds: {answer.reason.partition('; ')[0]}"[:MOST_CHARACTERS]
        otherwise = "upgrade or look at its agent; there, run: trunkline check"
        yield _unanswered(name, text, remedy(answer) or otherwise)
        return
    body = answer.body if isinstance(answer.body, dict) else {}
    listed, left_out, uncounted = body.get("findings"), body.get("left_out"), body.get("uncounted")
    items = [_finding(name, item) for item in listed] if isinstance(listed, list) else [None]
    yield from (item for item in items if item is not None)
    if None in items:
        yield _unanswered(name, "its answer cannot be read", "upgrade the agent there, or this program")
    if left_out:
        yield _unanswered(
            name, "its answer had no room for all that it found", "ask about one network or port"
        )
    if uncounted:
        yield unsaid(name, COUNTED, uncounted)
    if body.get("unsaid"):
        yield unsaid(name, SET, body["unsaid"])


def unsaid(name: str, what: str, why: object) -> Finding:
    """Return that *what* of the chassis called *name* is not known, as its switch did not say it."""
    return _unanswered(name, f"{what} is not known: {why}"[:MOST_CHARACTERS], SWITCH_REMEDY)


def _finding(name: str, item: Any) -> Finding | None:
    """Return the finding that the chassis called *name* has written as *item*, None if it cannot be read."""
    if not isinstance(item, dict) or item.get("severity") not in ("error", "warning"):
        return None
    texts = {key: item.get(key) for key in ("code", "subject", "text", "remedy")}
    if not all(isinstance(value, str) and value for value in texts.values()):
        return None
    cut = {key: str(value)[:MOST_CHARACTERS] for key, value in texts.items()}
    since, wait_s, also = item.get("since"), item.get("wait_s"), item.get("also")
    return Finding(
        cut["code"] if cut["code"] in CODES else UNKNOWN,
        item["severity"],
        cut["subject"],
        name,
        since[:40] if isinstance(since, str) else None,
        cut["text"],
        cut["remedy"],
        tuple(str(each)[:MOST_CHARACTERS] for each in also[:MOST_SUBJECTS]) if isinstance(also, list) else (),
        wait_s=max(0.0, min(wait_s, MOST_WAIT_S)) if isinstance(wait_s, int | float) else None,
    )


def _unanswered(name: str, text: str, act: str) -> Finding:
    return Finding(SILENT, "warning", f"chassis {name}", name, None, text, act)
