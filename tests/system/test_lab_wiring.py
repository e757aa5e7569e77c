"""The lab without agents: `NORMAL` switching stands in for them, which holds the lab against plain OVS."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trunkline.lab import CommandError, Lab, LabError, WaitError, demonstration, topology
from trunkline.lab import lab as labs
from trunkline.lab.interface import Interface
from trunkline.lab.journal import Process
from trunkline.lab.namespace import LinkEnd, Namespace, ip, veth

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import LabFactory

pytestmark = pytest.mark.system

BROADCAST = b"\xff" * 6
TEST_TYPE = b"\x88\xb6"

SMALL = """
physnets: [p1]
networks: [{name: red, type: vlan, physical_network: p1, segment: 7}]
chassis: [{name: c1, mappings: {p1: br-p1}}, {name: c2, mappings: {p1: br-p1}}]
vms:
  - {name: a, chassis: c1, network: red, ip: 10.9.0.1/24}
  - {name: b, chassis: c2, network: red, ip: 10.9.0.2/24}
hosts:
  - {name: m, physnet: p1, vlan: 7, ip: 10.9.0.3/24}
  - {name: n, physnet: p1, vlan: 7, ip: 10.9.0.4/24}
  - {name: u, physnet: p1, ip: 10.9.0.5/24}
