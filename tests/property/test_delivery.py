"""A frame reaches just the ports that the frame rules name: flows on a pure switch against the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from model import rows, world
from model.frame import Frame
from model.oracle import Oracle
from model.pure_switch import PureSwitch

FRAMES_PER_WORLD = 40
"""Times 300 worlds: 12,000 frames, of which some 1,900 come out somewhere; every second differs from the one
before in its tags alone."""


def arrivals(random: Random, chassis: rows.Rows) -> Iterator[tuple[int, Frame]]:
    for _ in range(FRAMES_PER_WORLD // 2):
        in_port, frame = world.frame(random, chassis)
        yield in_port, frame
        yield in_port, world.kin(random, frame)


@settings(max_examples=300)
@given(seed=st.integers(0, 2**48))
@example(seed=2646985735)  # a remote port of a network without a wire
def test_every_frame_comes_out_where_the_frame_rules_say_and_nowhere_else(seed: int) -> None:
    """DESIGN.md section 5, rules 1–15."""
    random = Random(seed)
    chassis = world.rows(random)
    switch = PureSwitch(rows.flows(chassis))
    oracle = Oracle(chassis)
    for in_port, frame in arrivals(random, chassis):
        walk = switch.walk(in_port, frame)
        seen = sorted((ofport, copy.tags) for ofport, copy in walk.copies)
        assert seen == oracle.receipts(in_port, frame), (in_port, frame, [flow.band for flow in walk.flows])


@settings(max_examples=100)
@given(seed=st.integers(0, 2**48))
def test_of_a_frame_its_first_tag_alone_changes_on_the_way(seed: int) -> None:
    """DESIGN.md section 5, rules 1, 9, 12: byte for byte; a remote port's MAC is the destination already."""
    random = Random(seed)
    chassis = world.rows(random)
    switch = PureSwitch(rows.flows(chassis))
    for in_port, frame in arrivals(random, chassis):
        for _, copy in switch.outputs(in_port, frame):
            assert (copy.dst, copy.src, copy.headers) == (frame.dst, frame.src, frame.headers)
            # One tag may have come off, and one been put on.
            assert any(copy.tags[on:] == frame.tags[off:] for on in (0, 1) for off in (0, 1))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**48))
def test_no_frame_passes_more_than_eight_tables(seed: int) -> None:
    random = Random(seed)
    chassis = world.rows(random)
    switch = PureSwitch(rows.flows(chassis))
    for in_port, frame in arrivals(random, chassis):
        assert len(switch.walk(in_port, frame).tables) <= 8
