"""The answers to `probe`: one step of a session after the other (`trunkline.probe.order`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from trunkline.agent.agent import Agent
from trunkline.bridge.address_search import sought_here
from trunkline.bridge.prober import Probing
from trunkline.core.address import mac_text
from trunkline.core.error import TrunklineError
from trunkline.core.probe import Secret
from trunkline.core.setting import PROBE
from trunkline.insight.waiting import Wait, Work
from trunkline.openflow.session import Session
from trunkline.probe.order import Order, Step, packed, packed_groups

SLICE_S = 3.0
"""How long a step may take before it says how much is left to do; whoever asks then asks again."""

_PAUSE_S = 0.02


def probe(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Return what this chassis says to one step of a session."""
    order = Order.of(parameters)
    if order.step is Step.CLOSE:
        # Also while the switch is away: it may come back before the session's time is over.
        _probing(agent, order.secret)
        agent.prober.close(None if agent.forwarding is None else agent.forwarding.session)
        return {}
    session = _session(agent)
    if order.step is Step.OPEN:
        refusal = _open(agent, order)
        if refusal is not None:
            return refusal
    probing = _probing(agent, order.secret)
    agent.prober.extend(time.monotonic(), order.seconds, agent.inventory, session)
    session.flush()
    network_ids = _network_ids(agent, order)
    if order.step is Step.OPEN:
        # The flows are in place when the switch answers, and only then may others begin to send. Uplinks that
        # have to be widened are by then, too.
        session.catch_up()
        session.flush()
        end_s = time.monotonic() + SLICE_S
        while time.monotonic() < end_s:
            if session.is_caught_up and (agent.plumbing.is_settled or not order.is_wide):
                break
            yield Wait(None, 0, time.monotonic() + _PAUSE_S)
        return {"networks": packed(agent.inventory.networks[id_].key for id_ in network_ids)}
    if order.step is Step.REPORT:
        return _report(agent, probing)
    if order.step is Step.BEACON:
        agent.prober.beacon(order.round, _beacon_ids(agent, order, probing, network_ids))
    elif order.step is Step.MEASURE:
        agent.prober.measure(network_ids, agent.inventory)
    elif order.step is Step.ADDRESSES:
        agent.prober.look_for(sought_here(network_ids, order.ports, agent.inventory), order.rate)
    end_s = time.monotonic() + SLICE_S
    while probing.unsent and time.monotonic() < end_s:
        yield Wait(None, 0, time.monotonic() + _PAUSE_S)
    return {"unsent": probing.unsent}


def _session(agent: Agent) -> Session:
    if agent.settings is None or agent.forwarding is None or not agent.forwarding.session.is_ready:
        raise TrunklineError("the switch of this chassis is not connected; ask again")
    return agent.forwarding.session


def _open(agent: Agent, order: Order) -> dict[str, Any] | None:
    """Begin the session, unless it has begun; return why not."""
    assert agent.settings is not None
    if not agent.settings.is_probed:
        return {"off": f"this chassis takes no part in probes (external_ids:{PROBE}=false)"}
    now_s, under_way = time.monotonic(), agent.prober.probing
    if under_way is not None and under_way.secret.id != order.secret.id and now_s < under_way.end_s:
        return {"busy": round(under_way.end_s - now_s, 1)}
    if under_way is None or under_way.secret.id != order.secret.id:
        agent.prober.open(
            order.secret,
            agent.settings.chassis,
            now_s,
            is_wide=order.is_wide,
            is_for_addresses=order.is_for_addresses,
            rate=order.rate,
        )
    return None


def _probing(agent: Agent, secret: Secret) -> Probing:
    probing = agent.prober.probing
    if probing is None or probing.secret != secret:
        raise TrunklineError("the session of the probe is over; begin another one")
    return probing


def _network_ids(agent: Agent, order: Order) -> list[UUID]:
    """Return the networks that are probed here: those with local ports that have a wire."""
    inventory = agent.inventory
    return [
        id_
        for id_ in inventory.local_networks()
        if inventory.networks[id_].physnet in inventory.uplinks
        and (order.networks is None or inventory.networks[id_].key in order.networks)
    ]


def _beacon_ids(agent: Agent, order: Order, probing: Probing, network_ids: list[UUID]) -> list[UUID]:
    """Return those of the networks in which this chassis sends beacons."""
    members_by_key = order.beacons or {}
    networks = agent.inventory.networks
    return [id_ for id_ in network_ids if probing.me in members_by_key.get(networks[id_].key, ())]


def _report(agent: Agent, probing: Probing) -> dict[str, Any]:
    """Return what has come in the session."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for peer, most in probing.sizes.found:
        network = agent.inventory.networks.get(peer.network_id)
        if network is not None:
            sizes.setdefault((network.key, most), []).append(peer.member)
    return {
        "heard": packed_groups({(key, 0): members for key, members in probing.heard.items()}),
        "strays": [list(each) for each in sorted(probing.strays, key=repr)],
        "sizes": packed_groups(sizes),
        "asked": probing.addresses.asked,
        "unasked": probing.addresses.unsent,
        "replies": [
            [port.key, str(sought.address), mac_text(mac)]
            for sought, macs in probing.addresses.replies.items()
            if (port := agent.inventory.ports.get(sought.port_id)) is not None
            for mac in sorted(macs)
        ],
        "sent": probing.sent,
        "flooded": probing.is_flooded,
    }
