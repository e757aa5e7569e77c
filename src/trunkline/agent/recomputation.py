"""A recomputation: all flows are computed afresh, and compared with those that are desired.

It is a question: it never changes what is forwarded, whatever is known when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import islice

from trunkline.agent.standing import Standing
from trunkline.bridge.forwarding import Forwarding, encodable
from trunkline.core.desired import Desired
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.outcome import Outcomes
from trunkline.core.subject import SubjectId
from trunkline.runtime.log import Log

log = Log("agent")

SLICE = 100
"""How many views are turned into flows before the loop goes on with all else: some 5 ms."""

RECOMPUTATIONS = 3
"""How often a recomputation is tried if something changes meanwhile."""


@dataclass(frozen=True)
class Recomputation:
    """How many flows there should be, and how many of the desired ones differ: each of these is a defect."""

    flows: int
    differing: int


def recompute(current: Callable[[], Standing]) -> Generator[None, None, Recomputation | None]:
    """Compute all flows afresh, and have those of the switch read again; yield now and then.

    *current* returns the present standing of the chassis. The result is None if there is nothing to compare
    yet, or if what is known changes all the time.
    """
    for _ in range(RECOMPUTATIONS):
        before = current()
        if before.forwarding is None or not before.is_computed:
            return None
        revision = before.inventory.revision
        found = yield from _recomputation(before, before.forwarding)
        after = current()
        if after.is_computed and (after.forwarding, after.inventory.revision) == (
            before.forwarding,
            revision,
        ):
            if found.differing:
                log.error("flows differ from a fresh computation", flows=found.differing)
            before.forwarding.read_flows()
            return found
    return None


def _recomputation(standing: Standing, forwarding: Forwarding) -> Generator[None, None, Recomputation]:
    """Compute, yielding now and then, and return what came of it.

    VIFs, uplinks, awake ports and networks in quarantine are taken over as they are. What changes meanwhile
    shows as a difference.
    """
    inventory = standing.inventory
    fresh = Inventory(inventory.chassis)
    fresh.change(
        Changes(
            vifs=dict(inventory.vifs),
            uplinks=dict(inventory.uplinks),
            whole_physnets=inventory.whole_physnets,
        )
    )
    for part in standing.feed.rows(inventory):
        fresh.change(part)
        yield
    for port_id in inventory.awake:
        fresh.wake(port_id)
    desired: Desired[SubjectId] = Desired()
    views = iter(standing.quarantine.admitted(Outcomes(fresh).refresh(), fresh).items())
    while some := dict(islice(views, SLICE)):
        desired.replace({subject: encodable(view) for subject, view in some.items()})
        yield
    after, before = desired.body_by_key, forwarding.desired.body_by_key
    differing = sum(1 for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return Recomputation(len(after), differing)
