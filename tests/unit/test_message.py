from __future__ import annotations

import pytest
from os_ken.ofproto import ofproto_v1_4

from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Action, Field, Flow, Goto, Output, PopVlan, Resubmit
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.openflow import message
from trunkline.openflow.error import DecodeError, EncodeError, FlowTooLarge
from trunkline.openflow.message import decode, encode
from trunkline.openflow.reason import reason
from trunkline.openflow.text import encoded_text, text

COOKIE = cookie(Owner.PROVIDER, Subject.NETWORK, 7)


def test_flow_from_the_uplink_has_these_bytes() -> None:
    actions = (PopVlan(), Field.METADATA.set(7), Goto(Table.L2_LOOKUP))
    key, body = encode(Flow(Band.UPLINK, (Field.IN_PORT(1), Field.VLAN_VID(0x1065)), actions, COOKIE))
    assert key == bytes.fromhex("00 0032 80000004 00000001 80000c02 1065")
    assert body == bytes.fromhex(
        "74720401000000070004002000000000 0012000800000000 0019001080000408 00000000000000070001000832000000"
    )


def test_flow_without_actions_has_no_instructions() -> None:
    assert encode(Flow(Band.TAGGED, (), (), COOKIE)).body == COOKIE.to_bytes(8, "big")


@pytest.mark.parametrize(
    "actions", [(Goto(Table.EGRESS), Output(1)), (Field.REG6.set(1 << 32),), (Output(-1),)]
)
def test_flow_that_openflow_cannot_express_is_refused(actions: tuple[Action, ...]) -> None:
    with pytest.raises(EncodeError):
        encode(Flow(Band.VIF, (), actions, COOKIE))


def test_cookie_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(EncodeError, match="cookie"):
        encode(Flow(Band.VIF, (), (), 1 << 64))


def test_flow_that_exceeds_a_message_is_refused() -> None:
    largest = Flow(Band.BUM, (), (Output(1),) * 4086, COOKIE)
    assert len(encode(largest).body) > 65000
    with pytest.raises(FlowTooLarge, match="split"):
        encode(largest._replace(actions=(Output(1),) * 4096))


def test_largest_flow_fits_the_16_bit_length_of_its_message() -> None:
    """DESIGN.md section 4: broadcast is an output list, and 2,000 local ports must work."""
    for count in range(4080, 4100):
        for match in ((), (Field.METADATA(1),), (Field.METADATA(1), Field.ETH_DST(2))):
            try:
                key, body = encode(Flow(Band.BUM, match, (Output(1),) * count, COOKIE))
            except FlowTooLarge:
                continue
            bundled = 16 + 48 + (4 + len(key) - 3 + 7) // 8 * 8 + len(body) - 8
            assert bundled <= 0xFFFF


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("0000", "00" * 8),
        ("000000", "00" * 7),
        ("000000", "00" * 8 + "00040020"),
        ("000000", "00" * 8 + "0004000400000000"),
        ("000000", "00" * 8 + "0004001000000000" + "0000000000000000"),
    ],
)
def test_flow_that_is_cut_short_is_refused(key: str, body: str) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(key), bytes.fromhex(body))


def test_foreign_pieces_of_a_flow_are_kept_and_spelled() -> None:
    key = bytes.fromhex("63 0007 80001201 04")
    body = bytes.fromhex(
        "0000000000000005 0006000800000001 0004001000000000 0018000800000000 000100085b000000"
    )
    assert encoded_text(key, body) == (
        "cookie=0x5,table=99,priority=7,field(0x8000120104),actions=meter:1,dec_ttl,goto_table:91"
    )


@pytest.mark.parametrize(
    ("flow", "spelled"),
    [
        (
            Flow(
                Band.REMOTE,
                (Field.METADATA(7), Field.REG7(9)),
                (Field.ETH_DST.set(0x0A0000000001), Output(3)),
                0,
            ),
            "table=70,priority=50,reg7=0x9,metadata=0x7,"
            "actions=set_field:0a:00:00:00:00:01->eth_dst,output:3",
        ),
        (
            Flow(Band.TAGGED, (Field.VLAN_VID(0x1000, 0x1000), Field.REG6(2)), (), 0),
            "table=10,priority=300,reg6=0x2,vlan_tci=0x1000/0x1000,actions=drop",
        ),
        (
            Flow(Band.BUM, (Field.ETH_DST(1 << 40, 1 << 40),), (Resubmit(Table.EGRESS), Output(0xFFFE)), 0),
            "table=50,priority=100,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,60),LOCAL",
        ),
        (
            Flow(Band.SERVER, (Field.ETH_TYPE(0x0800), Field.IP_PROTO(17), Field.UDP_SRC(67)), (), 0),
            "table=20,priority=120,udp,tp_src=67,actions=drop",
        ),
        (
            Flow(Band.VIF, (Field.ETH_TYPE(0x0806), Field.ARP_SPA(0x0A000000, 0xFF000000)), (), 0),
            "table=0,priority=100,arp,arp_spa=10.0.0.0/8,actions=drop",
        ),
    ],
)
def test_flow_is_spelled_as_ovs_ofctl_does(flow: Flow, spelled: str) -> None:
    assert text(flow, with_cookie=False) == spelled
    assert text(flow) == "cookie=0x0," + spelled


@pytest.mark.parametrize(
    ("version", "payload", "offered"),
    [
        (4, "", {1, 2, 3, 4}),
        (6, "00010008 00000060", {5, 6}),
        (6, "00020006 00000000 00010008 00000020", {5}),
        (5, "0001", {1, 2, 3, 4, 5}),
    ],
)
def test_hello_offers_its_bitmap_or_all_versions_up_to_its_own(
    version: int, payload: str, offered: set[int]
) -> None:
    assert message.offered_versions(version, bytes.fromhex(payload)) == offered


def test_own_hello_offers_openflow_14_alone() -> None:
    assert message.offered_versions(message.VERSION, message.hello(1)[message.HEADER_BYTES :]) == {5}


def test_reasons_have_the_names_of_the_specification() -> None:
    prefixes = {
        "OFPHFC": 0,
        "OFPBRC": 1,
        "OFPBAC": 2,
        "OFPBIC": 3,
        "OFPBMC": 4,
        "OFPFMFC": 5,
        "OFPBFC": ofproto_v1_4.OFPET_BUNDLE_FAILED,
    }
    names = {name: code for name, code in vars(ofproto_v1_4).items() if name.split("_")[0] in prefixes}
    assert len(names) > 70
    for name, code in names.items():
        assert reason(prefixes[name.split("_")[0]], code) == name


def test_packet_out_that_exceeds_a_message_is_refused() -> None:
    assert len(message.packet_out(1, bytes(1500), (Output(1),))) == 24 + 16 + 1500
    with pytest.raises(EncodeError, match="shorter"):
        message.packet_out(1, bytes(65535), (Output(1),))
    with pytest.raises(EncodeError, match="Goto"):
        message.packet_out(1, bytes(60), (Goto(Table.EGRESS),))
