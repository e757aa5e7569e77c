"""The answer to a question about the plan: what this agent would change on its switch, as it sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.bridge.forwarding import Forwarding
from trunkline.core.cookie import Subject, cookie_parts
from trunkline.core.error import InvalidValueError, TrunklineError
from trunkline.insight.connection import InstalledFlow
from trunkline.insight.flow import VERSION, Kind
from trunkline.insight.parcel import Parcel
from trunkline.insight.plan import UNCOUNTED, FlowChange, Verb
from trunkline.insight.plan_summary import change_item, count_item, kind_of
from trunkline.insight.waiting import Work
from trunkline.process.flow_answer import interface_items

MOST_OF_A_KIND = 20
"""How many changes of one kind are told in full."""

_COUNTED = 500
"""How many changes are counted before others may go on: some 2 ms."""


def answer(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Return what would change on the switch of *agent* as it was last seen.

    Raises:
        InvalidValueError: there are *parameters*.
        TrunklineError: nothing is known of the switch.
    """
    if parameters:
        raise InvalidValueError(f"{min(parameters)!r} says nothing about a plan; leave it out")
    forwarding, settings = agent.forwarding, agent.settings
    if forwarding is None or settings is None or forwarding.installed is None:
        raise TrunklineError(f"there is nothing to compare with: {agent.standing.hold}")
    counts: Counter[tuple[Verb, Kind]] = Counter()
    packed = Parcel()
    told: list[FlowChange] = []
    changes = _changes(forwarding)
    while some := list(islice(changes, _COUNTED)):
        for change in some:
            what = kind_of(change)
            counts[what] += 1
            if counts[what] <= MOST_OF_A_KIND and packed.has_room(change_item(change)):
                packed.add(change_item(change))
                told.append(change)
        yield None
    for (verb, flow_kind), count in counts.items():
        packed.add(count_item(verb, flow_kind, count))
    flows = [flow for change in told for flow in (change.old, change.new) if flow is not None]
    yield from _add(packed, _name_items(agent, flows))
    yield from _add(packed, (yield from interface_items(agent, flows)))
    return {
        "version": VERSION,
        "chassis": agent.inventory.chassis,
        "bridge": settings.wiring.bridge,
        "flows": len(forwarding.desired.body_by_key),
        "hold": agent.standing.hold,
        "computed": agent.inventory.is_clean and not forwarding.has_more,
        "packed": packed.text(),
    }


def _add(packed: Parcel, items: Iterator[list[Any]]) -> Work[None]:
    """Put *items* in as far as there is room: names, and what has none is called by its key."""
    for item in items:
        if packed.has_room(item):
            packed.add(item)
    yield None


def _changes(forwarding: Forwarding) -> Iterator[FlowChange]:
    """Yield what would change; who calls may pause in between, while the agent goes on."""
    pending, installed = forwarding.pending(), forwarding.installed or {}
    old_by_key = pending.deletes | {
        key: installed[key] for key in pending.adds | pending.modifies if key in installed
    }
    for key, body in pending.deletes.items():
        yield FlowChange("delete", InstalledFlow(key, body, UNCOUNTED), None)
    for key, body in (pending.modifies | pending.adds).items():
        old = None if key not in old_by_key else InstalledFlow(key, old_by_key[key], UNCOUNTED)
        yield FlowChange("add" if old is None else "change", old, InstalledFlow(key, body, UNCOUNTED))


def _name_items(agent: Agent, flows: list[InstalledFlow]) -> Iterator[list[Any]]:
    """Yield the names of the rows that the cookies of *flows* name."""
    parts = {found for flow in flows if (found := cookie_parts(flow.cookie)) is not None}
    ports = {each.key for each in parts if each.subject in (Subject.PORT, Subject.VIF)}
    networks = agent.inventory.networks
    if not parts:
        return
    for network in networks.values():
        yield ["network", network.key, network.name]
    for port in agent.inventory.ports.values():
        if port.key in ports:
            network_ = networks.get(port.network_id)
            yield ["port", port.key, port.name, None if network_ is None else network_.key]
