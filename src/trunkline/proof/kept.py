"""A kept proof: after a change, only the frames that it can concern are followed again.

The way of a frame is another one only if it meets a flow that was added, removed or changed, as it is now or
as it was. What should come of it is another only if its sender or its receiver is. So these frames are found,
more rather than fewer, and followed as in any proof. If all of them go where they should, the others do so
still. In every other case, all is proved again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from trunkline.core.field import Field, Set
from trunkline.core.flow import Copy
from trunkline.core.model import Port
from trunkline.proof.intent import Intent
from trunkline.proof.permission import GROUP, macs
from trunkline.proof.proof import OTHER, Key, Proof, Violation
from trunkline.proof.space import ALL, EVERYTHING, IS_FOLLOWED, TAG_BITS, Cube, Space, cube
from trunkline.proof.switch import Rule, rule
from trunkline.proof.table import Table, tables
from trunkline.proof.visit import visit

_MANY_PORTS = 64
_MANY_CHANGES = 1000
"""If the frames of more ports, or because of more flows or rows, are to be followed again, all are."""

_Cubes = dict[Cube, None]
"""Frames to be followed again: those of each cube."""


class KeptProof:
    """What a switch's *flows* (`message.Encoded`: bodies by key) differ in from *intent*: the *violations*.

    Raises:
        NotProvableError: they do something that the proof does not understand. It is of no use from then on.
    """

    def __init__(self, flows: Mapping[bytes, bytes], intent: Intent) -> None:
        self._rule_by_key = {key: rule(key, body) for key, body in flows.items()}
        self._tables = tables(self._rule_by_key.values())
        self._intent = intent
        self._prove()

    def change(self, changes: Mapping[bytes, bytes | None], intent: Intent) -> None:
        """Take over *changes*, bodies by key, None for a flow that is gone; *intent* is what should be now.

        Raises as the constructor does.
        """
        old = [
            each
            for key, body in changes.items()
            if (each := self._rule_by_key.get(key)) is not None and each.body != body
        ]
        new = [
            rule(key, body)
            for key, body in changes.items()
            if body is not None and (key not in self._rule_by_key or self._rule_by_key[key].body != body)
        ]
        for each in old:
            self._tables[each.table].remove(each)
            del self._rule_by_key[each.key]
        for each in new:
            self._tables.setdefault(each.table, Table()).add(each)
            self._rule_by_key[each.key] = each
        before, self._intent = self._intent, intent
        self._enter(old, new)
        # If the last proof was not plain, there are frames that may go wrong by a change that is not theirs.
        self.is_renewed = not (
            self._proof.is_plain and not self.violations and self._holds(before, [*old, *new], new)
        )
        if self.is_renewed:
            self._prove()

    def _prove(self) -> None:
        """Prove everything, from nothing."""
        self._proof = Proof(self._tables, self._intent)
        self.violations: list[Violation] = self._proof.run()
        self.is_renewed = True
        """Whether the last change had everything proved again."""
        self._setters: dict[tuple[int, Field, int | None], dict[bytes, Rule]] = defaultdict(dict)
        for number in self._proof.stops:
            self._enter((), self._tables[number])

    def _enter(self, old: Iterable[Rule], new: Iterable[Rule]) -> None:
        """Note which flows that ask for the receiver write which register: *new* ones in place of *old*."""
        for rules, is_new in ((old, False), (new, True)):
            for each in rules:
                if each.table in self._proof.stops:
                    for field, value in _written(each):
                        if is_new:
                            self._setters[each.table, field, value][each.key] = each
                        else:
                            self._setters[each.table, field, value].pop(each.key, None)

    def _holds(self, before: Intent, touched: list[Rule], new: list[Rule]) -> bool:
        """Return whether all frames that a change can concern go where they should.

        The rules *touched* are those that are gone, and the *new* ones.
        """
        now = Proof(self._tables, self._intent)
        if (now.stops, now.reach) != (
            self._proof.stops,
            self._proof.reach,
        ) or before.frame != self._intent.frame:
            return False
        if not self._still_others(new):
            return False
        now.mentioned, now.crowds = self._proof.mentioned, self._proof.crowds
        now.visitors, now.in_ports = self._proof.visitors, self._proof.in_ports
        self._proof = now
        senders, receivers = self._rows(before)
        self._flows(touched, senders)
        cubes = sum(map(len, (*senders.values(), *receivers.values())))
        if len(senders) > _MANY_PORTS or len(touched) + cubes > _MANY_CHANGES:
            return False
        starts: dict[Key, dict[Space, None]] = defaultdict(dict)
        for in_port, parts in senders.items():
            now.in_ports.add(in_port)
            now.visitors.add(in_port, visit(self._tables, now.stops, in_port))
            for each in (ALL,) if ALL in parts else parts:
                for group in now.groups(in_port, each):
                    key, spaces = now.gather(in_port, group)
                    starts[key] |= dict.fromkeys(spaces)
        for key in now.crowds:
            starts[key] |= dict.fromkeys(map(Space, self._concerned(key, touched)))
            if key.meant.network_id in receivers:
                starts[key] |= dict.fromkeys(map(Space, receivers[key.meant.network_id]))
        return not now.violations and not any(
            True
            for key, spaces in starts.items()
            for space in ((EVERYTHING,) if EVERYTHING in spaces else spaces)
            for _ in now.suspected(key, now.crowds[key], space)
        )

    def _still_others(self, new: Iterable[Rule]) -> bool:
        """Return whether values of registers that were alike to all later flows are alike to *new* ones."""
        for stop, mentioned in self._proof.mentioned.items():
            for each in new:
                if each.table not in self._proof.reach[stop]:
                    continue
                for field, value, mask in each.known:
                    if field not in mentioned or mask != (1 << field.bits) - 1:
                        return False
                    values = mentioned[field]
                    if values is None or value in values:
                        continue
                    if any(
                        (field, OTHER) in key.registers for key in self._proof.crowds if key.table == stop
                    ):
                        return False
                    values.add(value)
        return True

    # -- what rows concern -------------------------------------------------------------------------

    def _rows(self, before: Intent) -> tuple[dict[int, _Cubes], dict[object, _Cubes]]:
        """Return the frames that other rows than *before* concern: by the port of entry, and by network."""
        now = self._intent
        senders: dict[int, _Cubes] = defaultdict(dict)
        receivers: dict[object, _Cubes] = defaultdict(dict)
        for ofport in before.ofports ^ now.ofports:
            senders[ofport][ALL] = None
        for outlet in before.port_by_outlet.keys() | now.port_by_outlet.keys():
            old, new = (each.port_by_outlet.get(outlet) for each in (before, now))
            if old is not new and old != new:
                senders[outlet[0]][ALL] = None
                for port in (old, new):
                    if port is not None:
                        receivers[port.network_id][GROUP] = None
        for port in _changed_ports(before, now):
            self._of_port(port, senders, receivers)
        return senders, receivers

    def _of_port(self, port: Port, senders: dict[int, _Cubes], receivers: dict[object, _Cubes]) -> None:
        """Add the frames that what is other about *port* concerns: those to it, and those in its name."""
        uplink = self._intent.uplinks.get(self._intent.networks[port.network_id].physnet)
        if port.takes_unknown_macs and not port.is_secured:
            receivers[port.network_id][ALL] = None
        for mac in macs(port):
            receivers[port.network_id][cube(Field.ETH_DST, mac)] = None
            if uplink is not None:
                senders[uplink.ofport][cube(Field.ETH_SRC, mac)] = None

    # -- what flows concern ------------------------------------------------------------------------

    def _flows(self, touched: Iterable[Rule], senders: dict[int, _Cubes]) -> None:
        """Add the frames of *senders* that may meet one of the rules *touched*."""
        proof = self._proof
        is_written = any(
            self._tables[number].written & IS_FOLLOWED
            for number in proof.visitors.tables
            if number in self._tables
        )
        for each in touched:
            for field, value, _ in each.known:
                if field is Field.IN_PORT and value not in proof.in_ports:
                    senders[value][ALL] = None
            if each.table in proof.stops:
                continue
            within = ALL if is_written else _asked(each)
            for in_port in proof.visitors.of(each):
                senders[in_port][within] = None

    def _concerned(self, key: Key, touched: Iterable[Rule]) -> Iterator[Cube]:
        """Yield frames of *key* that may meet one of the rules *touched*."""
        registers = dict(key.registers)
        for each in touched:
            if each.table == key.table and key.table not in self._later(key.table):
                if _may_match(each, registers):
                    yield _unwritten(each, key)
            elif each.table in self._proof.reach[key.table]:
                yield from self._leading(key, registers, each)

    def _leading(self, key: Key, registers: Mapping[Field, object], touched: Rule) -> Iterator[Cube]:
        """Yield frames of *key* that may come to meet *touched* in a later table.

        If it asks for a value that they do not have at first, a flow of their first table has to write it.
        """
        later = self._later(key.table)
        for field, value, mask in touched.known:
            own = registers.get(field, 0)
            is_written = any(field in self._tables[each].written for each in later if each in self._tables)
            if is_written or mask != (1 << field.bits) - 1 or not isinstance(own, int) or own == value:
                continue
            for written in (value, None):
                for each in self._setters.get((key.table, field, written), {}).values():
                    if _may_match(each, registers):
                        yield _unwritten(each, key)
            return
        yield ALL

    def _later(self, stop: int) -> set[int]:
        """Return the tables to which frames come from table *stop*; it may be one of them."""
        found: set[int] = set()
        todo = list(self._tables[stop].next)
        while todo:
            each = todo.pop()
            if each not in found:
                found.add(each)
                todo += self._tables[each].next if each in self._tables else ()
        return found


def _changed_ports(before: Intent, now: Intent) -> Iterator[Port]:
    """Yield the ports whose row or place is another one, as they were and as they are."""
    both = (before.ports, before.place, now.ports, now.place)
    if list(before.ports) == list(now.ports):
        # Most changes are such, and to look up each of 10,000 ports takes longer than all the rest.
        rows = zip(*(each.values() for each in both), strict=True)
    else:
        ids = before.ports.keys() | now.ports.keys()
        rows = zip(*([each.get(port_id) for port_id in ids] for each in both), strict=True)
    for old, was, new, place in rows:
        if (old is not new and old != new) or was != place:
            yield from (each for each in (old, new) if isinstance(each, Port))


def _written(each: Rule) -> Iterator[tuple[Field, int | None]]:
    """Yield the registers that *each* writes, each with its value; None: what frames have."""
    for action in each.actions:
        if isinstance(action, Set):
            yield action.field, action.value
        elif isinstance(action, Copy):
            yield action.destination, None


def _asked(each: Rule) -> Cube:
    """Return the frames that *each* asks for, whatever tags they had when they came in."""
    return Cube(each.frames.value & ~TAG_BITS, each.frames.mask & ~TAG_BITS)


def _unwritten(each: Rule, key: Key) -> Cube:
    """Return the frames of *key*, as they came in, that *each* asks for: all if that was written since."""
    asked = _asked(each)
    return ALL if asked.mask & key.blank.written.mask else asked


def _may_match(each: Rule, registers: Mapping[Field, object]) -> bool:
    """Return whether frames with *registers* may match *each*."""
    return not any(
        isinstance(own := registers.get(field, 0), int) and (own < 0 or (own ^ value) & mask)
        for field, value, mask in each.known
    )
