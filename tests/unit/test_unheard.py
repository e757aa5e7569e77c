"""When the silence of a physical network is a finding, and when it is ordinary."""

from __future__ import annotations

from uuid import uuid4

import pytest

from trunkline.core.cookie import Subject, cookie
from trunkline.core.model import Network
from trunkline.core.pipeline import Band
from trunkline.health.finding import Finding
from trunkline.health.unheard import MANY, SETTLED_S, WireCounts
from trunkline.openflow.tally import Count

BLUE = Network(uuid4(), "blue", 7, "physnet1", 101)
PORT = 7
"""The key of its port; keys of networks and ports are of two kinds."""

OLD_S = SETTLED_S * 3


def count(band: Band, packets: int, idle_s: float | None = 1.0, age_s: float = OLD_S) -> Count:
    subject = Subject.PORT if band in (Band.LOCAL_MAC, Band.REFLECTION) else Subject.NETWORK
    of = cookie(band.owner, subject, PORT if subject is Subject.PORT else BLUE.key)
    return Count(band.table, band.priority, of, packets, idle_s, b"", age_s)


LISTENS = count(Band.UPLINK, 0)
SPEAKS = count(Band.BUM_OUT, MANY)


def finding(*counts: Count, network: Network = BLUE, is_asked_about: bool = False) -> Finding | None:
    wires = WireCounts()
    wires.note(counts)
    return wires.finding("c1", network, [PORT], is_asked_about=is_asked_about)


def test_a_network_whose_ports_speak_and_hear_nothing_is_found() -> None:
    found = finding(LISTENS, SPEAKS)
    assert found is not None
    assert (found.code, found.severity, found.subject, found.chassis) == (
        "T215",
        "warning",
        "network blue",
        "c1",
    )
    assert found.text == (
        "20 frames have left in VLAN 101, and none has ever come from physical network physnet1, in 90 s"
    )
    assert "allow VLAN 101 on the switch port" in found.remedy
    flat = finding(LISTENS, SPEAKS, network=BLUE._replace(vlan_id=None))
    assert flat is not None
    assert "have left untagged" in flat.text
    assert "allow untagged frames" in flat.remedy


@pytest.mark.parametrize(
    "counts",
    [
        (),
        (LISTENS,),
        (SPEAKS,),
        (LISTENS, count(Band.BUM_OUT, MANY - 1)),
        (count(Band.UPLINK, 1), SPEAKS),
        # Of a flat network, there are several flows for what comes from there.
        (LISTENS, count(Band.UPLINK, 1), SPEAKS),
        (LISTENS, count(Band.UPLINK_TAGGED, 1), SPEAKS),
        # The flow is new, or newer than the last frame that left: the VLAN was another one then.
        (count(Band.UPLINK, 0, age_s=SETTLED_S - 1), SPEAKS),
        (LISTENS, count(Band.BUM_OUT, MANY, idle_s=OLD_S)),
        # Something returns.
        (LISTENS, SPEAKS, count(Band.REFLECTION, 1)),
        # The ports speak to one another.
        (LISTENS, SPEAKS, count(Band.LOCAL_MAC, 1)),
    ],
)
def test_what_is_answered_or_need_not_be_is_no_finding(counts: tuple[Count, ...]) -> None:
    assert finding(*counts) is None


def test_ports_that_speak_to_one_another_are_a_finding_for_anyone_who_asks_about_one() -> None:
    counts = LISTENS, SPEAKS, count(Band.LOCAL_MAC, 1)
    assert finding(*counts, is_asked_about=True) is not None
    assert finding(*counts, count(Band.UPLINK, 1), is_asked_about=True) is None


def test_it_need_not_be_known_when_frames_last_left() -> None:
    assert finding(LISTENS, count(Band.BUM_OUT, MANY, idle_s=None)) is not None


def test_flows_of_others_count_for_nothing() -> None:
    foreign = count(Band.UPLINK, 9)._replace(cookie=0xBAD)
    assert finding(LISTENS, SPEAKS, foreign) is not None
