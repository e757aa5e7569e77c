"""A switch without a switch: it runs flows on frames as Open vSwitch does.

`tests/system/test_pure_switch.py` holds it against the real one. What a frame looks like is settled once,
when it comes in: of its tags the first is parsed, as `vlan-limit` 1 has it, and what is behind a second stays
unknown; its TPID then stands as the Ethernet type, as that of a first one does which Open vSwitch does not
know. Changes of tags do not parse anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

from model.frame import Frame, Tag
from trunkline.core.flow import (
    Action,
    Copy,
    Field,
    Flow,
    Goto,
    Match,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
)
from trunkline.core.frame import VLAN_PRESENT
from trunkline.core.pipeline import Table

_PARSED_TAGS = 1
"""How many tags of a frame that comes in are known: `vlan-limit`, at which the agent holds it."""

_MAX_TAGS = 2
"""How many tags Open vSwitch keeps track of, those that it puts on included (FLOW_MAX_VLAN_HEADERS)."""


class PureSwitch:
    """A switch that holds *flows*, with `other_config:vlan-limit` at 1."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._flows_by_table: dict[Table, list[Flow]] = {table: [] for table in Table}
        for flow in sorted(flows, key=lambda flow: -flow.priority):
            self._flows_by_table[flow.table].append(flow)

    def outputs(self, in_port: int, frame: Frame) -> list[tuple[int, Frame]]:
        """Return the copies, with the port that each leaves by, of *frame* that came in by *in_port*."""
        return self.walk(in_port, frame).copies

    def walk(self, in_port: int, frame: Frame) -> Walk:
        """Return the whole way of *frame* through the tables."""
        walk = Walk(in_port, frame)
        self._look_up(walk, Table.CLASSIFY)
        return walk

    def _look_up(self, walk: Walk, table: Table) -> None:
        walk.tables.append(table)
        for flow in self._flows_by_table[table]:
            if walk.matches(flow.match):
                walk.flows.append(flow)
                for action in flow.actions:
                    self._do(walk, action)
                return

    def _do(self, walk: Walk, action: Action) -> None:
        match action:
            case Goto(table) | Resubmit(table):
                self._look_up(walk, table)
            case Output(ofport):
                if ofport != walk.in_port:
                    walk.copies.append((ofport, walk.frame()))
            case Set(field, value):
                walk.values[field] = value
            case Copy(source, first_bit, destination, bits):
                walk.values[destination] = walk.values[source] >> first_bit & (1 << bits) - 1
            case PushVlan(vlan_id):
                walk.parsed = [Tag(vlan_id), *walk.parsed]
                assert len(walk.parsed) <= _MAX_TAGS, "Open vSwitch would lose the innermost"
                walk.note_tag()
            case PopVlan():
                del walk.parsed[:1]
                walk.note_tag()


class Walk:
    """The way of one frame: its fields as they are now, the tables and flows it met, and its copies."""

    def __init__(self, in_port: int, frame: Frame) -> None:
        self.in_port = in_port
        self.copies: list[tuple[int, Frame]] = []
        self.tables: list[Table] = []
        self.flows: list[Flow] = []
        known = list(takewhile(lambda tag: tag.is_known, frame.tags))
        self.parsed = known[:_PARSED_TAGS]
        self._hidden = frame.tags[len(self.parsed) :]
        self._original = frame
        self.values: dict[Field, int] = {
            Field.IN_PORT: in_port,
            Field.METADATA: 0,
            Field.REG0: 0,
            Field.REG1: 0,
            Field.REG2: 0,
            Field.REG4: 0,
            Field.REG5: 0,
            Field.REG6: 0,
            Field.REG7: 0,
            Field.ETH_DST: frame.dst,
            Field.ETH_SRC: frame.src,
            Field.ETH_TYPE: self._hidden[0].tpid if self._hidden else frame.ethertype,
        }
        if not self._hidden:
            self.values.update(frame.headers)
        self.note_tag()

    def note_tag(self) -> None:
        """Let `Field.VLAN_VID` say what the outermost tag, that is parsed, is now."""
        self.values[Field.VLAN_VID] = VLAN_PRESENT | self.parsed[0].vlan_id if self.parsed else 0

    def matches(self, match: Match) -> bool:
        """Return whether the frame, as it is now, matches; a field that it lacks does not."""
        values = self.values
        for field, wanted, mask in match:
            value = values.get(field)
            if value is None or (value if mask is None else value & mask) != wanted:
                return False
        return True

    def frame(self) -> Frame:
        """Return the frame as it is now."""
        return replace(
            self._original,
            dst=self.values[Field.ETH_DST],
            src=self.values[Field.ETH_SRC],
            tags=(*self.parsed, *self._hidden),
        )
