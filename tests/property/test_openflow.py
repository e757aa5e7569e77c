"""Flows and their bytes, over all the flows that can be written."""

from __future__ import annotations

import ipaddress
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_ken.lib import addrconv
from os_ken.ofproto import ofproto_v1_4_parser as osken
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.core.flow import (
    Action,
    Controller,
    Copy,
    Field,
    Flow,
    Goto,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    Term,
)
from trunkline.core.pipeline import Band, Table
from trunkline.core.plan import plan
from trunkline.openflow import bundle, message, oxm
from trunkline.openflow.action import COPYABLE
from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import Encoded, decode, encode
from trunkline.openflow.oxm import Foreign
from trunkline.openflow.text import encoded_text, text

MASKABLE = [
    field
    for field in Field
    if field.bits > 16
    or field in (Field.TCP_SRC, Field.TCP_DST, Field.UDP_SRC, Field.UDP_DST, Field.VLAN_VID)
]
MASKABLE.remove(Field.IN_PORT)
PORTS = st.integers(0, 0xFFFF)


def values(field: Field) -> st.SearchStrategy[int]:
    return PORTS if field is Field.IN_PORT else st.integers(0, (1 << field.bits) - 1)


@st.composite
def terms(draw: st.DrawFn, field: Field) -> Term:
    value = draw(values(field))
    if field not in MASKABLE or draw(st.booleans()):
        return field(value)
    mask = draw(st.integers(1, (1 << field.bits) - 2))
    return field(value & mask, mask)


MATCHES = st.lists(st.sampled_from(Field), unique=True, max_size=8).flatmap(
    lambda fields: st.tuples(*(terms(field) for field in fields))
)


@st.composite
def copies(draw: st.DrawFn) -> Copy:
    source, destination = (draw(st.sampled_from(sorted(COPYABLE, key=str))) for _ in range(2))
    bits = draw(st.integers(1, min(source.bits, destination.bits)))
    return Copy(source, draw(st.integers(0, source.bits - bits)), destination, bits)


STEPS: st.SearchStrategy[Action] = st.one_of(
    st.sampled_from(Field).flatmap(lambda field: values(field).map(field.set)),
    copies(),
    st.builds(PushVlan, st.integers(1, 4094)),
    st.builds(PopVlan),
    st.builds(Output, PORTS.filter(lambda port: port != 0xFFFD)),
    st.builds(Controller, st.integers(0, 0xFFFF)),
    st.builds(Resubmit, st.sampled_from(Table)),
)
ACTIONS = st.builds(
    lambda steps, goto: (*steps, *goto),
    st.lists(STEPS, max_size=8),
    st.lists(st.builds(Goto, st.sampled_from(Table)), max_size=1),
)
FLOWS = st.builds(Flow, st.sampled_from(Band), MATCHES, ACTIONS, st.integers(0, (1 << 64) - 1))


@given(FLOWS)
def test_decode_is_the_inverse_of_encode(flow: Flow) -> None:
    decoded = decode(*encode(flow))
    in_wire_order = sorted(flow.match, key=lambda term: oxm.WIRE[term.field].rank)
    assert decoded == (flow.table, flow.priority, tuple(in_wire_order), flow.actions, flow.cookie)


@given(FLOWS, st.randoms(use_true_random=False))
def test_order_of_the_terms_changes_no_byte(flow: Flow, order: Any) -> None:
    shuffled = list(flow.match)
    order.shuffle(shuffled)
    assert encode(flow) == encode(flow._replace(match=tuple(shuffled)))


@given(FLOWS)
def test_text_is_the_same_from_a_flow_and_from_its_bytes(flow: Flow) -> None:
    assert text(flow) == encoded_text(*encode(flow))
    assert text(flow) == f"cookie={flow.cookie:#x}," + text(flow, with_cookie=False)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_decode_errors(key: bytes, body: bytes) -> None:
    with suppress(DecodeError):
        encoded_text(key, body)


