"""Random worlds, edits and frames as hypothesis draws them, so that a case which fails shrinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from model import world
from model.frame import Frame
from model.rows import Rows

T = TypeVar("T")

Arrival = tuple[int, Frame]
"""A frame, and the ofport that it comes in by."""


class Drawn(Random):
    """A `Random` that leaves each choice to hypothesis, by *draw*.

    A case shrinks towards the first of what there is to choose from, and towards what is likely.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        super().__init__(0)
        self._draw = draw

    def random(self) -> float:
        """Return a number of hundredths, at least 0 and below 1: the middle first, and outward from there."""
        drawn = self._randbelow(100)
        return (50 + drawn // 2 if drawn % 2 == 0 else 49 - drawn // 2) / 100

    def _randbelow(self, n: int) -> int:
        """Return a number below *n*: all that `Random` chooses among several comes from here."""
        return self._draw(_below(n))


@cache
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


@st.composite
def drawn(draw: st.DrawFn, of: Callable[..., T], *arguments: Any) -> T:
    """Draw what *of* returns for a `Random` and *arguments*."""
    return of(Drawn(draw), *arguments)


def rounds(draw: st.DrawFn, most: int) -> Iterator[None]:
    """Yield *most* times, or now and then, and in a case that shrinks, fewer times; at least once."""
    yield
    for _ in range(most - 1):
        if draw(_below(120)) == 0:
            return
        yield


def randoms() -> st.SearchStrategy[Random]:
    """Make all choices of something small by one draw: there may be few or many of it, but each is as it is.

    A draw takes some 20 µs, and the way of a frame through the tables no more than a few of those.
    """
    return _below(1 << 32).map(Random)


def worlds() -> st.SearchStrategy[Rows]:
    """Worlds as `world.rows` makes them."""
    return drawn(world.rows)


@st.composite
def histories(draw: st.DrawFn, edits: int) -> list[Rows]:
    """Draw a world and what becomes of it, edit by edit: up to *edits* in all.

    An edit that changes nothing is left out: to that shrink those which do not matter.
    """
    history: list[Rows] = []
    for _ in rounds(draw, edits):
        is_new = not history or not history[-1].networks
        then = draw(worlds() if is_new else drawn(world.edited, history[-1]))
        if not history or then != history[-1]:
            history.append(then)
    return history


@st.composite
def arrivals(draw: st.DrawFn, frames: int) -> tuple[Rows, list[Arrival]]:
    """Draw a world, and up to *frames* frames that may matter there.

    Every second differs from the one before in its tags alone.
    """
    chassis = draw(worlds())
    pairs = (_pair(draw(randoms()), chassis) for _ in rounds(draw, frames // 2))
    return chassis, list(chain.from_iterable(pairs))


def arrivals_of(random: Random, frames: int) -> tuple[Rows, list[Arrival]]:
    """Return what *random* makes of the same."""
    chassis = world.rows(random)
    return chassis, list(chain.from_iterable(_pair(random, chassis) for _ in range(frames // 2)))


def _pair(random: Random, chassis: Rows) -> tuple[Arrival, Arrival]:
    in_port, frame = world.frame(random, chassis)
    return (in_port, frame), (in_port, world.kin(random, frame))
