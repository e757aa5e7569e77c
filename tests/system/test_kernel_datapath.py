"""What only the kernel's datapath shows: VLAN interfaces of VMs, offloads, fragments, MTUs, its caches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from device import kernel_only
from dummy_chassis import BROADCAST, Site, ethernet, mac_of, opened

from trunkline.lab import CommandError, Lab

if TYPE_CHECKING:
    from conftest import LabFactory
    from trunkline.lab.vm import Vm

pytestmark = [pytest.mark.system, kernel_only]

NIC = "nic-br-phys1"
OUTSIDE = "02:99:00:00:00:01"
TOPOLOGY = """
physnets: [p1]
networks:
  - {name: blue, type: vlan, physical_network: p1, segment: 101}
  - {name: red, type: vlan, physical_network: p1, segment: 102}
chassis: [{name: c1, mappings: {p1: br-p1}}, {name: c2, mappings: {p1: br-p1}}]
vms:
  - {name: a, chassis: c1, network: blue, ip: 10.9.0.1/24}
  - {name: b, chassis: c1, network: blue, ip: 10.9.0.2/24}
  - {name: c, chassis: c2, network: blue, ip: 10.9.0.3/24}
  - {name: r, chassis: c2, network: red, ip: 10.9.1.4/24}
hosts:
  - {name: h, physnet: p1, vlan: 101, ip: 10.9.0.9/24}
  - {name: g, physnet: p1, vlan: 102, tagged: true, ip: 10.9.1.9/24}
"""


@pytest.fixture(scope="module")
def running(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


def add_vlan(vm: Vm, vlan: int, address: str, mac: str | None = None) -> None:
    """Give *vm* an interface in *vlan* of its NIC, as an operating system does that speaks 802.1Q."""
    vm.run(["ip", "link", "add", "link", "eth0", "name", f"eth0.{vlan}", "type", "vlan", "id", str(vlan)])
    if mac:
        vm.run(["ip", "link", "set", "dev", f"eth0.{vlan}", "address", mac])
    vm.run(["ip", "link", "set", "dev", f"eth0.{vlan}", "up"])
    vm.run(["ip", "address", "add", address, "dev", f"eth0.{vlan}"])


# -- tags ------------------------------------------------------------------------------------------------


def test_rule_12_a_vlan_interface_of_a_vm_reaches_the_network_of_its_sub_port(running: Lab) -> None:
    a, r, g = running.vm["a"], running.vm["r"], running.host["g"]
    mac = "02:00:00:00:07:07"
    trunk = ["--parent", "a", "--parent-vlan", "7", "--ip", "10.9.1.7"]
    running.nb.trunkline("port", "create", "sub", "--network", "red", "--mac", mac, *trunk)
    running.nb.wait_up(["sub"])
    running.nb.sync()
    running.wait_revalidated()
    add_vlan(a, 7, "10.9.1.7/24", mac)
    assert a.ping(r.ip, count=5).lost == 0, "another chassis"
    assert a.ping(g.ip, count=5).lost == 0, "a host with a VLAN interface"
    assert a.ping(running.vm["c"].ip, count=5).lost == 0, "and the parent's own network, untagged"
    assert transferred(a, r, megabytes=8)
    running.nb.trunkline("port", "delete", "sub")
    running.nb.sync()
    running.wait_revalidated()
    assert a.ping(r.ip, count=3, timeout_s=0.5).received == 0, "the tag belongs to nobody now"
    a.run(["ip", "link", "del", "dev", "eth0.7"])


def test_rule_11_a_vm_reaches_nobody_by_a_vlan_interface_without_a_sub_port(running: Lab) -> None:
    b, c = running.vm["b"], running.vm["c"]
    for vlan in (101, 102):
        add_vlan(b, vlan, f"10.8.{vlan}.2/24")
        add_vlan(c, vlan, f"10.8.{vlan}.3/24")
        assert b.ping(c.ip).received == 1, "untagged, so that the caches are warm"
        assert b.ping(f"10.8.{vlan}.3", count=3, timeout_s=0.5).received == 0
        for vm in (b, c):
            vm.run(["ip", "link", "del", "dev", f"eth0.{vlan}"])


@pytest.fixture(scope="module")
def isolated() -> Iterator[Site]:
    """A site of one chassis, with port a in VLAN 101, b in VLAN 300 and f in the flat network."""
    with opened() as site:
        chassis = site.chassis()
        for name, vlan_id, port in (("n101", 101, "a"), ("n300", 300, "b"), ("flat", None, "f")):
            site.network(name, vlan_id)
            site.port(port, name)
            chassis.plug(port)
        site.await_up("a", "b", "f")
        site.sync()
        yield site


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_rule_3_inner_tags_lead_nowhere_cold_and_warm_at_every_vlan_limit(isolated: Site, limit: int) -> None:
    """The agent keeps `vlan-limit` at 1 because of the userspace datapath; the kernel's does not need it."""
    (chassis,) = isolated.all
    chassis.agent.end()  # which would set it back
    chassis.switch.vsctl("set", "Open_vSwitch", ".", f"other_config:vlan-limit={limit}")
    try:
        for outer, inner in ((0, 300), (0, 101), (101, 300), (101, 101), (300, 101), (101, 0)):
            frame = ethernet(BROADCAST, OUTSIDE, outer, inner)
            warm = (ethernet(BROADCAST, OUTSIDE, outer), ethernet(BROADCAST, OUTSIDE, inner))
            assert chassis.receive(NIC, frame, after=warm) == {}, (outer, inner)
            for port in "abf":
                frame = ethernet(BROADCAST, mac_of(port), outer, inner)
                assert chassis.receive(port, frame, after=(ethernet(BROADCAST, mac_of(port)),)) == {}
        hello = ethernet(BROADCAST, OUTSIDE, 300)
        assert chassis.receive(NIC, hello) == {"b": [ethernet(BROADCAST, OUTSIDE)]}
    finally:
        chassis.start_agent()


