"""Announcements on the wire: DESIGN.md section 5, rule 16."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from device import dummies_only
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from scapy.layers.l2 import ARP, Dot1Q
from scapy.packet import Packet
from scapy.utils import rdpcap

pytestmark = [pytest.mark.system, dummies_only]  # it reads when frames were sent in files of dummy devices

NIC = "nic-br-phys1"
ETH_ARP, ETH_RARP = 0x0806, 0x8035
ANNOUNCED: dict[str, Any] = {"options": {}}


def sent(chassis: DummyChassis, port: str, nic: str = NIC) -> list[Packet]:
    """Return what has left by *nic* from the MAC of *port*, with the time of each frame."""
    path = chassis.switch.rundir / f"{nic}.pcap"
    # A file that is being written may end within a record: what is whole is read.
    found: list[Packet] = list(rdpcap(str(path))) if path.exists() and path.stat().st_size >= 24 else []
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

    nameless = await_sent(chassis, "b", 6)[:6]
    reverse, gratuitous = nameless[::2], nameless[1::2]
    # The first at once, then after 1 s and after 2 s more; a busy machine is late, never early.
    assert [round(gap - 0.4) for gap in gaps(reverse)] == [1, 2], gaps(reverse)
    for frame in gratuitous:
        assert (frame.dst, frame[Dot1Q].vlan) == (BROADCAST, 101)
        asked = frame[ARP]
        assert (asked.op, asked.hwsrc, asked.hwdst) == (1, mac_of("b"), "00:00:00:00:00:00")
        assert (asked.psrc, asked.pdst) == ("0.0.0.0", "0.0.0.0")
    for frame in reverse:
        assert frame.dst == "ff:ff:ff:ff:ff:ff"
        assert (frame[Dot1Q].vlan, frame[Dot1Q].type) == (101, ETH_RARP)
        request = ARP(bytes(frame[Dot1Q].payload))
        assert (request.op, request.hwsrc, request.hwdst) == (3, mac_of("b"), mac_of("b"))
        assert (request.psrc, request.pdst) == ("0.0.0.0", "0.0.0.0")

    assert {(frame[Dot1Q].vlan, frame[Dot1Q].type) for frame in sent(chassis, "a")} == {(101, ETH_ARP)}
    told = [frame[ARP] for frame in sent(chassis, "a")[:2]]
    assert sorted(arp.pdst for arp in told) == ["192.0.2.1", "192.0.2.2"], "nothing of IPv6"
    for arp in told:
        assert (arp.op, arp.psrc, arp.hwsrc, arp.hwdst) == (1, arp.pdst, mac_of("a"), "00:00:00:00:00:00")

    flat = sent(chassis, "f")[0]
    assert Dot1Q not in flat
    assert flat[ARP].pdst == "192.0.2.3"
    assert {frame[Dot1Q].vlan for frame in sent(chassis, "s")} == {102}
    assert sent(chassis, "q") == []
    assert all(chassis.devices.new().get(port) is None for port in "abfq"), "no VM hears of it"


def test_rule_16_more_frames_than_go_out_at_once_go_out_all_the_same(site: Site) -> None:
    """The loop wakes for the rest, at a pace that `tests/unit/test_announcer.py` holds."""
    chassis = site.chassis(is_running=False)
    site.network()
    addresses = [f"10.0.0.{number}" for number in range(1, 61)]
    for index, port in enumerate("abc"):
        site.port(port, addresses=addresses[20 * index : 20 * index + 20], **ANNOUNCED)
        chassis.plug(port)
    chassis.start_agent()

    def heard() -> list[str]:
        return [frame[ARP].pdst for port in "abc" for frame in sent(chassis, port)]

    until(lambda: set(heard()) == set(addresses), "every address is announced")


# -- behind a bond ----------------------------------------------------------------------------------------


BOND = "bond0"


def bonded(chassis: DummyChassis) -> str:
    """Let the provider bridge of *chassis* learn, behind a balance-slb bond; return the bond's active NIC."""
    names = ("bond-nic0", "bond-nic1")
    words = ["--", "del-port", NIC, "--", "add-bond", "br-phys1", BOND, *names, "bond_mode=balance-slb"]
    for name in names:
        words += ["--", "set", "Interface", name, *chassis.devices.add(name)]
    chassis.switch.vsctl(*words[1:])
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=NORMAL")

    def active() -> str | None:
        shown = chassis.switch.appctl("bond/show", BOND)
        found = re.search(r"active(?:-backup)? (?:member|slave) mac: *\S+\((\S+)\)", shown)
        return found[1] if found and found[1] in names else None

    found: str = until(active, "the bond has an active NIC")
    return found


@pytest.mark.parametrize("addresses", [("2001:db8::1",), ("192.0.2.1",)])
def test_rule_16_a_vm_that_moved_is_heard_behind_a_balance_slb_bond(
    site: Site, addresses: tuple[str, ...]
) -> None:
    """Open vSwitch drops what comes by such a bond from a MAC that it knows elsewhere, but gratuitous ARP."""
    c1, c2 = site.chassis("c1"), site.chassis("c2")
    nic = bonded(c1)
    site.network()
    site.port("a", addresses=addresses)
    site.port("b")
    c1.plug("a")
    c1.plug("b")
    site.await_up("a", "b")
    site.sync()
    c1.receive("a", ethernet(BROADCAST, mac_of("a")))

    def reaches_a() -> dict[str, list[bytes]]:
        """Return where a frame of b to a comes out, which does not teach any bridge where a is."""
        return c1.receive("b", ethernet(mac_of("a"), mac_of("b")))

    assert reaches_a().keys() == {"a"}
    c1.unplug("a")
    c2.plug("a", "a2")
    until(lambda: site.bindings()["a"] == ("c2", True), "a is on c2")
    site.sync()
    assert reaches_a() == {}, "the provider bridge knows a behind the integration bridge"
    c1.receive_once(nic, ethernet(BROADCAST, mac_of("a"), 101))
    assert reaches_a() == {}, "and believes no other frame"

    site.nb.set_port("a", {"options": {"announce": "true"}})
    count = 1 if ":" not in addresses[0] else 2
    announced = [bytes(frame) for frame in await_sent(c2, "a", count)[:count]]
    c1.receive_once(nic, *announced)
    out = reaches_a()
    assert len(out) == 1
    assert out.popitem()[0].startswith("bond-nic")


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

    # The control is announced first after the change, and for the third time 3 s later. If all is begun anew,
    # the second frame comes before that, 1 s after the first; else it would come 4 s after the first.
    site.network("control", 300)
    site.port("control", "control", **ANNOUNCED)
    chassis.plug("control")
    frames = until(anew, "announced anew")
    assert gaps(frames)[0] > 0.9
    assert frames[1].time < await_sent(chassis, "control", 3)[2].time
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
