"""Likeness: ports that differ in names and addresses alone. What frames of one come to, all others' do.

The flows that frames of a port may meet are compared after the port's own values (its keys, MAC, addresses)
were replaced by symbols. If they are equal, and no other flow or rule looks at these values, then exchanging
the values turns one port's frames into the other's.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from trunkline.core.field import Field, Set
from trunkline.core.model import Port
from trunkline.proof.intent import Intent, Meant
from trunkline.proof.permission import control_frames, prefixes
from trunkline.proof.space import SHIFT, Cube, Space, bits
from trunkline.proof.switch import Part, Rule
from trunkline.proof.table import Table
from trunkline.proof.visit import Visit
from trunkline.proof.way import Blank

_MACS = (Field.ETH_SRC, Field.ARP_SHA, Field.ARP_THA)
_PLACES = tuple(
    (SHIFT[field], (1 << field.bits) - 1, bits(field), kind)
    for fields, kind in (
        (_MACS, "mac"),
        ((Field.IPV4_SRC, Field.IPV4_DST), 4),
        ((Field.IPV6_SRC, Field.IPV6_DST, Field.ND_TARGET), 6),
    )
    for field in fields
)
"""Where a port's MAC and addresses may be in its frames."""

_EXACT_MACS = bits(Field.ARP_SHA) | bits(Field.ARP_THA)
_LOW_BITS = 32
"""How the registers share the bits of a MAC that is copied from a frame."""


class Group(NamedTuple):
    """Frames of one port that have come to *table*, are *blank* by then, and meant so; *spaces* has them."""

    table: int
    registers: tuple[tuple[Field, int | Part], ...]
    blank: Blank
    meant: Meant
    spaces: frozenset[Space]


class _Values(NamedTuple):
    """A port's own values, each with its symbol: those of registers, and those of frames by their kind."""

    in_port: int
    register: Mapping[int, str]
    frame: Mapping[str | int, Mapping[int, str]]


class _Model(NamedTuple):
    """The port whose frames were followed, in the network *network_id*."""

    values: _Values
    network_id: UUID
    groups: Sequence[Group]
    literals: Sequence[Cube]


class Likeness:
    """The ports whose frames were followed, and those that are like them."""

    def __init__(self, tables: Mapping[int, Table], intent: Intent) -> None:
        self._tables = tables
        self._intent = intent
        self._models: dict[Hashable, _Model] = {}
        self._port_by_ofport = intent.lone_ports
        self._asked: tuple[int, Hashable, _Values, list[Rule]] | None = None

    def known(self, in_port: int, visited: Visit) -> list[Group] | None:
        """Return what the frames from *in_port*, which meet what is *visited*, come to.

        None if they are not like those of a port that was learnt.
        """
        self._asked = None
        port = self._port_by_ofport.get(in_port)
        values = None if port is None else self._values(in_port, port)
        if port is None or values is None:
            return None
        if any(number in self._tables and self._tables[number].masked for number, _ in visited.states):
            # A flow matches a part of a register, so that values cannot be exchanged.
            return None
        rules = visited.rules
        carries_tags = port.network_id in self._intent.carrying_tags
        shape = port.is_secured, control_frames(port), carries_tags, tuple(map(len, values.frame.values()))
        key = shape, frozenset(_without(rule, values) for rule in rules)
        self._asked = in_port, key, values, rules
        model = self._models.get(key)
        if model is None or not _is_apart(values, model.literals):
            return None
        by_symbol = {symbol: value for value, symbol in values.register.items()}
        value_by_old = {value: by_symbol[symbol] for value, symbol in model.values.register.items()}
        return [_renamed(each, value_by_old, in_port, port.network_id) for each in model.groups]

    def learn(self, in_port: int, groups: Sequence[Group]) -> None:
        """Take *groups* for what frames of ports like that of *in_port* come to; it was asked about last."""
        if self._asked is None or self._asked[0] != in_port:
            return
        _, key, values, rules = self._asked
        cubes = [rule.frames for rule in rules]
        for is_tagged in (False, True):
            cubes += [frames for frames, _ in self._intent.kinds(in_port, is_tagged=is_tagged)]
        literals = {Cube(*_literal(each, values)[:2]) for each in cubes}
        if _is_apart(values, literals) and key not in self._models:
            port = self._port_by_ofport[in_port]
            self._models[key] = _Model(values, port.network_id, groups, tuple(literals))

    def _values(self, in_port: int, port: Port) -> _Values | None:
        """Return the own values of *port*; None if they are such that it is like no other."""
        own = prefixes(port, port.mac) or ()
        four, six = ([int(each.network_address) for each in own if each.version == kind] for kind in (4, 6))
        register = {
            port.key: "port",
            self._intent.networks[port.network_id].key: "network",
            port.mac >> _LOW_BITS: "high",
            port.mac & (1 << _LOW_BITS) - 1: "low",
        }
        if port.allowed_pairs or len(set(four)) < len(four) or len(set(six)) < len(six):
            return None
        frame: dict[str | int, Mapping[int, str]] = {
            "mac": {port.mac: "mac"},
            4: {value: f"four {number}" for number, value in enumerate(four)},
            6: {value: f"six {number}" for number, value in enumerate(six)},
        }
        return _Values(in_port, register, frame) if len(register) == len(_SYMBOLS) else None


_SYMBOLS = ("port", "network", "high", "low")


def _without(rule: Rule, values: _Values) -> Hashable:
    """Return *rule* with symbols for *values*; a rule of all ports as it is."""
    register = values.register
    known = tuple((field, _symbol(field, value, values)) for field, value, _ in rule.known)
    if not any(isinstance(symbol, str) for _, symbol in known):
        return id(rule)
    actions = tuple(
        (action.field, register.get(action.value, action.value)) if isinstance(action, Set) else action
        for action in rule.actions
    )
    return rule.table, rule.priority, known, _literal(rule.frames, values), rule.is_sure, actions


def _symbol(field: Field, value: int, values: _Values) -> int | str:
    if field is Field.IN_PORT:
        return "in_port" if value == values.in_port else value
    return values.register.get(value, value)


def _literal(frames: Cube, values: _Values) -> tuple[int, int, tuple[tuple[int, str], ...]]:
    """Return value and mask of *frames* without the own *values*, and where these are."""
    value, mask = frames
    found = []
    for shift, full, place, kind in _PLACES:
        if mask & place == place:
            symbol = values.frame[kind].get(value >> shift & full)
            if symbol is not None:
                found.append((shift, symbol))
                value, mask = value & ~place, mask & ~place
    return value, mask, tuple(found)


def _is_apart(values: _Values, literals: Iterable[Cube]) -> bool:
    """Return whether no one of *literals* has one of the *values* in it, at any of their places.

    Of the MACs inside, which flows compare in two parts, only 0 may be asked for besides.
    """
    for value, mask in literals:
        if value & _EXACT_MACS:
            return False
        for shift, full, place, kind in _PLACES:
            asked = (mask & place) >> shift
            if asked and any(not (own ^ value >> shift & full) & asked for own in values.frame[kind]):
                return False
    return True


def _renamed(group: Group, value_by_old: Mapping[int, int], in_port: int, network_id: UUID) -> Group:
    registers = tuple(
        (field, in_port)
        if field is Field.IN_PORT
        else (field, value if isinstance(value, Part) else value_by_old.get(value, value))
        for field, value in group.registers
    )
    meant = group.meant
    if meant.network_id is not None:
        meant = meant._replace(network_id=network_id)
    return group._replace(registers=registers, meant=meant)