"""


def use_normal_switching(lab: Lab) -> None:
    """Wire each chassis as the agent would, with access ports and trunks in place of flows."""
    wire_by_network = {network.name: network.wire for network in lab.topology.networks}
    for chassis in lab.chassis.values():
        words = []
        for physnet, bridge in chassis.bridge_by_physnet.items():
            tags = sorted(tag or 0 for at, tag in wire_by_network.values() if at == physnet)
            near, far = f"int-{bridge}", f"phy-{bridge}"
            words += ["--", "add-port", "br-int", near, "--", "set", "Interface", near, "type=patch"]
            words += [f"options:peer={far}", "--", "set", "Port", near, f"trunks={','.join(map(str, tags))}"]
            words += ["--", "add-port", bridge, far, "--", "set", "Interface", far, "type=patch"]
            words += [f"options:peer={near}"]
        for vm in lab.vm.values():
            if vm.chassis is chassis:
                tag = wire_by_network[vm.network][1]
                words += ["--", "set", "Port", vm.vif]
                words += [f"tag={tag}"] if tag else ["trunks=0", "vlan_mode=trunk"]
        chassis.switch.vsctl(*words)
        chassis.switch.ofctl("add-flow", "br-int", "actions=NORMAL")


def a_frame(to: bytes, source: str, tag: int | None = None, *, text: bytes = b"frame") -> bytes:
    """Return a frame of 60 bytes (64 with a *tag*) from the MAC *source*."""
    inserted = b"" if tag is None else struct.pack("!HH", 0x8100, tag)
    return to + bytes.fromhex(source.replace(":", "")) + inserted + TEST_TYPE + text.ljust(46, b".")


def test_machines_reach_each_other_exactly_where_they_share_a_wire(lab: LabFactory) -> None:
    running = lab(topology.default(), agents=False)
    use_normal_switching(running)
    matrix = demonstration.matrix(running)
    assert matrix.differing == []
    assert sum(matrix.seen.values()) == 4 * 3 + 2 * 1 + 3 * 2


def test_nobody_reaches_anybody_while_the_integration_bridge_has_no_flows(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    reach = running.reach()
    vms = set(running.vm)
    assert not any(seen for pair, seen in reach.items() if vms & set(pair))
    assert reach["m", "n"]


def test_a_series_of_pings_counts_what_is_lost(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    a, b = running.vm["a"], running.vm["b"]
    assert a.ping(b.ip, count=30, interval_s=0.01).lost == 0
    b.unplug()
    assert a.ping(b.ip, count=3, timeout_s=0.2).received == 0
    b.plug()
    running.chassis["c2"].switch.vsctl("set", "Port", b.vif, "tag=7")
    running.wait_revalidated()
    assert a.ping(b.ip, count=30, interval_s=0.01).lost == 0


def test_frames_are_captured_byte_for_byte_with_their_tags(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    a = running.vm["a"]
    frame = a_frame(BROADCAST, a.mac)
    with (
        running.vm["b"].capture() as at_b,
        running.host["m"].capture() as at_access,
        running.host["n"].capture() as at_other_access,
        running.host["u"].capture() as at_untagged,
        running.chassis["c1"].wire("p1").capture() as on_wire,
        a.capture() as at_a,
    ):
        a.send(frame)
        running.settle()
        assert at_b.frames() == [frame]
        assert at_access.frames() == [frame]
        assert at_other_access.frames() == [frame]
        assert at_untagged.frames() == []
        assert on_wire.frames() == [a_frame(BROADCAST, a.mac, 7)]
        assert at_a.frames() == []


def test_a_frame_put_on_a_chassis_wire_arrives_from_the_physical_network(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    with running.vm["a"].capture() as at_a, running.vm["b"].capture() as at_b:
        running.chassis["c1"].wire("p1").send(
            a_frame(BROADCAST, "02:aa:00:00:00:01", 7), a_frame(BROADCAST, "02:aa:00:00:00:01", 8)
        )
        running.settle()
        assert at_a.frames() == [a_frame(BROADCAST, "02:aa:00:00:00:01")]
        assert at_b.frames() == []


def test_a_double_tag_keeps_both_its_tags_in_a_capture(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    doubled = BROADCAST + bytes(5) + b"\x01" + struct.pack("!HHHH", 0x88A8, 9, 0x8100, 0x6007) + TEST_TYPE
    frame = doubled.ljust(64, b".")
    with running.chassis["c1"].wire("p1").capture() as capture:
        nic = running.chassis["c1"].nic("p1")
        Interface(nic.namespace, nic.name, nic).send(frame)
        assert capture.frames() == [frame]


def test_an_ipv6_address_is_given_when_it_is_known_to_be_no_duplicate(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    assert running.vm["a"].link_local() == "fe80::1:aff:fe09:1"
    twin = SMALL.replace("{name: a,", "{name: a, mac: '02:00:00:00:00:01',")
    twins = lab(twin.replace("{name: m,", "{name: m, mac: '02:00:00:00:00:01',"), agents=False)
    a, m = twins.vm["a"], twins.host["m"]
    # Which of them had a way to the other while it looked for a duplicate is not known; now a has none.
    use_normal_switching(twins)
    for machine, state in ((m, "down"), (a, "down"), (a, "up")):
        machine.run(["ip", "link", "set", "dev", "eth0", state])
    a.link_local()
    m.run(["sysctl", "-qw", "net.ipv6.conf.eth0.dad_transmits=5"])
    m.run(["ip", "link", "set", "dev", "eth0", "up"])
    with pytest.raises(WaitError, match="is a duplicate"):
        m.link_local(timeout_s=20)


def test_a_host_that_tags_by_itself_is_reached_or_refused_with_the_reason(lab: LabFactory) -> None:
    tagged = SMALL + "  - {name: t, physnet: p1, vlan: 7, tagged: true, ip: 10.9.0.6/24}\n"
    if _kernel_has_vlans():
        running = lab(tagged, agents=False)
        assert running.host["t"].ping(running.host["m"].ip, count=3).lost == 0
    else:
        with pytest.raises(LabError, match="t cannot tag its frames without the kernel module 8021q"):
            lab(tagged, agents=False)


def test_a_machine_that_moves_keeps_its_address_and_is_reached_again(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    a, b = running.vm["a"], running.vm["b"]
    a.move(running.chassis["c2"])
    running.chassis["c2"].switch.vsctl("set", "Port", a.vif, "tag=7")
    # What the switches have cached still leads to where it was.
    running.switch.switch.appctl("revalidator/purge")
    running.wait_revalidated()
    assert a.ping(b.ip, count=5).lost == 0
    assert a.ping(running.host["m"].ip, count=5).lost == 0


def test_tcp_passes_the_userspace_datapath_with_whole_checksums(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    a, b = running.vm["a"], running.vm["b"]
    server = (
        "import socket; s = socket.create_server(('', 7777)); print('ready', flush=True);"
        "c = s.accept()[0]; print(sum(len(d) for d in iter(lambda: c.recv(65536), b'')))"
    )
    client = f"import socket; s = socket.create_connection(('{b.ip}', 7777), 5); s.sendall(bytes(1 << 20))"
    with b.popen([sys.executable, "-c", server]) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "ready\n"
        a.run([sys.executable, "-c", client])
        assert listening.stdout.readline() == f"{1 << 20}\n"


def test_every_daemon_can_be_killed_and_started_again(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    use_normal_switching(running)
    switch = running.chassis["c1"].switch
    switch.kill_vswitchd()
    assert running.vm["a"].ping(running.vm["b"].ip, timeout_s=0.2).received == 0
    switch.start_vswitchd()
    switch.ofctl("add-flow", "br-int", "actions=NORMAL")
    running.wait_revalidated()
    assert running.vm["a"].ping(running.vm["b"].ip, count=3).lost == 0
    switch.kill_ovsdb_server()
    switch.start_ovsdb_server()
    assert "br-int" in switch.vsctl("list-br")


def test_nothing_of_a_lab_is_left_when_it_is_down(lab: LabFactory) -> None:
    running = lab(SMALL, agents=False)
    sleeper = running.vm["a"].popen(["sleep", "1000"])
    name = running.name
    running.close()
    assert sleeper.wait(timeout=60) != 0
    assert not [found for found in os.listdir("/run/netns") if found.startswith(f"tl-{name}-")]
    assert not running.directory.exists()
    assert name not in _command_lines()


def test_a_daemon_that_was_started_again_by_hand_is_ended_with_its_lab(lab: LabFactory) -> None:
    """With `--pidfile` alone, as everybody types it: the path is not in the daemon's command line then."""
    running = lab(SMALL, agents=False)
    switch, name = running.chassis["c1"].switch, running.name
    switch.stop_vswitchd()
    argv = ["ovs-vswitchd", "--disable-system", "--pidfile", "--detach", "--no-chdir"]
    running.chassis["c1"].namespace.run(argv, env=switch.env)
    assert switch.vswitchd_pid is not None
    restarted = Process.of(switch.vswitchd_pid)
    running.close()
    assert not restarted.is_running
    assert not [found for found in os.listdir("/run/netns") if found.startswith(f"tl-{name}-")]


