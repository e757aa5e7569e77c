"""A table of flows, as the proof looks them up: by what is known of a frame, and by masks.

Flows can be added and removed later on. What was looked up before stays looked up, so a change of one flow
costs no more than that flow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from trunkline.core.field import Field, Set
from trunkline.core.flow import Copy, Goto, Resubmit
from trunkline.proof.space import ALL, TAG_BITS, Cube, Holes, bits, narrowed, open_holes
from trunkline.proof.switch import Part, Registers, Rule, Top


class _View:
    """Rules that look at the same *mask* of frames, by what these have there."""

    def __init__(self, mask: int, rules: dict[int, tuple[Rule, ...]]) -> None:
        self.mask = mask
        self.rules = rules
        self._by_fixed: dict[int, dict[int, list[int]]] = {}

    def matching(self, frames: Cube) -> Collection[int]:
        """Return what *frames* may have there that some rule matches."""
        fixed = self.mask & frames.mask
        own = frames.value & fixed
        if fixed == self.mask:
            return (own,) if own in self.rules else ()
        if not fixed:
            return self.rules.keys()
        if fixed not in self._by_fixed:
            index = self._by_fixed[fixed] = defaultdict(list)
            for value in self.rules:
                index[value & fixed].append(value)
        return self._by_fixed[fixed].get(own, ())

    def put(self, value: int, rule: Rule) -> None:
        """Add *rule*, which matches *value*."""
        if value not in self.rules:
            for fixed, index in self._by_fixed.items():
                index.setdefault(value & fixed, []).append(value)
        self.rules[value] = (*self.rules.get(value, ()), rule)

    def drop(self, value: int, rule: Rule) -> None:
        """Remove *rule*, which matches *value*."""
        left = tuple(each for each in self.rules[value] if each is not rule)
        if left:
            self.rules[value] = left
            return
        del self.rules[value]
        for fixed, index in self._by_fixed.items():
            index[value & fixed].remove(value)

    def overlaid(self, written: Cube) -> _View:
        """Return the same for frames in which fields were *written*: what was there no longer matters."""
        found: dict[int, tuple[Rule, ...]] = {}
        for value, rules in self.rules.items():
            if not (value ^ written.value) & self.mask & written.mask:
                left = value & ~written.mask
                found[left] = (*found.get(left, ()), *rules)
        return _View(self.mask & ~written.mask, found)


class _Group:
    """The rules of a table and priority that match the same bits, by the values that they match."""

    def __init__(self, shape: tuple[tuple[Field, int], ...], mask: int, *, is_sure: bool) -> None:
        self.shape = shape
        self.mask = mask
        self.is_sure = is_sure
        self.rules: dict[tuple[int, ...], list[Rule]] = defaultdict(list)
        self._views: dict[tuple[int | Part, ...], dict[Top, _View | None]] = {}
        self._partly: dict[tuple[int, ...], Mapping[tuple[int, ...], list[tuple[int, ...]]]] = {}

    def add(self, rule: Rule) -> None:
        """Add a rule."""
        values = self._changed(rule)
        self.rules[values].append(rule)
        for top, view in self._views.get(values, {}).items():
            value = _asked(rule.frames, top)
            if view is None:
                self._views[values][top] = self._seen(values, top)
            elif value is not None:
                view.put(value, rule)

    def remove(self, rule: Rule) -> None:
        """Remove a rule that was added."""
        values = self._changed(rule)
        rules = self.rules[values]
        del rules[next(at for at, each in enumerate(rules) if each is rule)]
        if not rules:
            del self.rules[values]
        for top, view in self._views.get(values, {}).items():
            value = _asked(rule.frames, top)
            if view is not None and value is not None:
                view.drop(value, rule)

    def _changed(self, rule: Rule) -> tuple[int, ...]:
        """Return the values that *rule* matches; forget what was found of it by parts of registers."""
        if self._partly:
            self._partly = {}
            self._views = {
                key: views
                for key, views in self._views.items()
                if not any(isinstance(each, Part) for each in key)
            }
        return tuple(value for _, value, _ in rule.known)

    def view(self, registers: Registers, top: Top) -> _View | None:
        """Return the rules that frames with *registers* and *top* may match, by what is matched of them."""
        key: list[int | Part] = []
        for field, mask in self.shape:
            value = registers.get(field, 0)
            key.append(value if isinstance(value, Part) or value < 0 else value & mask)
        views = self._views.setdefault(tuple(key), {})
        if top not in views:
            views[top] = self._seen(tuple(key), top)
        return views[top]

    def _seen(self, key: tuple[int | Part, ...], top: Top) -> _View | None:
        parts = [(place, each) for place, each in enumerate(key) if isinstance(each, Part)]
        sure = tuple(place for place, each in enumerate(key) if not isinstance(each, Part))
        known = tuple(each for each in key if not isinstance(each, Part))
        found: dict[int, tuple[Rule, ...]] = {}
        mask = 0
        for values in self._alike(sure, known):
            copied: Cube | None = ALL
            for place, part in parts:
                asked = part.asked(values[place], self.shape[place][1])
                copied = None if copied is None or asked is None else copied.meet(asked)
            if copied is None:
                continue
            mask = copied.mask
            for rule in self.rules[values]:
                met = rule.frames.meet(copied)
                value = None if met is None else _asked(met, top)
                if value is not None:
                    found[value] = (*found.get(value, ()), rule)
        hidden = 0 if top is None else TAG_BITS
        return _View((self.mask | mask) & ~hidden, found) if found else None

    def visited(self, registers: Registers) -> Iterator[Rule]:
        """Yield the rules that frames with *registers* may match, whatever is in them."""
        found = [registers.get(field, 0) for field, _ in self.shape]
        sure = tuple(place for place, value in enumerate(found) if isinstance(value, int))
        known = tuple(
            value & self.shape[place][1] for place, value in enumerate(found) if isinstance(value, int)
        )
        for values in self._alike(sure, known):
            yield from self.rules[values]

    def _alike(self, sure: tuple[int, ...], known: tuple[int, ...]) -> Sequence[tuple[int, ...]]:
        """Return the keys of the rules that have what is *known* at the places *sure* of the shape."""
        if len(sure) == len(self.shape):
            return (known,) if known in self.rules else ()
        if sure not in self._partly:
            found: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
            for values in self.rules:
                found[tuple(values[place] for place in sure)].append(values)
            self._partly[sure] = found
        return self._partly[sure].get(known, ())


def _asked(frames: Cube, top: Top) -> int | None:
    """Return what *frames* ask for besides the outermost tag *top*; None if this is not theirs."""
    if top is None:
        return frames.value
    return None if (frames.value ^ top) & frames.mask & TAG_BITS else frames.value & ~TAG_BITS


Hit: TypeAlias = tuple[Rule | None, Cube, Holes]


class Table:
    """The flows of one table."""

    def __init__(self) -> None:
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._levels: dict[int, list[_Group]] = {}
        self.values: dict[Field, set[int]] = defaultdict(set)
        """The values of what is `KNOWN` that some flow matches."""
        self.masked: set[Field] = set()
        """Of what is `KNOWN`, that of which some flow matches a part."""
        self._readers: dict[Field, int] = defaultdict(int)
        """How many flows match all of the sender's or the receiver's MAC."""
        self.next: set[int] = set()
        """The tables to which some flow sends frames."""
        self.written: set[Field] = set()
        """What some flow writes."""

    def __iter__(self) -> Iterator[Rule]:
        for group in self._groups.values():
            for rules in group.rules.values():
                yield from rules

    def add(self, each: Rule) -> None:
        """Add a rule."""
        shape = tuple((field, mask) for field, _, mask in each.known)
        key = self._key(each)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(shape, each.frames.mask, is_sure=each.is_sure)
            self._levels.setdefault(each.priority, []).append(group)
            self._levels = dict(sorted(self._levels.items(), reverse=True))
        group.add(each)
        for field, value, mask in each.known:
            self.values[field].add(value)
            if mask != (1 << field.bits) - 1:
                self.masked.add(field)
        self._read(each, 1)
        for act in each.actions:
            match act:
                case Goto(table) | Resubmit(table):
                    self.next.add(int(table))
                case Set(field, _):
                    self.written.add(field)
                case Copy():
                    self.written.add(act.destination)

    def remove(self, each: Rule) -> None:
        """Remove a rule that was added. What some flow did, such as `values`, may have more from now on."""
        self._groups[self._key(each)].remove(each)
        self._read(each, -1)

    def _key(self, each: Rule) -> tuple[object, ...]:
        shape = tuple((field, mask) for field, _, mask in each.known)
        return each.priority, shape, each.frames.mask, each.is_sure

    def _read(self, each: Rule, count: int) -> None:
        for field in (Field.ETH_SRC, Field.ETH_DST):
            self._readers[field] += 0 if bits(field) & ~each.frames.mask else count

    @property
    def is_for_receivers(self) -> bool:
        """Whether it is about receivers more than about senders."""
        return self._readers[Field.ETH_DST] > self._readers[Field.ETH_SRC]

    def split(
        self, frames: Cube, holes: Holes, registers: Registers, top: Top, written: Cube = ALL
    ) -> Iterator[Hit]:
        """Yield how the table's flows divide the *frames* without *holes*; None: a miss.

        *registers*, *top* and *written*, header fields that are others now, are as they are here. Of flows
        of one priority, each may have the frames that both match; a flow that is not sure may not have them.
        """
        for groups in self._levels.values():
            taken: list[Cube] = []
            for group in groups:
                view = group.view(registers, top)
                if view is not None and written.mask & view.mask:
                    view = view.overlaid(written)
                if view is None:
                    continue
                values = view.matching(frames)
                lefts = narrowed(frames, view.mask, holes, values)
                for value, left in zip(values, lefts, strict=True):
                    if left is not None:
                        met = Cube(frames.value | value, frames.mask | view.mask)
                        for rule in view.rules[value]:
                            yield rule, met, left
                    if group.is_sure:
                        taken.append(Cube(value & ~frames.mask, view.mask & ~frames.mask))
            if taken:
                rest = open_holes(frames, (*holes, *taken))
                if rest is None:
                    return
                holes = rest
        yield None, frames, holes

    def visited(self, registers: Registers) -> Iterator[Rule]:
        """Yield the rules that frames with *registers* may match, whatever is in them."""
        for groups in self._levels.values():
            for group in groups:
                yield from group.visited(registers)


def tables(rules: Iterable[Rule]) -> dict[int, Table]:
    """Return *rules* by table."""
    found: dict[int, Table] = defaultdict(Table)
    for each in rules:
        found[each.table].add(each)
    return dict(found)
