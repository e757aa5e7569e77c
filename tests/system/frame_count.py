"""How often the flows of a chassis matched: by the band, and so the purpose, that made them."""

from __future__ import annotations

import re

from dummy_chassis import DummyChassis

from trunkline.core.pipeline import Band

_FLOW = re.compile(r"table=(\d+), .*n_packets=(\d+), .* priority=(\d+)[, ](\S*) ?actions=")


def packets(chassis: DummyChassis, band: Band, match: str = "") -> int:
    """Return how many packets the flows of *band* whose match has *match* in it have counted."""
    # The revalidators tell the flows what the datapath has forwarded.
    chassis.vswitchd.await_revalidated()
    found = (_FLOW.search(line) for line in chassis.flows())
    return sum(
        int(flow[2])
        for flow in found
        if flow and (int(flow[1]), int(flow[3])) == (band.table, band.priority) and match in flow[4]
    )