@given(FLOWS, st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_damaged_flows_raise_only_decode_errors(flow: Flow, at: int, byte: int, in_key: bool) -> None:
    pieces = [bytearray(piece) for piece in encode(flow)]
    damaged = pieces[0] if in_key else pieces[1]
    damaged[at % len(damaged)] = byte
    with suppress(DecodeError):
        encoded_text(bytes(pieces[0]), bytes(pieces[1]))


def statistics(flows: list[Encoded], packet_count: int = 3) -> bytes:
    """Return the flow statistics reply that a switch gives for *flows*."""
    entries = b""
    for key, body in flows:
        fields = struct.pack(">HH", 1, len(key) + 1) + key[3:]
        fields += bytes(-len(fields) % 8)
        head = struct.pack(
            ">HBxIIHHHHHxx8sQQ",
            *(48 + len(fields) + len(body) - 8, key[0], 7, 500_000_000, struct.unpack_from(">H", key, 1)[0]),
            *(0, 0, 0, 0, body[:8], packet_count, 60),
        )
        entries += head + fields + body[8:]
    return message.message(message.MULTIPART_REPLY, 1, struct.pack(">HHxxxx", 1, 0) + entries)


@given(st.lists(FLOWS, max_size=4))
def test_statistics_give_each_flow_as_it_was_encoded(flows: list[Flow]) -> None:
    pairs = [encode(flow) for flow in flows]
    reply = statistics(pairs)
    found: dict[bytes, bytes] = {}
    message.flow_entries(reply, found)
    assert found == dict(pairs)
    assert message.counters(reply) == {key: message.Counters(7.5, 3, 60) for key, _ in pairs}


@given(
    st.lists(FLOWS, min_size=1, max_size=3), st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 80)
)
def test_damaged_statistics_raise_only_decode_errors(
    flows: list[Flow], at: int, byte: int, cut_bytes: int
) -> None:
    reply = bytearray(statistics([encode(flow) for flow in flows]))
    reply[16 + at % (len(reply) - 16)] = byte
    with suppress(DecodeError):
        message.flow_entries(bytes(reply[: len(reply) - cut_bytes]), {})


# os-ken as a second opinion

DATAPATH = ProtocolDesc(version=message.VERSION)
OSKEN_NAMES = {Field.ND_TARGET: "ipv6_nd_target", Field.ND_SLL: "ipv6_nd_sll", Field.ND_TLL: "ipv6_nd_tll"}


def osken_name(field: Field) -> str:
    return OSKEN_NAMES.get(field, field.value[0])


def osken_nxm_name(field: Field) -> str:
    """Return how os-ken calls *field* by its NXM number, by which Open vSwitch copies it."""
    names = {Field.ND_SLL: "nd_sll", Field.ND_TLL: "nd_tll"}
    return names.get(field) or (field.value[0] + ("" if field.name.startswith("REG") else "_nxm"))


def osken_value(field: Field, value: int) -> int | str:
    if field.bits == 48:
        return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))
    if field.bits == 128:
        # os-ken spells ::1:0 as ::0.1.0.0.
        return str(addrconv.ipv6.bin_to_text(value.to_bytes(16, "big")))
    if field in (Field.IPV4_SRC, Field.IPV4_DST, Field.ARP_SPA, Field.ARP_TPA):
        return str(ipaddress.IPv4Address(value))
    return oxm.wire_port(value) if field is Field.IN_PORT else value


def osken_term(term: Term) -> Any:
    value = osken_value(term.field, term.value)
    return value if term.mask is None else (value, osken_value(term.field, term.mask))


def as_osken_sees(action: Any) -> list[tuple[Any, ...]]:
    """Return what an os-ken action does, as tuples that `as_we_mean` gives too."""
    match action:
        case osken.OFPActionSetField():
            return [("set", action.key, action.value)]
        case osken.NXActionRegMove():
            assert action.dst_ofs == 0
            return [("copy", action.src_field, action.src_ofs, action.dst_field, action.n_bits)]
        case osken.OFPActionOutput():
            return [("output", action.port, action.max_len)]
        case osken.OFPActionPushVlan():
            return [("push", action.ethertype)]
        case osken.OFPActionPopVlan():
            return [("pop",)]
        case osken.NXActionResubmitTable():
            return [("resubmit", action.in_port, action.table_id)]
    raise AssertionError(action)


def as_we_mean(action: Action) -> list[tuple[Any, ...]]:
    match action:
        case Set(Field.IN_PORT, value):
            return [("set", "in_port_nxm", value)]
        case Set(field, value):
            return [("set", osken_name(field), osken_value(field, value))]
        case Copy(source, first_bit, destination, bits):
            return [("copy", osken_nxm_name(source), first_bit, osken_nxm_name(destination), bits)]
        case Controller(max_len):
            return [("output", 0xFFFFFFFD, max_len)]
        case Output(port):
            return [("output", oxm.wire_port(port), 0)]
        case PushVlan(vlan_id):
            return [("push", 0x8100), ("set", "vlan_vid", 0x1000 | vlan_id)]
        case PopVlan():
            return [("pop",)]
        case Resubmit(table):
            return [("resubmit", 0xFFF8, table)]
    raise AssertionError(action)


