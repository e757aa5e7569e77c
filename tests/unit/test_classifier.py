"""The classifier's flows, as `ovs-ofctl` spells them."""

from __future__ import annotations

import pytest

from model.example import NETWORK, PORT, REMOTE, SHARED_MAC, lines
from trunkline.apps import classifier
from trunkline.core.view import ChassisView, Outlet, View


def test_a_vif_gives_its_frames_their_port_and_network() -> None:
    assert lines(classifier, PORT) == [
        "table=0,priority=100,in_port=10,actions=set_field:0x2a->reg6,set_field:0x7->metadata,goto_table:10"
    ]


def test_a_subport_takes_its_tag_off_before_anything_else() -> None:
    """DESIGN.md section 5, rule 12."""
    assert lines(classifier, PORT, outlet=Outlet(10, 5)) == [
        "table=0,priority=110,in_port=10,dl_vlan=5,"
        "actions=pop_vlan,set_field:0x2a->reg6,set_field:0x7->metadata,goto_table:10"
    ]


def test_frames_of_a_transparent_network_may_carry_tags() -> None:
    """DESIGN.md section 5, rule 12."""
    assert lines(classifier, PORT, is_transparent=True) == [
        "table=0,priority=100,in_port=10,"
        "actions=set_field:0x2a->reg6,set_field:0x7->metadata,set_field:0x1->reg5,goto_table:10"
    ]


UNCAUGHT = "table=0,priority=215,rarp,arp_tpa=244.116.108.112,arp_op=24,actions=drop"


def test_the_frames_of_probes_are_dropped_whoever_sends_them_and_whoever_they_are_for() -> None:
    """docs/frames.md, rule 18."""
    assert lines(classifier, ChassisView(()))[0] == UNCAUGHT


def test_a_priority_tag_before_another_tag_is_dropped_whoever_sends_it() -> None:
    """DESIGN.md section 5, rules 2, 11 and 12: alone, it comes off; here, another one would be first."""
    assert lines(classifier, ChassisView((1,))) == [
        UNCAUGHT,
        "table=0,priority=210,dl_vlan=0,dl_type=0x8100,actions=drop",
        "table=0,priority=210,dl_vlan=0,dl_type=0x88a8,actions=drop",
        "table=0,priority=210,dl_vlan=0,dl_type=0x9100,actions=drop",
        "table=0,priority=210,dl_vlan=0,dl_type=0x9200,actions=drop",
        "table=0,priority=210,dl_vlan=0,dl_type=0x9300,actions=drop",
    ]


@pytest.mark.parametrize("view", [NETWORK, REMOTE, SHARED_MAC])
def test_nothing_but_a_local_port_is_classified(view: View) -> None:
    """DESIGN.md section 5, rule 14: a VIF without a port has no flow, and table 0 drops what it misses."""
    assert lines(classifier, view) == []
