"""Chassis as rows of Neutron's `agents` table.

So binding works while the northbound is away, and segments, DHCP scheduling, trunk rules and host filters
work as they do for Neutron's own agents.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from neutron.agent.common.utils import is_agent_down
from neutron.db.models.agent import Agent
from neutron.services.segments import db as segments_db
from neutron_lib.db import api as db_api
from neutron_lib.plugins import directory
from oslo_log import log
from oslo_utils import timeutils
from sqlalchemy import or_, select, update

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LOG = log.getLogger(__name__)

AGENT_TYPE = "Trunkline agent"
"""The `agent_type` of chassis."""

BINARY = "trunkline-agent"

MOST_CHARACTERS = 4095
"""How long `agents.configurations` may be, as JSON."""

_MOST_FAULTS = 8
_MOST_CHARACTERS = 120
"""Of a fault that is shown."""


class Known(NamedTuple):
    """What Neutron knows of the agent of a host."""

    configurations: dict[str, Any]
    is_alive: bool


def configurations(chassis: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *chassis*, a row, is able to do, as the driver and `network agent show` read it."""
    faults = sorted(chassis["faults"].items())
    for count in range(_MOST_FAULTS, -1, -1):
        found = _configurations(chassis, len(faults), dict(faults[:count]))
        if len(json.dumps(found)) <= MOST_CHARACTERS:
            break
    return found


def _configurations(chassis: Mapping[str, Any], count: int, faults: Mapping[str, str]) -> dict[str, Any]:
    return {
        "chassis": chassis["name"],
        "bridge_mappings": chassis["bridge_mappings"],
        "integration_bridge": chassis["integration_bridge"],
        "datapath_type": chassis["datapath_type"],
        "ovs_capabilities": {"iface_types": chassis["iface_types"]},
        "version": chassis["version"],
        "fault_count": count,
        "faults": {
            subject[:_MOST_CHARACTERS]: reason[:_MOST_CHARACTERS] for subject, reason in faults.items()
        },
    }


def known(context: Any, hosts: Collection[str] | None = None) -> dict[str, Known]:
    """Return what Neutron knows of chassis, of all or of those on *hosts*, by host."""
    asked = select(Agent.host, Agent.configurations, Agent.heartbeat_timestamp).where(
        Agent.agent_type == AGENT_TYPE
    )
    if hosts is not None:
        asked = asked.where(Agent.host.in_(hosts))
    with db_api.CONTEXT_READER.using(context):
        return {
            host: Known(_parsed(text), not is_agent_down(heartbeat))
            for host, text, heartbeat in context.session.execute(asked).tuples()
        }


def alike(context: Any, host: str) -> list[str]:
    """Return the hosts with another name, and an agent, whose first label is that of *host*."""
    label = host.partition(".")[0]
    asked = select(Agent.host).where(
        Agent.agent_type == AGENT_TYPE,
        or_(Agent.host == label, Agent.host.startswith(f"{label}.", autoescape=True)),
        Agent.host != host,
    )
    with db_api.CONTEXT_READER.using(context):
        return sorted(context.session.execute(asked).scalars())


def _parsed(text: str) -> dict[str, Any]:
    """Return *text* as configurations; {} if it is none, so that they are written again."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def register(context: Any, host: str, found: Mapping[str, Any]) -> None:
    """Create or change the agent of *host*, with the configurations *found*, and what segments it reaches.

    If it was dead, Neutron binds the ports again whose binding had failed there.
    """
    state = {
        "agent_type": AGENT_TYPE,
        "binary": BINARY,
        "host": host,
        "topic": "N/A",
        "configurations": dict(found),
    }
    status, _ = directory.get_plugin().create_or_update_agent(context, state, timeutils.utcnow())
    if status != "alive":
        LOG.info("Trunkline: the agent of host %s is %s", host, status)
    # Neutron's own mapping passes over a host that it has seen, and over one that maps nothing any more.
    segments = segments_db.get_segments_with_phys_nets(context, list(found["bridge_mappings"]))
    segments_db.update_segment_host_mapping(context, host, {segment["id"] for segment in segments})


def beat(context: Any, hosts: Collection[str]) -> None:
    """Note that the agents of *hosts* live now, by one UPDATE."""
    if not hosts:
        return
    with db_api.CONTEXT_WRITER.using(context):
        context.session.execute(
            update(Agent)
            .where(Agent.agent_type == AGENT_TYPE, Agent.host.in_(hosts))
            .values(heartbeat_timestamp=timeutils.utcnow())
        )


def end_future(context: Any) -> None:
    """Have no heartbeat be later than now: written by a clock that was ahead, it keeps a dead agent alive."""
    now = timeutils.utcnow()
    with db_api.CONTEXT_WRITER.using(context):
        context.session.execute(
            update(Agent)
            .where(Agent.agent_type == AGENT_TYPE, Agent.heartbeat_timestamp > now)
            .values(heartbeat_timestamp=now)
        )
