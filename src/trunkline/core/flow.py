"""A flow: what it matches, what it does, and which row it comes from.

This module has only values. `trunkline.openflow.oxm` and `trunkline.openflow.message` encode a flow;
`trunkline.openflow.text` spells it as `ovs-ofctl` does.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from trunkline.core.field import Field as Field
from trunkline.core.field import Set as Set
from trunkline.core.field import Term as Term
from trunkline.core.pipeline import Band, Table


class Copy(NamedTuple):
    """Write *bits* bits of *source*, from *first_bit* (0: the lowest) on, to the lowest of *destination*.

    The flow's match must say that the frame has *source*. The switch then knows all of *source* of the
    frames that pass, as if the flow matched it.
    """

    source: Field
    first_bit: int
    destination: Field
    bits: int


class PushVlan(NamedTuple):
    """Push an 802.1Q tag (TPID 0x8100) with VLAN id *vlan_id*, 1–4094, and priority 0."""

    vlan_id: int


class PopVlan(NamedTuple):
    """Remove the outermost VLAN tag; the flow's match must say that there is one."""


class Output(NamedTuple):
    """Send a copy out of *ofport*; Open vSwitch never sends a frame back out of the port where it came in."""

    ofport: int


class Controller(NamedTuple):
    """Send the first *max_len* bytes (0 to 65535) of the frame, as it is now, to the connected controllers.

    The switch keeps nothing of the frame. The default asks for all of it (OFPCML_NO_BUFFER, OpenFlow 1.4.0
    section 7.2.5); to forward the frame, a controller sends it out again.
    """

    max_len: int = 0xFFFF


class Resubmit(NamedTuple):
    """Look the frame up in *table*, as it is now, then continue here."""

    table: Table


class Goto(NamedTuple):
    """Continue in *table*, which is a later one; always the last action (OpenFlow 1.4.0 section 5.9)."""

    table: Table


Action: TypeAlias = Set | Copy | PushVlan | PopVlan | Output | Controller | Resubmit | Goto
Match: TypeAlias = tuple[Term, ...]


class Flow(NamedTuple):
    """One flow: frames that match *match* get *actions*; without actions they are dropped.

    *band* gives its table and priority. *cookie* says that it is ours, which app made it and from which row
    (`trunkline.core.cookie`). The terms of a match may have any order; it must include prerequisites, such as
    `ETH_TYPE` for `ARP_SPA`.
    """

    band: Band
    match: Match
    actions: tuple[Action, ...]
    cookie: int

    @property
    def table(self) -> Table:
        """The flow's table."""
        return self.band.table

    @property
    def priority(self) -> int:
        """The flow's priority in its table, 0–65535."""
        return self.band.priority
