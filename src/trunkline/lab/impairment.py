"""What a port of the physical switch does wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

VLANS = range(4095)
"""The VLAN ids that a port may carry, 0 for untagged frames; IEEE 802.1Q reserves 4095."""


class Loss(Enum):
    """Which frames are lost at a port, as the chassis sees it, by the flag of the port (ovs-ofctl(8))."""

    SENT = "no-receive"
    RECEIVED = "no-forward"


@dataclass(frozen=True)
class Impairment:
    """What is wrong with a port of the physical switch; by default nothing.

    *lacks* are VLANs that it does not carry, 0 for untagged frames. With *native*, untagged frames are of
    that VLAN, and its frames leave without a tag, as where two ends have different native VLANs. *mtu* is the
    size of the largest packets that pass, both ways; larger ones are lost without a word. A tag does not
    count: the kernel lets 4 more bytes pass for it, also without one. *loses* names one direction in which
    nothing passes. With *is_apart*, the port is at a second switch without a link to the first, together with
    all others of its physnet that are apart.
    """

    lacks: frozenset[int] = frozenset()
    native: int | None = None
    mtu: int | None = None
    loses: Loss | None = None
    is_apart: bool = False

    def carried(self, wanted: frozenset[int] | None) -> frozenset[int] | None:
        """Return the VLANs that a port carries which should carry *wanted*; None stands for all.

        >>> sorted(Impairment(lacks=frozenset({101})).carried(frozenset({0, 101, 102})))
        [0, 102]
        >>> Impairment().carried(None) is None
        True
        """
        # The others' untagged frames are of another VLAN than this port's native one.
        lacks = self.lacks if self.native is None else self.lacks | {0}
        if not lacks:
            return wanted
        return (frozenset(VLANS) if wanted is None else wanted) - lacks


HEALTHY = Impairment()
