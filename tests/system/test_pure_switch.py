"""The pure switch and a real ovs-vswitchd send the same frames out of the same ports, octet for octet."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from model import rows, world
from model.dummy_switch import DummySwitch
from model.example import FLAT, NETWORK, PORT, VLAN
from model.frame import BROADCAST, TPIDS, Frame, Tag
from model.octets import number, octets, tags_and_rest
from model.oracle import Oracle
from model.pure_switch import PureSwitch
from trunkline import apps
from trunkline.core.flow import Flow
from trunkline.core.model import IPAddress, Network, Port, Uplink, Vif
from trunkline.core.pipeline import Band
from trunkline.core.view import ChassisView, Outlet, Wire

pytestmark = pytest.mark.system

OFPORTS = (*range(1, 5), *range(10, 18), *range(20, 28), *range(30, 38), 99)
"""Every port that `model.world` speaks of."""

FRAMES = 60
MANY = range(1001, 3001)


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    folder = Path(tempfile.mkdtemp(prefix="tl-dummy-"))
    real = DummySwitch(folder, OFPORTS)
    try:
        yield real
    finally:
        real.close()
        shutil.rmtree(folder)


@pytest.fixture
def many_ports() -> Iterator[DummySwitch]:
    folder = Path(tempfile.mkdtemp(prefix="tl-many-"))
    real = DummySwitch(folder, (1, *MANY))
    try:
        yield real
    finally:
        real.close()
        shutil.rmtree(folder)


def chassis_of(wire: Wire, addresses: tuple[IPAddress, ...] = ()) -> rows.Rows:
    """Return a chassis with local ports at 10 and 11, the first with *addresses*, and with a remote port."""
    net = Network(UUID(int=1), "net", 7, "physnet1", wire.vlan_id)
    ports = [
        Port(UUID(int=10), "one", 42, net.id, 0x020000000001, addresses=addresses),
        Port(UUID(int=11), "two", 43, net.id, 0x020000000002),
        Port(UUID(int=12), "away", 44, net.id, 0x020000000003),
    ]
    vifs = {"one": (Vif("one", "tap0", 10),), "two": (Vif("two", "tap1", 11),)}
    uplinks = {"physnet1": Uplink("physnet1", "br-ex", wire.ofport)}
    return rows.Rows({net.id: net}, {port.id: port for port in ports}, vifs, uplinks)


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


def _expected(flows: Iterable[Flow], arrivals: list[tuple[int, Frame]]) -> Seen:
    """Return what the pure switch sends for each of *arrivals*, in the same form."""
    pure = PureSwitch(flows)
    expected: Seen = {}
    for index, (in_port, frame) in enumerate(arrivals):
        copies = []
        for ofport, copy in pure.outputs(in_port, frame):
            copies.append((ofport, copy.tags, tags_and_rest(octets(copy, index))[1]))
        expected[index] = sorted(copies, key=repr)
    return expected


def _busy(random: Random) -> tuple[rows.Rows, list[tuple[int, Frame]]]:
    """Return a chassis, and frames that come in there of which some come out."""
    while True:
        chassis = world.rows(random)
        frames = [world.frame(random, chassis) for _ in range(FRAMES)]
        if any(_expected(rows.flows(chassis), frames).values()):
            return chassis, frames


@pytest.mark.parametrize("seed", range(16))
def test_the_real_switch_sends_what_the_oracle_and_the_pure_switch_say_warm_and_cold(
    switch: DummySwitch, seed: int
) -> None:
    """DESIGN.md section 5, on the real thing: tags of both kinds, VID 0 and 4095, ARP, ND, DHCP.

    Each frame has kin that differs from it in tags alone: it arrives with nothing cached, and right after
    all kin.
    """
    random = Random(seed)
    chassis, frames = _busy(random)
    flows, oracle = rows.flows(chassis), Oracle(chassis)
    kin = [(in_port, world.kin(random, frame)) for in_port, frame in frames]
    switch.replace_flows(flows)
    for cold, warm in ((frames, kin), (kin, frames)):
        switch.forget()
        for arrivals in (cold, warm):
            seen, expected = _seen(switch, arrivals), _expected(flows, arrivals)
            for index, arrival in enumerate(arrivals):
                assert sorted((ofport, tags) for ofport, tags, _ in seen[index]) == oracle.receipts(*arrival)
            assert [
                (arrivals[index], seen[index], expected[index])
                for index in seen
                if seen[index] != expected[index]
            ] == []


@pytest.mark.parametrize("tpid", TPIDS)
def test_a_tag_behind_the_first_is_dropped_by_the_ethernet_type_that_it_shows_as(
    switch: DummySwitch, tpid: int
) -> None:
    """DESIGN.md section 5, rules 3 and 11: band HIDDEN_TAG, without which the second tag would pass."""
    flows = rows.flows(chassis_of(VLAN))
    hidden = [flow for flow in flows if flow.band is Band.HIDDEN_TAG]
    arrival = (1, Frame(BROADCAST, 0x0200000000F0, (Tag(101), Tag(7, tpid=tpid))))
    switch.replace_flows(flows)
    assert _seen(switch, [arrival]) == {0: []}
    switch.replace_flows(flow for flow in flows if flow not in hidden)
    passed = [copy[:2] for copy in _seen(switch, [arrival])[0]]
    assert passed == [(ofport, (Tag(7, tpid=tpid),)) for ofport in (10, 11)]


def test_no_frame_passes_more_than_nine_tables_of_the_real_switch(switch: DummySwitch) -> None:
    """The longest way: a priority tag, all of port security, then to a local and to a remote port."""
    now = chassis_of(FLAT, addresses=(ip_address("192.0.2.1"),))
    switch.replace_flows(rows.flows(now))
    sender = "in_port=10,dl_src=02:00:00:00:00:01,dl_vlan=0,arp,arp_op=1,arp_spa=192.0.2.1"
    for dst in ("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:02", "02:00:00:00:00:03"):
        frame = f"{sender},arp_sha=02:00:00:00:00:01,dl_dst={dst}"
        trace = switch.appctl("ofproto/trace", "br-int", frame)
        tables = re.findall(r"^ *(\d+)\. ", trace, re.MULTILINE)
        assert 7 <= len(tables) <= 9, trace
        assert "Datapath actions: drop" not in trace


def test_a_datagram_is_told_from_dhcp_by_two_bits_of_its_port_or_four(switch: DummySwitch) -> None:
    """DESIGN.md section 5, rule 13, with few kinds of megaflow for nearly all datagrams, and few of each."""
    switch.replace_flows(rows.flows(chassis_of(FLAT, addresses=(ip_address("192.0.2.1"),))))
    for protocol, source, client in (
        ("udp", "nw_src=192.0.2.1", 68),
        ("udp6", "ipv6_src=fe80::ff:fe00:1", 546),
    ):
        seen: dict[str, set[int]] = {}
        for port in (*TOLD_SOON, *TOLD_LATER, client):
            sender = f"in_port=10,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:03,{protocol},{source}"
            trace = switch.appctl("ofproto/trace", "br-int", f"{sender},udp_src=5000,udp_dst={port}")
            assert ("Datapath actions: drop" in trace) == (port == client)
            megaflow = next(line for line in trace.splitlines() if line.startswith("Megaflow: "))
            told = re.search(r"tp_dst=([0-9a-fx/]+)", megaflow)
            assert told is not None, megaflow
            mask = told[1].partition("/")[2]
            seen.setdefault(mask, set()).add(port)
        assert seen == {"0x8010": set(TOLD_SOON), "0x8019": set(TOLD_LATER), "": {client}}


TOLD_SOON = (53, 123, 443, 500, 4500, 4789, 32768, 40_004, 51820, 65535)
"""UDP ports that differ from a DHCP client's in bit 15 or 4."""

