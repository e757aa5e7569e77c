"""The flows of L2, as `ovs-ofctl` spells them."""

from __future__ import annotations

from model.example import NETWORK, PORT, REMOTE, SHARED_MAC, lines
from trunkline.apps import l2
from trunkline.core.view import ChassisView, Outlet
from trunkline.openflow.message import encode

GROUP = "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"

CONTROL = "dl_dst=01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0"


def test_bum_has_one_output_for_each_local_port_and_goes_on() -> None:
    """DESIGN.md section 5, rules 5 and 10."""
    assert lines(l2, NETWORK) == [
        f"table=50,priority=100,metadata=0x7,{GROUP},"
        "actions=output:10,output:11,set_field:0->reg7,goto_table:60",
        "table=50,priority=10,metadata=0x7,actions=set_field:0->reg7,goto_table:60",
    ]


def test_bum_reaches_subports_with_their_tag_and_other_ports_without() -> None:
    """DESIGN.md section 5, rule 12."""
    outlets = (Outlet(10), Outlet(12, 5), Outlet(13, 5), Outlet(10, 6))
    assert lines(l2, NETWORK, outlets=outlets)[0] == (
        f"table=50,priority=100,metadata=0x7,{GROUP},actions=output:10,"
        "push_vlan:0x8100,set_field:4101->vlan_vid,output:12,output:13,pop_vlan,"
        "push_vlan:0x8100,set_field:4102->vlan_vid,output:10,pop_vlan,set_field:0->reg7,goto_table:60"
    )


def test_unknown_unicast_reaches_the_ports_that_take_unknown_macs() -> None:
    """DESIGN.md section 5, rules 6 and 15."""
    assert lines(l2, NETWORK, unknown_outlets=(Outlet(11),))[1] == (
        "table=50,priority=10,metadata=0x7,actions=output:11,set_field:0->reg7,goto_table:60"
    )


def test_unknown_unicast_goes_nowhere_if_the_network_drops_it() -> None:
    """DESIGN.md section 5, rule 9: `unknown_unicast=drop`; the miss of the table drops."""
    assert len(lines(l2, NETWORK, floods_unknown=False)) == 1
    assert lines(l2, NETWORK, floods_unknown=False, unknown_outlets=(Outlet(11),))[1] == (
        "table=50,priority=10,metadata=0x7,actions=output:11"
    )


def test_a_local_port_gets_the_frames_for_its_mac() -> None:
    """DESIGN.md section 5, rules 1 and 8."""
    assert lines(l2, PORT) == [
        "table=50,priority=50,metadata=0x7,dl_dst=02:00:00:00:00:01,"
        "actions=set_field:0x2a->reg7,goto_table:60",
        "table=60,priority=100,reg7=0x2a,actions=goto_table:80",
        "table=80,priority=100,reg7=0x2a,actions=output:10",
    ]


def test_a_subport_gets_its_frames_tagged() -> None:
    """DESIGN.md section 5, rule 12."""
    assert lines(l2, PORT, outlet=Outlet(10, 5))[-1] == (
        "table=80,priority=100,reg7=0x2a,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:10"
    )


def test_a_port_whose_mac_is_shared_is_not_alone_with_it() -> None:
    """DESIGN.md section 5, rule 15."""
    assert [line for line in lines(l2, PORT, has_own_mac=False) if "dl_dst" in line] == []
    assert lines(l2, SHARED_MAC) == [
        "table=50,priority=45,metadata=0x7,dl_dst=02:00:00:00:00:0e,"
        "actions=output:10,output:11,set_field:0->reg7,goto_table:60"
    ]


def test_a_shared_mac_with_local_owners_alone_stays_off_the_wire() -> None:
    """DESIGN.md section 5, rule 15."""
    assert lines(l2, SHARED_MAC, is_on_wire=False) == [
        "table=50,priority=45,metadata=0x7,dl_dst=02:00:00:00:00:0e,actions=output:10,output:11"
    ]


def test_a_tag_inside_a_network_is_dropped_unless_it_is_transparent() -> None:
    """DESIGN.md section 5, rules 3 and 11; the last two are tags that vlan-limit keeps from being parsed."""
    assert lines(l2, ChassisView(())) == [
        "table=50,priority=300,dl_vlan=4095,actions=drop",
        "table=50,priority=200,reg5=0,vlan_tci=0x1000/0x1000,actions=drop",
        "table=50,priority=190,reg5=0,dl_type=0x8100,actions=drop",
        "table=50,priority=190,reg5=0,dl_type=0x88a8,actions=drop",
        "table=50,priority=190,reg5=0,dl_type=0x9100,actions=drop",
        "table=50,priority=190,reg5=0,dl_type=0x9200,actions=drop",
        "table=50,priority=190,reg5=0,dl_type=0x9300,actions=drop",
        f"table=50,priority=150,{CONTROL},actions=drop",
        "table=50,priority=0,actions=drop",
        "table=80,priority=0,actions=drop",
    ]


def test_control_frames_reach_the_ports_that_may_have_them_and_the_wire() -> None:
    """DESIGN.md section 5, rule 17."""
    assert [line for line in lines(l2, NETWORK) if CONTROL in line] == []
    assert lines(l2, NETWORK, control_outlets=(Outlet(11),))[0] == (
        f"table=50,priority=160,metadata=0x7,{CONTROL},actions=output:11,set_field:0->reg7,goto_table:60"
    )


def test_l2_knows_nothing_of_remote_ports() -> None:
    assert lines(l2, REMOTE) == []


def test_a_broadcast_to_2000_local_ports_or_subports_fits_one_message() -> None:
    """DESIGN.md section 4."""
    for vlan_id in (None, 5):
        outlets = tuple(Outlet(ofport, vlan_id) for ofport in range(1, 2001))
        net = NETWORK._replace(outlets=outlets, control_outlets=outlets)
        for flow in l2.flows(net):
            assert len(encode(flow).body) < 2**16 - 200
