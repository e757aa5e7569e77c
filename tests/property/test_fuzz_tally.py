"""Flow statistics of a switch that says anything: counts, or `DecodeError`."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.openflow.error import DecodeError
from trunkline.openflow.tally import VERSIONS, Count, counts

IN_PORT = bytes.fromhex("8000000400000001")
MATCH = struct.pack(">HH", 1, 4 + len(IN_PORT)) + IN_PORT + bytes(4)
_DURATION = bytes.fromhex("800200080000000920000000")
_IDLE = bytes.fromhex("800202080000000300000000")
_PACKETS = bytes.fromhex("80020808") + (7).to_bytes(8)
_STATS = bytes(2) + (4 + len(_DURATION + _IDLE + _PACKETS)).to_bytes(2) + _DURATION + _IDLE + _PACKETS
FLOWS = {
    6: struct.pack(">HxxBxH8xQ", 24 + len(MATCH) + len(_STATS), 90, 80, 0xC) + MATCH + _STATS,
    5: struct.pack(">HBxIIH10xQQQ", 48 + len(MATCH), 90, 9, 0x20000000, 80, 0xC, 7, 420) + MATCH,
}


def reply(version: int, entries: bytes) -> bytes:
    return struct.pack(">BBHIHH4x", version, 19, 16 + len(entries), 1, 1, 0) + entries


@pytest.mark.parametrize(("version", "idle_s"), [(6, 3.0), (5, None)])
def test_flows_are_counted_by_each_version(version: int, idle_s: float | None) -> None:
    found = counts(reply(version, FLOWS[version] * 2))
    assert found == [Count(90, 80, 0xC, 7, idle_s, IN_PORT, 9 + 0x20000000 / 1e9)] * 2
    assert counts(reply(version, b"")) == []


@given(st.sampled_from(VERSIONS), st.integers(0, 83), st.integers(0, 255), st.integers(0, 83))
def test_statistics_with_a_wrong_byte_or_end_are_counted_or_refused(
    version: int, at: int, byte: int, end: int
) -> None:
    flow = FLOWS[version]
    for wrong in (flow[:at] + bytes((byte,)) + flow[at + 1 :], flow[:end]):
        try:
            found = counts(reply(version, wrong))
        except DecodeError:
            continue
        assert all(count.packets < 1 << 64 for count in found)


@given(st.sampled_from(VERSIONS), st.binary(max_size=90))
@example(6, bytes(28))
@example(5, bytes(56))
def test_any_bytes_are_counted_or_refused(version: int, entries: bytes) -> None:
    try:
        counts(reply(version, entries))
    except DecodeError:
        return