TOLD_LATER = (161, 5353, 6081)
"""Those that differ in bit 3 or 0 alone."""

COUNTERS = (Band.MAC_REFUSED, Band.SERVER_REFUSED, Band.NEIGHBOUR_REFUSED, Band.ADDRESS_REFUSED)
PASSING = (
    "tcp,nw_src=192.0.2.1,tcp_dst=80",
    "udp,nw_src=192.0.2.1,udp_src=4000,udp_dst=53",
    "icmp,nw_src=192.0.2.1",
    "tcp6,ipv6_src=fe80::ff:fe00:1,tcp_dst=80",
    "icmp6,ipv6_src=fe80::ff:fe00:1,icmpv6_type=128",
    "arp,arp_op=1,arp_spa=192.0.2.1,arp_sha=02:00:00:00:00:01",
    "icmp6,ipv6_src=fe80::ff:fe00:1,icmpv6_type=135,icmpv6_code=0,nd_sll=02:00:00:00:00:01,nd_target=fe80::1",
    "dl_type=0x88b5",
)


def test_to_count_what_is_refused_narrows_no_megaflow_of_what_passes(switch: DummySwitch) -> None:
    flows = rows.flows(chassis_of(FLAT, addresses=(ip_address("192.0.2.1"),)))
    seen = []
    for present in (flows, [flow for flow in flows if flow.band not in COUNTERS]):
        switch.replace_flows(present)
        seen.append([_megaflow(switch, frame) for frame in PASSING])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == len(PASSING)


def _megaflow(switch: DummySwitch, frame: str) -> str:
    sender = "in_port=10,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:03"
    trace = switch.appctl("ofproto/trace", "br-int", f"{sender},{frame}")
    assert "Datapath actions: drop" not in trace, trace
    return next(line for line in trace.splitlines() if line.startswith("Megaflow: "))


def test_a_broadcast_reaches_2000_local_ports_once_and_the_wire_once(many_ports: DummySwitch) -> None:
    """DESIGN.md sections 4 and 5, rules 5 and 10, on the real switch and without a warning in its log."""
    switch = many_ports
    network = NETWORK._replace(outlets=tuple(map(Outlet, MANY)))
    sender = PORT._replace(outlet=Outlet(MANY[0]), is_secured=False)
    views = (ChassisView((1,)), network, sender)
    switch.replace_flows(flow for view in views for flow in apps.flows(view))
    for in_port, src, tags, to in (
        (1, 0x0200000000F0, (Tag(101),), list(MANY)),
        (MANY[0], sender.mac, (), [1, *MANY[1:]]),
    ):
        sent = switch.receive({in_port: [octets(Frame(BROADCAST, src, tags), 0)]})
        assert sorted(ofport for ofport, _ in sent) == to
    assert [line for line in switch.log.splitlines() if "|WARN|ofproto" in line] == []
