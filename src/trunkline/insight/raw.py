"""A flow as `ovs-ofctl dump-flows` prints it, counters included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.openflow.text import encoded_text

if TYPE_CHECKING:
    from trunkline.insight.connection import InstalledFlow


def line(flow: InstalledFlow) -> str:
    """Return *flow* on one line; without its counters, `ovs-ofctl add-flow` takes it."""
    counters = flow.counters
    words = encoded_text(flow.key, flow.body)
    return (
        f"{words} # duration={counters.duration_s:.3f}s n_packets={counters.packet_count} "
        f"n_bytes={counters.byte_count}"
    )
