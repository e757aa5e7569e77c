"""A chassis' part in a probe when more comes than it can listen to."""

from __future__ import annotations

import pytest

from trunkline.bridge.prober import MOST_CAUGHT_PER_S, Prober
from trunkline.core.cookie import COOKIE_PROBE
from trunkline.core.inventory import Inventory
from trunkline.core.probe import Secret
from trunkline.openflow.event import PacketIn
from trunkline.openflow.session import Session

SECRET = Secret(b"session!", b"a key of 16 byte")


@pytest.fixture
def prober() -> Prober:
    found = Prober()
    found.open(SECRET, "c1", now_s=100.0)
    return found


def receive(prober: Prober, count: int, each_s: float) -> bool:
    """Have *count* frames come that look like those of a probe, one *each_s*; return if that is a flood."""
    inventory, switch = Inventory("c1"), Session("unix:/nowhere", cookie=0, cookie_mask=0)
    event = PacketIn(COOKIE_PROBE, 1, 0, b"x" * 60)
    for number in range(count):
        assert prober.on_packet_in(event, 100.0 + number * each_s, inventory, switch)
    assert prober.probing is not None
    return prober.probing.is_flooded


def test_more_frames_at_once_than_it_takes_in_a_second_are_a_flood(prober: Prober) -> None:
    assert not receive(prober, MOST_CAUGHT_PER_S - 1, 0.0)
    assert receive(prober, 2, 0.0)


def test_as_many_as_it_takes_are_none_however_long_they_come(prober: Prober) -> None:
    assert not receive(prober, 5 * MOST_CAUGHT_PER_S, 1 / MOST_CAUGHT_PER_S)
    assert receive(prober, 5 * MOST_CAUGHT_PER_S, 0.5 / MOST_CAUGHT_PER_S)
