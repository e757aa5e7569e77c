"""A flow: what it matches, what it does, and whose it is.

Values only. How a flow looks on the wire is `trunkline.openflow.oxm` and `trunkline.openflow.messages`;
how `ovs-ofctl` spells it is `trunkline.openflow.text`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from trunkline.core.field import Field as Field
from trunkline.core.field import Set as Set
from trunkline.core.field import Term as Term
from trunkline.core.pipeline import Band, Table


class PushVlan(NamedTuple):
    """Push an 802.1Q tag (TPID 0x8100) of VLAN id *vlan_id*, 1–4094, priority 0."""

    vlan_id: int


class PopVlan(NamedTuple):
    """Take the outermost VLAN tag off; the flow's match must say that there is one."""


class Output(NamedTuple):
    """Send a copy out of *ofport*; Open vSwitch never sends a frame back out of the port it came in by."""

    ofport: int


class Controller(NamedTuple):
    """Send a copy, as it is now, to whoever is connected: the first *max_len* bytes of it, 0 to 65535.

    The switch keeps nothing of the frame: the default asks for all of it (OFPCML_NO_BUFFER, OpenFlow 1.4.0
    section 7.2.5), and whoever wants it forwarded sends it out again.
    """

    max_len: int = 0xFFFF


class Resubmit(NamedTuple):
    """Look the frame, as it is now, up in *table* and go on after that."""

    table: Table


class Goto(NamedTuple):
    """Go on in *table*; always the last action, and only to a later table (OpenFlow 1.4.0 section 5.9)."""

    table: Table


Action: TypeAlias = Set | PushVlan | PopVlan | Output | Controller | Resubmit | Goto
Match: TypeAlias = tuple[Term, ...]


class Flow(NamedTuple):
    """One flow: in *band* (which gives its table and priority), on *match*, do *actions*; no action drops.

    *cookie* says that it is ours, which app made it and from which row: see `trunkline.core.cookie`. A match
    may be written in any order of its terms; prerequisites (such as `ETH_TYPE` for `ARP_SPA`) are written
    out.
    """

    band: Band
    match: Match
    actions: tuple[Action, ...]
    cookie: int

    @property
    def table(self) -> Table:
        """The table that the flow stands in."""
        return self.band.table

    @property
    def priority(self) -> int:
        """The flow's priority in its table, 0–65535."""
        return self.band.priority
