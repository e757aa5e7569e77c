"""The ways of frames through the tables of a switch: sets of frames, followed exactly to their ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from trunkline.core.field import Field, Set
from trunkline.core.flow import Controller, Copy, Goto, Output, PopVlan, PushVlan, Resubmit
from trunkline.proof.space import ALL, IS_FOLLOWED, PRESENT, SHIFT, Cube, Holes, Space, bits, cube, open_holes
from trunkline.proof.switch import NotProvableError, Part, Registers, Rule
from trunkline.proof.table import Hit, Table

Tags = tuple[int | None, ...]
"""The tags of a frame, the outermost first: `PRESENT` and the VLAN id of a pushed one; None: its own."""

_MOST_RULES = 60
_MOST_TAGS = 3


class Copied(NamedTuple):
    """A copy that leaves by *ofport*, with *tags*, and with header fields that are *written*."""

    ofport: int
    tags: Tags
    written: Cube = ALL


class Blank(NamedTuple):
    """What frames of a way are and have done by now, as far as it is not in their registers."""

    tags: Tags
    written: Cube
    copies: tuple[Copied, ...]
    is_told: bool


class Way(NamedTuple):
    """Frames on their way: those of *frames* without *holes*, as they came in.

    *registers*, *tags* and *written* are as they are now. *copies* have left by the flows *rules*; if
    *is_told*, the controller has a copy too.
    """

    frames: Cube
    holes: Holes
    registers: Registers
    tags: Tags
    written: Cube = ALL
    copies: tuple[Copied, ...] = ()
    is_told: bool = False
    rules: tuple[Rule, ...] = ()

    @property
    def space(self) -> Space:
        """The frames, as they came in."""
        return Space(self.frames, self.holes)


def ways(
    tables: Mapping[int, Table], number: int, start: Way, stops: Iterable[int] = ()
) -> Iterator[tuple[int | None, Way]]:
    """Follow *start* from table *number*; yield each end, with None, and what comes to one of *stops*.

    Raises:
        NotProvableError: the frames go round and round.
    """
    stopping = frozenset(stops)
    todo: list[tuple[int, Way]] = [(number, start)]
    while todo:
        at, way = todo.pop()
        table = tables.get(at)
        if table is None:
            yield None, way
            continue
        top = way.tags[0] if way.tags else 0
        hits = list(table.split(way.frames, way.holes, way.registers, top, way.written))
        for rule, frames, holes in _joined(hits, way) if len(hits) > 2 else hits:
            if rule is None:
                yield None, way._replace(frames=frames, holes=holes)
                continue
            following, after = acted(rule, way, frames, holes)
            if following is None or following in stopping:
                yield following, after
            else:
                todo.append((following, after))


def acted(rule: Rule, way: Way, frames: Cube, holes: Holes) -> tuple[int | None, Way]:
    """Return the table to which *rule* sends the frames, None if to none, and what they are then."""
    registers, tags, written, is_told = way.registers, way.tags, way.written, way.is_told
    copies: list[Copied] = []
    following: int | None = None
    for action in rule.actions:
        match action:
            case Output(ofport):
                copies.append(Copied(ofport, tags, written))
            case PopVlan():
                tags = tags[1:]
            case PushVlan(vlan_id):
                tags = (PRESENT | vlan_id, *tags)
            case Set(field, value) if field in IS_FOLLOWED:
                own = cube(field, value)
                written = Cube(written.value & ~own.mask | own.value, written.mask | own.mask)
            case Set(field, value):
                registers = {**registers, field: value}
            case Copy():
                registers = {**registers, action.destination: _part(action, registers, written, rule)}
            case Goto(table) | Resubmit(table):
                following = int(table)
            case Controller():
                is_told = True
    rules = (*way.rules, rule)
    if len(tags) > _MOST_TAGS or len(rules) > _MOST_RULES:
        raise NotProvableError(f"nothing can be proved, as frames go round and round by {rule.text}")
    return following, Way(frames, holes, registers, tags, written, (*way.copies, *copies), is_told, rules)


def _part(action: Copy, registers: Registers, written: Cube, rule: Rule) -> Part:
    rest = registers.get(action.destination, 0)
    mask = (1 << action.bits) - 1
    if isinstance(rest, Part):
        rest = rest.rest
    if action.source not in IS_FOLLOWED or written.mask & bits(action.source) or rest < 0:
        raise NotProvableError(
            f"nothing can be proved beside a flow that copies what another one wrote: {rule.text}"
        )
    return Part(SHIFT[action.source] + action.first_bit, mask, rest & ~mask)


def _joined(hits: Sequence[Hit], way: Way) -> Sequence[Hit]:
    """Return *hits* with those as one that do the same. This is exact.

    All frames match a flow of the table. Those that match no flow with other actions get the same from all
    others. Those that match such a flow too get it if a flow above that does it.
    """
    by_actions: dict[tuple[object, ...], list[Hit]] = defaultdict(list)
    for hit in hits:
        if hit[0] is None:
            return hits
        by_actions[hit[0].actions].append(hit)
    if len(by_actions) == len(hits):
        return hits
    found: list[Hit] = []
    tag = () if None in way.tags[:1] else (Field.VLAN_VID,)
    ignored = sum(map(bits, tag))
    if any(isinstance(value, Part) for value in way.registers.values()) or way.written.mask:
        return hits
    for actions, same in by_actions.items():
        rest = None
        if len(same) > 2:
            others = [rule for rule, _, _ in hits if rule is not None and rule.actions != actions]
            if all(rule.is_sure and not rule.frames.mask & ignored for rule in others):
                rest = open_holes(way.frames, (*way.holes, *(rule.frames for rule in others)))
        if rest is None:
            found += same
            continue
        found.append((same[-1][0], way.frames, rest))
        found += [
            (rule, frames, holes)
            for rule, frames, holes in same
            if rule is not None
            and any(
                rule.priority >= other.priority and rule.frames.meet(other.frames) is not None
                for other in others
            )
        ]
    return found
