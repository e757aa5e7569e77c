"""The flows of port security, as `ovs-ofctl` spells them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from model.example import ADDRESSES, NETWORK, PORT, REMOTE, SHARED, lines
from trunkline.apps import port_security
from trunkline.core.model import AllowedPair
from trunkline.core.view import ChassisView

TAGGED = "table=10,priority=300,reg6=0x2a,vlan_tci=0x1000/0x1000,actions=drop"
CONTROL = "dl_dst=01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0"
OTHER_PORTS = (
    *((135, bits) for bits in ("0x10/0x8010", "0x8000/0x8010", "0x8010/0x8010")),
    *((130, bits) for bits in ("0x1/0x9", "0x8/0x9", "0x9/0x9")),
)
ANY_ADDRESS = "actions=set_field:0x1->reg4,goto_table:20"
SENDER = "reg6=0x2a,dl_src=02:00:00:00:00:01"
OWN_ADVERTISEMENT = f"table=20,priority=100,icmp6,{SENDER},icmp_type=136,icmp_code=0"
OWN_PROBE = f"table=30,priority=90,icmp6,{SENDER},ipv6_src=::,icmp_type=135,icmp_code=0"


REFUSALS = [
    "table=10,priority=40,reg6=0x2a,actions=drop",
    "table=90,priority=100,reg2=0x1,reg6=0x2a,actions=drop",
    "table=90,priority=90,reg2=0x2,reg6=0x2a,actions=drop",
    "table=90,priority=80,reg2=0x3,reg6=0x2a,actions=drop",
]
INNER_MAC = f"table=25,priority=100,reg0=0x200,reg1=0x1,{SENDER},actions=goto_table:30"
HELD_TO_MAC = [TAGGED, *REFUSALS, f"table=10,priority=50,{SENDER},{ANY_ADDRESS}", INNER_MAC]
SERVER, NEIGHBOUR, ADDRESS = (f"actions=set_field:{reason:#x}->reg2,goto_table:90" for reason in (1, 2, 3))


def on_with(mac: str) -> str:
    return (
        f"actions=move:NXM_NX_{mac}[32..47]->NXM_NX_REG0[0..15],"
        f"move:NXM_NX_{mac}[0..31]->NXM_NX_REG1[],goto_table:25"
    )


def ipv6_lines(address: str) -> list[str]:
    return [
        f"{OWN_ADVERTISEMENT},nd_target={address},{on_with('ND_TLL')}",
        f"table=30,priority=100,ipv6,{SENDER},ipv6_src={address},actions=goto_table:50",
        f"{OWN_PROBE},nd_target={address},actions=goto_table:50",
    ]


def test_a_port_without_security_may_send_anything_but_tags() -> None:
    """DESIGN.md section 5, rules 11 and 13."""
    assert lines(port_security, PORT, is_secured=False) == [
        TAGGED,
        "table=10,priority=200,reg6=0x2a,actions=goto_table:50",
    ]


def test_control_frames_pass_if_a_port_without_security_asks_for_them() -> None:
    """DESIGN.md section 5, rule 17."""
    assert lines(port_security, PORT, is_secured=False, passes_control=True) == [
        TAGGED,
        f"table=10,priority=260,reg6=0x2a,{CONTROL},actions=goto_table:50",
        "table=10,priority=200,reg6=0x2a,actions=goto_table:50",
    ]


def test_a_port_of_a_transparent_network_may_send_tags() -> None:
    """DESIGN.md section 5, rule 12."""
    assert TAGGED not in lines(port_security, PORT, is_transparent=True)


def test_a_port_without_addresses_is_held_to_its_mac() -> None:
    """DESIGN.md section 5, rule 13."""
    assert lines(port_security, PORT) == HELD_TO_MAC


def test_a_prefix_for_the_ports_own_mac_restricts_it_like_an_address() -> None:
    """DESIGN.md section 5, rule 13: what an allowed pair names is what the MAC may use."""
    pair = AllowedPair(PORT.mac, ip_network("192.0.2.1"))
    found = lines(port_security, PORT, allowed_pairs=(pair,))
    assert found == lines(port_security, PORT, addresses=(ip_address("192.0.2.1"),))
    free = (AllowedPair(PORT.mac), pair)
    assert lines(port_security, PORT, allowed_pairs=free) == HELD_TO_MAC


def test_a_port_with_addresses_is_held_to_its_mac_and_these() -> None:
    """DESIGN.md section 5, rule 13: source, ARP sender, ND target and options, probes; EUI-64 unlisted."""
    assert lines(port_security, PORT, addresses=ADDRESSES) == [
        TAGGED,
        *REFUSALS,
        f"table=10,priority=50,{SENDER},actions=goto_table:20",
        INNER_MAC,
        f"table=30,priority=100,ip,{SENDER},nw_src=192.0.2.1,actions=goto_table:50",
        f"table=30,priority=100,arp,{SENDER},arp_spa=192.0.2.1,actions=goto_table:50",
        f"table=30,priority=90,arp,{SENDER},arp_spa=0.0.0.0,arp_tpa=192.0.2.1,actions=goto_table:50",
        *ipv6_lines("2001:db8::1"),
        *ipv6_lines("fe80::ff:fe00:1"),
    ]


def test_an_allowed_pair_is_a_further_mac_with_its_prefix() -> None:
    """DESIGN.md section 5, rules 13 and 15."""
    pair = AllowedPair(SHARED, ip_network("192.0.2.0/24"))
    found = lines(port_security, PORT, allowed_pairs=(pair,))
    source = "reg6=0x2a,dl_src=02:00:00:00:00:0e"
    assert f"table=10,priority=50,{source},actions=goto_table:20" in found
    assert f"table=30,priority=100,ip,{source},nw_src=192.0.2.0/24,actions=goto_table:50" in found
    assert f"table=30,priority=100,arp,{source},arp_spa=192.0.2.0/24,actions=goto_table:50" in found
    assert f"table=25,priority=100,reg0=0x200,reg1=0xe,{source},actions=goto_table:30" in found


def test_an_allowed_pair_without_a_prefix_frees_its_mac_from_the_address_check() -> None:
    found = lines(port_security, PORT, addresses=ADDRESSES, allowed_pairs=(AllowedPair(SHARED),))
    assert f"table=10,priority=50,reg6=0x2a,dl_src=02:00:00:00:00:0e,{ANY_ADDRESS}" in found
    assert f"table=10,priority=50,{SENDER},actions=goto_table:20" in found


def test_a_prefix_that_another_contains_has_no_flows_of_its_own() -> None:
    """DESIGN.md section 4: two flows of equal priority never overlap."""
    pair = AllowedPair(PORT.mac, ip_network("192.0.2.0/24"))
    found = lines(port_security, PORT, addresses=(ip_address("192.0.2.1"),), allowed_pairs=(pair,))
    assert [line for line in found if "nw_src" in line] == [
        f"table=30,priority=100,ip,{SENDER},nw_src=192.0.2.0/24,actions=goto_table:50"
    ]


def test_the_prefix_of_all_addresses_matches_them_without_a_mask() -> None:
    pairs = (AllowedPair(SHARED, ip_network("0.0.0.0/0")), AllowedPair(SHARED, ip_network("::/0")))
    found = lines(port_security, PORT, addresses=ADDRESSES, allowed_pairs=pairs)
    assert "table=30,priority=100,ip,reg6=0x2a,dl_src=02:00:00:00:00:0e,actions=goto_table:50" in found
    assert "table=30,priority=100,ipv6,reg6=0x2a,dl_src=02:00:00:00:00:0e,actions=goto_table:50" in found


def test_what_holds_for_every_secured_port_stands_once_for_the_chassis() -> None:
    """DESIGN.md section 5, rules 11 and 13."""
    assert lines(port_security, ChassisView((1, 2))) == [
        "table=10,priority=400,dl_vlan=0,actions=pop_vlan,resubmit(,10)",
        "table=10,priority=280,dl_src=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop",
        "table=10,priority=280,dl_src=00:00:00:00:00:00,actions=drop",
        f"table=10,priority=250,{CONTROL},actions=drop",
        "table=10,priority=0,actions=drop",
        f"table=20,priority=150,ip,nw_proto=0,{ADDRESS}",
        f"table=20,priority=150,ipv6,nw_proto=0,{ADDRESS}",
        f"table=20,priority=150,ipv6,nw_proto=59,nw_frag=first,{ADDRESS}",
        f"table=20,priority=140,udp,nw_frag=first,tp_src=0,tp_dst=0,{ADDRESS}",
        f"table=20,priority=140,udp6,nw_frag=first,tp_src=0,tp_dst=0,{ADDRESS}",
        f"table=20,priority=140,icmp6,nw_frag=first,icmp_type=0,icmp_code=0,{ADDRESS}",
        f"table=20,priority=140,icmp6,nw_frag=first,icmp_type=135,icmp_code=0,{NEIGHBOUR}",
        f"table=20,priority=140,icmp6,nw_frag=first,icmp_type=136,icmp_code=0,{NEIGHBOUR}",
        *(f"table=20,priority={at},udp,tp_dst={port},actions=goto_table:30" for at, port in OTHER_PORTS),
        f"table=20,priority=120,udp,tp_dst=68,{SERVER}",
        *(f"table=20,priority={at},udp6,tp_dst={port},actions=goto_table:30" for at, port in OTHER_PORTS),
        f"table=20,priority=120,udp6,tp_dst=546,{SERVER}",
        f"table=20,priority=120,icmp6,icmp_type=134,{SERVER}",
        f"table=20,priority=120,icmp6,icmp_type=137,{SERVER}",
        f"table=20,priority=115,icmp6,icmp_type=135,icmp_code=0,nd_target=::,{NEIGHBOUR}",
        f"table=20,priority=115,icmp6,icmp_type=136,icmp_code=0,nd_target=::,{NEIGHBOUR}",
        f"table=20,priority=110,icmp6,reg4=0x1,icmp_type=136,icmp_code=0,{on_with('ND_TLL')}",
        f"table=20,priority=50,icmp6,icmp_type=136,icmp_code=0,{NEIGHBOUR}",
        f"table=20,priority=40,arp,{on_with('ARP_SHA')}",
        f"table=20,priority=40,rarp,{on_with('ARP_SHA')}",
        f"table=20,priority=40,icmp6,icmp_type=135,icmp_code=0,{on_with('ND_SLL')}",
        "table=20,priority=10,actions=goto_table:30",
        "table=25,priority=90,ipv6,reg0=0,reg1=0,actions=goto_table:30",
        f"table=25,priority=0,{NEIGHBOUR}",
        "table=30,priority=110,ip,reg4=0x1,actions=goto_table:50",
        "table=30,priority=110,ipv6,reg4=0x1,actions=goto_table:50",
        "table=30,priority=110,arp,reg4=0x1,actions=goto_table:50",
        "table=30,priority=100,rarp,arp_op=3,actions=goto_table:50",
        "table=30,priority=90,udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67,"
        "actions=goto_table:50",
        f"table=30,priority=95,ip,nw_src=0.0.0.0,nw_dst=224.0.0.1,nw_proto=2,{ADDRESS}",
        "table=30,priority=90,ip,nw_src=0.0.0.0,nw_dst=224.0.0.0/4,nw_proto=2,actions=goto_table:50",
        "table=30,priority=90,icmp6,ipv6_src=::,icmp_type=131,actions=goto_table:50",
        "table=30,priority=90,icmp6,ipv6_src=::,icmp_type=132,actions=goto_table:50",
        "table=30,priority=90,icmp6,ipv6_src=::,icmp_type=143,actions=goto_table:50",
        "table=30,priority=90,icmp6,ipv6_src=::,icmp_type=133,actions=goto_table:50",
        *(
            f"table=30,priority=50,{kind},{ADDRESS}"
            for kind in (
                "ip",
                "ipv6",
                "dl_type=0x8100",
                "dl_type=0x88a8",
                "dl_type=0x9100",
                "dl_type=0x9200",
                "dl_type=0x9300",
            )
        ),
        f"table=30,priority=50,arp,{NEIGHBOUR}",
        f"table=30,priority=50,rarp,{NEIGHBOUR}",
        "table=30,priority=10,actions=goto_table:50",
        "table=90,priority=0,actions=drop",
    ]


def test_networks_and_remote_ports_have_no_port_security() -> None:
    assert lines(port_security, NETWORK) == lines(port_security, REMOTE) == []


def test_a_link_local_address_that_is_listed_is_not_written_twice() -> None:
    found = lines(port_security, PORT, addresses=(IPv6Address("fe80::ff:fe00:1"),))
    assert len(found) == len(set(found)) == 1 + 4 + 2 + 3
