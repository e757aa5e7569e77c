"""The frame rules with real IP stacks and programs: pings, DAD, DHCP, ARP, VRRP, TCP; two chassis.

DESIGN.md section 5, rules 8 to 10, 13 and 15, and section 6, rule 10.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from dummy_chassis import until
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from trunkline.lab import CommandError, Lab

if TYPE_CHECKING:
    from conftest import LabFactory
    from trunkline.lab.machine import Machine
    from trunkline.lab.vm import Vm

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [p1]
networks: [{name: blue, type: vlan, physical_network: p1, segment: 101}]
chassis: [{name: c1, mappings: {p1: br-p1}}, {name: c2, mappings: {p1: br-p1}}]
vms:
  - {name: a, chassis: c1, network: blue, ip: 10.9.0.1/24}
  - {name: b, chassis: c1, network: blue, ip: 10.9.0.2/24}
  - {name: c, chassis: c2, network: blue, ip: 10.9.0.3/24}
  - {name: d, chassis: c2, network: blue, ip: 10.9.0.4/24}
hosts:
  - {name: h, physnet: p1, vlan: 101, ip: 10.9.0.9/24}
"""
VIRTUAL_IP = "10.9.0.50"


@pytest.fixture(scope="module")
def running(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


def set_port(running: Lab, name: str, *options: str) -> None:
    running.nb.trunkline("port", "set", name, *options)
    running.nb.sync()
    running.wait_revalidated()


def secured_flows(running: Lab, name: str) -> int:
    """Return how many flows of tables 10 to 30 are of the port alone."""
    key = json.loads(running.nb.trunkline("port", "show", name, "-o", "json"))["unique_key"]
    return sum(f"reg6={key:#x}," in line for line in running.vm[name].chassis.flows())


def test_rules_8_9_and_13_everybody_pings_everybody_with_port_security(running: Lab) -> None:
    reach = running.reach()
    assert [pair for pair, is_reached in reach.items() if not is_reached] == []


def test_rules_10_and_13_ipv6_comes_up_by_duplicate_address_detection_and_is_pinged(running: Lab) -> None:
    machines = running.machine
    links = {name: machine.link_local() for name, machine in machines.items()}
    for source, to in (("a", "b"), ("a", "c"), ("c", "h"), ("h", "a")):
        ping6(machines[source], f"{links[to]}%eth0")
    for number, name in enumerate("ac", 1):
        address = f"2001:db8::{number}"
        set_port(running, name, "--ip", machines[name].ip, "--ip", address)
        machines[name].run(["ip", "address", "add", f"{address}/64", "dev", "eth0"])
        await_checked(machines[name], address)
    ping6(machines["a"], "2001:db8::2")
    assert secured_flows(running, "a") <= 1 + 2 + 4 * 3, "IPv4, IPv6 and link-local"


def await_checked(machine: Machine, address: str) -> None:
    """Return when duplicate address detection has passed *address*; the kernel does the waiting."""

    def is_checked() -> bool:
        shown = json.loads(machine.run(["ip", "-6", "-j", "address", "show", "dev", "eth0"]))
        entries = [each for link in shown for each in link.get("addr_info", []) if each["local"] == address]
        assert len(entries) == 1
        assert not entries[0].get("dadfailed")
        return not entries[0].get("tentative")

    until(is_checked, f"{address} is checked")


def ping6(machine: Machine, address: str) -> None:
    machine.run(["ping", "-6", "-c", "3", "-i", "0.05", "-W", "2", address])


def test_rule_13_an_address_that_is_not_the_ports_reaches_nobody(running: Lab) -> None:
    a, h = running.vm["a"], running.host["h"]
    a.run(["ip", "address", "add", "10.9.0.77/24", "dev", "eth0"])
    try:
        with pytest.raises(CommandError):
            a.run(["ping", "-c", "2", "-i", "0.05", "-W", "0.5", "-I", "10.9.0.77", h.ip])
        assert a.ping(h.ip).received == 1
        set_port(running, "a", "--allowed-address", f"{a.mac},10.9.0.64/27")
        a.run(["ping", "-c", "2", "-i", "0.05", "-W", "2", "-I", "10.9.0.77", h.ip])
    finally:
        a.run(["ip", "address", "del", "10.9.0.77/24", "dev", "eth0"])
        set_port(running, "a", "--allowed-address", "")


def test_rule_13_arping_is_answered_for_its_own_address_alone(running: Lab) -> None:
    a, c = running.vm["a"], running.vm["c"]
    arping = ["arping", "-c", "2", "-W", "0.2", "-w", "1", "-i", "eth0"]
    a.run([*arping, c.ip])
    with pytest.raises(CommandError):
        a.run([*arping, "-S", "10.9.0.66", c.ip])
    with c.capture() as capture:
        with pytest.raises(CommandError):
            a.run([*arping, "-0", a.ip])  # nobody has it but itself
        running.settle()
        probes = [Ether(frame)[ARP] for frame in capture.frames() if Ether(frame).type == 0x0806]
    assert ("0.0.0.0", a.ip) in {(probe.psrc, probe.pdst) for probe in probes}, "an address probe passes"


def test_rule_13_what_a_vm_forges_is_seen_by_nobody(running: Lab) -> None:
    a, b, c, h = (running.machine[name] for name in "abch")
    to_all = Ether(src=a.mac, dst="ff:ff:ff:ff:ff:ff")
    to_hosts = Ether(src=a.mac, dst="33:33:00:00:00:01")
    router = IPv6(src=a_link_local(running), dst="ff02::1", hlim=255)
    forged = [
        Ether(src=b.mac, dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / Raw(b"x" * 46),
        to_all / ARP(op=2, hwsrc=a.mac, psrc=h.ip, hwdst=a.mac, pdst=h.ip),
        to_all / ARP(op=2, hwsrc=b.mac, psrc=a.ip, hwdst=b.mac, pdst=a.ip),
        to_all / IP(src=h.ip, dst="255.255.255.255") / UDP(sport=7, dport=7),
        to_all / IP(src=a.ip, dst="255.255.255.255") / UDP(sport=67, dport=68),
        to_hosts / router / ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64),
    ]
    true = to_all / IP(src=a.ip, dst="255.255.255.255") / UDP(sport=7, dport=7)
    with b.capture() as at_b, c.capture() as at_c, h.capture() as at_h:
        a.send(*(bytes(frame) for frame in forged), bytes(true))
        running.settle()
        for capture in (at_b, at_c, at_h):
            seen = set(capture.frames(chatter=True))
            assert [frame.summary() for frame in forged if bytes(frame) in seen] == []
            assert bytes(true) in seen
    assert "2001:db8:bad" not in c.run(["ip", "-6", "address"])


def a_link_local(running: Lab) -> str:
    return running.vm["a"].link_local()


# -- DHCP ----------------------------------------------------------------------------------------------


@contextmanager
def dhcp_server(running: Lab, server: Machine, client: Machine, address: str) -> Iterator[None]:
    """Run dnsmasq on *server*, which offers *client* the one *address*."""
    words = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]
    words += ["--interface=eth0", "--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--leasefile-ro"]
    words += [f"--pid-file={running.directory}/dnsmasq-{server.name}.pid", "--log-facility=-"]
    words += [f"--dhcp-range={address},{address},255.255.255.0,2m", f"--dhcp-host={client.mac},{address}"]
    with server.popen(words) as started:
        try:
            assert started.stderr is not None
            for line in started.stderr:
                if "sockets bound" in line:
                    break
            else:
                pytest.fail(f"dnsmasq ended with {started.wait()}")
            yield
        finally:
            started.terminate()


