"""Control: what `ovs-appctl -t` can ask a running agent."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Generator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import ovs.poller
import ovs.unixctl

from trunkline.agent import recomputation
from trunkline.agent.agent import Agent
from trunkline.core.cookie import Subject, cookie_parts
from trunkline.core.error import InvalidValueError
from trunkline.insight.waiting import Work
from trunkline.openflow.text import encoded_text
from trunkline.process.answering import KINDS
from trunkline.process.job import Job
from trunkline.process.state import state

SLICE_S = 0.02
"""How long slow answers are worked on in one turn of the loop."""

_MOST_WORDS = 33
"""A kind, and as many parameters as `Request:parameters` has."""

_LINES = 200
"""How many lines of an answer are made before the clock is looked at again: some 5 ms."""

Answer: TypeAlias = "str | Work[str]"
"""An answer, or work that returns it."""


class _Asked(NamedTuple):
    connection: Any
    job: Job[str]


class Control:
    """The commands for *agent*, and the answers under way."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._asked: deque[_Asked] = deque()
        self._register("status", "", 0, status)
        self._register("flows", "[desired|installed]", 1, flows)
        self._register("plan", "", 0, plan)
        self._register("recompute", "", 0, recompute)
        self._register("answer", "KIND [NAME=VALUE]...", _MOST_WORDS, answer, least=1)

    def _register(
        self, name: str, usage: str, most: int, answer: Callable[..., Answer], least: int = 0
    ) -> None:
        def respond(connection: Any, words: list[str], _: Any) -> None:
            found = answer(self._agent, *words)
            if isinstance(found, str):
                connection.reply(found)
            else:
                self._asked.append(_Asked(connection, Job(found)))

        ovs.unixctl.command_register(name, usage, least, most, respond, None)

    def run(self) -> None:
        """Work on the answers that are under way, one after the other, for `SLICE_S`."""
        end_s = time.monotonic() + SLICE_S
        while self._asked and time.monotonic() < end_s:
            asked = self._asked[0]
            try:
                if not asked.job.advance():
                    return
            except StopIteration as done:
                self._asked.popleft()
                # Who asked may have gone.
                if asked.connection.is_asked:
                    asked.connection.reply(done.value)
            except Exception as error:
                self._asked.popleft()
                asked.connection.fail(error)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        if self._asked:
            self._asked[0].job.wait(poller)


def status(agent: Agent) -> str:
    """Return what the agent is connected to and has in place, as JSON."""
    return json.dumps(state(agent), indent=2)


def flows(agent: Agent, which: str = "desired") -> Generator[None, None, str]:
    """Return the desired flows, or the `installed` ones as last seen, a line each, with what each is for.

    Raises:
        InvalidValueError: *which* is neither.
    """
    if which not in ("desired", "installed"):
        raise InvalidValueError(f"{which!r} are no flows to show; ask for desired or installed")
    if agent.forwarding is None:
        return ""
    desired = agent.forwarding.desired.body_by_key
    body_by_key = (agent.forwarding.installed or {}) if which == "installed" else desired
    names = _names(agent)
    lines = []
    encoded = iter(
        sorted(body_by_key.items(), key=lambda flow: (flow[0][0], -int.from_bytes(flow[0][1:3]), flow[0]))
    )
    while some := list(islice(encoded, _LINES)):
        lines += [encoded_text(key, body) + _whose(body, names) for key, body in some]
        yield
    return "\n".join(lines)


def _whose(body: bytes, names: dict[tuple[Subject, int], str]) -> str:
    parts = cookie_parts(int.from_bytes(body[:8]))
    if parts is None:
        return ""
    name = names.get((parts.subject, parts.key))
    return f"  # {parts.owner.name.lower()}" + ("" if name is None else f": {name}")


def _names(agent: Agent) -> dict[tuple[Subject, int], str]:
    """Return what an operator calls the rows that cookies name by key."""
    names: dict[tuple[Subject, int], str] = {}
    for network in agent.inventory.networks.values():
        names[Subject.NETWORK, network.key] = f"network {network.name!a}"
        names[Subject.MAC, network.key] = f"shared MAC of network {network.name!a}"
    for port in agent.inventory.ports.values():
        names[Subject.PORT, port.key] = f"port {port.name!a}"
    return names


def plan(agent: Agent) -> Generator[None, None, str]:
    """Return what would change on the switch as it was last seen; empty when there is nothing to do.

    Where nothing may change now, the first line says why.
    """
    lines = [] if agent.standing.hold is None else [f"# nothing is changed now: {agent.standing.hold}"]
    if agent.forwarding is not None:
        pending = agent.forwarding.pending()
        parts = (("delete", pending.deletes), ("modify", pending.modifies), ("add", pending.adds))
        changes = ((verb, *flow) for verb, part in parts for flow in part.items())
        while some := list(islice(changes, _LINES)):
            lines += [f"{verb} {encoded_text(key, body)}" for verb, key, body in some]
            yield
    return "\n".join(lines)


def answer(agent: Agent, kind: str, *parameters: str) -> Work[str]:
    """Return what is answered to a question of that *kind* from afar (`answering.KINDS`), as JSON.

    Raises:
        InvalidValueError: there is no such kind, or a parameter is not of the form NAME=VALUE.
    """
    found = KINDS.get(kind)
    if found is None:
        raise InvalidValueError(f"there is no kind {kind!r}; the kinds are {', '.join(sorted(KINDS))}")
    split = {name: (equals, value) for name, equals, value in (word.partition("=") for word in parameters)}
    for name, (equals, _) in split.items():
        if not equals:
            raise InvalidValueError(f"{name!r} is not of the form NAME=VALUE; correct it")
    return _json(found(agent, {name: value for name, (_, value) in split.items()}))


def _json(work: Work[Any]) -> Work[str]:
    return json.dumps((yield from work))


def recompute(agent: Agent) -> Generator[None, None, str]:
    """Compute all flows anew and have the switch read again; say how many of the desired ones differ."""
    found = yield from recomputation.recompute(lambda: agent.standing)
    if found is not None:
        return f"{found.flows} flows, {found.differing} differed"
    why = agent.standing.hold or "what is known changes, and is not all computed; ask again"
    return f"not compared: {why}"
