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
from sqlalchemy import select, update

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LOG = log.getLogger(__name__)

AGENT_TYPE = "Trunkline agent"
"""The `agent_type` of chassis."""

BINARY = "trunkline-agent"

_MOST_FAULTS = 8
_MOST_CHARACTERS = 120
"""Of a fault that is shown: `agents.configurations` has 4,095 characters."""


class Known(NamedTuple):
    """What Neutron knows of the agent of a host."""

    configurations: dict[str, Any]
    is_alive: bool


def configurations(chassis: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *chassis*, a row, is able to do, as the driver and `network agent show` read it."""
    faults = sorted(chassis["faults"].items())
    return {
        "chassis": chassis["name"],
        "bridge_mappings": chassis["bridge_mappings"],
        "integration_bridge": chassis["integration_bridge"],
        "datapath_type": chassis["datapath_type"],
        "ovs_capabilities": {"iface_types": chassis["iface_types"]},
        "version": chassis["version"],
        "fault_count": len(faults),
        "faults": {
            subject[:_MOST_CHARACTERS]: reason[:_MOST_CHARACTERS] for subject, reason in faults[:_MOST_FAULTS]
        },
    }


def known(context: Any) -> dict[str, Known]:
    """Return what Neutron knows of chassis, by host."""
    asked = select(Agent.host, Agent.configurations, Agent.heartbeat_timestamp).where(
        Agent.agent_type == AGENT_TYPE
    )
    with db_api.CONTEXT_READER.using(context):
        return {
            host: Known(json.loads(text), not is_agent_down(heartbeat))
            for host, text, heartbeat in context.session.execute(asked).tuples()
        }


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
