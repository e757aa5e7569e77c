"""Tracing: what the agent answers to somebody elsewhere who asks where a frame goes from here."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.core.error import TrunklineError
from trunkline.core.pipeline import Band
from trunkline.insight.connection import InstalledFlow
from trunkline.insight.flow import port_keys
from trunkline.insight.name import Names, PortName
from trunkline.insight.waiting import Work
from trunkline.path.hop import Entry, Place, hop

_SENDERS = (Band.VIF.name, Band.SUBPORT.name)
"""The bands whose flows say which port a frame comes from; a sub-port comes after its parent."""


def hops(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Return what this chassis does with the frame that *parameters* are."""
    entry = Entry.of(parameters)
    settings = agent.settings
    if settings is None:
        raise TrunklineError("the settings of this chassis are not read yet; ask again")

    def names(flows: Collection[InstalledFlow]) -> Names:
        keys, networks = port_keys(flows), agent.inventory.networks
        return Names(
            port_by_key={
                port.key: PortName(
                    port.name, networks[port.network_id].key if port.network_id in networks else None
                )
                for port in agent.inventory.ports.values()
                if port.key in keys
            },
            network_by_key={network.key: network.name for network in networks.values()},
        )

    found = yield from hop(Place(agent.switch, settings, agent.rundir, names), entry)
    return found | {"announced_s": _announced_s(agent, found)}


def _announced_s(agent: Agent, found: Mapping[str, Any]) -> float | None:
    """Return how long ago the port that sends the frame of the hop *found* was announced; None if not here.

    An announcement passes no flow that counts.
    """
    senders = [each["row"] for each in found["steps"] if each["band"] in _SENDERS]
    port = agent.inventory.port_named(senders[-1]) if senders and senders[-1] is not None else None
    said_s = None if port is None else agent.announcer.said_s(port.id)
    return None if said_s is None else round(time.monotonic() - said_s, 3)
