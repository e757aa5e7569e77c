"""The answer to `announce`: this chassis announces ports of its own once more.

These are the frames that it sends anyway when a port comes up, and only of ports that it announces. They say
where the port is already: no flow changes. A question names few ports, and an agent answers few questions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.core.error import TrunklineError
from trunkline.health.announcement_question import ports
from trunkline.insight.waiting import Work


def announce(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Return which of the ports that *parameters* name this chassis has just announced.

    Raises:
        InvalidValueError: *parameters* do not name ports, or too many.
        TrunklineError: the switch is away.
    """
    yield from ()
    names = ports(parameters)
    forwarding, announcer = agent.forwarding, agent.announcer
    if forwarding is None or not forwarding.session.is_ready:
        raise TrunklineError("the switch of this chassis is not connected; ask again")
    named = {name: port.id for name in names if (port := agent.inventory.port_named(name)) is not None}
    told = {name: port_id for name, port_id in named.items() if announcer.is_announced(port_id)}
    announcer.repeat(told.values(), agent.inventory.revision)
    announcer.run(time.monotonic(), forwarding.applied, forwarding.session)
    forwarding.session.flush()
    return {"announced": [name for name, port_id in told.items() if not announcer.is_unsaid(port_id)]}
