"""The proof over the flows of any world: it finds nothing there, and each frame that crosses networks."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings

from model import rows, world
from model.drawn import randoms, worlds
from model.oracle import Oracle
from model.pure_switch import PureSwitch
from trunkline.core.flow import Flow, Output, PushVlan, Set
from trunkline.core.pipeline import NETWORK, Band
from trunkline.openflow import message
from trunkline.proof.intent import Intent
from trunkline.proof.proof import Violation, proved
from trunkline.proof.switch import rules as rules_of

LOOPS = {Band.PRIORITY_TAG}
"""The bands whose flows go to their own table, and would do so for ever without one of their actions."""


def violations(chassis: rows.Rows, flows: list[Flow]) -> list[Violation]:
    intent = Intent(
        rows.CHASSIS, chassis.networks, chassis.ports, chassis.vifs, chassis.uplinks, chassis.whole_physnets
    )
    return proved(rules_of(map(message.encode, flows)), intent)


@settings(max_examples=300)
@given(chassis=worlds())
def test_by_the_flows_of_any_world_all_frames_go_exactly_where_they_should(chassis: rows.Rows) -> None:
    """DESIGN.md section 5, rules 1-15 and 17."""
    assert violations(chassis, rows.flows(chassis)) == []


def leaking(random: Random, flow: Flow) -> Flow:
    """Return *flow* with another port, network or tag in its actions, or without one of them."""
    actions = list(flow.actions)
    at = random.randrange(len(actions))
    match actions[at]:
        case Output(ofport):
            actions[at] = Output(random.choice([ofport + 1, 1, 2, 3]))
        case Set(field, value) if field is NETWORK:
            actions[at] = Set(field, random.choice([value + 1, 1, 2, 3]))
        case PushVlan(vlan_id):
            actions[at] = PushVlan(vlan_id % 4094 + 1)
        case _:
            del actions[at]
    return flow._replace(actions=tuple(actions))


@settings(max_examples=200)
@given(chassis=worlds(), random=randoms())
def test_a_frame_that_goes_elsewhere_by_a_changed_flow_is_never_missed(
    chassis: rows.Rows, random: Random
) -> None:
    flows = rows.flows(chassis)
    number = random.choice(
        [number for number, flow in enumerate(flows) if flow.actions and flow.band not in LOOPS]
    )
    flows[number] = leaking(random, flows[number])
    switch, oracle = PureSwitch(flows), Oracle(chassis)
    found = violations(chassis, flows)
    for _ in range(12):
        in_port, frame = world.frame(random, chassis)
        copies = sorted((ofport, copy.tags) for ofport, copy in switch.outputs(in_port, frame))
        assert found or copies == oracle.receipts(in_port, frame), (in_port, frame, flows[number])
