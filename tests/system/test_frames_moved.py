"""Moves between two chassis and live migration: who hears a port and who is heard, at each step.

DESIGN.md section 6, rule 10.
"""

from __future__ import annotations

import signal
from ipaddress import IPv4Address
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import Ether

from trunkline.core import announcement
from trunkline.core.address import parse_port_mac

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
M = mac_of("m")
N = mac_of("n")


def pair(site: Site, **port: Any) -> tuple[DummyChassis, DummyChassis]:
    """Return two chassis: the port m has its VIF at the first, n at the second."""
    one, two = site.chassis("c1"), site.chassis("c2")
    site.network()
    site.port("m", **port)
    site.port("n")
    one.plug("m")
    two.plug("n")
    site.await_up("m", "n")
    site.sync()
    return one, two


def is_heard(chassis: DummyChassis) -> bool:
    """Whether what m's VIF sends at *chassis* gets out."""
    sent = chassis.receive("m", ethernet(OUTSIDE, M), ethernet(BROADCAST, M))
    assert sent.get(NIC) in (None, [ethernet(OUTSIDE, M, 101), ethernet(BROADCAST, M, 101)])
    return NIC in sent


def hears(chassis: DummyChassis) -> bool:
    """Whether what arrives for m at *chassis* gets to its VIF."""
    frames = ethernet(M, OUTSIDE, 101), ethernet(BROADCAST, OUTSIDE, 101)
    got = chassis.receive(NIC, *frames).get("m")
    assert got in (None, [ethernet(M, OUTSIDE), ethernet(BROADCAST, OUTSIDE)])
    return got is not None


def works(chassis: DummyChassis) -> bool:
    """Whether m works at *chassis* in both directions; it never does in one alone."""
    assert is_heard(chassis) == hears(chassis)
    return is_heard(chassis)


def test_a_port_goes_where_it_is_requested_and_back(site: Site) -> None:
    one, two = pair(site)
    two.plug("m")
    site.sync()
    assert (works(one), works(two)) == (True, False)
    assert "chassis c1 holds it" in two.faults["port m"]
    for name, here in (("c2", (False, True)), ("c1", (True, False)), ("c2", (False, True))):
        site.nb.set_port("m", {"requested_chassis": name})
        site.sync()
        assert (works(one), works(two)) == here
        assert site.bindings()["m"] == (name, True)
    assert "it is requested on c2" in one.faults["port m"]
    assert two.receive("n", ethernet(M, N)) == {"m": [ethernet(M, N)]}, "it is local there now"


def test_a_port_follows_its_vif_and_is_announced_where_it_is(site: Site) -> None:
    one, two = pair(site, options={})
    one.unplug("m")
    two.devices.new()
    two.plug("m")
    site.await_up("m")
    site.sync()
    assert site.bindings()["m"] == ("c2", True)
    assert works(two)
    assert hears(one) is False
    announced = bytes.fromhex("ffffffffffff" + M.replace(":", "") + "810000658035")
    two.devices.new()
    until(
        lambda: [sent for sent in two.devices.new().get(NIC, []) if sent.startswith(announced)], "announced"
    )


def test_two_vifs_of_one_port_do_not_fight_over_it(site: Site) -> None:
    one, two = pair(site)
    two.plug("m")
    site.sync()
    held = [chassis.agent.log.count("|port |") for chassis in (one, two)]
    for _ in range(3):
        site.sync()
    assert [chassis.agent.log.count("|port |") for chassis in (one, two)] == held
    assert site.bindings()["m"] == ("c1", True)
    one.unplug("m")
    until(lambda: site.bindings()["m"] == ("c2", True), "c2 takes over")
    site.sync()
    assert works(two)


