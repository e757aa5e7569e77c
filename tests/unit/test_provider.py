"""The provider app's flows, as `ovs-ofctl` spells them."""

from __future__ import annotations

import pytest

from model.example import FLAT, NETWORK, PORT, REMOTE, SHARED_MAC, lines
from trunkline.apps import provider
from trunkline.core.view import ChassisView, View

DEPARTURE = [
    "table=60,priority=50,reg6=0,metadata=0x7,actions=drop",
    "table=60,priority=10,metadata=0x7,actions=goto_table:70",
]


def test_a_vlan_network_takes_its_own_tag_off_and_puts_it_on() -> None:
    """DESIGN.md section 5, rules 1, 4, 5, 9 and 10."""
    assert lines(provider, NETWORK) == [
        "table=0,priority=50,in_port=1,dl_vlan=101,actions=pop_vlan,set_field:0x7->metadata,goto_table:50",
        *DEPARTURE,
        "table=70,priority=10,reg7=0,metadata=0x7,actions=push_vlan:0x8100,set_field:4197->vlan_vid,output:1",
    ]


def test_a_flat_network_takes_untagged_and_priority_tagged_frames() -> None:
    """DESIGN.md section 5, rule 2."""
    assert lines(provider, NETWORK, wire=FLAT) == [
        "table=0,priority=50,in_port=1,vlan_tci=0x0000/0x1fff,actions=set_field:0x7->metadata,goto_table:50",
        "table=0,priority=50,in_port=1,dl_vlan=0,actions=pop_vlan,set_field:0x7->metadata,goto_table:50",
        *DEPARTURE,
        "table=70,priority=10,reg7=0,metadata=0x7,actions=output:1",
    ]


def test_a_transparent_flat_network_takes_the_tags_that_no_other_network_has() -> None:
    """DESIGN.md section 5, rule 12."""
    assert lines(provider, NETWORK, wire=FLAT, is_transparent=True)[2] == (
        "table=0,priority=40,in_port=1,vlan_tci=0x1000/0x1000,"
        "actions=set_field:0x7->metadata,set_field:0x1->reg5,goto_table:50"
    )


@pytest.mark.parametrize("view", [NETWORK, PORT])
def test_a_network_whose_physnet_is_not_mapped_has_no_way_in_or_out(view: View) -> None:
    assert lines(provider, view, wire=None) == []


def test_a_remote_port_is_sent_to_under_its_mac_with_the_tag_of_the_network() -> None:
    """DESIGN.md section 5, rule 9."""
    assert lines(provider, REMOTE) == [
        "table=50,priority=40,metadata=0x7,dl_dst=02:00:00:00:00:02,"
        "actions=set_field:0x2b->reg7,goto_table:60",
        "table=70,priority=50,reg7=0x2b,actions=set_field:02:00:00:00:00:02->eth_dst,"
        "push_vlan:0x8100,set_field:4197->vlan_vid,output:1",
    ]


def test_a_remote_port_of_a_flat_network_is_sent_to_untagged() -> None:
    """DESIGN.md section 5, rule 9."""
    assert lines(provider, REMOTE, wire=FLAT)[1] == (
        "table=70,priority=50,reg7=0x2b,actions=set_field:02:00:00:00:00:02->eth_dst,output:1"
    )


def test_a_local_ports_mac_does_not_come_in_from_the_wire() -> None:
    """DESIGN.md section 5, rule 7."""
    assert lines(provider, PORT) == [
        "table=0,priority=200,in_port=1,dl_vlan=101,dl_src=02:00:00:00:00:01,actions=drop"
    ]
    assert lines(provider, PORT, wire=FLAT) == [
        "table=0,priority=200,in_port=1,vlan_tci=0x0000/0x0fff,dl_src=02:00:00:00:00:01,actions=drop"
    ]


def test_on_a_transparent_flat_network_it_does_not_come_in_under_a_tag_either() -> None:
    """DESIGN.md section 5, rules 7 and 12; below the bands of the networks that own a tag."""
    assert lines(provider, PORT, wire=FLAT, is_transparent=True)[1] == (
        "table=0,priority=45,in_port=1,vlan_tci=0x1000/0x1000,dl_src=02:00:00:00:00:01,actions=drop"
    )


def test_a_shared_mac_may_come_in_from_the_wire() -> None:
    """DESIGN.md section 5, rule 15: its other owner may be there."""
    assert lines(provider, PORT, has_own_mac=False) == []
    assert lines(provider, SHARED_MAC) == []


def test_a_source_that_no_station_has_does_not_come_in_by_any_uplink() -> None:
    """DESIGN.md section 5, rule 7."""
    assert lines(provider, ChassisView((1, 2))) == [
        *(
            f"table=0,priority=190,in_port={uplink},dl_src={source},actions=drop"
            for uplink in (1, 2)
            for source in ("01:00:00:00:00:00/01:00:00:00:00:00", "00:00:00:00:00:00")
        ),
        *(f"table={table},priority=0,actions=drop" for table in (0, 60, 70)),
    ]


def test_a_remote_port_without_a_wire_is_known_all_the_same() -> None:
    """DESIGN.md section 5, rule 6: what is sent to a known remote port is not unknown unicast."""
    assert lines(provider, REMOTE, wire=None) == [
        "table=50,priority=40,metadata=0x7,dl_dst=02:00:00:00:00:02,actions=set_field:0x2b->reg7,goto_table:60"
    ]
