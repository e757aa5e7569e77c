"""Whether what a probe found lost has come since: then somebody has mended it, and has not probed again.

That is known if the chassis that heard nothing from another one in the probe has learnt a MAC of it since
(`trunkline.path.learnt`). That other frames of the VLAN have come to it proves nothing: they may be a
router's that it heard before.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from trunkline.health.chassis_check import is_certain
from trunkline.northbound.refusal import NotFoundError, RefusedError, TransactionError
from trunkline.path import evidence
from trunkline.path.asking import Wanted, traced
from trunkline.path.endpoint import UnboundError
from trunkline.path.probed import is_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.health.fleet import Fleet
    from trunkline.northbound.client import Northbound
    from trunkline.path.trace import Ask
    from trunkline.probe.record import Record, Wrong

PATIENCE_S = 3.0
"""For how long pairs of chassis are asked, one after the other. What is not known then is told as lost."""

_MOST_OF_ONE = 3
"""How many pairs are asked for one thing that is wrong: two of its chassis may have had nothing to say."""


def with_recoveries(nb: Northbound, fleet: Fleet, ask: Ask, port: str | None = None) -> Fleet:
    """Return *fleet*, whose probes say what of their losses has come since.

    On the chassis of *port*, if one is named, it is that port whose frames are looked for. It is up. After
    `PATIENCE_S` no other pair of chassis is asked, and the losses that are left are as the probe found them.
    """
    until_s = time.monotonic() + PATIENCE_S
    probes = dict(fleet.probes)
    for network_id, records in fleet.probes.items():
        probes[network_id] = tuple(
            record._replace(
                wrong=tuple(
                    each._replace(passed_s=_passed_s(nb, ask, record, pairs, until_s))
                    if is_certain(each, record) and (pairs := _pairs(fleet, network_id, record, each, port))
                    else each
                    for each in record.wrong
                )
            )
            for record in records
        )
    return replace(fleet, probes=probes)


def _passed_s(
    nb: Northbound, ask: Ask, record: Record, pairs: Sequence[Sequence[tuple[str, str]]], until_s: float
) -> float | None:
    """Return how long ago frames came in all directions between two of *pairs*; None if that is not known."""
    for senders in pairs[:_MOST_OF_ONE]:
        if time.monotonic() >= until_s:
            break
        ages_s = [_since_s(nb, ask, one, other, record) for one, other in senders]
        since_s = [each for each in ages_s if each is not None]
        if len(since_s) == len(ages_s):
            return max(since_s)
    return None


def _pairs(
    fleet: Fleet, network_id: str, record: Record, wrong: Wrong, port: str | None
) -> list[Sequence[tuple[str, str]]]:
    """Return, for each two chassis that *wrong* is about, a port of each, by each direction that was lost."""
    port_by_chassis = {chassis: row["name"] for chassis, row in fleet.speakers(network_id).items()}
    if port is not None:
        port_by_chassis[fleet.port_by_name[port]["chassis"]] = port
    found: dict[frozenset[str], list[tuple[str, str]]] = {}
    for sender, receiver in sorted(record.lost):
        pair = frozenset((sender, receiver))
        if wrong.concerns(pair) and pair <= port_by_chassis.keys():
            found.setdefault(pair, []).append((port_by_chassis[sender], port_by_chassis[receiver]))
    return sorted(found.values(), key=lambda ways: port not in ways[0])


def _since_s(nb: Northbound, ask: Ask, sender: str, receiver: str, record: Record) -> float | None:
    """Return how long ago a frame of the port *sender* came to the chassis of *receiver*.

    None if that is not known, or if none has certainly come since the probe of *record*.
    """
    # An answer can take long: the counters are read then, or later.
    age_s = record.age_s()
    heard_s = _heard_s(nb, ask, sender, receiver)
    return heard_s if heard_s is not None and is_since(heard_s, age_s) else None


def _heard_s(nb: Northbound, ask: Ask, sender: str, receiver: str) -> float | None:
    try:
        ways = traced(nb, Wanted(sender, receiver), ask)
    except (NotFoundError, UnboundError, RefusedError, TransactionError):
        return None  # one of them has left meanwhile, or this user may not ask
    return next((evidence.heard(hop) for way in ways for hop in way.hops[1:]), None)