def flow_mods(flow: Flow, command: str) -> list[osken.OFPFlowMod]:
    """Return the flow_mods of a bundle that does *command* with *flow*, as os-ken parses them."""
    key, body = encode(flow)
    other = body[:8] + b"other"
    parts = {"add": ({key: body}, {}), "modify": ({key: body}, {key: other}), "delete": ({}, {key: body})}
    scope = bundle.Scope(COOKIE_OURS, COOKIE_OURS_MASK)
    return [embedded(data) for data in bundle.flow_mods(plan(*parts[command]), scope, 9, first_xid=100)]


def embedded(data: bytes) -> Any:
    """Return the message in a bundle's add message."""
    outer_xid, bundle_id, flags = struct.unpack_from(">4xIIxxH", data)
    version, kind, length, xid = struct.unpack_from(">BBHI", data, 16)
    assert (bundle_id, flags, xid, length) == (9, 3, outer_xid, len(data) - 16)
    return osken.OFPFlowMod.parser(DATAPATH, version, kind, length, xid, data[16:])


@pytest.mark.parametrize(
    ("command", "number", "cookie_mask"),
    [("add", 0, 0), ("modify", 2, (1 << 64) - 1), ("delete", 4, COOKIE_OURS_MASK)],
)
@given(flow=FLOWS)
def test_osken_reads_a_flow_mod_as_we_mean_it(
    command: str, number: int, cookie_mask: int, flow: Flow
) -> None:
    (seen,) = flow_mods(flow, command)
    assert (seen.command, seen.cookie_mask, seen.table_id, seen.priority) == (
        number,
        cookie_mask,
        flow.table,
        flow.priority,
    )
    assert seen.cookie == (COOKIE_OURS if command == "delete" else flow.cookie)
    assert (seen.idle_timeout, seen.hard_timeout, seen.flags, seen.importance) == (0, 0, 0, 0)
    assert (seen.buffer_id, seen.out_port, seen.out_group) == (0xFFFFFFFF,) * 3
    assert dict(seen.match.items()) == {osken_name(term.field): osken_term(term) for term in flow.match}
    if command == "delete":
        assert seen.instructions == []
        return
    steps = [action for action in flow.actions if not isinstance(action, Goto)]
    applied = [each for each in seen.instructions if isinstance(each, osken.OFPInstructionActions)]
    gotos = [each.table_id for each in seen.instructions if isinstance(each, osken.OFPInstructionGotoTable)]
    assert [as_osken_sees(action) for each in applied for action in each.actions] == [
        [effect] for action in steps for effect in as_we_mean(action)
    ]
    assert gotos == [action.table for action in flow.actions if isinstance(action, Goto)]


@given(MATCHES, st.integers(0, 0xFFFF), st.integers(0, 4095))
def test_flows_that_osken_writes_are_decoded(match: tuple[Term, ...], priority: int, vlan_id: int) -> None:
    actions = [
        osken.OFPActionPushVlan(0x8100),
        osken.OFPActionSetField(vlan_vid=0x1000 | vlan_id),
        osken.OFPActionOutput(0xFFFFFFFE, 0),
        osken.OFPActionDecNwTtl(),
    ]
    mod = osken.OFPFlowMod(
        DATAPATH,
        cookie=5,
        table_id=Table.EGRESS,
        priority=priority,
        match=osken.OFPMatch(**{osken_name(term.field): osken_term(term) for term in match}),
        instructions=[
            osken.OFPInstructionActions(DATAPATH.ofproto.OFPIT_APPLY_ACTIONS, actions),
            osken.OFPInstructionGotoTable(Table.DISPATCH),
        ],
    )
    mod.set_xid(1)
    mod.serialize()
    data = bytes(mod.buf)
    (match_bytes,) = struct.unpack_from(">H", data, 50)
    key = bytes([Table.EGRESS]) + struct.pack(">H", priority) + data[52 : 48 + match_bytes]
    decoded = decode(key, data[8:16] + data[48 + (match_bytes + 7) // 8 * 8 :])
    assert set(decoded.match) == set(match)
    assert decoded[:2] == (Table.EGRESS, priority)
    dec_ttl = Foreign("action", bytes((0, 24, 0, 8, 0, 0, 0, 0)))
    assert decoded.actions == (PushVlan(vlan_id), Output(0xFFFE), dec_ttl, Goto(Table.DISPATCH))
    assert decoded.cookie == 5
