"""The proof: where all frames go by the flows of a switch, compared with where they should.

All frames that can come in by each port are followed, sorted by what they are meant for. At the tables that
ask for the receiver, the frames of all senders of a network are alike: from there they are followed once, for
all of them. A difference counts only if a frame that comes there has it, so each violation is a frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import NamedTuple
from uuid import UUID

from trunkline.core.field import Field
from trunkline.proof.intent import CONTROL, GROUP, UNKNOWN, Intent, Meant, Receiver
from trunkline.proof.likeness import Group, Likeness
from trunkline.proof.permission import CONTROL as TO_CONTROL
from trunkline.proof.permission import GROUP as TO_GROUP
from trunkline.proof.space import (
    ALL,
    EVERYTHING,
    PRESENT,
    READ_TAGS,
    TAG_BITS,
    TAGGED,
    UNTAGGED,
    Cube,
    Cubes,
    Space,
    bits,
    cube,
    open_holes,
    value_of,
)
from trunkline.proof.switch import LOCAL, Part, Rule
from trunkline.proof.table import Table, tables
from trunkline.proof.visit import Visitors, visit
from trunkline.proof.way import Blank, Tags, Way, ways

_NOT_IN_USE = 0xFEFE
"""A port that nobody has: for all those that no flow and no row mentions."""

OTHER = -1
"""A value of a register that no later flow mentions."""

_MOST = 1000
"""How many violations are looked for."""

_TO_ALL = bits(Field.ETH_DST)
_LOOKED_AT = TAG_BITS | bits(Field.ETH_TYPE) | _TO_ALL
"""What tells frames of one network apart, whoever has sent them."""

Copies = tuple[tuple[int, Tags], ...]
"""Copies of a frame: the ports that they leave by, sorted, with the tags that they have there."""


class Violation(NamedTuple):
    """A frame that goes elsewhere than it should.

    *frame* (`space`) comes in by *in_port*, tagged if *is_tagged*. It is what *meant* says. By *rules* it
    leaves as *got*, and should leave as *wanted*. If *is_altered*, it is not the same frame any more.
    """

    in_port: int
    meant: Meant
    space: Space
    is_tagged: bool
    rules: tuple[Rule, ...]
    got: Copies
    wanted: Copies
    is_altered: bool


class _Arrival(NamedTuple):
    """Frames by *way*, meant so, that have come to a table that asks for the receiver, or to their end."""

    table: int | None
    way: Way
    meant: Meant


class Key(NamedTuple):
    """What is the same for frames that are followed as one from *table* on; they are *blank* by then."""

    table: int
    registers: tuple[tuple[Field, int | Part], ...]
    blank: Blank
    meant: Meant


class _Suspect(NamedTuple):
    way: Way
    space: Space
    wanted: Copies


@dataclass
class Crowd:
    """The frames of one key: what those may be that come there, and by which ports they came in."""

    spaces: set[Space] = default(default_factory=set)
    in_ports: list[int] = default(default_factory=list)


def proved(rules: Iterable[Rule], intent: Intent) -> list[Violation]:
    """Return in what *rules* differ from *intent*."""
    return Proof(tables(rules), intent).run()


def concerns(violation: Violation, intent: Intent, network_id: UUID) -> bool:
    """Return whether *violation* is about frames of the network *network_id*, or ends there."""
    if violation.meant.network_id == network_id or intent.concerns(network_id, violation.in_port):
        return True
    ends = {(ofport, outer_vlan_id(tags)) for ofport, tags in (*violation.got, *violation.wanted)}
    return any(intent.network_at(end) == network_id for end in ends)


def outer_vlan_id(tags: Tags) -> int | None:
    """Return the VLAN id of a tag that was put on a frame as its outermost, None if there is none."""
    return None if not tags or tags[0] is None else tags[0] & ~PRESENT


class Proof:
    """What the flows of *tables* do with all frames, against *intent*."""

    def __init__(self, tables: Mapping[int, Table], intent: Intent) -> None:
        self.tables = tables
        self.visitors = Visitors()
        self.in_ports: set[int] = set()
        """The ports whose frames were followed."""
        self.is_plain = True
        """Whether nothing looked wrong, not even at first, and all frames that may pass have receivers."""
        self._intent = intent
        self.stops = frozenset(
            number for number, table in tables.items() if number and table.is_for_receivers
        )
        self.reach = {number: _reach(tables, number) for number in self.stops}
        self.mentioned = {number: self._values(number) for number in self.stops}
        self._wanted: dict[tuple[Meant, Receiver], Copies] = {}
        self.crowds: dict[Key, Crowd] = defaultdict(Crowd)
        self.violations: list[Violation] = []

    def _values(self, number: int) -> dict[Field, set[int] | None]:
        """Return the values of registers that flows from table *number* on match; None: parts of them."""
        values: dict[Field, set[int] | None] = {}
        for each in self.reach[number]:
            for field, some in self.tables[each].values.items():
                before = values.get(field, set())
                is_masked = field in self.tables[each].masked or before is None
                values[field] = None if is_masked or before is None else before | some
        return values

    def run(self) -> list[Violation]:
        """Follow all frames; return the violations."""
        named = {port for table in self.tables.values() for port in table.values.get(Field.IN_PORT, ())}
        likeness = Likeness(self.tables, self._intent)
        self.in_ports = self._intent.ofports | named | {LOCAL, _NOT_IN_USE}
        for in_port in sorted(self.in_ports):
            visited = visit(self.tables, self.stops, in_port)
            self.visitors.add(in_port, visited)
            groups = likeness.known(in_port, visited)
            if groups is None:
                count = len(self.violations)
                groups = self.groups(in_port)
                if len(self.violations) == count:
                    likeness.learn(in_port, groups)
            for each in groups:
                self.gather(in_port, each)
        for key, crowd in self.crowds.items():
            suspects = list(self.suspected(key, crowd))
            if suspects:
                self.is_plain = False
                self._accuse(key, crowd, suspects)
        return self.violations

    # -- from the senders --------------------------------------------------------------------------

    def groups(self, in_port: int, within: Cube = ALL) -> list[Group]:
        """Follow the frames of *within* that come in by *in_port*: judge those that end, return the rest."""
        spaces: dict[Key, set[Space]] = defaultdict(set)
        for arrival in self._arrivals(in_port, within):
            if arrival.table is None:
                self.is_plain &= arrival.meant.network_id is None or arrival.meant.refusal is not None
                for suspect in self._suspects(arrival.way, arrival.meant):
                    self._judge(in_port, suspect, arrival, ())
            else:
                spaces[self._key(arrival.table, arrival)].add(arrival.way.space.forgetful(_LOOKED_AT))
        return [Group(*key, frozenset(some)) for key, some in spaces.items()]

    def _key(self, table: int, arrival: _Arrival) -> Key:
        way = arrival.way
        registers = tuple((field, way.registers.get(field, 0)) for field in self.mentioned[table])
        blank = Blank(way.tags, way.written, way.copies, way.is_told)
        return Key(table, registers, blank, arrival.meant)

    def gather(self, in_port: int, group: Group) -> tuple[Key, frozenset[Space]]:
        """Have *group* join those that it is followed with; return what they share, and what is new."""
        key = self._common(group.table, group.registers, group.blank, group.meant)
        crowd = self.crowds[key]
        new = group.spaces - crowd.spaces
        crowd.spaces |= new
        if not crowd.in_ports or crowd.in_ports[-1] != in_port:
            crowd.in_ports.append(in_port)
        return key, new

    def _common(
        self, table: int, registers: tuple[tuple[Field, int | Part], ...], blank: Blank, meant: Meant
    ) -> Key:
        """Return the key of frames whose registers matter only as far as later flows look at them."""
        mentioned = self.mentioned[table]
        known = tuple((field, _known(value, mentioned[field])) for field, value in registers)
        return Key(table, known, blank, meant)

    def _arrivals(self, in_port: int, within: Cube = ALL) -> Iterator[_Arrival]:
        """Yield where the frames of *within* come that come in by *in_port*."""
        for is_tagged in (False, True):
            some = within.meet(TAGGED if is_tagged else UNTAGGED)
            if some is not None:
                yield from self._sent(in_port, some, is_tagged=is_tagged)

    def _sent(self, in_port: int, some: Cube, *, is_tagged: bool) -> Iterator[_Arrival]:
        before = Cubes()
        if not is_tagged:
            # A frame with such a type has a tag.
            for each in READ_TAGS:
                before.add(each)
        for frames, meant in self._intent.kinds(in_port, is_tagged=is_tagged):
            met = frames.meet(some)
            if met is None:
                continue
            holes = open_holes(met, before.touching(met))
            before.add(met)
            if holes is not None:
                start = Way(met, holes, {Field.IN_PORT: in_port}, (None,) if is_tagged else ())
                for table, way in ways(self.tables, 0, start, self.stops):
                    yield _Arrival(table, way, meant)

    # -- to the receivers --------------------------------------------------------------------------

    def suspected(self, key: Key, crowd: Crowd, within: Space = EVERYTHING) -> Iterator[_Suspect]:
        """Follow the frames of *key* that are *within* some; yield those that go wrong.

        That is, if they look like some that come there.
        """
        starts = [within]
        if key.meant.network_id is None or key.meant.refusal is not None:
            starts = [met for each in crowd.spaces if (met := within.meet(each)) is not None]
        for each in starts:
            start = Way(each.cube, each.holes, dict(key.registers), *key.blank)
            for _, way in ways(self.tables, key.table, start):
                if way.frames.mask & _TO_ALL != _TO_ALL and not way.space.touches(crowd.spaces):
                    continue
                for suspect in self._suspects(way, key.meant):
                    if suspect.space.touches(crowd.spaces):
                        yield suspect

    def _accuse(self, key: Key, crowd: Crowd, suspects: Sequence[_Suspect]) -> None:
        """Judge *suspects* by the very frames that come to *key*, each until frames of one port go wrong."""
        left = suspects
        for in_port in crowd.in_ports:
            if not left:
                return
            wrong = set()
            for arrival in self._arrivals(in_port):
                if arrival.table == key.table and self._common(*self._key(key.table, arrival)) == key:
                    for number, suspect in enumerate(left):
                        if self._judge(in_port, suspect, arrival, suspect.way.rules):
                            wrong.add(number)
            left = [suspect for number, suspect in enumerate(left) if number not in wrong]

    def _judge(
        self,
        in_port: int,
        suspect: _Suspect,
        arrival: _Arrival,
        rules: tuple[Rule, ...],
    ) -> bool:
        """Note a violation if frames of *arrival* do as *suspect* does; return whether they do."""
        if len(self.violations) >= _MOST:
            return True
        got, wanted = (
            tuple(each for each in copies if each[0] != in_port)
            for copies in (_copies(suspect.way), suspect.wanted)
        )
        is_altered = _is_altered(suspect.way)
        if got == wanted and not (is_altered and got):
            return False
        if suspect.way.is_told and set(got) <= set(wanted):
            # The controller has it, and may send it on.
            return False
        space = suspect.space.meet(arrival.way.space)
        if space is not None:
            is_tagged = arrival.way.frames.mask & arrival.way.frames.value & PRESENT != 0
            self.violations.append(
                Violation(
                    *(in_port, arrival.meant, space, is_tagged),
                    *((*arrival.way.rules, *rules), got, wanted, is_altered),
                )
            )
        return space is not None

    def _suspects(self, way: Way, meant: Meant) -> Iterator[_Suspect]:
        """Yield the frames of *way*, at its end, that are not where they should be."""
        got, is_altered = _copies(way), _is_altered(way)
        if meant.network_id is None or meant.refusal is not None:
            if got:
                yield _Suspect(way, way.space, ())
            return
        for to, space in self._receivers(way, meant):
            wanted = self._wanted.get((meant, to))
            if wanted is None:
                wanted = self._wanted[meant, to] = self._should(meant, to)
            if got != wanted or is_altered:
                yield _Suspect(way, space, wanted)

    def _should(self, meant: Meant, to: Receiver) -> Copies:
        inner: Tags = (None,) if meant.keeps_tag else ()
        return _ordered(
            (ofport, inner if vlan_id is None else (PRESENT | vlan_id, *inner))
            for ofport, vlan_id in self._intent.outlets(meant, to)
        )

    def _receivers(self, way: Way, meant: Meant) -> Iterator[tuple[Receiver, Space]]:
        """Yield the receivers that frames of *way* have, each with its frames, as far as a look tells."""
        space, known = way.space, self._intent.known_macs(meant)
        if way.frames.mask & _TO_ALL == _TO_ALL:
            mac = value_of(way.frames.value, Field.ETH_DST)
            is_group = space.within(TO_GROUP) is not None
            is_control = space.within(TO_CONTROL) is not None
            yield (CONTROL if is_control else GROUP if is_group else mac if mac in known else UNKNOWN), space
            return
        control, group = space.within(TO_CONTROL), space.within(TO_GROUP)
        if control is not None:
            yield CONTROL, control
        if group is not None:
            rest = group.without([TO_CONTROL])
            if rest is not None:
                yield GROUP, rest
            if way.frames.mask & TO_GROUP.mask:
                return
        macs = [cube(Field.ETH_DST, mac) for mac in known]
        holes = set(way.holes)
        for each in macs:
            if each not in holes:
                own = space.within(each)
                if own is not None:
                    yield value_of(each.value, Field.ETH_DST), own
        rest = space.without([TO_GROUP, *macs])
        if rest is not None:
            yield UNKNOWN, rest


def _copies(way: Way) -> Copies:
    return _ordered((each.ofport, each.tags) for each in way.copies)


def _ordered(copies: Iterator[tuple[int, Tags]]) -> Copies:
    return tuple(sorted(copies, key=lambda each: (each[0], [tag or 0 for tag in each[1]])))


def _is_altered(way: Way) -> bool:
    """Return whether a copy is another frame: something else is written in it than it had."""
    return any(
        each.written.mask & ~way.frames.mask or (each.written.value ^ way.frames.value) & each.written.mask
        for each in way.copies
        if each.written.mask
    )


def _known(value: int | Part, mentioned: set[int] | None) -> int | Part:
    """Return *value*, or `OTHER` if no flow tells it apart from others."""
    if mentioned is None or isinstance(value, Part) or value in mentioned:
        return value
    return OTHER


def _reach(tables: Mapping[int, Table], number: int) -> set[int]:
    """Return the tables that frames of table *number* come to, itself among them."""
    found, todo = set(), [number]
    while todo:
        each = todo.pop()
        if each in tables and each not in found:
            found.add(each)
            todo += tables[each].next
    return found