def leased(running: Lab, client: Machine) -> str | None:
    """Return the address that a DHCP client in *client* gets within 3 s, None if it gets none."""
    script = running.directory / "udhcpc.sh"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "bound $ip"\nexit 0\n')
    script.chmod(0o755)
    words = ["udhcpc", "-i", "eth0", "-q", "-n", "-f", "-t", "3", "-T", "1", "-s", str(script)]
    try:
        said = client.run(words)
    except CommandError:
        return None
    return said.partition("bound ")[2].strip().split("\n")[0] or None


def test_rule_13_a_vm_gets_its_address_by_dhcp_and_no_vm_can_give_it_another(running: Lab) -> None:
    d, h, rogue = running.vm["d"], running.host["h"], running.vm["c"]
    d.run(["ip", "address", "flush", "dev", "eth0", "scope", "global"])
    try:
        with dhcp_server(running, rogue, d, "10.9.0.200"):
            assert leased(running, d) is None
            with dhcp_server(running, h, d, d.ip):
                assert leased(running, d) == d.ip
            set_port(running, rogue.name, "--no-port-security")
            assert leased(running, d) == "10.9.0.200", "a VM without port security may be the server"
    finally:
        set_port(running, rogue.name, "--port-security")
        d.run(["ip", "address", "add", f"{d.ip}/24", "dev", "eth0"])
    assert d.ping(h.ip).received == 1


# -- TCP and moves -------------------------------------------------------------------------------------


