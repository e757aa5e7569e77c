"""The frames of a probe, in bytes, and what is taken from others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.bisection import Bisection
from trunkline.core.probe import (
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


def test_a_frame_has_at_least_the_length_of_ethernet_and_a_sized_one_its_size() -> None:
    assert len(frame(SECRET, SAID, SOURCE, GROUP)) == 60
    sized = Probe(Kind.SIZED, 1, 1500, 7, 42)
    data = frame(SECRET, sized, SOURCE, SOURCE + 1)
    assert len(data) == 1514
    assert arrival(SECRET, data) is not None
    assert arrival(SECRET, data[:-1]) is None, "cut on the way, it has not come"


@given(st.integers(12, 59), st.integers(1, 255))
def test_no_bit_can_be_changed(at: int, change: int) -> None:
    data = bytearray(frame(SECRET, SAID, SOURCE, GROUP))
    data[at] ^= change
    found = arrival(SECRET, bytes(data))
    # What follows the code is padding, and says nothing.
    assert found is None or at >= 12 + 2 + 40


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
