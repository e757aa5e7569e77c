"""Actions and instructions of other programs, spelt as `ovs-ofctl` spells them."""

from __future__ import annotations

import pytest

from trunkline.openflow.foreign import words
from trunkline.openflow.oxm import Foreign

NICIRA = "ffff{:04x}00002320"


def nicira(subtype: int, rest: str) -> bytes:
    data = f"{subtype:04x}{rest}"
    return bytes.fromhex(NICIRA.format(8 + len(data) // 2) + data)


@pytest.mark.parametrize(
    ("data", "spelt"),
    [
        (bytes.fromhex("0015000800000007"), "set_queue:7"),
        (bytes.fromhex("0018000800000000"), "dec_ttl"),
        (bytes.fromhex("0013000888470000"), "push_mpls(…)"),
        (nicira(1, "fff800000000"), "resubmit:IN_PORT"),
        (nicira(14, "000305000000"), "resubmit(3,5)"),
        (nicira(44, "fff805000000"), "resubmit(,5,ct)"),
        (nicira(16, "00000000000000000000000000000000090000000000"), "learn(table=9,…)"),
        (nicira(35, "00010000000000050a0000000000"), "ct(commit,table=10,zone=5)"),
        (nicira(35, "0000000000000000ff0000000000"), "ct"),
        (nicira(35, "00030001030400200a0000000015"), "ct(commit,force,table=10,…)"),
        (nicira(43, "000000000000"), "ct_clear"),
        (nicira(42, "000000000000"), "clone(…)"),
        (nicira(999, "000000000000"), "action(0xffff001000002320" + "03e7000000000000)"),
        (nicira(16, ""), "action(0xffff000a000023200010)"),
        (bytes.fromhex("ffff00080000abcd"), "action(0xffff00080000abcd)"),
        (bytes.fromhex("00630008"), "action(0x00630008)"),
        (b"", "action(0x)"),
    ],
)
def test_an_action_is_spelt_with_what_is_known_of_it(data: bytes, spelt: str) -> None:
    assert words(Foreign("action", data)) == spelt


@pytest.mark.parametrize(
    ("data", "spelt"),
    [
        ("000100086f000000", "goto_table:111"),
        ("0005000800000000", "clear_actions"),
        ("0006000800000002", "meter:2"),
        ("00060004", "instruction(0x00060004)"),
        ("0003000800000000", "write_actions(…)"),
    ],
)
def test_an_instruction_is_spelt_with_what_is_known_of_it(data: str, spelt: str) -> None:
    assert words(Foreign("instruction", bytes.fromhex(data))) == spelt


def test_a_field_is_spelt_in_bytes() -> None:
    assert words(Foreign("field", b"\x80\0")) == "field(0x8000)"