# -- offloads, fragments, MTUs ---------------------------------------------------------------------------

SERVER = """
import hashlib, socket
with socket.create_server(("", 7000)) as listening:
    print("ready", flush=True)
    connection, _ = listening.accept()
    digest = hashlib.sha256()
    while data := connection.recv(1 << 16):
        digest.update(data)
    print(digest.hexdigest(), flush=True)
"""
CLIENT = """
import socket, sys
data = bytes(number % 251 for number in range(1 << 20))
with socket.create_connection((sys.argv[1], 7000), 10) as connection:
    for _ in range(int(sys.argv[2])):
        connection.sendall(data)
"""


def transferred(source: Vm, to: Vm, megabytes: int) -> bool:
    """Return whether a TCP stream of *megabytes* MiB arrives as it was sent."""
    data = bytes(number % 251 for number in range(1 << 20))
    digest = sha256()
    for _ in range(megabytes):
        digest.update(data)
    with to.popen([sys.executable, "-c", SERVER]) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        source.run([sys.executable, "-c", CLIENT, to.ip, str(megabytes)], timeout_s=120)
        return server.stdout.readline().strip() == digest.hexdigest()


def average_length(vm: Vm) -> float:
    """Return how long the frames were on average that *vm* has sent, as its NIC counted them."""
    counted = vm.run(["cat", *(f"/sys/class/net/eth0/statistics/tx_{what}" for what in ("bytes", "packets"))])
    sent, packets = map(int, counted.split())
    return sent / packets


def test_segments_and_checksums_that_are_left_to_the_nic_pass_whole(running: Lab) -> None:
    """TSO, GSO and GRO: NICs carry segments longer than the MTU, without computed checksums."""
    a, b, c = (running.vm[name] for name in "abc")
    c.run(["ethtool", "-K", "eth0", "gro", "on"])
    offloads = a.run(["ethtool", "-k", "eth0"])
    for name in ("tcp-segmentation-offload", "tx-checksumming", "tx-vlan-offload"):
        assert f"{name}: on" in offloads
    for to in (b, c):
        assert transferred(a, to, megabytes=16)
    assert average_length(a) > 3000, "most of it went in segments that no wire carries"


def test_a_stream_passes_to_a_nic_that_neither_segments_nor_computes_checksums(running: Lab) -> None:
    a, c = running.vm["a"], running.vm["c"]
    off = [word for name in ("tso", "gso", "gro", "tx", "rx", "txvlan", "rxvlan") for word in (name, "off")]
    c.run(["ethtool", "-K", "eth0", *off])
    assert transferred(a, c, megabytes=8)
    assert transferred(c, a, megabytes=8)


def test_fragments_pass_with_port_security_and_forged_ones_do_not(running: Lab) -> None:
    a, c, h = running.vm["a"], running.vm["c"], running.host["h"]
    for to in (c.ip, h.ip):
        a.run(["ping", "-c", "3", "-i", "0.05", "-W", "5", "-s", "4000", to])
    a.run(["ip", "address", "add", "10.9.0.77/24", "dev", "eth0"])
    with pytest.raises(CommandError):
        a.run(["ping", "-c", "2", "-i", "0.05", "-W", "0.5", "-s", "4000", "-I", "10.9.0.77", c.ip])
    a.run(["ip", "address", "del", "10.9.0.77/24", "dev", "eth0"])


def test_packets_as_long_as_the_mtu_pass_the_wire_with_its_tag_on_top(running: Lab) -> None:
    whole = ["ping", "-M", "do", "-c", "3", "-i", "0.05", "-W", "5", "-s"]
    for source, to in (("a", "b"), ("a", "c"), ("c", "h")):
        machine = running.machine[source]
        machine.run([*whole, "1472", running.machine[to].ip])  # 1,500 bytes with its headers
        with pytest.raises(CommandError):
            machine.run([*whole, "1473", running.machine[to].ip])


def test_a_restart_of_the_agent_under_load_breaks_no_stream_and_loses_no_ping(running: Lab) -> None:
    a, b, c = (running.vm[name] for name in "abc")
    assert b.ping(c.ip).received == 1
    pings = b.start_ping(c.ip)
    running.chassis["c1"].kill_agent()
    assert transferred(a, c, megabytes=16)
    running.chassis["c1"].start_agent()
    running.nb.sync()
    assert pings.stop().lost == 0
