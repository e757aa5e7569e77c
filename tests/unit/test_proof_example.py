"""An example is a frame of the space that it is of, in bytes."""

from __future__ import annotations

import pytest

from trunkline.core.field import Field
from trunkline.core.frame import ETH_ARP
from trunkline.proof.example import example
from trunkline.proof.space import Cube, Space, both, cube

SOURCE = 5
ARP = cube(Field.ETH_TYPE, ETH_ARP)


@pytest.mark.parametrize(
    ("told", "holes", "sender"),
    [
        pytest.param((), (), SOURCE, id="any: its own"),
        pytest.param((), (cube(Field.ARP_SHA, 0),), SOURCE, id="any but none: its own"),
        pytest.param((cube(Field.ARP_SHA, 0),), (), 0, id="none: none"),
        pytest.param((cube(Field.ARP_SHA, 7),), (), 7, id="another: that one"),
    ],
)
def test_arp_tells_its_own_sender_unless_it_is_of_another(
    told: tuple[Cube, ...], holes: tuple[Cube, ...], sender: int
) -> None:
    frame = example(Space(both(ARP, *told), holes), False, [SOURCE], [])
    assert (int.from_bytes(frame[6:12]), int.from_bytes(frame[22:28])) == (SOURCE, sender)


def test_arp_of_a_forged_sender_is_forged() -> None:
    space = Space(both(ARP, cube(Field.ETH_SRC, SOURCE)), (cube(Field.ARP_SHA, SOURCE),))
    frame = example(space, False, [SOURCE], [])
    assert frame[22:28] != frame[6:12]
