"""A frame reaches just the ports that the frame rules name: flows on a pure switch against the oracle."""

from __future__ import annotations

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from model import rows, world
from model.oracle import Oracle
from model.pure_switch import PureSwitch

FRAMES_PER_WORLD = 40
"""Times 300 worlds: 12,000 frames, of which some 2,400 come out somewhere."""


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**48), vlan_limit=st.sampled_from((1, 2)))
@example(seed=2646985735, vlan_limit=1)  # a remote port of a network without a wire
def test_every_frame_comes_out_where_the_frame_rules_say_and_nowhere_else(seed: int, vlan_limit: int) -> None:
    """DESIGN.md section 5, rules 1–15."""
    random = Random(seed)
    chassis = world.rows(random)
    switch = PureSwitch(rows.flows(chassis), vlan_limit)
    oracle = Oracle(chassis, vlan_limit)
    for _ in range(FRAMES_PER_WORLD):
        in_port, frame = world.frame(random, chassis)
        walk = switch.walk(in_port, frame)
        if walk.is_undefined:
            continue
        seen = sorted((ofport, copy.tags) for ofport, copy in walk.copies)
        assert seen == oracle.receipts(in_port, frame), (in_port, frame, [flow.band for flow in walk.flows])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_only_the_tags_of_a_frame_change_on_the_way(seed: int) -> None:
    """DESIGN.md section 5, rules 1 and 9: byte for byte; a remote port's MAC is the destination already."""
    random = Random(seed)
    chassis = world.rows(random)
    switch = PureSwitch(rows.flows(chassis))
    for _ in range(FRAMES_PER_WORLD):
        in_port, frame = world.frame(random, chassis)
        for _, copy in switch.outputs(in_port, frame):
            assert (copy.dst, copy.src, copy.headers) == (frame.dst, frame.src, frame.headers)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_no_frame_passes_more_than_eight_tables(seed: int) -> None:
    random = Random(seed)
    chassis = world.rows(random)
    switch = PureSwitch(rows.flows(chassis), vlan_limit=2)
    for _ in range(FRAMES_PER_WORLD):
        assert len(switch.walk(*world.frame(random, chassis)).tables) <= 8
