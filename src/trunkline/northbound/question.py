"""Questions to chassis, and their answers, by rows of the northbound (docs/adr/0046-questions-are-rows.md).

Whoever asks inserts a `Request` that names the chassis, waits for an `Answer` of each, and deletes the
question in any case. The chassis delete the answers that are left, and whoever asks next the questions of
which they say that these are over (docs/adr/0104-chassis-say-which-questions-are-over.md).
"""

from __future__ import annotations

import getpass
import math
import os
import random
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import TrunklineError
from trunkline.host.interruption import kept_back
from trunkline.northbound import member, sync
from trunkline.northbound.body import UnreadableError, value
from trunkline.northbound.operation import Uuid, delete, insert, select
from trunkline.northbound.refusal import RefusedError, TransactionError, no_such
from trunkline.northbound.rpc import UnreachableError
from trunkline.northbound.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.sync import Report
    from trunkline.northbound.watch import Rows

DONE = "done"
"""The state of an answer that has what was asked for."""

SLOTS = range(8)
"""How many questions one asker may have at the same time: the range of `Request:slot`."""

MOST_AT_ONCE = 50
"""How many chassis of a cluster without relays are asked at once: each answer costs all members a write."""

MOST_CHARACTERS = 1000
"""How much of a reason is taken: an agent gives no longer one."""

_LONGEST_TTL_S = 300

LEFT_S = 3600.0
"""After so long a question was left behind by an asker who was killed, whatever chassis say. None lives for
more than `_LONGEST_TTL_S`; the rest is for clocks of two machines that differ."""

_ATTEMPTS = 10
_FORBIDDEN = ("permission error", "not allowed")
"""How the database says that this connection may not write that: by its role, or at all."""


class Answer(NamedTuple):
    """What one chassis has answered: *state* is `DONE`, refused or failed; then *body* has the `reason`."""

    state: str
    body: Any

    @property
    def reason(self) -> str:
        """Why there is not what was asked for; a chassis in wrong hands may give none."""
        if not isinstance(self.body, dict):
            return "the answer is unreadable"
        return str(self.body.get("reason", ""))[:MOST_CHARACTERS]


class Answers(NamedTuple):
    """The answers by chassis; *missing* are those that have not answered in time.

    *is_patient*: each of them had all the time. *over* are the questions of others that are over, by what the
    chassis say.
    """

    by_chassis: dict[str, Answer]
    missing: frozenset[str]
    is_patient: bool = True
    over: frozenset[str] = frozenset()


def ask(
    nb: Northbound,
    kind: str,
    chassis: Iterable[str] | None = None,
    parameters: Mapping[str, str] | None = None,
    *,
    timeout_s: float,
    report: Report = sync.unheard,
) -> Answers:
    """Ask *chassis*, by default all, a question of that *kind*; return what they answer within *timeout_s*.

    *report* is told how many have answered, of how many. Nothing is left of the question afterwards, nor of
    those that were left behind by askers who were killed, as far as this one may delete them. In a cluster
    that this connection reaches without a relay, no more than `MOST_AT_ONCE` are asked at once, and each such
    part has its share of *timeout_s*.

    Raises:
        NotFoundError: one of *chassis* is not there.
        RefusedError: this connection may not ask, or somebody else deleted the question.
        UnreachableError: the northbound was lost.
    """
    (rows,) = nb.read(select("Chassis", only=("name",)))
    known = {row["name"] for row in rows}
    names = sorted(known if chassis is None else set(chassis))
    for name in names:
        if name not in known:
            raise no_such("Chassis", name)
    _delete_left(nb)
    over: set[str] = set()
    size = MOST_AT_ONCE if _is_member(nb) else max(len(names), 1)
    parts = [names[at : at + size] for at in range(0, len(names), size)]
    deadline_s = time.monotonic() + timeout_s
    found: dict[str, Answer] = {}
    for number, part in enumerate(parts):
        share_s = max(deadline_s - time.monotonic(), 0.0) / (len(parts) - number)
        before = len(found)

        def note(count: int, before: int = before) -> None:
            report(before + count, len(names))

        found |= _asked(nb, kind, part, parameters or {}, share_s, note, over)
    if over:
        _delete_left(nb, over)
    return Answers(found, frozenset(names) - found.keys(), len(parts) < 2, frozenset(over))


def engaged(nb: Northbound, over: Collection[str] = ()) -> frozenset[str]:
    """Return the chassis that have questions of others to answer: they answer one after the other.

    Questions that are *over* do not count.
    """
    questions, answers = nb.read(
        select("Request", only=("_uuid", "chassis")), select("Answer", only=("request", "chassis"))
    )
    answered = {(each["request"], each["chassis"]) for each in answers}
    return frozenset(
        name
        for each in questions
        for name in each["chassis"]
        if each["_uuid"] not in over and (each["_uuid"], name) not in answered
    )


def _is_member(nb: Northbound) -> bool:
    """Return whether the server of *nb* is a member of a cluster (`_Server`, ovsdb-server(5))."""
    model = {"op": "select", "table": "Database", "where": [["name", "==", DATABASE]], "columns": ["model"]}
    (result,) = member.transact(nb.rpc, "_Server", [model], 10)
    return bool(result["rows"] == [{"model": "clustered"}])


