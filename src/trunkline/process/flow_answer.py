"""The answer to a question about flows: what the switch of this chassis holds of those that are asked for.

The switch chooses and counts, over a connection of its own. What it sends is looked at some hundreds of flows
at a time, and no more of it is kept than an answer can have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.core.error import TrunklineError
from trunkline.core.field import Field, Term
from trunkline.core.flow import Output
from trunkline.insight.connection import Connection, InstalledFlow
from trunkline.insight.flow import VERSION, Count, count_item, counts, merged
from trunkline.insight.flow_question import FlowQuestion, question
from trunkline.insight.parcel import Parcel, flow_item
from trunkline.insight.waiting import Work
from trunkline.openflow import message
from trunkline.ovsdb.patch_pair import BridgeMapping

_DECODED = 50
"""How many flows are decoded before others may go on: some 2 ms."""


def answer(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Return the flows of *agent*'s switch that *parameters* ask for, or how many there are of each kind.

    Raises:
        InvalidValueError: *parameters* do not say which.
        SwitchError: the switch does not answer.
        FullError: that is more than one answer can have.
    """
    asked = question(parameters)
    if agent.settings is None:
        raise TrunklineError("this chassis has no valid settings yet; see its faults")
    bridge = agent.settings.wiring.bridge
    connection = Connection(Path(agent.rundir) / f"{bridge}.mgmt")
    try:
        packed = yield from (_counts if asked.is_of_counts else _flows)(agent, connection, asked)
    finally:
        connection.close()
    return {"version": VERSION, "bridge": bridge, "packed": packed.text()}


def _counts(_: Agent, connection: Connection, asked: FlowQuestion) -> Work[Parcel]:
    found: list[Count] = []

    def take(flows: list[InstalledFlow]) -> None:
        found[:] = merged([*found, *counts(flows)])

    yield from connection.read(take, asked.cookie, asked.cookie_mask, asked.table_id)
    packed = Parcel()
    for count in found:
        packed.add(count_item(count))
    return packed


def _flows(agent: Agent, connection: Connection, asked: FlowQuestion) -> Work[Parcel]:
    packed = Parcel()
    found: list[InstalledFlow] = []

    def take(flows: list[InstalledFlow]) -> None:
        for flow in flows:
            if not asked.is_of_drops or flow.has_dropped:
                found.append(flow)
                packed.add(["flow", *flow_item(flow)])

    yield from connection.read(take, asked.cookie, asked.cookie_mask, asked.table_id)
    for item in (yield from interface_items(agent, found)):
        packed.add(item)
    return packed


def interface_items(agent: Agent, flows: list[InstalledFlow]) -> Work[Iterator[list[Any]]]:
    """Return the interfaces that *flows* speak of, as items of a parcel: number, name and port."""
    ofports: set[int] = set()
    for number, flow in enumerate(flows):
        ofports.update(_ofports(flow))
        if not number % _DECODED:
            yield None
    return (["interface", *item] for item in _interfaces(agent, ofports))


def _ofports(flow: InstalledFlow) -> Iterator[int]:
    """Yield the OpenFlow ports that *flow* speaks of."""
    decoded = message.decode(flow.key, flow.body)
    yield from (
        term.value for term in decoded.match if isinstance(term, Term) and term.field is Field.IN_PORT
    )
    yield from (action.ofport for action in decoded.actions if isinstance(action, Output))


def _interfaces(agent: Agent, ofports: set[int]) -> Iterator[tuple[int, str, str | None]]:
    """Yield the interfaces at *ofports*: the number, the name, and the name of the port, or its iface-id."""
    for iface_id, vifs in agent.inventory.vifs.items():
        port = agent.inventory.port_of_vif(iface_id)
        yield from (
            (vif.ofport, vif.interface, iface_id if port is None else port.name)
            for vif in vifs
            if vif.ofport is not None and vif.ofport in ofports
        )
    for uplink in agent.inventory.uplinks.values():
        if uplink.ofport in ofports:
            yield uplink.ofport, BridgeMapping(uplink.physnet, uplink.bridge).inner, None
