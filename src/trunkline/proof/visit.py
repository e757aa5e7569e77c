"""A visit: which flows the frames that come in by a port may meet, whatever is in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from trunkline.core.field import Field, Set
from trunkline.core.flow import Copy, Goto, Resubmit
from trunkline.proof.space import SHIFT
from trunkline.proof.switch import Part, Registers, Rule
from trunkline.proof.table import Table


class Visit(NamedTuple):
    """The tables that frames may come to, with the registers that they have there, and the *rules* there."""

    states: list[tuple[int, Registers]]
    rules: list[Rule]


def visit(tables: Mapping[int, Table], stops: Collection[int], in_port: int) -> Visit:
    """Return what frames from *in_port* may meet before they come to one of the tables *stops*."""
    states: dict[tuple[int, frozenset[tuple[Field, int | Part]]], tuple[int, Registers]] = {}
    rules: dict[int, Rule] = {}
    start: tuple[int, Registers] = (0, {Field.IN_PORT: in_port})
    todo = [start]
    while todo:
        number, registers = todo.pop()
        state = number, frozenset(registers.items())
        if number in stops or state in states:
            continue
        states[state] = number, registers
        for rule in tables[number].visited(registers) if number in tables else ():
            rules[id(rule)] = rule
            following = _after(rule, registers)
            if following is not None:
                todo.append(following)
    return Visit(list(states.values()), list(rules.values()))


def _after(rule: Rule, registers: Registers) -> tuple[int, Registers] | None:
    after = dict(registers)
    for action in rule.actions:
        match action:
            case Set(field, value):
                after[field] = value
            case Copy(source, first_bit, destination, count):
                after[destination] = Part(SHIFT[source] + first_bit, (1 << count) - 1, 0)
            case Goto(table) | Resubmit(table):
                return int(table), after
    return None


class Visitors:
    """The ports whose frames may meet a flow, by what they visit."""

    def __init__(self) -> None:
        self._by_table: dict[int, set[int]] = defaultdict(set)
        self._by_value: dict[tuple[int, Field, int | None], set[int]] = defaultdict(set)

    @property
    def tables(self) -> Collection[int]:
        """The tables that are visited."""
        return self._by_table.keys()

    def add(self, in_port: int, visited: Visit) -> None:
        """Note what frames from *in_port* visit, besides what they did before."""
        for number, registers in visited.states:
            self._by_table[number].add(in_port)
            for field, value in registers.items():
                self._by_value[number, field, None if isinstance(value, Part) else value].add(in_port)

    def of(self, rule: Rule) -> set[int]:
        """Return the ports whose frames may meet *rule*, which may be a new one: these, and perhaps others.

        A register that nothing was written to is 0, so a match of 0 says nothing.
        """
        number = rule.table
        found = set(self._by_table.get(number, ()))
        for field, value, mask in rule.known:
            if value and mask == (1 << field.bits) - 1:
                exact, copied = ((number, field, each) for each in (value, None))
                found &= self._by_value.get(exact, set()) | self._by_value.get(copied, set())
        return found
