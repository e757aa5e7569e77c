"""What port security refuses is counted by port and by reason: DESIGN.md section 5, rule 13."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened
from frame_count import packets
from program import trunkline
from scapy.layers.inet6 import ICMPv6EchoRequest
from test_frames_secured import (
    A4,
    A6,
    B4,
    MAY_NOT_SEND,
    MAY_SEND,
    PAIR_4,
    PAIR_MAC,
    SEES_INTO_JUMBOGRAMS,
    B,
    advertised,
    arp,
    ip,
    ip6,
)

from trunkline.core.pipeline import Band

pytestmark = pytest.mark.system

PORTS = "abm"
REASONS = (
    Band.TAGGED,
    Band.MAC_REFUSED,
    Band.SERVER_REFUSED,
    Band.NEIGHBOUR_REFUSED,
    Band.ADDRESS_REFUSED,
)
NEIGHBOUR = ("ARP", "RARP", "solicitation", "neighbour advertisement", "an advertisement")
SERVER = ("DHCP", "router advertisement", "redirect")


def reason(what: str) -> Band:
    """Return why the frame called *what* is refused, by the words of its name."""
    if "jumbogram" in what or what in ("DAD for another's", "its own IPv4 behind a tag of TPID 0x9100"):
        return Band.ADDRESS_REFUSED
    if what == "its own IPv4 behind a tag":
        return Band.TAGGED
    if what in ("another's MAC", "another's MAC with its own IPv4"):
        return Band.MAC_REFUSED
    if any(word in what for word in SERVER):
        return Band.SERVER_REFUSED
    is_neighbour = any(word in what for word in NEIGHBOUR)
    return Band.NEIGHBOUR_REFUSED if is_neighbour else Band.ADDRESS_REFUSED


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """a and b are secured and have addresses, m is secured and has a MAC alone."""
    with opened() as started:
        chassis = started.chassis()
        started.network()
        pairs = (f"{PAIR_MAC},{PAIR_4}", f"{mac_of('a')},203.0.113.7")
        started.port("a", addresses=(A4, A6), allowed_address_pairs=pairs, port_security=True)
        started.port("b", addresses=(B4,), port_security=True)
        started.port("m", port_security=True)
        for port in PORTS:
            chassis.plug(port)
        started.await_up(*PORTS)
        started.sync()
        yield started


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    monkeypatch.setenv("OVS_RUNDIR", str(site.all[0].switch.rundir))
    return site.all[0]


Counts = dict[tuple[str, Band], int]


def counted(site: Site) -> Counts:
    """Return how many frames of each port were refused, by reason."""
    keys = {name: site.nb.port(name)["unique_key"] for name in PORTS}
    return {
        (name, band): packets(site.all[0], band, f"reg6={key:#x}")
        for name, key in keys.items()
        for band in REASONS
    }


def grown(before: Counts, now: Counts) -> Counts:
    return {place: count - before[place] for place, count in now.items() if count != before[place]}


@pytest.mark.parametrize("band", REASONS, ids=lambda band: band.name)
def test_rule_13_what_is_refused_is_counted_by_port_and_reason(
    site: Site, chassis: DummyChassis, band: Band
) -> None:
    """Warm, right after frames that pass, and cold."""
    passing = [bytes(frame) for frame in MAY_SEND.values()]
    refused = [
        bytes(MAY_NOT_SEND[what])
        # Those with options that are cut short come last: the kernel's cache then drops other ICMPv6 of the
        # port, too, and counts it elsewhere (docs/test-matrix.md).
        for what in sorted(MAY_NOT_SEND, key=lambda what: "options" in what)
        # The kernel's cache drops what is in a jumbogram for the reason that this is refused for.
        if reason(what) is band and not (SEES_INTO_JUMBOGRAMS and "jumbogram" in what)
    ]
    assert refused
    before = counted(site)
    chassis.vswitchd.ask("revalidator/purge")
    for number in range(0, len(passing), 50):
        chassis.receive_once("a", *passing[number : number + 50])
    assert chassis.receive_once("a", *refused) == {}
    assert grown(before, counted(site)) == {("a", band): len(refused)}
    chassis.vswitchd.ask("revalidator/purge")
    assert chassis.receive_once("a", *refused) == {}
    assert grown(before, counted(site)) == {("a", band): 2 * len(refused)}


def test_a_frame_that_passes_is_counted_nowhere(site: Site, chassis: DummyChassis) -> None:
    before = counted(site)
    for frame in MAY_SEND.values():
        assert chassis.receive("a", bytes(frame))
    assert grown(before, counted(site)) == {}


def test_each_port_has_counters_of_its_own(site: Site, chassis: DummyChassis) -> None:
    m, b = mac_of("m"), mac_of("b")
    before = counted(site)
    assert chassis.receive_once("m", *[ethernet(BROADCAST, b)] * 3) == {}
    assert chassis.receive_once("m", bytes(arp(B, A4, src=m)), bytes(arp(B, A4, op=2, src=m))) == {}
    assert (
        chassis.receive_once("b", bytes(ip(A4, b)), *[bytes(ip6(A6, src=b) / ICMPv6EchoRequest())] * 4) == {}
    )
    assert chassis.receive_once("b", bytes(advertised(A6, b))) == {}
    assert grown(before, counted(site)) == {
        ("m", Band.MAC_REFUSED): 3,
        ("m", Band.NEIGHBOUR_REFUSED): 2,
        ("b", Band.ADDRESS_REFUSED): 5,
        # Its source MAC is a's.
        ("b", Band.MAC_REFUSED): 1,
    }


def test_a_priority_tag_does_not_hide_what_is_refused(site: Site, chassis: DummyChassis) -> None:
    before = counted(site)
    tagged = bytes(ip(B4))
    assert chassis.receive_once("a", tagged[:12] + b"\x81\x00\x00\x00" + tagged[12:]) == {}
    assert grown(before, counted(site)) == {("a", Band.ADDRESS_REFUSED): 1}


def test_drops_are_shown_with_port_reason_and_remedy(chassis: DummyChassis) -> None:
    chassis.receive_once("a", *[bytes(ip(B4))] * 2)
    chassis.vswitchd.await_revalidated()
    done = trunkline("flows", "--drops", "-o", "json")
    assert (done.code, done.err) == (0, "")
    (shown,) = [
        flow
        for flow in json.loads(done.out)["flows"]
        if (flow["band"], flow["row"]["name"]) == ("ADDRESS_REFUSED", "a")
    ]
    assert shown["packets"] >= 2
    assert shown["words"] == {
        "match": "from a, IPv4 or IPv6 from another address, or unreadable",
        "does": "DROP rule 13",
    }
    place = f"{shown['cookie']},table=90,priority={shown['priority']}"
    assert place in trunkline("flows", "--drops").out
    explained = trunkline("explain", place)
    assert "from port a (key" in explained.out
    assert "trunkline port set a --allowed-address MAC,IP" in explained.out
