"""Whether the frames that a VM really sends are those that a trace follows.

A trace follows a frame that is right: from the MAC and the address of the port. A VM with others is refused
all that it sends, so its frames do not arrive, whatever becomes of that one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trunkline.health.answer import settled_findings
from trunkline.health.refused import RECENT_S
from trunkline.path.outcome import DELIVERED, Outcome

if TYPE_CHECKING:
    from trunkline.northbound.client import Northbound
    from trunkline.path.trace import Trace

CODES = frozenset({"T307", "T308", "T309"})
"""The codes of a VM that sends from another MAC or address than its port has."""


def with_own_frames(nb: Northbound, way: Trace) -> Trace:
    """Return *way*, not delivered if its sender is refused what it really sends, as its chassis finds.

    If that is not known, it is as it was.
    """
    dropped = way.hops[0]["dropped"] if way.hops and way.verdict == DELIVERED else ()
    if not any(each["idle_s"] is None or each["idle_s"] <= RECENT_S for each in dropped):
        return way
    chassis, port = way.hops[0]["chassis"], way.hops[0]["enters"]
    found = settled_findings(nb, [chassis], {"port": port})
    for each in found:
        if each.code in CODES and each.severity == "error" and each.subject == f"port {port}":
            outcomes = way.outcomes or [Outcome("the wire", chassis, True, way.text)]
            text = f"this frame would be delivered, but the VM sends others: {each.text} ({each.code})"
            lost = [one._replace(is_delivered=False, text=text, remedy=each.remedy) for one in outcomes]
            return replace(way, outcomes=lost)
    return way
