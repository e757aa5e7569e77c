"""The matrix of a probe: which chassis hears which, in which network, and up to which size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from trunkline.northbound.body import UnreadableError
from trunkline.probe.order import unpacked_groups

BEACONS = 3
"""How many chassis of a network send beacons, unless all do: one of them may be the one that is cut off."""


class ProbedNetwork(NamedTuple):
    """A network of the northbound, as far as a probe needs it; a flat one has no *vlan_id*."""

    name: str
    key: int
    physnet: str
    vlan_id: int | None
    mtu: int


class Stray(NamedTuple):
    """A frame that arrived on *physnet* with *vlan_id*, and not only in the network with *network_key*."""

    network_key: int
    member: int
    physnet: str
    vlan_id: int | None


class Heard(NamedTuple):
    """What one chassis has received: members by network key, and sizes by network key and member."""

    members: Mapping[int, frozenset[int]]
    strays: tuple[Stray, ...]
    sizes: Mapping[int, Mapping[int, int]]
    is_flooded: bool


class State(StrEnum):
    """What is known of one direction between two chassis in one network.

    UNKNOWN: the sender or the receiver did not say what it sent or received, or had nothing to answer to, or
    had no time to send it all, or one of them got too much to hear it all, and so to answer.
    """

    OK = "ok"
    LOST = "lost"
    UNKNOWN = "unknown"


class Cell(NamedTuple):
    """One direction in one network; *mtu* is the largest packet that passes, None if that was not asked."""

    network: ProbedNetwork
    sender: str
    receiver: str
    state: State
    mtu: int | None = None

    @property
    def is_ok(self) -> bool:
        """Whether frames come."""
        return self.state is State.OK


@dataclass(frozen=True)
class Matrix:
    """What came of a session.

    *members* are the chassis with ports of a network, sorted, *beacons* those of them that sent beacons, both
    by network key. *heard* is what each chassis said; one that is missing in it has gone meanwhile.
    *chassis_by_id* has the names of the numbers in frames; *unsettled* are chassis that could not send all.
    """

    networks: tuple[ProbedNetwork, ...]
    members: Mapping[int, tuple[str, ...]]
    beacons: Mapping[int, frozenset[str]]
    heard: Mapping[str, Heard]
    chassis_by_id: Mapping[int, str]
    unsettled: frozenset[str] = frozenset()
    physnets: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The physical networks that each chassis is at."""

    @cached_property
    def id_by_chassis(self) -> dict[str, int]:
        """The numbers of the chassis in frames."""
        return {name: id_ for id_, name in self.chassis_by_id.items()}

    def cells(self, network: ProbedNetwork) -> Sequence[Cell]:
        """Return both directions between each beacon of *network* and each other chassis with ports of it."""
        return self._cells_by_key[network.key]

    @cached_property
    def _cells_by_key(self) -> dict[int, tuple[Cell, ...]]:
        return {network.key: tuple(self._cells(network)) for network in self.networks}

    def _cells(self, network: ProbedNetwork) -> Iterator[Cell]:
        ids, beacons = self.id_by_chassis, self.beacons[network.key]
        for sender in self.members[network.key]:
            others = self.members[network.key] if sender in beacons else sorted(beacons)
            for receiver in others:
                if receiver != sender:
                    yield self._cell(network, sender, receiver, ids)

    def without(self, names_by_key: Mapping[int, Collection[str]]) -> Matrix:
        """Return it as if these chassis had no ports of the networks with these keys."""
        if not names_by_key:
            return self
        gone = {key: frozenset(names) for key, names in names_by_key.items()}
        none: frozenset[str] = frozenset()
        return replace(
            self,
            members={
                key: tuple(name for name in names if name not in gone.get(key, none))
                for key, names in self.members.items()
            },
            beacons={key: names - gone.get(key, none) for key, names in self.beacons.items()},
        )

    def unsized(self) -> list[Cell]:
        """Return the directions of which nobody knows how large a packet may be, though both sides answer."""
        return [
            cell
            for network in self.networks
            for passed in [{(each.sender, each.receiver): each for each in self.cells(network) if each.is_ok}]
            for pair, cell in passed.items()
            if cell.mtu is None and pair[::-1] in passed
        ]

    def _cell(self, network: ProbedNetwork, sender: str, receiver: str, ids: Mapping[str, int]) -> Cell:
        there, back = self.heard.get(sender), self.heard.get(receiver)
        if there is None or back is None:
            return Cell(network, sender, receiver, State.UNKNOWN)
        is_flooded = there.is_flooded or back.is_flooded
        if ids[sender] in back.members.get(network.key, ()):
            size = there.sizes.get(network.key, {}).get(ids[receiver])
            # Larger ones may have been lost in the flood.
            is_known = size is not None and (size >= network.mtu or not is_flooded)
            return Cell(network, sender, receiver, State.OK, size if is_known else None)
        if is_flooded or sender in self.unsettled:
            return Cell(network, sender, receiver, State.UNKNOWN)
        has_spoken = sender in self.beacons[network.key] or ids[receiver] in there.members.get(
            network.key, ()
        )
        return Cell(network, sender, receiver, State.LOST if has_spoken else State.UNKNOWN)

    def islands(self, network: ProbedNetwork) -> list[tuple[str, ...]]:
        """Return the groups of chassis that reach one another, in both directions, the largest first.

        A chassis that did not say what it heard is in none of them.
        """
        return self._islands_by_key[network.key]

    def island(self, network: ProbedNetwork, chassis: str) -> tuple[str, ...]:
        """Return the one of the `islands` that *chassis* is in; an empty one if it is in none."""
        return self._island_by_place.get((network.key, chassis), ())

    @cached_property
    def _island_by_place(self) -> dict[tuple[int, str], tuple[str, ...]]:
        islands = ((key, each) for key, found in self._islands_by_key.items() for each in found)
        return {(key, name): island for key, island in islands for name in island}

    @cached_property
    def _islands_by_key(self) -> dict[int, list[tuple[str, ...]]]:
        return {network.key: self._islands(network) for network in self.networks}

    def _islands(self, network: ProbedNetwork) -> list[tuple[str, ...]]:
        passed = {(cell.sender, cell.receiver) for cell in self.cells(network) if cell.state is State.OK}
        group = {name: {name} for name in self.members[network.key] if name in self.heard}
        for one, other in passed:
            if (other, one) in passed and group[one] is not group[other]:
                group[one] |= group[other]
                for name in group[other]:
                    group[name] = group[one]
        found = [tuple(sorted(each)) for each in {id(each): each for each in group.values()}.values()]
        return sorted(found, key=lambda island: (-len(island), island))


