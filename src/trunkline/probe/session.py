"""The session of a probe, as whoever asks for it leads it: each step is a question to all chassis in it."""

from __future__ import annotations

import random
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TimedOutError
from trunkline.core.probe import KEY_BYTES, SESSION_BYTES, Secret, member_id
from trunkline.host.interruption import kept_back
from trunkline.northbound import question
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.refusal import NotFoundError, RefusedError
from trunkline.northbound.rpc import UnreachableError
from trunkline.probe.order import KIND, Order, Step, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from trunkline.northbound.client import Northbound

LEAST_STEP_S = 2.0
"""With less time than that left, no further step is begun."""

STEP_SHARE, LEAST_PATIENCE_S = 0.4, 5.0
"""How much of the whole time a chassis may take to answer to one step, and how long it may in any case. It
says so if it has more to do; before, it may have to answer somebody else, which takes 3 s at most."""

CLOSE_S = 4.0
"""How long chassis may take to end a session; `kept_back` keeps an interruption back for longer."""

_BUSY_S = (0.3, 1.5)


class BusyError(TimedOutError):
    """Another probe was under way all the time."""


@contextmanager
def session(
    nb: Northbound, names: list[str], wanted: Order, timeout_s: float, say: Callable[[str], None]
) -> Iterator[Session]:
    """Have a session of the chassis called *names* for the length of the block; each step is as in *wanted*.

    Nothing is left of it afterwards, neither in the northbound nor on a chassis.

    Raises:
        BusyError: another one was under way for *timeout_s* seconds.
        RefusedError: this connection may not ask.
        UnreachableError: the northbound was lost; the flows on the chassis go away by themselves.
    """
    began_s = time.monotonic()
    while True:
        found = Session(nb, names, wanted, timeout_s, began_s)
        try:
            say("the chassis get ready")
            if found.open():
                yield found
                return
        finally:
            found.close()
        if time.monotonic() + _BUSY_S[1] > began_s + timeout_s:
            raise BusyError(
                f"another probe is under way ({', '.join(found.busy[:3])}); try again in a minute"
            )
        say("waiting for another probe to end")
        time.sleep(random.uniform(*_BUSY_S))


class Session:
    """One session; *names* are the chassis that take part, until one does not answer.

    *silent* and *off* say why a chassis takes no part. *keys_by_chassis* has the networks that are probed
    there; *flooded* are the chassis that have stopped to listen, as too much came, *unsettled* those that had
    no time to send all.
    """

    def __init__(
        self, nb: Northbound, names: list[str], wanted: Order, timeout_s: float, began_s: float
    ) -> None:
        self._nb, self._timeout_s, self._began_s = nb, timeout_s, began_s
        self._wanted = wanted._replace(secret=_secret(names))
        self._deadline_s = began_s + timeout_s
        self._opened: list[str] = []
        self._away: set[str] = set()
        self.names = names
        self.keys_by_chassis: dict[str, frozenset[int]] = {}
        self.silent: dict[str, str] = {}
        self.off: dict[str, str] = {}
        self.busy: list[str] = []
        self.flooded: set[str] = set()
        self.unsettled: set[str] = set()

    @property
    def secret(self) -> Secret:
        """What its members share."""
        return self._wanted.secret

    @property
    def id(self) -> str:
        """What it is called."""
        return self.secret.id.hex()

    @property
    def took_s(self) -> float:
        """How long it has taken so far, with all waiting."""
        return time.monotonic() - self._began_s

    @property
    def is_late(self) -> bool:
        """Whether there is no time for another step."""
        return time.monotonic() + LEAST_STEP_S > self._deadline_s

    def open(self) -> bool:
        """Return whether the session has begun: no chassis is in another one."""
        # If this is interrupted, each of them may have begun.
        self._opened = self.names
        bodies = self.ask(Step.OPEN)
        self.off = {name: str(body["off"]) for name, body in bodies.items() if "off" in body}
        self.busy = [name for name, body in bodies.items() if "busy" in body]
        self._opened = [name for name, body in bodies.items() if "networks" in body]
        for name in self._opened:
            try:
                self.keys_by_chassis[name] = unpacked(bodies[name]["networks"])
            except UnreadableError as error:
                self.silent[name] = f"its answer cannot be read: {error}"
        self.names = sorted(self.keys_by_chassis)
        return not self.busy

    def close(self) -> None:
        """End the session on all chassis; on one that is away, it ends by itself."""
        self.names = [name for name in self._opened if name not in self._away]
        if self.names:
            with kept_back(), suppress(UnreachableError, RefusedError):
                self._answers(self._wanted._replace(step=Step.CLOSE).parameters(), CLOSE_S)

    def settled(self, step: Step, **changes: Any) -> bool:
        """Have all do *step* until nothing of it is left to do; return whether that was so in time."""
        while True:
            bodies = self.ask(step, **changes)
            self.unsettled = {name for name, body in bodies.items() if body.get("unsent")}
            if not self.unsettled or self.is_late:
                return not self.unsettled

    def ask(self, step: Step, **changes: Any) -> dict[str, Mapping[str, Any]]:
        """Return what the chassis answer to *step*; one that does not answer takes no part any longer."""
        left_s = self._deadline_s - time.monotonic()
        limit_s = max(min(left_s, self._timeout_s * STEP_SHARE), LEAST_PATIENCE_S)
        parameters = self._wanted._replace(step=step, **changes).parameters()
        answers = self._answers(parameters, limit_s)
        self._away |= answers.missing
        for name in answers.missing:
            self.leave(name, f"it has not answered for {limit_s:.0f} s")
        found: dict[str, Mapping[str, Any]] = {}
        for name, answer in answers.by_chassis.items():
            if answer.state == question.DONE and isinstance(answer.body, dict):
                found[name] = answer.body
                if answer.body.get("flooded") is True:
                    self.flooded.add(name)
            else:
                self.leave(name, answer.reason)
        return found

    def _answers(self, parameters: Mapping[str, str], limit_s: float) -> question.Answers:
        while True:
            try:
                return question.ask(self._nb, KIND, self.names, parameters, timeout_s=limit_s)
            except NotFoundError as error:
                if error.place is None or error.place.row not in self.names:
                    raise
                self.leave(error.place.row, "it was deleted meanwhile")

    def leave(self, name: str, reason: str) -> None:
        """Go on without the chassis called *name*, and say why."""
        self.silent[name] = reason
        self.names = [each for each in self.names if each != name]


def _secret(names: Iterable[str]) -> Secret:
    """Return a new secret with which no two of *names* are called the same in frames."""
    names = list(names)
    while True:
        secret = Secret(secrets.token_bytes(SESSION_BYTES), secrets.token_bytes(KEY_BYTES))
        if len({member_id(secret, name) for name in names}) == len(names):
            return secret
