"""Answering: what a chassis says to the questions that others ask of it by rows of `Request`.

`KINDS` is all that can be asked: one function for each kind. It is given the agent and the parameters, yields
every few milliseconds, or what it waits for, and returns what JSON can say. It changes nothing that is
forwarded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import ovs.poller

import trunkline
from trunkline.agent.agent import Agent
from trunkline.core.error import TrunklineError
from trunkline.core.setting import ANSWERS
from trunkline.health import announcement_question
from trunkline.insight import flow_question, plan_summary
from trunkline.insight.waiting import Work
from trunkline.ovsdb.mailbox import Answer, Mailbox, Question
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.write import FIRST_RETRY_S, LONGEST_RETRY_S, Outcome
from trunkline.path import isolation_question
from trunkline.probe import order
from trunkline.process import flow_answer, plan_answer, proving, tracing
from trunkline.process.announcing import announce
from trunkline.process.checking import check
from trunkline.process.job import Job
from trunkline.process.probing import probe
from trunkline.process.state import state
from trunkline.runtime.log import Log
from trunkline.runtime.trouble import Trouble

log = Log("answering")

Kind: TypeAlias = Callable[[Agent, Mapping[str, str]], Work[Any]]
"""What makes the answers to one kind of question, of the agent and the question's parameters."""

MOST_BYTES = 65536
"""How large an answer may be: the length of `Answer:body`."""

MOST_S = 10.0
"""How long an answer may be worked on."""

MOST_S_BY_KIND: Mapping[str, float] = {isolation_question.KIND: isolation_question.MOST_S}
"""How long those may be worked on that somebody else works on."""

PAUSE_S = 0.2
"""How long a chassis pauses after an answer: whoever asks without end makes it write that often, no more."""


def _state(agent: Agent, _: Mapping[str, str]) -> Work[Any]:
    yield from ()
    return state(agent)


KINDS: Mapping[str, Kind] = {
    "state": _state,
    "check": check,
    "trace": tracing.hops,
    announcement_question.KIND: announce,
    flow_question.KIND: flow_answer.answer,
    plan_summary.KIND: plan_answer.answer,
    order.KIND: probe,
    isolation_question.KIND: proving.prove,
}
"""What can be asked, by `Request:kind`."""


class _Current(NamedTuple):
    """The question that is being answered; that is given up after *most_s*, at *end_s*."""

    question_id: UUID
    job: Job[Any]
    most_s: float
    end_s: float


