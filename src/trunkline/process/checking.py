"""The answer to `check`: what this chassis finds of itself, from the rows that the agent has anyway."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Mapping
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject
from trunkline.core.error import TrunklineError
from trunkline.insight import inspection
from trunkline.insight.finding import Finding
from trunkline.insight.inspection import Scope, Seen
from trunkline.insight.refused import PortCounts
from trunkline.openflow.tally import Tally

PATIENCE_S = 3.0
"""How long the switch may take to say what its flows have counted."""

MOST_BYTES = 60000
"""How much of an answer are findings: `answering.MOST_BYTES` without what is around them."""


def check(agent: Agent, parameters: Mapping[str, str]) -> Generator[None, None, dict[str, Any]]:
    """Return the findings of the chassis of *agent*; of a `port` or a `network` alone, if one is named."""
    scope = Scope(parameters.get("port"), parameters.get("network"))
    settings = agent.settings
    if settings is None or agent.forwarding is None:
        raise TrunklineError("this agent has not read its chassis' settings yet; ask again")
    counts, failure = yield from _counts(agent, settings.wiring.bridge, scope)
    seen = Seen(agent.switch, settings, agent.inventory, counts, agent.faults)
    found: list[Finding] = []
    for each in inspection.findings(seen, scope):
        if each is not None:
            found.append(each)
        yield
    found.sort(key=lambda finding: (finding.severity, finding.code))
    return _body(found) | {"uncounted": failure}


def _counts(
    agent: Agent, bridge: str, scope: Scope
) -> Generator[None, None, tuple[PortCounts | None, str | None]]:
    """Return what the flows of *scope* have counted; None, and why, if the switch does not say."""
    port = None if scope.port is None else agent.inventory.port_named(scope.port)
    which = (0, 0)
    if port is not None:
        which = COOKIE_OURS | Subject.PORT << 32 | port.key, COOKIE_OURS_MASK | 0xFF << 32 | 0xFFFFFFFF
    tally = Tally(f"unix:{os.path.join(agent.rundir, bridge)}.mgmt", *which)
    counts, noted, end_s = PortCounts(), 0, time.monotonic() + PATIENCE_S
    tally.ask()
    try:
        while tally.is_under_way and time.monotonic() < end_s:
            tally.run()
            counts.note(tally.counts[noted:])
            noted = len(tally.counts)
            yield
        if tally.is_under_way:
            return None, f"no answer within {PATIENCE_S:g} s"
    finally:
        tally.close()
    return (counts, None) if tally.failure is None else (None, tally.failure)


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
