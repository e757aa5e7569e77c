"""The frames of a probe, in bytes, and what is taken from others."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import ARP

from trunkline.core.bisection import Bisection
from trunkline.core.field import Field
from trunkline.core.probe import (
    FRAMES,
    GROUP,
    LEAST_SIZE,
    Kind,
    Probe,
    Secret,
    arrival,
    chassis_mac,
    frame,
    member_id,
)

SECRET = Secret(b"session!", b"a key of 16 byte")
SOURCE = 0x020000000001
SAID = Probe(Kind.BEACON, 1, 0, 7, 42)


def tagged(data: bytes, tpid: int, vlan_id: int) -> bytes:
    return data[:12] + tpid.to_bytes(2) + vlan_id.to_bytes(2) + data[12:]


@pytest.mark.parametrize(
    ("tpid", "vlan_id", "read"), [(0x8100, 101, 101), (0x88A8, 4094, 4094), (0x8100, 0, None)]
)
def test_a_tag_is_read_and_a_priority_tag_is_none(tpid: int, vlan_id: int, read: int | None) -> None:
    found = arrival(SECRET, tagged(frame(SECRET, SAID, SOURCE, GROUP), tpid, vlan_id))
    assert found is not None
    assert (found.probe, found.source, found.vlan_id) == (SAID, SOURCE, read)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("to", [GROUP, SOURCE + 1])
def test_every_frame_shows_a_switch_that_it_is_of_a_probe(kind: Kind, to: int) -> None:
    """docs/frames.md, rule 18: the flow that drops them need not know whom they are for."""
    shown = ARP(frame(SECRET, SAID._replace(kind=kind, size=1400), SOURCE, to)[14:])
    read = {
        Field.ETH_TYPE: int.from_bytes(frame(SECRET, SAID, SOURCE, to)[12:14]),
        Field.ARP_OP: shown.op,
        Field.ARP_TPA: int(IPv4Address(shown.pdst)),
    }
    assert {term.field: term.value for term in FRAMES} == read
    # Open vSwitch reads these fields if the packet is about Ethernet and IPv4 (ovs-fields(7)).
    assert (shown.hwtype, shown.ptype, shown.hwlen, shown.plen) == (1, 0x0800, 6, 4)


def test_a_frame_is_as_short_as_it_can_be_and_a_sized_one_has_its_size() -> None:
    assert len(frame(SECRET, SAID, SOURCE, GROUP)) == 14 + LEAST_SIZE == 14 + 68
    sized = Probe(Kind.SIZED, 1, 1500, 7, 42)
    data = frame(SECRET, sized, SOURCE, SOURCE + 1)
    assert len(data) == 1514
    assert arrival(SECRET, data) is not None
    assert arrival(SECRET, data[:-1]) is None, "cut on the way, it has not come"


@given(st.integers(0, 13 + LEAST_SIZE), st.integers(1, 255))
def test_no_bit_can_be_changed(at: int, change: int) -> None:
    data = bytearray(frame(SECRET, SAID, SOURCE, GROUP))
    data[at] ^= change
    assert arrival(SECRET, bytes(data)) is None


def test_nobody_can_send_a_frame_of_a_member_again_from_another_mac() -> None:
    mine, own = SOURCE.to_bytes(6), (SOURCE + 9).to_bytes(6)
    data = frame(SECRET, SAID, SOURCE, GROUP)
    # The MAC is in the Ethernet header and in that of the packet.
    assert data.count(mine) == 2
    assert arrival(SECRET, data.replace(mine, own)) is None


@given(st.binary(max_size=100))
def test_any_other_bytes_are_no_arrival(data: bytes) -> None:
    assert arrival(SECRET, data) is None


def test_a_member_has_another_number_in_each_session_and_a_mac_that_stays() -> None:
    assert member_id(SECRET, "c1") != member_id(Secret(SECRET.id, b"another key, 16b"), "c1")
    assert chassis_mac("c1") == chassis_mac("c1") != chassis_mac("c2")
    assert chassis_mac("c1") >> 40 == 0x02


@given(st.integers(LEAST_SIZE, 9216), st.integers(LEAST_SIZE, 9216))
def test_a_bisection_finds_the_largest_size_in_few_tries(most: int, passes: int) -> None:
    sizes, tried = Bisection(LEAST_SIZE, most), []
    while not sizes.is_done:
        tried.append(sizes.size)
        sizes.note(sizes.size, has_arrived=sizes.size <= passes)
    assert sizes.found == min(most, passes)
    assert len(tried) <= 15
    assert most <= passes or tried[:1] == [most]
