"""A write to a database: how it ended, and why it was refused."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import ovs.db.idl

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
"""How long to wait after a database refused a write, the first time and at most."""


class Outcome(Enum):
    """How a write ended."""

    DONE = "done"
    AGAIN = "again"
    """The database has changed, or went away: read it again and write anew."""
    FAILED = "failed"


def refusal(error: str | None) -> str | None:
    """Return in words why a server refused a write; *error* is its answer as JSON (RFC 7047 section 3.1).

    >>> refusal('{"details":"No row has it.","error":"referential integrity violation"}')
    'referential integrity violation: No row has it.'
    >>> refusal("no JSON")
    'no JSON'
    """
    try:
        answer = json.loads(error or "")
    except ValueError:
        return error
    if not isinstance(answer, dict) or "error" not in answer:
        return error
    return ": ".join(str(answer[key]) for key in ("error", "details") if answer.get(key))


def ending(transaction: Any) -> Outcome | None:
    """Return how *transaction*, which was sent, has ended; None while it is under way."""
    kind = ovs.db.idl.Transaction
    status = transaction.commit()
    if status == kind.INCOMPLETE:
        return None
    if status in (kind.SUCCESS, kind.UNCHANGED):
        return Outcome.DONE
    return Outcome.AGAIN if status in (kind.TRY_AGAIN, kind.NOT_LOCKED) else Outcome.FAILED