def _asked(
    nb: Northbound,
    kind: str,
    chassis: list[str],
    parameters: Mapping[str, str],
    timeout_s: float,
    note: Callable[[int], None],
    over: set[str],
) -> dict[str, Answer]:
    """Return the answers of *chassis*, as far as they come in time; *note* is told how many have come.

    Which questions of others are over, by what these say, is added to *over*.
    """
    row = {
        "kind": kind,
        "parameters": dict(parameters),
        "chassis": chassis,
        "ttl_s": min(math.ceil(timeout_s) + 1, _LONGEST_TTL_S),
    }
    with _open(nb, row) as question:
        answers = select(
            "Answer", ("request", "includes", question), only=("chassis", "state", "body", "over")
        )
        present = select("Request", ("_uuid", "==", question), only=("slot",))

        asked = set(chassis)

        def is_over(rows: Rows) -> bool:
            answered = {each["chassis"] for each in rows["Answer"].values()} & asked
            note(len(answered))
            return not rows["Request"] or answered == asked

        with nb.watch(answers, present) as watch:
            watch.wait_until(is_over, timeout_s)
            rows = [each for each in watch.rows["Answer"].values() if each["chassis"] in asked]
            found = {each["chassis"]: _answer(each["state"], each["body"]) for each in rows}
            over.update(id_ for each in rows for id_ in each["over"])
            if not watch.rows["Request"] and len(found) < len(chassis):
                raise RefusedError("somebody else deleted the question; ask again")
    return found


def _answer(state: str, text: str) -> Answer:
    try:
        return Answer(state, value(text))
    except UnreadableError as error:
        return Answer("failed", {"reason": f"what it says cannot be read: {error}"})


@contextmanager
def _open(nb: Northbound, row: Mapping[str, Any]) -> Iterator[Uuid]:
    """Have the question *row* in the northbound for the length of the block; its UUID is given."""
    question: Uuid | None = None
    try:
        # Between the commit and its answer, the row is there and nobody knows its UUID.
        with kept_back():
            question = _inserted(nb, row)
        yield question
    finally:
        # A northbound that is lost keeps it, and the chassis delete their answers: the slot is used again.
        if question is not None:
            with suppress(UnreachableError), kept_back():
                _delete(nb, question)


def _inserted(nb: Northbound, row: Mapping[str, Any]) -> Uuid:
    """Insert *row* into a free slot of this asker, or in place of one of his questions if none is free."""
    by = _asker(nb)
    attempts = 0
    while True:
        (own,) = nb.read(select("Request", ("by", "==", by), only=("_uuid", "slot")))
        used = {each["slot"]: each["_uuid"] for each in own}
        slot = random.choice([each for each in SLOTS if each not in used] or SLOTS)
        replaced = [delete("Request", ("_uuid", "==", used[slot]))] if slot in used else []
        try:
            *_, result = nb.transact(
                [*replaced, insert("Request", {**row, "by": by, "slot": slot, "asked_ms": _now_ms()})]
            )
        except TransactionError as error:
            attempts += 1
            # Another question of the same asker came first.
            if error.error == "constraint violation" and "index" in error.details and attempts < _ATTEMPTS:
                continue
            raise _refusal(error, by) from error
        return Uuid(result["uuid"][1])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _delete_left(nb: Northbound, over: Collection[str] = ()) -> None:
    """Delete the questions that were left behind, by this asker, and by others if that is permitted.

    Those are older than `LEFT_S`, or than their `ttl_s` if they are *over*: a chassis in wrong hands may say
    that of any question.
    """
    now_ms = _now_ms()
    (rows,) = nb.read(select("Request", only=("_uuid", "by", "asked_ms", "ttl_s")))
    left = [
        row
        for row in rows
        if now_ms - row["asked_ms"] > 1000 * (row["ttl_s"] if row["_uuid"] in over else LEFT_S)
    ]
    by = _asker(nb)
    for some in ([row for row in left if row["by"] == by], [row for row in left if row["by"] != by]):
        try:
            if some:
                nb.transact([delete("Request", ("_uuid", "==", row["_uuid"])) for row in some])
        except TransactionError as error:
            if error.error not in _FORBIDDEN:
                raise


def _asker(nb: Northbound) -> str:
    """Return by whom the questions of *nb* are."""
    return nb.certificate_name or f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _refusal(error: TransactionError, by: str) -> TrunklineError:
    if error.error in _FORBIDDEN:
        return RefusedError(
            f"this connection may not ask as {by!r}; it needs the role trunkline-viewer, or none, and a "
            "certificate with that CN"
        )
    if "Request" in error.details and "rows" in error.details:
        return RefusedError("too many questions are open; wait, or delete rows of `Request`")
    return error


def _delete(nb: Northbound, question: Uuid) -> None:
    """Delete *question*, and its answers if that is permitted: chassis delete those that are left."""
    itself = delete("Request", ("_uuid", "==", question))
    try:
        nb.transact([delete("Answer", ("request", "includes", question)), itself])
    except TransactionError as error:
        if error.error != "permission error":
            raise
        nb.transact([itself])
