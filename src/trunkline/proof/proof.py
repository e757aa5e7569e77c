"""The proof: where all frames go by the flows of a switch, compared with where they may go.

It follows sets of frames from each port where they come in. Of a frame it knows its registers and its tags; a
flow that looks at anything else may match, or not, and both ways are followed. So what is proved holds for
every frame. A violation is a way that a frame may take by these flows; whether there is such a frame,
`ofproto/trace` says.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from trunkline.core.field import Field, Set
from trunkline.core.flow import Copy, Goto, Output, PopVlan, PushVlan, Resubmit
from trunkline.proof.intent import Intent, Meant
from trunkline.proof.likeness import distinct
from trunkline.proof.space import HIDDEN, PRESENT, TAG_BITS, TAGGED, UNTAGGED, Cube, Space
from trunkline.proof.switch import LOCAL, NotProvableError, Rule, Table, tables

_OTHER = -1
"""A value of a register that no later flow mentions."""

_NOT_IN_USE = 0xFEFE
"""A port that nobody has: for all those that no flow and no row mentions."""

_MOST_STEPS = 20_000
"""How far back ways are looked for."""

_LONGEST_WAY = 40

Tags = tuple[int | None, ...]
"""The tags of a frame, the outermost first: `PRESENT` and the VLAN id of a pushed one; None: its own."""


class State(NamedTuple):
    """Frames on their way into *table*; *registers* are those that matter from here on."""

    table: int
    registers: tuple[tuple[Field, int | None], ...]
    tags: Tags
    space: Space
    meant: Meant


class Violation(NamedTuple):
    """Frames that may leave where they must not.

    They are of *frames* where they came in, by *in_port*, tagged if *is_tagged*. They are what *meant* says,
    and leave by *ofport* with *tags* outermost; *has_hidden*: with a tag inside that the switch does not
    read. *rules* is one way by which they come to *state*, and out of it; `Proof.ways` has all.
    """

    in_port: int
    meant: Meant
    ofport: int
    tags: Tags
    has_hidden: bool
    rules: tuple[Rule, ...]
    frames: Space
    is_tagged: bool
    state: State


def proved(rules: Sequence[Rule], intent: Intent, network_ids: frozenset[UUID] | None = None) -> Proof:
    """Return a proof of *rules* that has run, of all frames or those of the networks *network_ids*.

    None of its violations is without a way that frames may take.
    """
    quick = Proof(tables(distinct(rules)), intent)
    if not quick.run(network_ids):
        return quick
    # Those of the rules that were left out may have the addresses with which frames take a way.
    exact = Proof(tables(rules), intent)
    ways = (next(exact.ways(each), None) for each in exact.run(network_ids))
    exact.violations = [each for each in ways if each is not None]
    return exact


class Proof:
    """What the flows of *tables* do with all frames, against *intent*; `violations` are found by `run`."""

    def __init__(self, tables: Mapping[int, Table], intent: Intent) -> None:
        self._tables = tables
        self._intent = intent
        self._reach = {number: _reach(tables, number) for number in tables}
        self._mentioned = {number: self._values(reach) for number, reach in self._reach.items()}
        self._masked = {
            number: {field for each in reach for field in tables[each].masked}
            for number, reach in self._reach.items()
        }
        self._read = {number: self._bits(reach) for number, reach in self._reach.items()}
        self._came_from: dict[State, list[tuple[State, Rule] | int]] = {}
        self._todo: deque[State] = deque()
        self._allowed_by_meant: dict[Meant, set[tuple[int, Tags]]] = {}
        self.violations: list[Violation] = []

    def _values(self, reach: Iterable[int]) -> dict[Field, set[int]]:
        values: dict[Field, set[int]] = defaultdict(set)
        for number in reach:
            for field, some in self._tables[number].values.items():
                values[field] |= some
        return dict(values)

    def _bits(self, reach: Iterable[int]) -> int:
        bits = 0
        for number in reach:
            bits |= self._tables[number].followed
        return bits

    def run(self, network_ids: frozenset[UUID] | None = None) -> list[Violation]:
        """Follow all frames, or those that are of the networks *network_ids*; return the violations."""
        first = self._tables.get(0)
        named = set() if first is None else first.values.get(Field.IN_PORT, set())
        for in_port in sorted(self._intent.ofports | named | {LOCAL, _NOT_IN_USE}):
            self._enter(in_port, Space(UNTAGGED, frozenset(HIDDEN)), (), self._intent.untagged(in_port))
            left: Space | None = Space(TAGGED)
            for frames, meant in self._intent.tagged(in_port):
                some = None if left is None else left.within(frames)
                if some is not None and left is not None:
                    self._enter(in_port, some, (None,), meant)
                    left = left.without([frames])
        while self._todo:
            self._step(self._todo.popleft(), network_ids)
        return self.violations

    def _enter(self, in_port: int, space: Space, tags: Tags, meant: Meant) -> None:
        state = State(0, ((Field.IN_PORT, in_port),), tags, space, meant)
        if 0 in self._tables and state not in self._came_from:
            self._came_from[state] = [in_port]
            self._todo.append(state)

    def _step(self, state: State, network_ids: frozenset[UUID] | None) -> None:
        """Split the frames of *state* among the flows of its table, as their priorities say."""
        if network_ids is not None and state.meant.network_id not in network_ids:
            return
        registers = dict(state.registers)
        left: Space | None = state.space
        for rule in self._tables[state.table].candidates(registers):
            if left is None:
                return
            frames = _seen(rule, state.tags)
            if frames is None:
                continue
            some = left.within(frames)
            if some is None:
                continue
            self._act(rule, state, some)
            if rule.is_sure:
                left = left.without([frames])

    def _act(self, rule: Rule, state: State, space: Space) -> None:
        registers, tags = dict(state.registers), state.tags
        for action in rule.actions:
            match action:
                case Output(ofport):
                    self._check(rule, state, space, tags, ofport)
                case PopVlan():
                    tags = tags[1:]
                case PushVlan(vlan_id):
                    tags = (PRESENT | vlan_id, *tags)
                case Set(field, value):
                    registers[field] = value
                case Copy(_, _, field, _):
                    registers[field] = None
                case Goto(table) | Resubmit(table):
                    self._go(
                        rule, state, State(int(table), tuple(registers.items()), tags, space, state.meant)
                    )
        if len(tags) > 3:
            raise NotProvableError(f"a frame with more and more tags: {rule.text}")

    def _go(self, rule: Rule, before: State, state: State) -> None:
        """Go on to another table, with what it and those after it look at; all else is forgotten."""
        number = state.table
        if number not in self._tables:
            return
        mentioned, masked = self._mentioned[number], self._masked[number]
        kept = {
            field: value if value is None or field in masked or value in mentioned[field] else _OTHER
            for field, value in state.registers
            if field in mentioned
        }
        for field in mentioned:
            if field not in kept:
                kept[field] = 0 if field in masked or 0 in mentioned[field] else _OTHER
        after = state._replace(
            registers=tuple(sorted(kept.items(), key=lambda each: each[0].name)),
            space=_forgetful(state.space, self._read[number], state.tags),
        )
        if after not in self._came_from:
            self._came_from[after] = []
            self._todo.append(after)
        self._came_from[after].append((before, rule))

    def _check(self, rule: Rule, state: State, space: Space, tags: Tags, ofport: int) -> None:
        """Note a violation if the frames of *space* must not leave there so."""
        meant = state.meant
        if ofport == self._intent.entry(meant):
            # Open vSwitch sends nothing back where it came in.
            return
        has_hidden = any(space.within(hidden) is not None for hidden in HIDDEN)
        is_hidden_wrong = has_hidden and not self._intent.may_hide_a_tag(meant)
        if (ofport, tags) not in self._allowed(meant) or is_hidden_wrong:
            way = next(self._ways(state, rule, None))
            in_port, first, rules = way
            self.violations.append(
                Violation(
                    *(in_port, meant, ofport, tags, is_hidden_wrong),
                    *(rules, first.space, bool(first.tags), state),
                )
            )

    def _allowed(self, meant: Meant) -> set[tuple[int, Tags]]:
        """Return the ports by which these frames may leave, each with the tags that they must have there."""
        if meant not in self._allowed_by_meant:
            inner: Tags = (None,) if meant.keeps_tag else ()
            self._allowed_by_meant[meant] = {
                (ofport, inner if vlan_id is None else (PRESENT | vlan_id, *inner))
                for ofport, vlan_id in self._intent.outlets(meant)
            }
        return self._allowed_by_meant[meant]

    def ways(self, violation: Violation) -> Iterator[Violation]:
        """Yield *violation* by each way that frames may take; flows on one way do not exclude one another.

        If there are too many to look at, the last one is any.
        """
        for in_port, first, rules in self._ways(violation.state, violation.rules[-1], Terms()):
            yield violation._replace(
                in_port=in_port, rules=rules, frames=first.space, is_tagged=bool(first.tags)
            )

    def _ways(
        self, state: State, last: Rule, terms: Terms | None
    ) -> Iterator[tuple[int, State, tuple[Rule, ...]]]:
        """Yield from where frames came to *state* and its rule *last*, what they were then, and their rules.

        If *terms* are given, without those of which two rules exclude one another.
        """
        todo: list[tuple[State, tuple[Rule, ...], Terms | None]] = [
            (state, (last,), terms and terms.met(last))
        ]
        for _ in range(_MOST_STEPS):
            if not todo:
                return
            at, way, known = todo.pop()
            before = []
            for origin in self._came_from[at]:
                if isinstance(origin, int):
                    yield origin, at, way
                    continue
                earlier, rule = origin
                both = known and known.met(rule)
                if (known is None or both is not None) and len(way) < _LONGEST_WAY:
                    before.append((earlier, (rule, *way), both))
            todo += reversed(before)
        if terms is not None:
            yield from islice(self._ways(state, last, None), 1)


@dataclass(frozen=True)
class Terms:
    """What flows ask of a frame, of the fields that the proof does not follow: value and mask, by field."""

    by_field: Mapping[Field, tuple[int, int]] = default(default_factory=dict)

    def met(self, rule: Rule) -> Terms | None:
        """Return what *rule* asks before this is asked; None if no frame has both."""
        written = {action.field for action in rule.actions if isinstance(action, Set)}
        found = {each: asked for each, asked in self.by_field.items() if each not in written}
        for term in rule.unfollowed:
            mask = (1 << term.field.bits) - 1 if term.mask is None else term.mask
            value, known = found.get(term.field, (0, 0))
            if (value ^ term.value) & known & mask:
                return None
            found[term.field] = value | term.value, known | mask
        return Terms(found)


def _reach(tables: Mapping[int, Table], number: int) -> set[int]:
    """Return the tables that frames of table *number* come to, itself among them."""
    found, todo = set(), [number]
    while todo:
        each = todo.pop()
        if each in tables and each not in found:
            found.add(each)
            todo += tables[each].next
    return found


def _seen(rule: Rule, tags: Tags) -> Cube | None:
    """Return which frames of a space match *rule* if they have *tags* now; None if none do."""
    if tags and tags[0] is None:
        return rule.frames
    present = Cube(0 if not tags else tags[0] or 0, TAG_BITS)
    if rule.frames.meet(present) is None:
        return None
    return Cube(rule.frames.value & ~TAG_BITS, rule.frames.mask & ~TAG_BITS)


def _forgetful(space: Space, bits: int, tags: Tags) -> Space:
    """Return a space with all frames of *space*, and others that differ only in what nobody looks at.

    Nobody looks at more than *bits*, and at the tag that a frame came with only if it is still there. Whether
    there may be a tag inside is never forgotten.
    """
    keep = bits if None in tags else bits & ~TAG_BITS
    free = ~space.cube.mask
    holes = {hole for hole in HIDDEN if space.within(hole) is None}
    holes |= {
        Cube(hole.value & keep, hole.mask & keep) for hole in space.holes if not hole.mask & free & ~keep
    }
    return Space(Cube(space.cube.value & keep, space.cube.mask & keep), frozenset(holes))
