"""The mailbox of a chassis: the questions to it in `Request`, and its answers in `Answer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

import ovs.poller

from trunkline.ovsdb.datum import one, pairs
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.nb_row import AnswerRow, RequestRow
from trunkline.ovsdb.write import Outcome, ending, refusal


class Question(NamedTuple):
    """A row of `Request`, as far as it concerns who answers it."""

    kind: str
    parameters: dict[str, str]
    by: str
    ttl_s: int


class Answer(NamedTuple):
    """What a chassis says to the question *question_id*: its *state*, and its *body* as JSON."""

    question_id: UUID
    state: str
    body: str


class Mailbox:
    """What *nb* holds for its chassis. What is written here is apart from what *nb* writes itself.

    *error* is why the last write was refused.
    """

    def __init__(self, nb: NorthboundReplica) -> None:
        self.nb = nb
        self.error = ""
        self._transaction: Any = None

    @property
    def questions(self) -> dict[UUID, Question]:
        """The questions to this chassis."""
        return {
            id_: Question(
                one(row, RequestRow.kind),
                pairs(row, RequestRow.parameters),
                one(row, RequestRow.by),
                one(row, RequestRow.ttl_s),
            )
            for id_, row in self.nb.rows("Request").items()
        }

    @property
    def question_id_by_answer(self) -> dict[UUID, UUID | None]:
        """The answers of this chassis, each with its question; None if that is gone."""
        return {id_: one(row, AnswerRow.request) for id_, row in self.nb.rows("Answer").items()}

    # -- writing -----------------------------------------------------------------------------------

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way; there is one at a time."""
        return self._transaction is not None

    def write(self, answer: Answer | None, outdated: Iterable[UUID], over: Iterable[UUID]) -> None:
        """Begin to write *answer*, unless its question is gone, and to delete the *outdated* answers.

        With the answer goes which questions are *over*.
        """
        transaction = self.nb.begin(f"trunkline agent of {self.nb.chassis} answers")
        question = self.nb.rows("Request").get(answer.question_id) if answer is not None else None
        if answer is not None and question is not None:
            # It may have been deleted just now: then this is composed again, without it.
            question.verify(RequestRow.kind)
            row: AnswerRow = transaction.insert(self.nb.table("Answer"))
            row.request = [answer.question_id]
            row.chassis, row.state, row.body = self.nb.chassis, answer.state, answer.body
            if not self.nb.lacks("Answer", "over"):
                questions = self.nb.rows("Request")
                row.over = [questions[id_] for id_ in over if id_ in questions]
        for id_ in outdated:
            old = self.nb.rows("Answer").get(id_)
            if old is not None:
                old.delete()
        transaction.commit()
        self._transaction = transaction

    def outcome(self) -> Outcome | None:
        """Return how the write ended, once; None while it is under way and when there is none."""
        outcome = None if self._transaction is None else ending(self._transaction)
        if outcome is not None:
            self.error = refusal(self._transaction.get_error()) or "" if outcome is Outcome.FAILED else ""
            self._transaction = None
        return outcome

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when the write has ended."""
        if self._transaction is not None:
            self._transaction.wait(poller)
