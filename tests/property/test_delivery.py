"""A frame reaches just the ports that the frame rules name: flows on a pure switch against the oracle."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import example, given, settings

from model import rows
from model.drawn import Arrival, arrivals, arrivals_of
from model.oracle import Oracle
from model.pure_switch import PureSwitch
from trunkline.core.cookie import cookie_parts
from trunkline.core.pipeline import Band

FRAMES_PER_WORLD = 48
"""Or fewer; with 300 worlds that is some 11,000 frames, of which some 1,400 come out somewhere."""

Case = tuple[rows.Rows, list[Arrival]]


@settings(max_examples=300)
@given(case=arrivals(FRAMES_PER_WORLD))
@example(case=arrivals_of(Random(2646985735), 40))  # a remote port of a network without a wire
def test_every_frame_comes_out_where_the_frame_rules_say_and_nowhere_else(case: Case) -> None:
    """DESIGN.md section 5, rules 1–15."""
    chassis, frames = case
    switch = PureSwitch(rows.flows(chassis))
    oracle = Oracle(chassis)
    for in_port, frame in frames:
        walk = switch.walk(in_port, frame)
        seen = sorted((ofport, copy.tags) for ofport, copy in walk.copies)
        assert seen == oracle.receipts(in_port, frame), (in_port, frame, [flow.band for flow in walk.flows])


COUNTERS = {
    Band.MAC_REFUSED: "MAC",
    Band.SERVER_REFUSED: "SERVER",
    Band.NEIGHBOUR_REFUSED: "NEIGHBOUR",
    Band.ADDRESS_REFUSED: "ADDRESS",
}


@settings(max_examples=200)
@given(case=arrivals(FRAMES_PER_WORLD))
def test_what_a_port_is_refused_is_counted_by_a_flow_of_its_own_for_the_reason(case: Case) -> None:
    """DESIGN.md section 5, rule 13."""
    chassis, frames = case
    switch = PureSwitch(rows.flows(chassis))
    oracle = Oracle(chassis)
    for in_port, tagged in frames:
        frame = replace(tagged, tags=())
        last = switch.walk(in_port, frame).flows[-1]
        parts = cookie_parts(last.cookie)
        assert parts is not None
        counted = (parts.key, COUNTERS[last.band]) if last.band in COUNTERS else None
        assert counted == oracle.refusal(in_port, frame), (in_port, frame, last)


@settings(max_examples=100)
@given(case=arrivals(FRAMES_PER_WORLD))
def test_of_a_frame_its_first_tag_alone_changes_on_the_way(case: Case) -> None:
    """DESIGN.md section 5, rules 1, 9, 12: byte for byte; a remote port's MAC is the destination already."""
    chassis, frames = case
    switch = PureSwitch(rows.flows(chassis))
    for in_port, frame in frames:
        for _, copy in switch.outputs(in_port, frame):
            assert (copy.dst, copy.src, copy.headers) == (frame.dst, frame.src, frame.headers)
            # One tag may have come off, and one been put on.
            assert any(copy.tags[on:] == frame.tags[off:] for on in (0, 1) for off in (0, 1))


@settings(max_examples=100)
@given(case=arrivals(FRAMES_PER_WORLD))
def test_no_frame_passes_more_than_nine_tables(case: Case) -> None:
    chassis, frames = case
    switch = PureSwitch(rows.flows(chassis))
    for in_port, frame in frames:
        assert len(switch.walk(in_port, frame).tables) <= 9
