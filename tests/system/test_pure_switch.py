"""The pure switch and a real ovs-vswitchd send the same frames out of the same ports, octet for octet."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from model import rows, world
from model.dummy_switch import DummySwitch
from model.frame import Frame
from model.octets import number, octets, tags_and_rest
from model.pure_switch import PureSwitch
from trunkline.core.flow import Flow

pytestmark = pytest.mark.system

OFPORTS = (*range(1, 5), *range(10, 18), *range(20, 28), *range(30, 38), 99)
"""Every port that `model.world` speaks of."""

FRAMES = 60


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    folder = Path(tempfile.mkdtemp(prefix="tl-dummy-"))
    real = DummySwitch(folder, OFPORTS)
    try:
        yield real
    finally:
        real.close()
        shutil.rmtree(folder)


Seen = dict[int, list[tuple[int, object, bytes]]]


def _seen(switch: DummySwitch, arrivals: list[tuple[int, Frame]]) -> Seen:
    """Return what the real switch sends for each of *arrivals*: port, tags and the rest, sorted."""
    frames_by_port: dict[int, list[bytes]] = defaultdict(list)
    for index, (in_port, frame) in enumerate(arrivals):
        frames_by_port[in_port].append(octets(frame, index))
    seen: Seen = {index: [] for index in range(len(arrivals))}
    for ofport, data in switch.receive(frames_by_port):
        tags, rest = tags_and_rest(data)
        seen[number(data)].append((ofport, tags, rest))
    return {index: sorted(copies, key=repr) for index, copies in seen.items()}


def _expected(flows: Iterable[Flow], vlan_limit: int, arrivals: list[tuple[int, Frame]]) -> Seen:
    """Return what the pure switch sends for each of *arrivals*, in the same form."""
    pure = PureSwitch(flows, vlan_limit)
    expected: Seen = {}
    for index, (in_port, frame) in enumerate(arrivals):
        copies = []
        for ofport, copy in pure.outputs(in_port, frame):
            copies.append((ofport, copy.tags, tags_and_rest(octets(copy, index))[1]))
        expected[index] = sorted(copies, key=repr)
    return expected


@pytest.mark.parametrize("vlan_limit", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_the_real_switch_sends_what_the_pure_switch_sends(
    switch: DummySwitch, seed: int, vlan_limit: int
) -> None:
    """DESIGN.md section 5, on the real thing: tags of both kinds, VID 0 and 4095, ARP, ND, DHCP."""
    random = Random(seed)
    chassis = world.rows(random)
    flows = rows.flows(chassis)
    pure = PureSwitch(flows, vlan_limit)
    frames = (world.frame(random, chassis) for _ in range(FRAMES))
    arrivals = [arrival for arrival in frames if not pure.walk(*arrival).is_undefined]
    switch.set_vlan_limit(vlan_limit)
    switch.replace_flows(flows)
    seen, expected = _seen(switch, arrivals), _expected(flows, vlan_limit, arrivals)
    assert [
        (arrivals[index], seen[index], expected[index]) for index in seen if seen[index] != expected[index]
    ] == []
