"""What the flows of a switch do with frames: tables of flows, looked up by what is known of a frame.

The proof knows all registers, `metadata` and the port where a frame came in, and follows all other fields
that Trunkline knows exactly, in `Space`. A flow that looks at any other field may match, or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from trunkline.core.error import TrunklineError
from trunkline.core.field import Field, Set, Term
from trunkline.core.flow import Controller, Copy, Goto, Output, PopVlan, PushVlan, Resubmit
from trunkline.openflow import message, text
from trunkline.openflow.oxm import Foreign
from trunkline.proof.space import ALL, IS_FOLLOWED, TAG_BITS, Cube, Holes, bits, cube, narrowed, open_holes

KNOWN = frozenset({Field.IN_PORT, Field.METADATA, *(each for each in Field if each.name.startswith("REG"))})
"""What the proof always knows of a frame."""

LAST_PORT = 0xFEFF
LOCAL = 0xFFFE
"""The bridge's own port; others above `LAST_PORT` stand for something else (OpenFlow 1.4.0, 7.2.1)."""

Action: TypeAlias = Set | Copy | PushVlan | PopVlan | Output | Controller | Resubmit | Goto


class NotProvableError(TrunklineError):
    """The switch has something that the proof does not understand: no proof is better than a wrong one."""


class Rule(NamedTuple):
    """A flow as the proof sees it.

    *known* is its match of what is `KNOWN`, as (value, mask) by field; *frames* that of what is followed. If
    *is_sure*, it matches nothing else.
    """

    table: int
    priority: int
    known: tuple[tuple[Field, int, int], ...]
    frames: Cube
    is_sure: bool
    actions: tuple[Action, ...]
    key: bytes
    body: bytes

    @property
    def text(self) -> str:
        """The flow as `ovs-ofctl` spells it."""
        return text.encoded_text(self.key, self.body)


def rule(key: bytes, body: bytes) -> Rule:
    """Return what the flow with *key* and *body* (`message.Encoded`) does.

    Raises:
        NotProvableError: it does something that the proof does not understand.
    """
    flow = message.decode(key, body)
    known, frames, is_sure = [], ALL, True
    for term in flow.match:
        if isinstance(term, Foreign) or term.field not in KNOWN | IS_FOLLOWED:
            is_sure = False
        elif term.field in KNOWN:
            mask = (1 << term.field.bits) - 1 if term.mask is None else term.mask
            known.append((term.field, term.value, mask))
        else:
            both = frames.meet(_followed(term))
            if both is None:
                raise NotProvableError(f"a flow that matches nothing: {text.encoded_text(key, body)}")
            frames = both
    actions: list[Action] = []
    for action in flow.actions:
        reason = _refusal(action, is_last=len(actions) + 1 == len(flow.actions))
        if reason is not None or isinstance(action, Foreign):
            raise NotProvableError(f"a flow with {reason}: {text.encoded_text(key, body)}")
        actions.append(action)
    known.sort(key=lambda each: each[0].name)
    return Rule(flow.table, flow.priority, tuple(known), frames, is_sure, tuple(actions), key, body)


def _followed(term: Term) -> Cube:
    return cube(term.field, term.value, term.mask)


def _refusal(action: Action | Foreign, *, is_last: bool) -> str | None:
    """Return what of *action* the proof does not understand, None if it understands it."""
    match action:
        case Foreign(kind, data):
            return _foreign(kind, data)
        case Output(ofport) if ofport > LAST_PORT and ofport != LOCAL:
            return f"an output to the reserved port {ofport:#x}"
        case Resubmit() if not is_last:
            return "actions after a resubmit"
        case Set(field, _) if field in (Field.VLAN_VID, Field.ETH_TYPE):
            return f"a change of {field.value[0]}"
    return None


_ACTIONS = {21: "set_queue", 22: "group", 23: "set_nw_ttl", 24: "dec_nw_ttl", 25: "set_field"}
"""Actions that Trunkline does not use, by their types (OpenFlow 1.4.0 section 7.2.5)."""

_NICIRA = bytes.fromhex("ffff"), bytes.fromhex("00002320")
_NICIRA_ACTIONS = dict(
    zip(
        (6, 7, 8, 10, 12, 15, 16, 19, 27, 28, 29, 34, 35, 36, 39, 42, 43),
        [
            "move",
            "load",
            "note",
            "multipath",
            "bundle",
            "output_reg",
            "learn",
            "fin_timeout",
            "push",
            "pop",
            "sample",
            "conjunction",
            "ct",
            "nat",
            "output_trunc",
            "clone",
            "ct_clear",
        ],
        strict=True,
    )
)
"""Those of Open vSwitch, by their subtypes (ovs-actions(7), `ofp-actions.c`)."""