MAC = parse_port_mac(M)
WAKING = {
    "rarp": announcement.frames(MAC, ())[0],
    "garp": announcement.frames(MAC, (IPv4Address("192.0.2.1"),))[0],
    "na": bytes(
        Ether(dst="33:33:00:00:00:01", src=M)
        / IPv6(src="2001:db8::1", dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(R=0, S=0, O=1, tgt="2001:db8::1")
        / ICMPv6NDOptDstLLAddr(lladdr=M)
    ),
}


def migrating(site: Site) -> tuple[DummyChassis, DummyChassis]:
    """Return two chassis, m at the first and asleep at the second."""
    one, two = pair(site, requested_chassis="c1")
    site.nb.set_port("m", {"requested_chassis": "c1,c2"})
    two.plug("m")
    site.sync()
    return one, two


@pytest.mark.parametrize("kind", WAKING)
def test_a_migrating_port_is_blocked_until_its_vif_speaks_and_that_frame_goes_on(
    site: Site, kind: str
) -> None:
    one, two = migrating(site)
    assert (works(one), works(two)) == (True, False)
    assert two.faults == {}
    assert two.receive("n", ethernet(M, N)) == {NIC: [ethernet(M, N, 101)]}, "it is still remote"
    waking = WAKING[kind]
    assert two.receive("m", waking.replace(bytes.fromhex(M.replace(":", "")), b"\x02\xee\0\0\0\7")) == {}
    seen = two.receive_once("m", waking)

    def is_forwarded() -> bool:
        for name, frames in two.devices.new().items():
            seen.setdefault(name, []).extend(frames)
        return seen.keys() == {NIC, "n"}

    until(is_forwarded, "the waking frame is forwarded")
    assert seen == {NIC: [waking[:12] + b"\x81\x00\x00\x65" + waking[12:]], "n": [waking]}
    two.agent.await_settled()
    assert (works(one), works(two)) == (True, True)
    assert site.bindings()["m"] == ("c1", True), "the main chassis holds it"


def awake(site: Site) -> tuple[DummyChassis, DummyChassis]:
    one, two = migrating(site)
    two.receive_once("m", WAKING["rarp"])
    until(lambda: "port wakes" in two.agent.log, "awake")
    two.agent.await_settled()
    assert works(two)
    return one, two


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_port_that_has_woken_stays_awake_while_the_agent_is_away_and_when_it_is_back(
    site: Site, number: signal.Signals
) -> None:
    _, two = awake(site)
    two.agent.end(number)
    assert works(two)
    two.switch.ofctl("add-flow", "br-int", f"{MARK},table=99,actions=drop")
    two.start_agent()
    assert works(two)
    ours = age_s(two, "table=0,", f"priority=100,in_port={two.ofport('m')} ")
    assert ours > age_s(two, MARK), "its flow was never away"
    two.switch.ofctl("del-flows", "br-int", f"{MARK}/-1")


MARK = "cookie=0x99"


def age_s(chassis: DummyChassis, *parts: str) -> float:
    """Return for how long the one flow has been there whose line has all of *parts*."""
    (line,) = [line for line in chassis.flows() if all(part in line for part in parts)]
    return float(line.partition("duration=")[2].partition("s")[0])


def test_a_trunk_that_migrates_takes_its_sub_port_along_and_nobody_fights_over_it(site: Site) -> None:
    one, two = migrating(site)
    site.network("net2", 102)
    site.port("s", "net2", parent="m", parent_vlan=7)
    site.await_up("s")
    sub = mac_of("s")
    tagged, untagged = ethernet(sub, OUTSIDE, 102), {"m": [ethernet(sub, OUTSIDE, 7)]}
    assert (one.receive(NIC, tagged), two.receive(NIC, tagged)) == (untagged, {})
    two.receive_once("m", WAKING["rarp"])
    until(lambda: "port wakes" in two.agent.log, "awake")
    two.agent.await_settled()
    site.sync()
    assert (one.receive(NIC, tagged), two.receive(NIC, tagged)) == (untagged, untagged)
    said = [chassis.agent.log.count("reporter") for chassis in (one, two)]
    for _ in range(3):
        site.sync()
    assert [chassis.agent.log.count("reporter") for chassis in (one, two)] == said
    assert site.bindings()["s"] == ("c1", True)
    site.nb.set_port("m", {"requested_chassis": "c2"})
    site.sync()
    assert (one.receive(NIC, tagged), two.receive(NIC, tagged)) == ({}, untagged)
    assert site.bindings()["s"] == ("c2", True)


def test_a_migration_that_is_called_off_leaves_the_source_untouched(site: Site) -> None:
    one, two = awake(site)
    sent = one.agent.log.count("flows sent")
    site.nb.set_port("m", {"requested_chassis": "c1"})
    site.sync()
    assert (works(one), works(two)) == (True, False)
    two.unplug("m")
    site.sync()
    assert works(one)
    assert one.agent.log.count("flows sent") == sent
    assert site.bindings()["m"] == ("c1", True)


def test_the_source_of_a_migration_is_silent_until_it_is_called_off_and_announces_then(site: Site) -> None:
    one, _ = pair(site, requested_chassis="c1", options={})
    announced = WAKING["rarp"][:12] + b"\x81\x00\x00\x65"

    def count() -> int:
        return sum(sent.startswith(announced) for sent in one.devices.new().get(NIC, []))

    until(count, "the first announcement")
    site.nb.set_port("m", {"requested_chassis": "c1,c2"})
    site.sync()
    count()
    # The next was due 1 s after the first: another port's, which comes 1 s after its first, is later.
    site.port("o", options={})
    one.plug("o")
    other = bytes.fromhex(mac_of("o").replace(":", ""))
    seen: list[bytes] = []

    def is_repeated() -> bool:
        seen.extend(one.devices.new().get(NIC, []))
        return sum(sent[6:12] == other for sent in seen) == 2

    until(is_repeated, "the other port's second announcement")
    assert [sent for sent in seen if sent.startswith(announced)] == []
    site.nb.set_port("m", {"requested_chassis": "c1"})
    until(count, "announced anew")


@pytest.mark.parametrize("has_spoken", [False, True])
def test_a_migration_is_done_when_the_request_is_reduced_to_the_new_chassis(
    site: Site, has_spoken: bool
) -> None:
    one, two = (awake if has_spoken else migrating)(site)
    site.nb.set_port("m", {"requested_chassis": "c2"})
    site.sync()
    assert (works(one), works(two)) == (False, True)
    assert site.bindings()["m"] == ("c2", True)
    one.unplug("m")
    site.sync()
    assert works(two)
    assert one.faults == {}


def test_a_chassis_says_which_ports_it_is_ready_for_as_long_as_they_migrate_to_it(site: Site) -> None:
    def ready() -> dict[str, list[str]]:
        site.sync()
        return {row["name"]: row["ready_ports"] for row in site.nb.all_chassis() if row["ready_ports"]}

    one, two = pair(site, requested_chassis="c1")
    site.nb.set_port("m", {"requested_chassis": "c1,c2"})
    assert ready() == {}, "its VIF is not there yet"
    two.plug("m")
    assert ready() == {"c2": ["m"]}
    two.devices.set_link("m", "down")
    until(lambda: ready() == {}, "not ready without a link")
    two.devices.set_link("m", "up")
    until(lambda: ready() == {"c2": ["m"]}, "ready again")
    two.unplug("m")
    assert ready() == {}
    two.plug("m")
    assert ready() == {"c2": ["m"]}
    two.receive_once("m", WAKING["rarp"])
    two.agent.await_settled()
    assert works(two)
    assert ready() == {"c2": ["m"]}, "it is awake, and still migrates"
    site.nb.set_port("m", {"requested_chassis": "c2"})
    assert ready() == {}
    assert works(two)
    assert not works(one)


def test_a_sleeping_port_sleeps_again_in_the_next_migration(site: Site) -> None:
    one, two = awake(site)
    site.nb.set_port("m", {"requested_chassis": "c1"})
    site.sync()
    site.nb.set_port("m", {"requested_chassis": "c1,c2"})
    site.sync()
    assert (works(one), works(two)) == (True, False)


def test_a_requested_chassis_that_is_nowhere_leaves_the_port_out_and_is_a_fault(site: Site) -> None:
    one, _ = pair(site)
    site.request("m", "c9")
    site.sync()
    assert not works(one)
    assert one.faults == {"port m": "its VIF is here, but it is requested on c9"}
    assert site.bindings()["n"] == ("c2", True)
