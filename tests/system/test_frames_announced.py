"""Announcements on the wire: DESIGN.md section 5, rule 16."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from dummy_chassis import DummyChassis, Site, mac_of, until
from scapy.all import ARP, Dot1Q, Ether, Packet, rdpcap
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
ETH_RARP = 0x8035
ANNOUNCED: dict[str, dict[str, str]] = {"options": {}}


def sent(chassis: DummyChassis, port: str, nic: str = NIC) -> list[Packet]:
    """Return what has left by *nic* from the MAC of *port*, with the time of each frame."""
    path = chassis.switch.rundir / f"{nic}.pcap"
    # A file that is being written may end within a record: what is whole is read.
    found = rdpcap(str(path)) if path.exists() and path.stat().st_size >= 24 else []
    return [frame for frame in found if frame.src == mac_of(port)]


def await_sent(chassis: DummyChassis, port: str, count: int) -> list[Packet]:
    def enough() -> list[Packet]:
        found = sent(chassis, port)
        return found if len(found) >= count else []

    frames: list[Packet] = until(enough, f"{count} frames of {port}")
    return frames


def gaps(frames: list[Packet]) -> list[float]:
    times = [float(frame.time) for frame in frames]
    return [after - before for before, after in itertools.pairwise(times)]


def test_rule_16_a_port_that_comes_up_is_announced_as_its_network_with_growing_gaps(site: Site) -> None:
    chassis = site.chassis()
    site.network("vlan101", 101)
    site.network("vlan102", 102)
    site.network("flat", None)
    site.port("a", "vlan101", addresses=("192.0.2.1", "192.0.2.2", "2001:db8::1"), **ANNOUNCED)
    site.port("b", "vlan101", **ANNOUNCED)
    site.port("f", "flat", addresses=("192.0.2.3",), **ANNOUNCED)
    site.port("s", "vlan102", addresses=("192.0.2.4",), parent="a", parent_vlan=7, **ANNOUNCED)
    site.port("q", "vlan101", addresses=("192.0.2.5",), options={"announce": "false"})
    for port in "abfq":
        chassis.plug(port)
    site.await_up(*"abfsq")

    reverse = await_sent(chassis, "b", 3)[:3]
    # The first at once, then after 1 s and after 2 s more; a busy machine is late, never early.
    assert [round(gap - 0.4) for gap in gaps(reverse)] == [1, 2], gaps(reverse)
    for frame in reverse:
        assert frame.dst == "ff:ff:ff:ff:ff:ff"
        assert (frame[Dot1Q].vlan, frame[Dot1Q].type) == (101, ETH_RARP)
        request = ARP(bytes(frame[Dot1Q].payload))
        assert (request.op, request.hwsrc, request.hwdst) == (3, mac_of("b"), mac_of("b"))
        assert (request.psrc, request.pdst) == ("0.0.0.0", "0.0.0.0")

    burst = sent(chassis, "a")[:3]
    assert {frame[Dot1Q].vlan for frame in burst} == {101}
    asked = [frame[ARP] for frame in burst if ARP in frame]
    assert sorted(arp.pdst for arp in asked) == ["192.0.2.1", "192.0.2.2"]
    for arp in asked:
        assert (arp.op, arp.psrc, arp.hwsrc, arp.hwdst) == (1, arp.pdst, mac_of("a"), "00:00:00:00:00:00")
    (advertised,) = [frame for frame in burst if IPv6 in frame]
    assert_advertises(advertised, "2001:db8::1", mac_of("a"))

    flat = sent(chassis, "f")[0]
    assert Dot1Q not in flat
    assert flat[ARP].pdst == "192.0.2.3"
    assert {frame[Dot1Q].vlan for frame in sent(chassis, "s")} == {102}
    assert sent(chassis, "q") == []
    assert all(chassis.wires.new().get(port) is None for port in "abfq"), "no VM hears of it"


def assert_advertises(frame: Packet, address: str, mac: str) -> None:
    """Hold *frame* against RFC 4861 section 7.2.6: unsolicited, override, to all nodes, checksum right."""
    packet, body = frame[IPv6], frame[ICMPv6ND_NA]
    assert (frame.dst, packet.dst, packet.src, packet.hlim) == ("33:33:00:00:00:01", "ff02::1", address, 255)
    assert (body.R, body.S, body.O, body.tgt) == (0, 0, 1, address)
    assert body[ICMPv6NDOptDstLLAddr].lladdr == mac
    again = Ether(bytes(frame))
    del again[ICMPv6ND_NA].cksum
    assert bytes(again) == bytes(frame)


def changed_network(site: Site) -> None:
    site.nb.set_network("net1", {"segmentation_id": 105})


def restarted_switch(site: Site) -> None:
    site.all[0].switch.kill_vswitchd()
    site.all[0].switch.start_vswitchd()


@pytest.mark.parametrize(("change", "tag"), [(changed_network, 105), (restarted_switch, 101)])
def test_rule_16_ports_are_announced_anew_when_the_network_or_the_switch_is_another(
    site: Site, change: Callable[[Site], None], tag: int
) -> None:
    chassis = site.chassis()
    site.network("net1", 101)
    site.port("a", addresses=("192.0.2.1",), **ANNOUNCED)
    chassis.plug("a")
    # Two are out, so that the next would come 2 s after the second if nothing happened.
    await_sent(chassis, "a", 2)
    change(site)

    def anew() -> list[Packet]:
        frames = sent(chassis, "a")
        fresh = frames[2:] if change is changed_network else frames
        return fresh if len(fresh) >= 2 else []

    frames = until(anew, "announced anew")
    assert 0.9 < gaps(frames)[0] < 1.9
    assert {frame[Dot1Q].vlan for frame in frames} == {tag}
    site.sync()


def test_rule_16_announcements_end_with_the_port(site: Site) -> None:
    chassis = site.chassis()
    site.network("net1", 101)
    for port in "abcd":
        site.port(port, **ANNOUNCED)
        chassis.plug(port)
    for port in "abcd":
        await_sent(chassis, port, 1)
    chassis.unplug("a")
    site.nb.set_port("b", {"enabled": False})
    site.nb.set_port("c", {"options": {"announce": "false"}})
    site.sync()
    before = {port: len(sent(chassis, port)) for port in "abc"}
    await_sent(chassis, "d", 3)
    assert {port: len(sent(chassis, port)) for port in "abc"} == before


def test_rule_16_nothing_is_announced_before_the_switch_has_the_ports_flows(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    site.network("net1", 101)
    site.port("a", **ANNOUNCED)
    chassis.plug("a")
    chassis.start_agent()
    frame = await_sent(chassis, "a", 1)[0]
    now_s = time.time()
    ages_s = [float(line.partition("duration=")[2].partition("s")[0]) for line in chassis.flows()]
    assert now_s - float(frame.time) <= min(ages_s)
