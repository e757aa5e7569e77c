"""Sets of frames: a cube without other cubes, in Python's long integers.

Of a frame, only what the proof follows exactly has bits here: its outermost tag and its Ethernet type. A cube
is (value, mask): the frames whose bits under *mask* are *value*. This is header space analysis (Kazemian,
Varghese, McKeown, NSDI 2012).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trunkline.core.field import Field

PRESENT = 0x1000
"""The bit of `VLAN_VID` that says that there is a tag."""

TPIDS = (0x8100, 0x88A8)
"""The Ethernet types of tags (802.1Q, 802.1ad)."""

_SHIFT = {Field.VLAN_VID: 0, Field.ETH_TYPE: Field.VLAN_VID.bits}


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

TAG_BITS = (1 << Field.VLAN_VID.bits) - 1
"""The bits of the tag."""


def cube(field: Field, value: int, mask: int | None = None) -> Cube:
    """Return the frames that have *value* in *field*, under *mask* if it is given."""
    bits = (1 << field.bits) - 1 if mask is None else mask
    return Cube((value & bits) << _SHIFT[field], bits << _SHIFT[field])


def vlan_ids(vlan_id: int) -> Cube:
    """Return the frames that have a tag with *vlan_id*, 0–4095."""
    return cube(Field.VLAN_VID, PRESENT | vlan_id)


TAGGED = cube(Field.VLAN_VID, PRESENT, PRESENT)
UNTAGGED = cube(Field.VLAN_VID, 0)
HIDDEN = tuple(cube(Field.ETH_TYPE, tpid) for tpid in TPIDS)
"""The frames with a tag that the switch does not read: it reads one, so this one is inside."""

IS_FOLLOWED = _SHIFT.keys()
"""The fields of frames that the proof follows exactly."""


class Space(NamedTuple):
    """The frames of *cube* that are in none of *holes*."""

    cube: Cube
    holes: frozenset[Cube] = frozenset()

    def within(self, other: Cube) -> Space | None:
        """Return the frames that are in *other* too, None if there are none."""
        both = self.cube.meet(other)
        if both is None:
            return None
        space = Space(both, frozenset(hole for hole in self.holes if both.meet(hole) is not None))
        return None if space.frame() is None else space

    def without(self, cubes: Iterable[Cube]) -> Space | None:
        """Return the frames that are in none of *cubes*, None if there are none."""
        more = {each for each in cubes if self.cube.meet(each) is not None}
        space = Space(self.cube, self.holes | more)
        return None if space.frame() is None else space

    def frame(self) -> int | None:
        """Return one of its frames, None if it has none.

        Fix the fewest bits that lead out of one hole, one after the other: exact, and quick for few holes.

        >>> Space(TAGGED, frozenset({TAGGED})).frame() is None
        True
        >>> Space(vlan_ids(5), frozenset({cube(Field.ETH_TYPE, 0)})).frame() is None
        False
        """
        return _frame(self.cube, self.holes)


def _frame(frames: Cube, holes: Iterable[Cube]) -> int | None:
    rests = []
    for hole in holes:
        if frames.meet(hole) is not None:
            rest = hole.mask & ~frames.mask
            if not rest:
                return None
            rests.append(Cube(hole.value & rest, rest))
    if not rests:
        return frames.value
    nearest = min(rests, key=lambda hole: hole.mask.bit_count())
    part, left = frames, nearest.mask
    while left:
        bit = left & -left
        left ^= bit
        found = _frame(Cube(part.value | ~nearest.value & bit, part.mask | bit), rests)
        if found is not None:
            return found
        part = Cube(part.value | nearest.value & bit, part.mask | bit)
    return None
