"""No VM reaches another VLAN by a second tag: real stacks, two chassis, caches warm.

DESIGN.md section 5, rules 3 and 11: what the flows drop, the datapath drops, right after it has cached that
the frame without the second tag passes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from trunkline.lab import Lab

if TYPE_CHECKING:
    from conftest import LabFactory
    from trunkline.lab.machine import Machine

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [p1]
networks:
  - {name: mgmt, type: flat, physical_network: p1}
  - {name: clear, type: vlan, physical_network: p1, segment: 201}
  - {name: db, type: vlan, physical_network: p1, segment: 300}
chassis: [{name: c1, mappings: {p1: br-p1}}, {name: c2, mappings: {p1: br-p1}}]
vms:
  - {name: e, chassis: c1, network: mgmt, ip: 10.8.0.1/24}
  - {name: t, chassis: c1, network: clear, ip: 10.8.1.1/24}
  - {name: near, chassis: c1, network: db, ip: 10.8.2.1/24}
  - {name: far, chassis: c2, network: db, ip: 10.8.2.2/24}
hosts:
  - {name: h, physnet: p1, ip: 10.8.0.9/24}
"""
ROUNDS = 10

# An Ethernet type for experiments (IEEE 802): a program that asks for it sees its content; no stack does.
SAY = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
for tags, text in (argument.split(":") for argument in sys.argv[1:]):
    tagged = b"".join(b"\\x81\\x00" + int(tag).to_bytes(2, "big") for tag in tags.split("+") if tag)
    mac = out.getsockname()[4]
    out.send(b"\\xff" * 6 + mac + tagged + b"\\x88\\xb5" + text.encode().ljust(46, b"."))
"""
HEAR = """
import socket
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
heard.bind(("eth0", 0x88B5))
print("listening", flush=True)
while True:
    frame, address = heard.recvfrom(2048)
    if address[2] != socket.PACKET_OUTGOING:
        print(frame[14:].decode().strip("."), flush=True)
"""


@contextmanager
def heard_by(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    with machine.popen([sys.executable, "-c", HEAR]) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "listening\n"
            yield listener
        finally:
            listener.kill()


def say(machine: Machine, *frames: str) -> None:
    """Send broadcasts from *machine*, each given as `TAG+TAG:TEXT`."""
    machine.run([sys.executable, "-c", SAY, *frames])


def words(listener: subprocess.Popen[str], last: str) -> list[str]:
    """Return what was heard, up to *last*."""
    assert listener.stdout is not None
    found: list[str] = []
    while not found or found[-1] != last:
        found.append(listener.stdout.readline().strip())
    return found


def test_a_vm_reaches_no_other_vlan_by_a_second_tag_if_a_network_here_is_transparent(
    lab: LabFactory,
) -> None:
    running: Lab = lab(TOPOLOGY)
    running.nb.trunkline("port", "set", "t", "--disable")
    running.nb.trunkline("network", "set", "clear", "--vlan-transparent")
    running.nb.trunkline("port", "set", "t", "--enable")
    running.nb.sync()
    running.wait_revalidated()
    e, near, far, h = (running.machine[name] for name in ("e", "near", "far", "h"))
    with heard_by(far) as at_far, heard_by(h) as at_h:
        for number in range(ROUNDS):
            # The first passes, and is cached; the second is the same with a tag behind it.
            say(e, f"0:one{number}", f"0+300:hop{number}", f"0+0+300:hop{number}")
        say(e, ":end")
        say(near, ":end")
        assert words(at_h, "end") == [*(f"one{number}" for number in range(ROUNDS)), "end"]
        assert words(at_far, "end") == ["end"], "what e sends stays in its network"