def test_a_lab_whose_process_was_killed_is_taken_down_by_name(lab: LabFactory) -> None:
    name = f"k{os.getpid():06x}"
    program = (
        "import os, signal; from trunkline.lab import Lab, topology;"
        f"Lab.up(topology.default().named('{name}'), agents=False);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=120)
    assert name in labs.names()
    assert name in _command_lines()
    with pytest.raises(LabError, match=f"trunkline lab down --name {name}"):
        Lab.up(topology.default().named(name))
    assert labs.down(name)
    assert name not in _command_lines()
    assert not [found for found in os.listdir("/run/netns") if found.startswith(f"tl-{name}-")]
    assert not labs.down(name)


def test_what_a_lab_is_at_is_said_before_each_step_and_how_many_daemons_have_ended(lab: LabFactory) -> None:
    wanted = topology.parse(f"name: s{os.getpid():06x}\n{SMALL}", "small")
    said: list[str] = []
    ended: list[tuple[int, int]] = []
    try:
        Lab.up(wanted, agents=False, report=said.append, begin=said.append)
    finally:
        labs.down(wanted.name, lambda done, total: ended.append((done, total)))
    assert said[:2] == ["starting the physical switch", "physical switch: p1"]
    assert said[4] == "starting chassis c2, 2 of 2"
    assert said[5].startswith("chassis c2: ")
    assert said[-2] == "starting VM b, 2 of 2"
    # Of the northbound, the physical switch and two chassis, whether started or not.
    assert ended == [(number, 9) for number in range(1, 10)]


def test_a_step_that_fails_leaves_nothing_behind(lab: LabFactory) -> None:
    broken = topology.parse(f"name: b{os.getpid():06x}\n{SMALL}", "small")
    with pytest.raises(LabError, match="wrong"):
        Lab.up(broken, agents=False, report=_refuse_at("VM a"))
    assert broken.name not in labs.names()
    assert broken.name not in _command_lines()


def _refuse_at(start: str) -> Callable[[str], None]:
    def report(line: str) -> None:
        if line.startswith(start):
            raise LabError("something went wrong here")

    return report


def _kernel_has_vlans() -> bool:
    namespace = Namespace(f"tl-probe-{os.getpid()}")
    ip([f"netns add {namespace.name}", veth(LinkEnd(namespace, "x"), LinkEnd(namespace, "y"))])
    try:
        ip(["link add link x name x.7 type vlan id 7"], namespace)
    except CommandError:
        return False
    finally:
        ip([f"netns del {namespace.name}"])
    return True


def _command_lines() -> str:
    return subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