_INSTRUCTIONS = {2: "write_metadata", 3: "write_actions", 5: "clear_actions", 6: "meter"}
"""Instructions, by their types (OpenFlow 1.4.0 section 7.2.4)."""


def _foreign(kind: str, data: bytes) -> str:
    """Return what is called what Trunkline does not use.

    >>> _foreign("instruction", bytes.fromhex("0006000800000001"))
    'the instruction meter'
    """
    number = int.from_bytes(data[:2])
    name = (_INSTRUCTIONS if kind == "instruction" else _ACTIONS).get(number)
    if kind == "action" and (data[:2], data[4:8]) == _NICIRA:
        name = _NICIRA_ACTIONS.get(int.from_bytes(data[8:10]))
    return f"an {kind} of another kind" if name is None else f"the {kind} {name}"


class Part(NamedTuple):
    """What a register holds if it was copied from a frame: the *mask* of the frame's bits from *shift* on.

    Its higher bits are still *rest*.
    """

    shift: int
    mask: int
    rest: int

    def asked(self, value: int, mask: int) -> Cube | None:
        """Return the frames with which the register has *value* under *mask*; None if there are none."""
        if (self.rest ^ value) & mask & ~self.mask:
            return None
        return Cube((value & self.mask) << self.shift, (mask & self.mask) << self.shift)


Registers: TypeAlias = Mapping[Field, int | Part]
"""The value of each of `KNOWN`. What is missing is 0; a negative one is a value that no flow mentions."""

Top: TypeAlias = int | None
"""The outermost tag: 0 if there is none, `PRESENT` and the VLAN id of a pushed one; None: the frame's own."""


class _View:
    """Rules that look at the same *mask* of frames, by what these have there."""

    def __init__(self, mask: int, rules: Mapping[int, tuple[Rule, ...]]) -> None:
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
        self._views: dict[tuple[tuple[int | Part, ...], Top], _View | None] = {}
        self._partly: dict[tuple[int, ...], Mapping[tuple[int, ...], list[tuple[int, ...]]]] = {}

    def view(self, registers: Registers, top: Top) -> _View | None:
        """Return the rules that frames with *registers* and *top* may match, by what is matched of them."""
        key: list[int | Part] = []
        for field, mask in self.shape:
            value = registers.get(field, 0)
            key.append(value if isinstance(value, Part) or value < 0 else value & mask)
        asked = tuple(key), top
        if asked not in self._views:
            self._views[asked] = self._seen(*asked)
        return self._views[asked]

    def _seen(self, key: tuple[int | Part, ...], top: Top) -> _View | None:
        parts = [(place, each) for place, each in enumerate(key) if isinstance(each, Part)]
        sure = tuple(place for place, each in enumerate(key) if not isinstance(each, Part))
        known = tuple(each for each in key if not isinstance(each, Part))
        found: dict[int, tuple[Rule, ...]] = {}
        hidden, mask = 0 if top is None else TAG_BITS, 0
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
                if met is not None and not (hidden and (met.value ^ (top or 0)) & met.mask & TAG_BITS):
                    value = met.value & ~hidden
                    found[value] = (*found.get(value, ()), rule)
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

    def add(self, each: Rule) -> None:
        """Add a rule; all of them, before frames are split."""
        shape = tuple((field, mask) for field, _, mask in each.known)
        key = each.priority, shape, each.frames.mask, each.is_sure
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(shape, each.frames.mask, is_sure=each.is_sure)
            self._levels.setdefault(each.priority, []).append(group)
            self._levels = dict(sorted(self._levels.items(), reverse=True))
        group.rules[tuple(value for _, value, _ in each.known)].append(each)
        for field, value, mask in each.known:
            self.values[field].add(value)
            if mask != (1 << field.bits) - 1:
                self.masked.add(field)
        for field in (Field.ETH_SRC, Field.ETH_DST):
            self._readers[field] += not bits(field) & ~each.frames.mask
        self.next |= {int(act.table) for act in each.actions if isinstance(act, Goto | Resubmit)}

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


def rules(flows: Iterable[tuple[bytes, bytes]]) -> list[Rule]:
    """Return the rules of *flows*, each given by its key and body; raises as `rule` does."""
    return [rule(key, body) for key, body in flows]


def tables(rules: Iterable[Rule]) -> dict[int, Table]:
    """Return *rules* by table."""
    found: dict[int, Table] = defaultdict(Table)
    for each in rules:
        found[each.table].add(each)
    return dict(found)
