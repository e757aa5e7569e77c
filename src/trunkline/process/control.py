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
from trunkline.openflow.text import encoded_text
from trunkline.process.state import state

SLICE_S = 0.02
"""How long slow answers are worked on in one turn of the loop."""

_LINES = 200
"""How many lines of an answer are made before the clock is looked at again: some 5 ms."""

Answer: TypeAlias = "str | Generator[None, None, str]"
"""An answer, or a generator that returns it and yields now and then."""


class _Asked(NamedTuple):
    connection: Any
    answer: Generator[None, None, str]


class Control:
    """The commands `status`, `flows`, `plan` and `recompute` for *agent*, and the answers under way."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._asked: deque[_Asked] = deque()
        self._register("status", "", 0, status)
        self._register("flows", "[desired|installed]", 1, flows)
        self._register("plan", "", 0, plan)
        self._register("recompute", "", 0, recompute)

    def _register(self, name: str, usage: str, most: int, answer: Callable[..., Answer]) -> None:
        def respond(connection: Any, words: list[str], _: Any) -> None:
            found = answer(self._agent, *words)
            if isinstance(found, str):
                connection.reply(found)
            else:
                self._asked.append(_Asked(connection, found))

        ovs.unixctl.command_register(name, usage, 0, most, respond, None)

    def run(self) -> None:
        """Work on the answers that are under way, one after the other, for `SLICE_S`."""
        end_s = time.monotonic() + SLICE_S
        while self._asked and time.monotonic() < end_s:
            asked = self._asked[0]
            try:
                next(asked.answer)
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
            poller.immediate_wake()


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


def recompute(agent: Agent) -> Generator[None, None, str]:
    """Compute all flows anew and have the switch read again; say how many of the desired ones differ."""
    found = yield from recomputation.recompute(lambda: agent.standing)
    if found is not None:
        return f"{found.flows} flows, {found.differing} differed"
    why = agent.standing.hold or "what is known changes, and is not all computed; ask again"
    return f"not compared: {why}"
