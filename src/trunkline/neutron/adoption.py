"""Taking a host over from Neutron's Open vSwitch agent: whose bindings the ports of the host are.

Neutron keeps, for each port and host, which driver has bound the port to which segment. To take a host over,
that name is changed, and nothing else: the VIFs of that agent and of Trunkline are plugged in alike.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from neutron.db.models.agent import Agent
from neutron.db.models.segment import NetworkSegment
from neutron.plugins.ml2.models import PortBinding, PortBindingLevel
from neutron_lib.api.definitions import portbindings
from neutron_lib.db import api as db_api
from sqlalchemy import select, update

from trunkline.neutron.desired import NETWORK_TYPES
from trunkline.neutron.resource import DRIVER, Resources

if TYPE_CHECKING:
    from collections.abc import Collection

AGENT_DRIVER = "openvswitch"
"""The name of the driver whose ports Neutron's Open vSwitch agent serves."""

TRUNK_BRIDGE = "tbr-"
"""How the names of the bridges begin that the Open vSwitch agent makes for trunks."""


class Bound(NamedTuple):
    """A port that a driver has bound on the host to a segment; *vif_type* is None if it is distributed."""

    port_id: str
    segment_id: str
    network_type: str
    level: int
    vif_type: str | None
    vnic_type: str | None
    is_hybrid: bool
    bridge: str


def bound(context: Any, host: str, driver: str) -> list[Bound]:
    """Return what *driver* has bound on *host*."""
    level, binding = PortBindingLevel, PortBinding
    asked = (
        select(
            level.port_id,
            level.segment_id,
            NetworkSegment.network_type,
            level.level,
            binding.vif_type,
            binding.vnic_type,
            binding.vif_details,
        )
        .join(NetworkSegment, NetworkSegment.id == level.segment_id)
        .outerjoin(binding, (binding.port_id == level.port_id) & (binding.host == level.host))
        .where(level.host == host, level.driver == driver)
        .order_by(level.port_id)
    )
    with db_api.CONTEXT_READER.using(context):
        return [
            Bound._make((*found, *_plugged(details)))
            for *found, details in context.session.execute(asked).tuples()
        ]


def has_agent(context: Any, host: str) -> bool:
    """Return whether Neutron knows an agent on *host*."""
    asked = select(Agent.id).where(Agent.host == host).limit(1)
    with db_api.CONTEXT_READER.using(context):
        return context.session.execute(asked).first() is not None


def obstacle(port: Bound) -> str | None:
    """Return why *port* cannot be taken over, None if it can be."""
    if port.network_type not in NETWORK_TYPES:
        return f"its network is of type {port.network_type}, and chassis carry VLAN and flat networks only"
    if port.vif_type is None:
        return "it is of a distributed router (DVR); make that a centralized one"
    if port.vnic_type != portbindings.VNIC_NORMAL:
        return f"its vnic type is {port.vnic_type}; chassis carry normal ones only"
    if port.is_hybrid:
        return "its VM is plugged in through a Linux bridge, for security groups; migrate the VM away"
    if port.bridge.startswith(TRUNK_BRIDGE):
        return "it has a trunk, whose bridge its VM is plugged into; delete the trunk or migrate the VM away"
    if port.level:
        return "it is bound through another driver"
    return None


def hand(context: Any, host: str, port_ids: Collection[str], before: str, after: str) -> None:
    """Have the bindings of these ports on *host* be those of the driver *after*, no longer of *before*."""
    level = PortBindingLevel
    with db_api.CONTEXT_WRITER.using(context):
        context.session.execute(
            update(level)
            .where(level.host == host, level.driver == before, level.port_id.in_(port_ids))
            .values(driver=after)
        )


def handed(resources: Resources, host: str, ports: Collection[Bound], driver: str) -> Resources:
    """Return *resources* as they would be if the bindings *ports* on *host* were those of *driver*."""
    segments = {port.port_id: port.segment_id if driver == DRIVER else None for port in ports}
    changed = [
        port._replace(
            bindings=tuple(
                each._replace(segment_id=segments[port.id])
                if each.host == host and port.id in segments
                else each
                for each in port.bindings
            )
        )
        for port in resources.ports
    ]
    return Resources(resources.segments, changed)


def _plugged(details: str | None) -> tuple[bool, str]:
    """Return whether a VM is plugged in through a Linux bridge, and into which bridge."""
    found = json.loads(details) if details else {}
    return bool(found.get(portbindings.OVS_HYBRID_PLUG)), found.get(
        portbindings.VIF_DETAILS_BRIDGE_NAME
    ) or ""