TAKE = """
import hashlib, socket, sys
with socket.create_server((sys.argv[1], 5001)) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    digest = hashlib.sha256()
    while data := connection.recv(1 << 16):
        digest.update(data)
    print(digest.hexdigest())
"""
GIVE = """
import random, socket, sys
with socket.create_connection((sys.argv[1], 5001), timeout=10) as connection:
    connection.sendall(random.Random(0).randbytes(4 << 20))
"""


@pytest.mark.parametrize("to", ["b", "c", "h"])
def test_rules_8_and_9_tcp_passes_to_a_local_and_a_remote_port_and_a_bare_metal_host(
    running: Lab, to: str
) -> None:
    server = running.machine[to]
    with server.popen([sys.executable, "-c", TAKE, server.ip]) as taking:
        assert taking.stdout is not None
        assert taking.stdout.readline() == "listening\n"
        running.vm["a"].run([sys.executable, "-c", GIVE, server.ip])
        assert taking.stdout.readline().strip() == sha256(Random(0).randbytes(4 << 20)).hexdigest()


def test_rule_16_a_vm_that_moves_is_reached_at_once_from_where_nobody_knows_of_it(running: Lab) -> None:
    b, h = running.vm["b"], running.host["h"]
    home = b.chassis
    for chassis in (running.chassis["c2"], home):
        assert h.ping(b.ip).received == 1
        # The Open vSwitch that plays the physical switch learns from a frame whose like it has cached when
        # its revalidators next look at the cache, up to a second later; a switch of silicon learns at once.
        running.switch.switch.appctl("revalidator/purge")
        b.move(chassis)
        running.nb.wait_up(["b"], chassis=chassis.name)
        running.nb.sync()
        running.wait_revalidated()
        assert h.ping(b.ip, count=3, interval_s=0.1).lost == 0, "the physical switch has heard of the move"


# -- VRRP ----------------------------------------------------------------------------------------------


@contextmanager
def keepalived(running: Lab, vm: Vm, priority: int) -> Iterator[subprocess.Popen[str]]:
    """Run keepalived in *vm*, which holds VIRTUAL_IP while it is the master."""
    config = running.directory / f"keepalived-{vm.name}.conf"
    config.write_text(
        textwrap.dedent(f"""
        global_defs {{
            enable_script_security
            script_user root
        }}
        vrrp_instance shared {{
            state BACKUP
            interface eth0
            virtual_router_id 51
            priority {priority}
            advert_int 0.2
            version 3
            virtual_ipaddress {{ {VIRTUAL_IP}/24 }}
        }}
        """)
    )
    # It keeps files below /run by which another one on the host would know of it: each has a /run of its own.
    files = [f"--{kind}=/run/{kind}" for kind in ("pid", "vrrp_pid")]
    words = ["keepalived", "--dont-fork", "--vrrp", "--use-file=/run/conf", "--log-console", *files]
    alone = 'conf=$(cat "$0") && mount -t tmpfs run /run && echo "$conf" >/run/conf && exec "$@"'
    started = vm.popen(["unshare", "--mount", "sh", "-c", alone, str(config), *words])
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def holders(vms: list[Vm]) -> list[str]:
    return [vm.name for vm in vms if f"{VIRTUAL_IP}/" in vm.run(["ip", "address", "show", "dev", "eth0"])]


def await_holder(vms: list[Vm], name: str) -> None:
    until(lambda: holders(vms) == [name], f"{name} holds {VIRTUAL_IP}")


def test_rule_15_keepalived_in_two_vms_fails_over(running: Lab) -> None:
    a, c, h = running.vm["a"], running.vm["c"], running.host["h"]
    for vm in (a, c):
        set_port(running, vm.name, "--allowed-address", f"{vm.mac},{VIRTUAL_IP}")
    try:
        with keepalived(running, c, 50), keepalived(running, a, 100) as main:
            await_holder([a, c], "a")
            assert h.ping(VIRTUAL_IP, count=3, interval_s=0.1).lost == 0
            main.terminate()
            main.wait()
            await_holder([a, c], "c")
            assert h.ping(VIRTUAL_IP, count=3, interval_s=0.1).lost == 0
            assert running.vm["b"].ping(VIRTUAL_IP, count=3, interval_s=0.1).lost == 0
    finally:
        for vm in (a, c):
            set_port(running, vm.name, "--allowed-address", "")


def test_no_chassis_has_a_fault_and_no_switch_warned_of_a_translation(running: Lab) -> None:
    for name, chassis in running.chassis.items():
        shown = json.loads(running.nb.trunkline("chassis", "show", name, "-o", "json"))
        assert shown["faults"] == {}
        log = Path(chassis.rundir / "ovs-vswitchd.log").read_text()
        assert [line for line in log.splitlines() if "|WARN|" in line and "ofproto_dpif_xlate" in line] == []
