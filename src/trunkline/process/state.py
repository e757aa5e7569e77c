"""The agent's own state: what it is connected to and has in place."""

from __future__ import annotations

from typing import Any

import trunkline
from trunkline.agent.agent import Agent


def state(agent: Agent) -> dict[str, Any]:
    """Return the state of *agent* as JSON can say it."""
    forwarding, nb, settings = agent.forwarding, agent.nb, agent.settings
    return {
        "chassis": agent.inventory.chassis,
        "version": trunkline.__version__,
        "switch_database": agent.switch.is_connected,
        "switch": forwarding is not None and forwarding.is_connected,
        "northbound": nb is not None and nb.is_connected,
        "northbound_remotes": settings.nb_remotes if settings is not None else None,
        "settled": agent.is_settled,
        "nb_cfg": nb.reported_nb_cfg if nb is not None else None,
        "nb_cfg_latest": nb.nb_cfg if nb is not None else None,
        "networks": len(agent.inventory.networks),
        "ports": len(agent.inventory.ports),
        "vifs": len(agent.inventory.vifs),
        "local_ports": agent.inventory.seats.local_count,
        "uplinks": {physnet: uplink.bridge for physnet, uplink in sorted(agent.inventory.uplinks.items())},
        "repairs": agent.repairs,
        "flows": len(forwarding.desired.body_by_key) if forwarding is not None else 0,
        "installed_flows": len(forwarding.installed or {}) if forwarding is not None else 0,
        "longest_turn_ms": round(agent.turn.longest_s * 1000),
        "convergence": agent.delays.convergence.as_json(),
        "bind": agent.delays.bind.as_json(),
        "faults": dict(sorted(agent.standing.faults.items())),
    }
