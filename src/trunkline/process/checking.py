"""The answer to `check`: what this chassis finds of itself.

That is from the rows that the agent has anyway, what its flows have counted, and a look at provider bridges:
their switch does not tell when they lose their flows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject
from trunkline.core.error import TrunklineError
from trunkline.health import cause, inspection
from trunkline.health.finding import Finding
from trunkline.health.inspection import Counts, Scope, Seen
from trunkline.insight.connection import Connection, SwitchError
from trunkline.insight.waiting import Wait, Work
from trunkline.openflow import tally
from trunkline.ovsdb import wiring
from trunkline.path import hindrance
from trunkline.path.hindrance import Replies

PATIENCE_S = 3.0
"""How long the switch may take to say what its flows have counted."""

PAUSE_S = 0.05
"""How long it goes on with other work until it sees whether the agent has looked at the bridges."""

MOST_BYTES = 60000
"""How much of an answer are findings: `answering.MOST_BYTES` without what is around them."""


def check(agent: Agent, parameters: Mapping[str, str]) -> Work[dict[str, Any]]:
    """Return the findings of the chassis of *agent*; of a `port` or a `network` alone, if one is named."""
    scope = Scope(parameters.get("port"), parameters.get("network"))
    settings = agent.settings
    if settings is None or agent.forwarding is None:
        raise TrunklineError("this agent has not read its chassis' settings yet; ask again")
    yield from _look(agent)
    counts, failure = yield from _counts(agent, settings.wiring.bridge, scope)
    said, unsaid = (None, None) if failure else (yield from _said(agent, settings.wiring.bridge))
    _, by_physnet = wiring.uplinks(agent.switch, settings.wiring, agent.black_holes.bridges)
    mappings = {f"mapping {physnet}": fault for physnet, fault in by_physnet.items()}
    seen = Seen(agent.switch, settings, agent.inventory, counts, said, agent.standing.faults | mappings)
    # They may be newer than what the northbound has, and whoever asks has read that already.
    found = [cause.finding(seen.chassis, subject, fault) for subject, fault in mappings.items()]
    for each in inspection.findings(seen, scope):
        if each is not None:
            found.append(each)
        yield None
    found.sort(key=lambda finding: (finding.severity, finding.code))
    return _body(found) | {"uncounted": failure, "unsaid": unsaid}


def _look(agent: Agent) -> Work[None]:
    """Have the agent look at all provider bridges, and wait until it has."""
    end_s = time.monotonic() + PATIENCE_S
    agent.black_holes.look()
    while agent.black_holes.is_looking and time.monotonic() < end_s:
        yield Wait(None, 0, time.monotonic() + PAUSE_S)


def _counts(agent: Agent, bridge: str, scope: Scope) -> Work[tuple[Counts | None, str | None]]:
    """Return what the flows of *scope* have counted; None, and why, if the switch does not say."""
    counts = Counts()
    try:
        connection = Connection(Path(agent.rundir) / f"{bridge}.mgmt", PATIENCE_S, tally.VERSIONS)
        try:
            for cookie, mask in _cookies(agent, scope):
                yield from connection.count(counts.note, cookie, mask)
        finally:
            connection.close()
    except SwitchError as error:
        return None, str(error)
    return counts, None


def _said(agent: Agent, bridge: str) -> Work[tuple[Replies | None, str | None]]:
    """Return what the switch says of its settings; None, and why, if it does not say."""
    try:
        with Connection(Path(agent.rundir) / f"{bridge}.mgmt", PATIENCE_S) as connection:
            return (yield from hindrance.replies(connection, agent.switch.remotes, PATIENCE_S)), None
    except TrunklineError as error:
        return None, str(error)


def _cookies(agent: Agent, scope: Scope) -> list[tuple[int, int]]:
    """Return the cookies, with their masks, of the flows of *scope*.

    Of a port, these are its own, its network's, and those that all ports share.
    """
    port = None if scope.port is None else agent.inventory.port_named(scope.port)
    if port is None:
        return [(0, 0)]
    network = agent.inventory.networks.get(port.network_id)
    rows = [
        (Subject.CHASSIS, 0),
        (Subject.PORT, port.key),
        *([(Subject.NETWORK, network.key)] if network is not None else []),
    ]
    mask = COOKIE_OURS_MASK | 0xFF << 32 | 0xFFFFFFFF
    return [(COOKIE_OURS | subject << 32 | key, mask) for subject, key in rows]


def _body(found: list[Finding]) -> dict[str, Any]:
    """Return as many of the findings as there is room for, and how many there was no room for."""
    data: list[dict[str, Any]] = []
    size = 0
    for finding in found:
        each = finding.data()
        size += len(json.dumps(each)) + 2
        if size > MOST_BYTES:
            break
        data.append(each)
    return {"findings": data, "left_out": len(found) - len(data)}
