"""Whether the physical network carries what a port and its peers send each other, by traces between them.

A trace sends nothing. The counters of the flows at both ends tell what was lost between two chassis
(`trunkline.insight.evidence`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.name import natural
from trunkline.insight.asking import Wanted, traced
from trunkline.insight.endpoint import UnboundError
from trunkline.insight.finding import Finding
from trunkline.northbound.refusal import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from trunkline.insight.fleet import Fleet
    from trunkline.insight.trace import Ask, Outcome
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

MOST_PEERS = 3
"""With how many other chassis the port's is compared: what a VLAN lacks, it mostly lacks at this one."""


def reach_findings(
    nb: Northbound, fleet: Fleet, port: str, ask: Ask, without: Collection[str | None]
) -> list[Finding]:
    """Return where frames between *port* and its peers are lost by the physical network.

    One peer on each of a few chassis is tried, on none of those *without*. The port and its network work, as
    far as anything else says.
    """
    row = fleet.port_by_name[port]
    network = fleet.network_by_id[row["network"]]
    tag = network["segmentation_id"]
    what = "untagged frames" if tag is None else f"VLAN {tag}"
    found: list[Finding] = []
    for peer in _peers(fleet, row, without):
        here, there = row["chassis"], peer["chassis"]
        remedy = f"allow {what} on the switch ports of {here} and {there}, and on all between them"
        for sender, receiver in ((port, peer["name"]), (peer["name"], port)):
            for outcome in _lost(nb, Wanted(sender, receiver, "ARP"), ask):
                text = f"{'to' if sender == port else 'from'} {there}: {outcome.text}"
                found.append(Finding("T214", "error", f"network {network['name']}", here, None, text, remedy))
    return found


def _lost(nb: Northbound, wanted: Wanted, ask: Ask) -> list[Outcome]:
    """Return what the physical network loses of the frame *wanted*."""
    try:
        return [outcome for way in traced(nb, wanted, ask) for outcome in way.outcomes if outcome.is_lost]
    except (NotFoundError, UnboundError):
        return []  # the port or its peer has left meanwhile


def _peers(fleet: Fleet, port: Row, without: Collection[str | None]) -> Iterator[Row]:
    """Yield a peer of *port* on each of some other chassis that answer."""
    tried = {port["chassis"], None, *without}
    for row in sorted(fleet.ports_by_network[port["network"]], key=lambda row: natural(row["name"])):
        is_live = fleet.state_by_chassis.get(row["chassis"]) in ("live", "current")
        if row["up"] and row["enabled"] is not False and is_live and row["chassis"] not in tried:
            tried.add(row["chassis"])
            yield row
        if len(tried) - len({port["chassis"], None, *without}) >= MOST_PEERS:
            return