def heard(body: Any) -> Heard:
    """Return what the answer *body* of a chassis says; raise UnreadableError if it is something else."""
    try:
        return Heard(
            {key: members for (key, _), members in unpacked_groups(body["heard"]).items()},
            tuple(_stray(*each) for each in body["strays"]),
            _sizes(body["sizes"]),
            body["flooded"] is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"it is no report of a probe: {error}") from None


def _sizes(text: Any) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for (key, size), members in unpacked_groups(text).items():
        found.setdefault(key, {}).update(dict.fromkeys(members, size))
    return found


def _stray(key: Any, member: Any, physnet: Any, vlan_id: Any) -> Stray:
    return Stray(_number(key), _number(member), str(physnet), None if vlan_id is None else _number(vlan_id))


def _number(value: Any) -> int:
    found = int(value)
    if not 0 <= found < 1 << 32:
        raise ValueError(f"{value!r} is out of range")
    return found


def first_beacons(members: Mapping[int, Collection[str]]) -> dict[int, frozenset[str]]:
    """Return `BEACONS` chassis of each network, or all that it has if these are fewer.

    They are few in all, so that many networks have the same ones: an order has to name them.

    >>> {key: sorted(names) for key, names in first_beacons({1: "abcde", 2: "cde", 3: "xy"}).items()}
    {1: ['a', 'c', 'e'], 2: ['c', 'd', 'e'], 3: ['x', 'y']}
    """
    chosen: set[str] = set()
    found: dict[int, frozenset[str]] = {}
    for key, names in sorted(members.items()):
        known, rest = _spread(chosen.intersection(names), BEACONS), set(names) - chosen
        found[key] = frozenset([*known, *_spread(rest, BEACONS - len(known))])
        chosen |= found[key]
    return found


def _spread(names: Collection[str], count: int) -> list[str]:
    """Return *count* of *names*, or all: first, last and some between. Neighbours often share a switch."""
    ordered = sorted(names)
    if len(ordered) <= count:
        return ordered
    return [ordered[number * (len(ordered) - 1) // max(count - 1, 1)] for number in range(count)]


def more_beacons(matrix: Matrix) -> dict[int, frozenset[str]]:
    """Return who should send beacons next, by network key: one chassis of each island, if there are several.

    What was lost once is so tried again, and islands that no beacon was in are told apart.
    """
    found: dict[int, frozenset[str]] = {}
    for network in matrix.networks:
        islands = matrix.islands(network)
        if len(islands) > 1:
            found[network.key] = frozenset(island[0] for island in islands[:MOST_ISLANDS])
    return found


MOST_ISLANDS = 16
"""So many islands of a network are probed from one another."""
