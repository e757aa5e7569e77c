"""Sets of frames: a cube without other cubes, in Python's long integers.

A frame is one integer: its header fields side by side, as far as flows can match them. As in Open vSwitch
(`struct flow`), fields of different protocols share a place. A cube is (value, mask): the frames whose bits
under *mask* are *value*. This is header space analysis (Kazemian, Varghese, McKeown, NSDI 2012).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from trunkline.core.field import Field
from trunkline.core.frame import HIDDEN_TAGS

PRESENT = 0x1000
"""The bit of `VLAN_VID` that says that there is a tag."""

_PLACES = (
    *((Field.VLAN_VID,), (Field.ETH_TYPE,), (Field.ETH_SRC,), (Field.ETH_DST,)),
    *((Field.ARP_OP, Field.IP_PROTO), (Field.IP_FRAG,)),
    *((Field.IPV4_SRC, Field.ARP_SPA), (Field.IPV4_DST, Field.ARP_TPA)),
    *((Field.IPV6_SRC,), (Field.IPV6_DST,)),
    (Field.UDP_SRC, Field.TCP_SRC, Field.ICMPV6_TYPE),
    (Field.UDP_DST, Field.TCP_DST, Field.ICMPV6_CODE),
    *((Field.ND_TARGET,), (Field.ARP_SHA, Field.ND_SLL), (Field.ARP_THA, Field.ND_TLL)),
)
"""The fields that are followed, the lowest first; those of one place cannot be in one frame."""


def _shifts() -> tuple[dict[Field, int], int]:
    found: dict[Field, int] = {}
    at = 0
    for fields in _PLACES:
        found |= dict.fromkeys(fields, at)
        at += max(field.bits for field in fields)
    return found, at


SHIFT, _BIT_COUNT = _shifts()
"""Where the lowest bit of each field is; and how many bits there are."""


class Cube(NamedTuple):
    """The frames whose bits under *mask* are *value*, which has no other bits."""

    value: int
    mask: int

    def meet(self, other: Cube) -> Cube | None:
        """Return the frames of both, None if there are none.

        >>> vlan_ids(5).meet(vlan_ids(6)) is None
        True
        """
        if (self.value ^ other.value) & self.mask & other.mask:
            return None
        return Cube(self.value | other.value, self.mask | other.mask)


ALL = Cube(0, 0)


def just(frame: int) -> Cube:
    """Return the cube of that one *frame*."""
    return Cube(frame, (1 << _BIT_COUNT) - 1)


def bits(field: Field) -> int:
    """Return the bits of *field*."""
    return (1 << field.bits) - 1 << SHIFT[field]


def cube(field: Field, value: int, mask: int | None = None) -> Cube:
    """Return the frames that have *value* in *field*, under *mask* if it is given."""
    mask = (1 << field.bits) - 1 if mask is None else mask
    return Cube((value & mask) << SHIFT[field], mask << SHIFT[field])


def both(*cubes: Cube) -> Cube:
    """Return the frames that are in all of *cubes*, of which no two exclude one another."""
    value = mask = 0
    for each in cubes:
        assert not (value ^ each.value) & mask & each.mask
        value, mask = value | each.value, mask | each.mask
    return Cube(value, mask)


def value_of(frame: int, field: Field) -> int:
    """Return what *frame* has in *field*."""
    return frame >> SHIFT[field] & (1 << field.bits) - 1


TAG_BITS = bits(Field.VLAN_VID)
"""The bits of the tag."""


def vlan_ids(vlan_id: int) -> Cube:
    """Return the frames that have a tag with *vlan_id*, 0–4095."""
    return cube(Field.VLAN_VID, PRESENT | vlan_id)


TAGGED = cube(Field.VLAN_VID, PRESENT, PRESENT)
UNTAGGED = cube(Field.VLAN_VID, 0)
HIDDEN = tuple(cube(each.field, each.value) for each in HIDDEN_TAGS)
"""The frames with a tag that the switch does not read: it reads one, so this one is inside, or an old one."""

READ_TAGS = HIDDEN[:2]
"""Those with a type that the switch reads as a tag, if it is the first one (802.1Q, 802.1ad)."""

IS_FOLLOWED = SHIFT.keys()
"""The fields of frames that the proof follows exactly."""

Holes = tuple[Cube, ...]


class Space(NamedTuple):
    """The frames of *cube* that are in none of *holes*."""

    cube: Cube
    holes: Holes = ()

    def within(self, other: Cube) -> Space | None:
        """Return the frames that are in *other* too; None if a look shows that there are none."""
        met = self.cube.meet(other)
        if met is None:
            return None
        holes = open_holes(met, self.holes)
        return None if holes is None else Space(met, holes)

    def without(self, cubes: Iterable[Cube]) -> Space | None:
        """Return the frames that are in none of *cubes*; None if a look shows that there are none."""
        holes = open_holes(self.cube, (*self.holes, *cubes))
        return None if holes is None else Space(self.cube, holes)

    def meet(self, other: Space) -> Space | None:
        """Return the frames of both, None if there are none. This is exact."""
        met = self.cube.meet(other.cube)
        holes = None if met is None else open_holes(met, (*self.holes, *other.holes))
        if met is None or holes is None:
            return None
        space = Space(met, holes)
        return None if space.frame() is None else space

    def touches(self, others: Iterable[Space]) -> bool:
        """Return whether it has a frame of one of *others*."""
        return any(self.meet(other) is not None for other in others)

    def frame(self) -> int | None:
        """Return one of its frames, None if it has none. This is exact.

        >>> Space(TAGGED, (TAGGED,)).frame() is None
        True
        >>> Space(vlan_ids(5), (cube(Field.ETH_TYPE, 0),)).frame() is None
        False
        """
        return _frame(self.cube, self.holes)

    def forgetful(self, keep: int) -> Space:
        """Return a space with all these frames, and others that differ only in bits other than *keep*."""
        holes = {Cube(hole.value & keep, hole.mask & keep) for hole in self.holes if not hole.mask & ~keep}
        return Space(Cube(self.cube.value & keep, self.cube.mask & keep), tuple(sorted(holes)))


EVERYTHING = Space(ALL)


def open_holes(frames: Cube, holes: Iterable[Cube]) -> Holes | None:
    """Return those of *holes* that touch *frames*, without the bits that these have anyway.

    None if one of them covers all *frames*.
    """
    found: dict[Cube, None] = {}
    value, mask = frames
    free = ~mask
    for hole_value, hole_mask in holes:
        if (hole_value ^ value) & hole_mask & mask:
            continue
        rest = hole_mask & free
        if not rest:
            return None
        found[Cube(hole_value & rest, rest)] = None
    return tuple(found)


_MANY = 8


def narrowed(frames: Cube, mask: int, holes: Holes, values: Collection[int]) -> Iterator[Holes | None]:
    """Yield the open *holes* of *frames* whose bits under *mask* are known too, for each of *values*.

    None for a value if one of the holes covers all its frames.

    >>> list(narrowed(ALL, TAG_BITS, (UNTAGGED,), [0, PRESENT]))
    [None, ()]
    """
    if len(values) < _MANY:
        for value in values:
            yield open_holes(Cube(frames.value | value, frames.mask | mask), holes)
        return
    # Of thousands of holes and of values, not each hole can be looked at for each value.
    fresh = mask & ~frames.mask
    untouched = tuple(hole for hole in holes if not hole.mask & fresh)
    by_mask: dict[int, dict[int, list[Cube]]] = {}
    for hole in holes:
        shared = hole.mask & fresh
        if shared:
            rest = Cube(hole.value & ~shared, hole.mask & ~shared)
            by_mask.setdefault(shared, {}).setdefault(hole.value & shared, []).append(rest)
    for value in values:
        some = [hole for shared, rests in by_mask.items() for hole in rests.get(value & shared, ())]
        if not all(hole.mask for hole in some):
            yield None
        else:
            yield (*untouched, *dict.fromkeys(some)) if some else untouched


class Cubes:
    """Cubes, added one after the other, and which of them touch some frames: found by a look."""

    def __init__(self) -> None:
        self._by_mask: dict[int, dict[int, dict[int, list[Cube]]]] = {}

    def add(self, each: Cube) -> None:
        """Add a cube."""
        for shared, by_value in self._by_mask.setdefault(each.mask, {each.mask: {}}).items():
            by_value.setdefault(each.value & shared, []).append(each)

    def touching(self, frames: Cube) -> Iterator[Cube]:
        """Yield those that have a frame of *frames*."""
        for mask, indices in self._by_mask.items():
            shared = mask & frames.mask
            if shared not in indices:
                indices[shared] = {}
                for each in itertools.chain.from_iterable(indices[mask].values()):
                    indices[shared].setdefault(each.value & shared, []).append(each)
            yield from indices[shared].get(frames.value & shared, ())


_FULL = 0.999


def _frame(frames: Cube, holes: Iterable[Cube]) -> int | None:
    """Return a frame of *frames* that is in none of *holes*.

    Holes that together are smaller than the cube cannot fill it: then bits are fixed so that this stays so.
    Otherwise the fewest bits that lead out of one hole are tried, one after the other.
    """
    some = open_holes(frames, holes)
    if some is None:
        return None
    left: Holes = some
    while left and _size(frames, left) < _FULL:
        bit = max(left, key=lambda hole: -hole.mask.bit_count()).mask
        bit &= -bit
        sides = [Cube(frames.value | side, frames.mask | bit) for side in (0, bit)]
        frames = min(sides, key=lambda side: _size(side, left))
        left = open_holes(frames, left) or ()
    if not left:
        return frames.value
    nearest = min(left, key=lambda hole: hole.mask.bit_count())
    part, rest = frames, nearest.mask
    while rest:
        bit = rest & -rest
        rest ^= bit
        found = _frame(Cube(part.value | ~nearest.value & bit, part.mask | bit), left)
        if found is not None:
            return found
        part = Cube(part.value | nearest.value & bit, part.mask | bit)
    return None


def _size(frames: Cube, holes: Iterable[Cube]) -> float:
    """Return how much of *frames* the *holes* fill, if no two of them overlap."""
    free = ~frames.mask
    return sum(
        2.0 ** -(hole.mask & free).bit_count()
        for hole in holes
        if not (hole.value ^ frames.value) & hole.mask & frames.mask
    )
