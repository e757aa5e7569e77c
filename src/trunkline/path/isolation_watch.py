"""Isolation, watched: after each change, proved again as far as the change can concern it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TimedOutError
from trunkline.insight import chassis
from trunkline.insight.flow_feed import FlowFeed
from trunkline.insight.name import Names
from trunkline.insight.plan import TRIES
from trunkline.path.isolation import Asked, Found, concerning, hindering, intended, told, unsteady
from trunkline.proof.kept import KeptProof
from trunkline.proof.switch import NotProvableError

if TYPE_CHECKING:
    from trunkline.path.hindrance import Hindrance
    from trunkline.proof.intent import Intent
    from trunkline.proof.proof import Violation

PASSING = NotProvableError, TimedOutError
"""What a watch raises that may be over at the next look; after anything else, connect anew."""


class IsolationWatch:
    """What is *asked*, answered again if something has changed: see `answer`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._feed = FlowFeed(asked.connection)
        self._kept: KeptProof | None = None
        self._pending: dict[bytes, bytes | None] = {}
        """Changes of flows that the kept proof does not know of yet."""
        self._told: tuple[int, list[Hindrance]] | None = None
        """The revision of the rows by which the last answer was given, and what hindered frames then."""
        self._intent: Intent | None = None
        self._refused: tuple[int, NotProvableError] | None = None
        """The revision of the rows, and why nothing is proved until they or the flows are others."""

    def answer(self) -> dict[str, Any] | None:
        """Return what `isolation.answer` does, None if nothing has changed since the last answer.

        Raises as that does.
        """
        began_s = time.monotonic()
        self._read()
        if self._refused is not None:
            revision, error = self._refused
            if not self._pending and revision == self._asked.reading.inventory.revision:
                raise error
            self._refused = None
        if not self._pending and self._intent is not None and self._told == self._seen(self._intent):
            return None
        self._told = None
        for _ in range(TRIES):
            at = datetime.now().astimezone()
            intent = intended(self._asked, self._feed.flows)
            seen = self._seen(intent)
            violations = concerning(self._violations(intent), self._asked, intent)
            found = Found(intent, self._feed.flows, violations, seen[1], at, began_s)
            self._read()
            is_steady = self._asked.reading.inventory.revision == seen[0]
            # What goes wrong has to be there still: the agent may be about to change rows and flows.
            if is_steady and (found.is_right or not (self._pending or self._seen(intent) != seen)):
                self._told, self._intent = seen, intent
                return told(self._asked if found.is_right else self._named(), found)
        raise unsteady()

    def _seen(self, intent: Intent) -> tuple[int, list[Hindrance]]:
        """Return the revision of the rows, and what hinders frames."""
        return self._asked.reading.inventory.revision, hindering(self._asked, intent)

    def _read(self) -> None:
        self._asked.reading.read()
        self._pending |= self._feed.read()

    def _violations(self, intent: Intent) -> list[Violation]:
        pending, self._pending = self._pending, {}
        # A proof that cannot go on is of no use any more.
        kept, self._kept = self._kept, None
        try:
            if kept is None:
                kept = KeptProof(self._feed.flows, intent)
            else:
                kept.change(pending, intent)
        except NotProvableError as error:
            self._refused = self._asked.reading.inventory.revision, error
            raise
        self._kept = kept
        return kept.violations

    def _named(self) -> Asked:
        """Return what is asked, with the names that interfaces have now."""
        there = chassis.read(self._asked.reading.switch.remotes)
        return replace(self._asked, names=Names(interface_by_ofport=there.interface_by_ofport))
