"""What chassis answer to a check: their own findings, or that there are none to be had."""

from __future__ import annotations

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

SILENT = "T506"
"""The code of a chassis that did not answer."""


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
    if not chassis:
        return []
    try:
        return list(findings(ask(nb, KIND, chassis, parameters, timeout_s=PATIENCE_S, report=report)))
    except (RefusedError, NotFoundError, TransactionError) as error:
        text, _, act = str(error).partition("; ")
        return [_unanswered(name, f"it was not asked: {text}", act or "run this again") for name in chassis]


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
        text = f"what its flows have dropped is not known: {uncounted}"[:MOST_CHARACTERS]
        yield _unanswered(name, text, SWITCH_REMEDY)


def _finding(name: str, item: Any) -> Finding | None:
    """Return the finding that the chassis called *name* has written as *item*, None if it cannot be read."""
    if not isinstance(item, dict) or item.get("severity") not in ("error", "warning"):
        return None
    texts = {key: item.get(key) for key in ("code", "subject", "text", "remedy")}
    if not all(isinstance(value, str) and value for value in texts.values()):
        return None
    cut = {key: str(value)[:MOST_CHARACTERS] for key, value in texts.items()}
    since = item.get("since")
    return Finding(
        cut["code"] if cut["code"] in CODES else UNKNOWN,
        item["severity"],
        cut["subject"],
        name,
        since[:40] if isinstance(since, str) else None,
        cut["text"],
        cut["remedy"],
    )


def _unanswered(name: str, text: str, act: str) -> Finding:
    return Finding(SILENT, "warning", f"chassis {name}", name, None, text, act)
