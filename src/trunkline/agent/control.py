"""Control: what `ovs-appctl -t` can ask of a running agent."""

from __future__ import annotations

import json
from typing import Any

import ovs.unixctl

from trunkline.agent.agent import Agent
from trunkline.core.pipeline import Subject, cookie_parts
from trunkline.openflow.text import encoded_text


def register(agent: Agent) -> None:
    """Register the commands `status`, `flows`, `plan` and `recompute` for *agent*."""

    def command(name: str, usage: str, most: int, answer: Any) -> None:
        def respond(connection: Any, words: list[str], _: Any) -> None:
            connection.reply(answer(agent, *words))

        ovs.unixctl.command_register(name, usage, 0, most, respond, None)

    command("status", "", 0, status)
    command("flows", "[installed]", 1, flows)
    command("plan", "", 0, plan)
    command("recompute", "", 0, recompute)


def status(agent: Agent) -> str:
    """Return what the agent is connected to and has in place, as JSON."""
    forwarding, nb, settings = agent.forwarding, agent.nb, agent.settings
    return json.dumps(
        {
            "chassis": agent.snapshot.chassis,
            "switch_database": agent.switch.is_connected,
            "switch": forwarding is not None and forwarding.is_connected,
            "northbound": nb is not None and nb.is_connected,
            "northbound_remotes": settings.nb_remotes if settings is not None else None,
            "settled": agent.is_settled,
            "nb_cfg": nb.reported_nb_cfg if nb is not None else None,
            "networks": len(agent.snapshot.networks),
            "ports": len(agent.snapshot.ports),
            "vifs": len(agent.snapshot.vifs),
            "uplinks": {physnet: uplink.bridge for physnet, uplink in sorted(agent.snapshot.uplinks.items())},
            "repairs": agent.repairs,
            "flows": len(forwarding.desired.body_by_key) if forwarding is not None else 0,
            "faults": dict(sorted(agent.faults.items())),
        },
        indent=2,
    )


def flows(agent: Agent, which: str = "desired") -> str:
    """Return the desired flows, or the `installed` ones as last seen, a line each, with what each is for."""
    if agent.forwarding is None:
        return ""
    desired = agent.forwarding.desired.body_by_key
    body_by_key = (agent.forwarding.installed or {}) if which == "installed" else desired
    names = _names(agent)
    lines = []
    for key, body in sorted(
        body_by_key.items(), key=lambda flow: (flow[0][0], -int.from_bytes(flow[0][1:3]), flow[0])
    ):
        parts = cookie_parts(int.from_bytes(body[:8]))
        whose = "" if parts is None else f"  # {parts.owner.name.lower()}"
        if parts is not None and (parts.subject, parts.key) in names:
            whose += f": {names[parts.subject, parts.key]}"
        lines.append(encoded_text(key, body) + whose)
    return "\n".join(lines)


def _names(agent: Agent) -> dict[tuple[Subject, int], str]:
    """Return what an operator calls the rows that cookies name by key."""
    names: dict[tuple[Subject, int], str] = {}
    for network in agent.snapshot.networks.values():
        names[Subject.NETWORK, network.key] = f"network {network.name!a}"
        names[Subject.MAC, network.key] = f"shared MAC of network {network.name!a}"
    for port in agent.snapshot.ports.values():
        names[Subject.PORT, port.key] = f"port {port.name!a}"
    return names


def plan(agent: Agent) -> str:
    """Return what would change on the switch as it was last seen; empty when there is nothing to do."""
    if agent.forwarding is None:
        return ""
    pending = agent.forwarding.pending()
    parts = (("delete", pending.deletes), ("modify", pending.modifies), ("add", pending.adds))
    return "\n".join(f"{verb} {encoded_text(*flow)}" for verb, part in parts for flow in part.items())


def recompute(agent: Agent) -> str:
    """Compute all flows anew and have the switch read again; say what differed from before."""
    total, differing = agent.recompute()
    return f"{total} flows, {differing} differed"
