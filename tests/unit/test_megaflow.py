"""Megaflows as `dpctl/dump-flows` spells them: what they match, and which cannot be compared."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from trunkline.core.field import Field
from trunkline.path.megaflow import megaflow
from trunkline.path.translation import Output
from trunkline.proof.space import TAGGED, UNTAGGED, Cube, both, cube

REST = "packets:0, bytes:0, used:never, actions:b"


@pytest.mark.parametrize(
    ("match", "frames"),
    [
        ("eth_type(0x88b5)", (UNTAGGED, cube(Field.ETH_TYPE, 0x88B5))),
        ("eth(src=02:00:00:00:00:01)", (UNTAGGED, cube(Field.ETH_SRC, 0x020000000001))),
        (
            "eth(dst=ff:ff:ff:ff:ff:ff/01:00:00:00:00:00)",
            (UNTAGGED, cube(Field.ETH_DST, 1 << 40, 1 << 40)),
        ),
        (
            "eth_type(0x8100),vlan(vid=5,pcp=0),encap(eth_type(0x0806),arp(sip=192.0.2.0/255.255.255.0,op=1))",
            (
                *(TAGGED, cube(Field.VLAN_VID, 5, 0xFFF), cube(Field.ETH_TYPE, 0x0806)),
                *(cube(Field.ARP_SPA, 0xC0000200, 0xFFFFFF00), cube(Field.ARP_OP, 1)),
            ),
        ),
        ("eth_type(0x8100),vlan(vid=5),encap()", (TAGGED, cube(Field.VLAN_VID, 5, 0xFFF))),
        (
            "eth_type(0x86dd),ipv6(src=2001:db8::/ffff:ffff::,proto=17,frag=first),udp(dst=546/0xffe0)",
            (
                *(UNTAGGED, cube(Field.ETH_TYPE, 0x86DD), cube(Field.IP_PROTO, 17), cube(Field.IP_FRAG, 1)),
                cube(Field.IPV6_SRC, int(IPv6Address("2001:db8::")), 0xFFFFFFFF << 96),
                cube(Field.UDP_DST, 546, 0xFFE0),
            ),
        ),
    ],
)
def test_a_megaflow_matches_what_its_text_says(match: str, frames: tuple[Cube, ...]) -> None:
    found = megaflow(f"recirc_id(0),in_port(a),packet_type(ns=0,id=0),{match}, {REST}")
    assert found is not None
    assert found.frames == (both(*frames),)
    assert (found.device, found.sent) == ("a", (Output("b", (-1,) if found.is_tagged else ()),))


@pytest.mark.parametrize(
    ("shown", "types"), [("0x0000", (0x8100, 0x88A8)), ("0x8100", (0x8100,)), ("0x88a8", (0x88A8,))]
)
def test_of_a_second_tag_flows_see_the_type_alone(shown: str, types: tuple[int, ...]) -> None:
    """The kernel's datapath says the tag too, and what is behind it."""
    tagged = f"vlan(vid=5,pcp=0),encap(eth_type({shown}),vlan(vid=7,pcp=0),encap(eth_type(0x0800)))"
    found = megaflow(f"recirc_id(0),in_port(a),eth_type(0x8100),{tagged}, {REST}")
    assert found is not None
    vlan_id = cube(Field.VLAN_VID, 5, 0xFFF)
    assert found.frames == tuple(both(TAGGED, vlan_id, cube(Field.ETH_TYPE, each)) for each in types)


@pytest.mark.parametrize(
    "line",
    [
        f"recirc_id(0x3),in_port(a),eth_type(0x88b5), {REST}",
        f"recirc_id(0),eth_type(0x88b5), {REST}",
        f"recirc_id(0),in_port(a),tunnel(tun_id=0x1),eth_type(0x88b5), {REST}",
        f"recirc_id(0),in_port(a),eth(src=nonsense), {REST}",
        "recirc_id(0),in_port(a),eth_type(0x88b5), packets:0, used:never, actions:hash(l4(0)),recirc(0x3)",
        "recirc_id(0),in_port(a), packets:0, used:never, actions:userspace(pid=0,slow_path(action))",
    ],
)
def test_a_megaflow_that_is_not_understood_is_not_compared(line: str) -> None:
    assert megaflow(line) is None