class Answering:
    """Answers the questions to *agent*, one at a time, in the order in which it hears of them.

    It writes one row for each, and deletes the row when the question is gone, or `ttl_s` after it heard of
    that: then the question is over, which the answers to others say. It remembers nothing over a restart: a
    question without an answer of this chassis is a new one. Whatever a question says or does, all that comes
    of it is a row that says why there is no answer. *clock* counts seconds.
    """

    def __init__(
        self,
        agent: Agent,
        kinds: Mapping[str, Kind] = KINDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent, self._kinds, self._clock = agent, kinds, clock
        self._mailbox: Mailbox | None = None
        self._heard_s: dict[UUID, float] = {}
        self._current: _Current | None = None
        self._made: Answer | None = None
        self._pause_end_s = 0.0
        self._wake_s: float | None = None
        self._refusals = Trouble(
            lambda error: log.error("the northbound refused an answer", error=error),
            lambda times: log.info("the northbound takes answers again", refused=times),
            first_s=FIRST_RETRY_S,
            longest_s=LONGEST_RETRY_S,
        )

    def run(self) -> None:
        """Go on with the present questions, as far as the turn grants it."""
        self._wake_s = None
        mailbox = self._opened(self._agent.feed.report_target)
        if mailbox is None or not mailbox.nb.is_connected or not mailbox.nb.has("Answer"):
            self._drop()
            return
        self._settle(mailbox)
        now_s, questions, answers = self._clock(), mailbox.questions, mailbox.question_id_by_answer
        self._heard_s = {id_: self._heard_s.get(id_, now_s) for id_ in questions}
        open_ = {id_: each for id_, each in questions.items() if now_s < self._heard_s[id_] + each.ttl_s}
        unanswered = sorted(open_.keys() - set(answers.values()), key=self._heard_s.__getitem__)
        if self._made is not None and self._made.question_id not in open_:
            self._made = None
        if self._current is not None and self._current.question_id not in open_:
            self._drop()
        is_idle = self._made is None and self._current is None and not mailbox.is_writing
        if unanswered and is_idle and now_s >= self._pause_end_s:
            self._begin(unanswered[0], open_[unanswered[0]])
        self._work()
        outdated = {id_ for id_, question_id in answers.items() if question_id not in open_}
        self._write(mailbox, outdated, questions.keys() - open_.keys())
        self._wake_at(*(self._heard_s[id_] + each.ttl_s for id_, each in open_.items()))
        if unanswered:
            self._wake_at(self._pause_end_s)
        if self._current is not None:
            self._wake_at(self._current.end_s)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        if self._current is not None:
            self._current.job.wait(poller)
        if self._mailbox is not None:
            self._mailbox.wait(poller)
        self._refusals.wait(poller)
        if self._wake_s is not None:
            poller.timer_wait(max(0, int((self._wake_s - self._clock()) * 1000) + 1))

    def _wake_at(self, *due_s: float) -> None:
        known_s = () if self._wake_s is None else (self._wake_s,)
        self._wake_s = min((each for each in (*due_s, *known_s) if each > self._clock()), default=None)

    def _opened(self, nb: NorthboundReplica | None) -> Mailbox | None:
        """Return the mailbox at *nb*; what was known of another is forgotten."""
        if self._mailbox is None or self._mailbox.nb is not nb:
            self._drop()
            self._mailbox = None if nb is None else Mailbox(nb)
            self._heard_s, self._made = {}, None
        return self._mailbox

    def _drop(self) -> None:
        """Leave the question that is being answered, if any."""
        current, self._current = self._current, None
        try:
            if current is not None:
                current.job.close()
        except Exception as error:
            log.error("a question met a defect", error=repr(error))

    # -- one question ------------------------------------------------------------------------------

    def _begin(self, question_id: UUID, question: Question) -> None:
        kind, settings = self._kinds.get(question.kind), self._agent.settings
        if settings is not None and not settings.has_answers:
            reason = f"this chassis answers no questions (external_ids:{ANSWERS}=false)"
            self._made = _reason(question_id, "refused", reason)
        elif kind is None:
            known = ", ".join(sorted(self._kinds))
            reason = (
                f"this agent, {trunkline.__version__}, knows no kind {question.kind!r}; it knows: {known}"
            )
            self._made = _reason(question_id, "refused", reason)
        else:
            log.debug("question", kind=question.kind, by=question.by)
            work = _work(kind, self._agent, question.parameters)
            most_s = MOST_S_BY_KIND.get(question.kind, MOST_S)
            self._current = _Current(question_id, Job(work), most_s, self._clock() + most_s)

    def _work(self) -> None:
        """Go on with the answer that is being made."""
        while self._current is not None and self._agent.turn.grants("answer"):
            question_id, job, most_s, end_s = self._current
            try:
                if self._clock() >= end_s:
                    raise TimeoutError(f"there was no answer within {most_s:g} s of work")
                if not job.advance():
                    return
            except StopIteration as done:
                self._current, self._made = None, _answer(question_id, done.value)
            except Exception as error:
                self._drop()
                is_told = isinstance(error, TrunklineError | TimeoutError)
                self._made = _reason(question_id, "failed", str(error) if is_told else _defect(error))

    # -- rows --------------------------------------------------------------------------------------

    def _settle(self, mailbox: Mailbox) -> None:
        """Take note of how the last write ended; one that was overtaken is composed again."""
        outcome = mailbox.outcome()
        if outcome is Outcome.DONE:
            self._refusals.over()
        elif outcome is Outcome.FAILED:
            self._refusals.note(mailbox.error)

    def _write(self, mailbox: Mailbox, outdated: set[UUID], over: set[UUID]) -> None:
        if mailbox.is_writing or self._refusals.is_held or (self._made is None and not outdated):
            return
        mailbox.write(self._made, outdated, over)
        if self._made is not None:
            # A write that is lost leaves the question without an answer: it is made anew.
            self._made, self._pause_end_s = None, self._clock() + PAUSE_S


def _work(kind: Kind, agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Yield as *kind* does, and return what it returns; whatever it does wrong, it does in here."""
    return (yield from kind(agent, parameters))


def _answer(question_id: UUID, value: Any) -> Answer:
    """Return the answer *value*, or why it cannot be written."""
    try:
        body = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        return _reason(question_id, "failed", _defect(error))
    if len(body) > MOST_BYTES:
        reason = f"the answer has {len(body):,} bytes, more than {MOST_BYTES:,}; ask for less"
        return _reason(question_id, "failed", reason)
    return Answer(question_id, "done", body)


def _reason(question_id: UUID, state: str, reason: str) -> Answer:
    return Answer(question_id, state, json.dumps({"reason": reason[:1000]}))


def _defect(error: Exception) -> str:
    log.error("a question met a defect", error=repr(error))
    return f"this is a defect of the agent: {error!r}; please report it"
