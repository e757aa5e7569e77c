from __future__ import annotations

import pytest

from trunkline.core.flow import Field, Term
from trunkline.openflow import oxm
from trunkline.openflow.error import DecodeError, EncodeError
from trunkline.openflow.oxm import Foreign, match_bytes, match_terms


def test_every_field_has_a_place_on_the_wire() -> None:
    assert set(oxm.WIRE) == set(Field)
    assert len({wire.exact_head for wire in oxm.WIRE.values()}) == len(Field)


def test_terms_stand_in_the_order_of_open_vswitch() -> None:
    match = (Field.METADATA(7), Field.VLAN_VID(0x1065), Field.IN_PORT(1))
    assert match_bytes(match).hex(" ", -4) == "80000004 00000001 80000c02 10658000 04080000 00000000 0007"


def test_mask_doubles_the_payload() -> None:
    assert match_bytes((Field.VLAN_VID(0x1000, 0x1000),)) == bytes.fromhex("80000d04 1000 1000")


def test_local_port_stands_at_the_top_of_the_32_bit_numbers() -> None:
    tlv = match_bytes((Field.IN_PORT(0xFFFE),))
    assert tlv == bytes.fromhex("80000004 fffffffe")
    assert match_terms(tlv) == (Term(Field.IN_PORT, 0xFFFE),)


def test_mask_of_all_ones_is_read_as_none() -> None:
    assert match_terms(bytes.fromhex("80000d04 1065 1fff")) == (Field.VLAN_VID(0x1065),)


@pytest.mark.parametrize(
    "tlv",
    [
        "80001201 04",  # ip_dscp
        "80000004 12345678",  # a port that Open vSwitch cannot have
        "80000c02 ffff",  # more bits than a VLAN id has
        "ffff5804 00002320",  # an experimenter's
    ],
)
def test_field_that_trunkline_does_not_make_is_foreign(tlv: str) -> None:
    data = bytes.fromhex(tlv)
    assert match_terms(data) == (Foreign("field", data),)


@pytest.mark.parametrize("data", ["80", "800000", "80000004 000000"])
def test_match_that_is_cut_short_is_refused(data: str) -> None:
    with pytest.raises(DecodeError, match="cut short"):
        match_terms(bytes.fromhex(data))


@pytest.mark.parametrize("term", [Field.ETH_DST(1 << 48), Field.REG6(-1), Field.METADATA(0, 1 << 64)])
def test_value_outside_its_field_is_refused(term: Term) -> None:
    with pytest.raises(EncodeError, match="does not fit its field"):
        match_bytes((term,))
