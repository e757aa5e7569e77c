"""Frames of probes, byte for byte, while no probe waits for them: docs/frames.md, rule 18."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, ethernet, mac_of, opened, until

from trunkline.core.pipeline import Band
from trunkline.core.probe import GROUP, Kind, Probe, Secret, frame

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
ELSEWHERE = "02:ee:00:00:00:02"
TO_GROUP = "03:74:6c:70:72:62"
SECRET = Secret(b"session!", b"a key of 16 byte")


@pytest.fixture(scope="module")
def chassis() -> Iterator[DummyChassis]:
    """Yield a chassis whose agent was killed when all was in place.

    a (secured) and b are in VLAN 101, u there takes unknown MACs; s is the sub-port of b with tag 7, in
    VLAN 102; f is in the flat network, and t in transparent 201.
    """
    with opened() as site:
        started = site.chassis()
        site.network()
        site.network("flat", None)
        site.network("carrier", 201, vlan_transparent=True)
        site.network("vlan102", 102)
        site.port("a", port_security=True)
        site.port("b")
        site.port("u", unknown_macs=True)
        site.port("s", "vlan102", parent="b", parent_vlan=7)
        site.port("f", "flat")
        site.port("t", "carrier")
        for port in "abuft":
            started.plug(port)
        site.await_up(*"abufts")
        site.sync()
        started.agent.end(signal.SIGKILL)
        yield started


def of_probe(to: str, src: str, *tags: int, kind: Kind = Kind.BEACON, size: int = 0) -> bytes:
    """Return a frame of a probe, with *tags*."""
    numbers = (int(mac.replace(":", ""), 16) for mac in (src, to))
    data = frame(SECRET, Probe(kind, 1, size, 7, 42), *numbers)
    return data[:12] + b"".join(b"\x81\x00" + tag.to_bytes(2) for tag in tags) + data[12:]


def alike(data: bytes) -> list[bytes]:
    """Return frames that differ from *data*, of a probe, in one of the fields by which flows know it."""
    at = data.index(b"\x80\x35") + 2
    other_type = data[: at - 2] + b"\x88\xb5" + data[at:]
    other_operation = data[: at + 7] + b"\x19" + data[at + 8 :]
    other_target = data[: at + 27] + b"\x71" + data[at + 28 :]
    return [other_type, other_operation, other_target]


FROM_WIRE = {(101,): "abu", (0x6065,): "abu", (102,): "b", (): "f", (0,): "f", (201,): "t"}
"""Who receives a broadcast with these tags."""


@pytest.mark.parametrize("tags", FROM_WIRE)
def test_rule_18_no_vm_gets_a_frame_of_a_probe_and_all_get_what_is_like_one(
    chassis: DummyChassis, tags: tuple[int, ...]
) -> None:
    """To all, to a VM that is here, and to nobody."""
    to = FROM_WIRE[tags]
    known, one = mac_of("s" if tags == (102,) else to[0]), to[0]
    taker = "u" if "u" in to else ""
    for kind, receiver, who in (
        (Kind.BEACON, TO_GROUP, to),
        (Kind.ANSWER, known, one),
        (Kind.SIZED, known, one),
        (Kind.SIZE_HEARD, ELSEWHERE, taker),
    ):
        sent = of_probe(receiver, OUTSIDE, *tags, kind=kind, size=1400)
        seen = chassis.receive(NIC, *alike(sent))
        assert {port: len(frames) for port, frames in seen.items()} == dict.fromkeys(who, 3)
        assert chassis.receive(NIC, sent, after=alike(sent)) == {}


def test_rule_18_no_vm_sends_one_to_another_or_to_the_wire(chassis: DummyChassis) -> None:
    for port, tags in {"a": (), "b": (), "f": (), "t": ()}.items():
        for receiver in (TO_GROUP, mac_of("u"), ELSEWHERE):
            sent = of_probe(receiver, mac_of(port), *tags)
            other_type, *_ = alike(sent)
            assert chassis.receive(port, other_type), "it is like any other"
            assert chassis.receive(port, sent, after=[other_type]) == {}
    for port, src, tag in (("b", "s", 7), ("t", "t", 9), ("f", "f", 0)):
        sent = of_probe(TO_GROUP, mac_of(src), tag)
        other_type, *_ = alike(sent)
        assert chassis.receive(port, other_type)
        assert chassis.receive(port, sent, after=[other_type]) == {}


def test_rule_18_a_tag_inside_a_transparent_network_hides_what_is_behind_it(chassis: DummyChassis) -> None:
    """What a tenant's own VLAN carries there passes unaltered, as the switch reads one tag alone."""
    sent = of_probe(TO_GROUP, OUTSIDE, 201, 9)
    assert chassis.receive(NIC, sent) == {"t": [of_probe(TO_GROUP, OUTSIDE, 9)]}


def test_rule_18_the_group_of_probes_is_a_group_like_any_other_for_other_frames(
    chassis: DummyChassis,
) -> None:
    assert f"{GROUP:012x}" == TO_GROUP.replace(":", "")
    for to in (TO_GROUP, BROADCAST):
        seen = chassis.receive(NIC, ethernet(to, OUTSIDE, 101))
        assert seen == {port: [ethernet(to, OUTSIDE)] for port in "abu"}


def test_rule_18_a_frame_that_is_dropped_is_counted(chassis: DummyChassis) -> None:
    def counted() -> int:
        (flow,) = (each for each in chassis.flows() if f"priority={Band.UNCAUGHT.priority}," in each)
        return int(flow.partition("n_packets=")[2].partition(",")[0])

    before = counted()
    chassis.receive_once(NIC, of_probe(TO_GROUP, OUTSIDE, 101), of_probe(mac_of("a"), OUTSIDE, 101))
    until(lambda: counted() == before + 2, "both are counted")
