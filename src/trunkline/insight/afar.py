"""Another chassis, asked through the northbound: its flows, and what it has yet to change.

Each question costs the northbound two writes, and the chassis one answer of 64 KiB at most.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TimedOutError, TrunklineError
from trunkline.insight import parcel
from trunkline.insight.chassis import Chassis, Interface
from trunkline.insight.flow import Count, count, merged
from trunkline.insight.flow_question import KIND, FlowQuestion
from trunkline.insight.parcel import UNREADABLE
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.liveness import STATE
from trunkline.northbound.question import DONE, ask, engaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.flow import Rates
    from trunkline.northbound.client import Northbound

PATIENCE_S = 10.0
"""How long an answer is waited for. A chassis at work answers within a second."""


class NoAnswerError(TimedOutError):
    """The chassis has not answered in time."""


def answer(
    nb: Northbound, chassis: str, kind: str, parameters: Mapping[str, str], timeout_s: float = PATIENCE_S
) -> dict[str, Any]:
    """Return what the agent of *chassis* answers to the question of that *kind*.

    Raises:
        NotFoundError: there is no such chassis.
        NoAnswerError: it does not answer.
        TrunklineError: it cannot say, and why.
    """
    answers = ask(nb, kind, [chassis], parameters, timeout_s=timeout_s)
    found = answers.by_chassis.get(chassis)
    if found is None:
        raise no_answer(chassis, timeout_s)
    if found.state != DONE:
        raise TrunklineError(f"chassis {chassis!r} has no answer: {found.reason}")
    if not isinstance(found.body, dict):
        raise UnreadableError(f"the answer of chassis {chassis!r} cannot be read: it is no object")
    return found.body


def require_life(nb: Northbound, chassis: str, timeout_s: float = PATIENCE_S) -> None:
    """Return if the agent of *chassis* runs, by all that is known within *timeout_s*: before a long question.

    It answers one question after the other, so one that has others to answer may be silent for longer.

    Raises:
        NotFoundError: there is no such chassis.
        NoAnswerError: it does not answer.
    """
    answers = ask(nb, STATE, [chassis], timeout_s=timeout_s)
    if chassis in answers.missing and chassis not in engaged(nb, answers.over):
        raise no_answer(chassis, timeout_s)


def no_answer(chassis: str, timeout_s: float) -> NoAnswerError:
    """Return what is raised if *chassis* has not answered within *timeout_s*."""
    return NoAnswerError(
        f"chassis {chassis!r} has not answered within {timeout_s:g} s; is its agent running? "
        "(`trunkline chassis show`)"
    )


@contextmanager
def readable(chassis: str) -> Iterator[None]:
    """Raise `UnreadableError` if the answer of *chassis* cannot be read within the block."""
    try:
        yield
    except UNREADABLE as error:
        raise UnreadableError(
            f"the answer of chassis {chassis!r} cannot be read: {error}; "
            "have its agent and this program be of one version"
        ) from error


class Afar:
    """The switch of the chassis of that *name*; *chassis* is what its answers say of it."""

    def __init__(self, nb: Northbound, name: str) -> None:
        self.chassis = Chassis(remote=f"chassis {name}")
        self._nb = nb
        self._name = name

    def close(self) -> None:
        """End the connection to the northbound."""
        self._nb.close()

    def flows(self, asked: FlowQuestion) -> list[InstalledFlow]:
        """Return the flows that are *asked* for. Raises as `answer` does."""
        body = self._answer(asked)
        with readable(self._name):
            packed = parcel.items(body.get("packed"))
            self._note(body, [item[1:] for item in packed if item[0] == "interface"])
            return [parcel.flow(item[1:]) for item in packed if item[0] == "flow"]

    def counts(self, rates: Rates | None = None) -> list[Count]:
        """Return how many flows there are of each kind; there are no *rates*. Raises as `answer` does."""
        body = self._answer(FlowQuestion(is_of_counts=True))
        with readable(self._name):
            self._note(body, [])
            return merged(count(item) for item in parcel.items(body.get("packed")))

    def _answer(self, asked: FlowQuestion) -> dict[str, Any]:
        return answer(self._nb, self._name, KIND, asked.parameters)

    def _note(self, body: Mapping[str, Any], interfaces: list[Any]) -> None:
        """Note what an answer says of the chassis: its bridge, and the *interfaces* that its flows have."""
        named = {
            parcel.number(ofport): Interface(str(name), None if port is None else str(port))
            for ofport, name, port in interfaces
        }
        self.chassis = Chassis(self.chassis.remote, str(body.get("bridge")), interface_by_ofport=named)
