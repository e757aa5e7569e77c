"""Traffic between two stations, and what of it arrives."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from load import address, mac, vlan_id
from process import BenchError, do, now_s

from forward.filter import DISCARD_TTL
from forward.station import ETH0, NETWORK, Station

ICMP, TCP, UDP = 1, 6, 17
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
FRAME_BYTES = 60
"""The shortest frame of Ethernet, without its FCS."""

TIMEOUT_S = 20.0
GENERATOR_CPU = "0"
SWITCH_CPU = str(max(os.sched_getaffinity(0)))
MOST_FRAMES = 20_000_000
"""After so many a flood ends by itself, should nobody be left to end it."""

GAPS = ("100us", "1ms", "10ms")
"""How far frames are apart that shall all arrive. Each may be a question to ovs-vswitchd, which takes its
time on a busy machine, and the queue of a device is short."""

PATIENCE_S = 2.0
"""If nothing came for so long, nothing will."""

QUIET_S = 0.004
"""A switch from which nothing came for so long has nothing more to send."""
SERVICES = (22, 53, 80, 123, 443, 3306, 5432, 8080)


class Conversation(NamedTuple):
    """What all frames of one direction of a conversation have in common; ports are of UDP or TCP."""

    source: int
    destination: int
    protocol: int
    source_port: int
    destination_port: int


def conversations(source: int, destinations: Sequence[int], protocol: int, count: int) -> list[Conversation]:
    """Return *count* distinct conversations of the port *source*, with each of *destinations* in turn.

    In half of them the source is the client, in the other half the server, of one of `SERVICES`; the
    client's port is one of the 28,232 that Linux takes by itself (ip_local_port_range), evenly spread.
    """
    found = []
    for number in range(count):
        ports = [32768 + 28_231 * number // max(1, count - 1), SERVICES[number // 2 % len(SERVICES)]]
        ports = ports if number % 2 == 0 else ports[::-1]
        found.append(Conversation(source, destinations[number % len(destinations)], protocol, *ports))
    return found


def frame(conversation: Conversation, *, is_tagged: bool) -> bytes:
    """Return a frame of *conversation* of `FRAME_BYTES`, and 4 more with the network's tag."""
    length = FRAME_BYTES - 14
    ends = b"".join(socket.inet_aton(address(n)) for n in (conversation.source, conversation.destination))
    header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, DISCARD_TTL, conversation.protocol, 0) + ends
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    ports = struct.pack("!HH", conversation.source_port, conversation.destination_port)
    if conversation.protocol == UDP:
        segment = ports + struct.pack("!HH", length - 20, 0)
    else:
        segment = ports + struct.pack("!IIBBHHH", 1, 1, 5 << 4, 0x10, 1024, 0, 0)
    payload = header + segment.ljust(length - 20, b"\0")
    return ethernet(conversation.source, conversation.destination, IPV4, is_tagged=is_tagged) + payload


def arp_reply(source: int, destination: int) -> bytes:
    """Return the frame by which the port *source* tells *destination* its MAC."""
    ends = b"".join(_mac(n) + socket.inet_aton(address(n)) for n in (source, destination))
    reply = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + ends
    return (ethernet(source, destination, ARP, is_tagged=False) + reply).ljust(FRAME_BYTES, b"\0")


def mix(source: int, destinations: Sequence[int], count: int) -> list[bytes]:
    """Return what a busy VM sends: *count* conversations of UDP, as many of TCP, and of each of
    *destinations* an echo reply and an ARP reply, in an order that mixes them.
    """
    talks = [
        *conversations(source, destinations, UDP, count),
        *conversations(source, destinations, TCP, count),
        *(Conversation(source, each, ICMP, 0, 0) for each in destinations),
    ]
    frames = [frame(each, is_tagged=False) for each in talks]
    frames += [arp_reply(source, each) for each in destinations]
    random.Random(0).shuffle(frames)
    return frames


def ethernet(source: int, destination: int, ethertype: int, *, is_tagged: bool) -> bytes:
    """Return the header of a frame from the port *source* to *destination*."""
    tag = struct.pack("!HH", 0x8100, vlan_id(NETWORK)) if is_tagged else b""
    return _mac(destination) + _mac(source) + tag + struct.pack("!H", ethertype)


def _mac(number: int) -> bytes:
    return bytes.fromhex(mac(number).replace(":", ""))


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def generator(folder: Path, sender: Station, frames: Sequence[bytes], *words: str) -> list[str]:
    """Return the command that sends *frames* from *sender*; *words* say how many, and how fast."""
    path = folder / "frames.cfg"
    path.write_text("".join("{ 0x" + each.hex(",").replace(",", ", 0x") + " }\n" for each in frames))
    argv = [
        "trafgen",
        "--dev",
        ETH0,
        "--conf",
        str(path),
        "--cpus",
        "1",
        "--no-sock-mem",
        "--notouch-irq",
        *words,
    ]
    return sender.namespace.argv(argv)


def send_once(folder: Path, sender: Station, receiver: Station, frames: Sequence[bytes]) -> None:
    """Send each of *frames* once, and all of them again, more slowly, if not all arrive.

    Raises `BenchError` if one does not arrive at the slowest of `GAPS` either.
    """
    for gap in GAPS:
        before = receiver.received()
        do(generator(folder, sender, frames, "--num", str(len(frames)), "--gap", gap), os.environ)
        arrived, deadline = 0, now_s() + PATIENCE_S
        while arrived < len(frames) and now_s() < deadline:
            time.sleep(0.01)
            if (now := receiver.received() - before) > arrived:
                arrived, deadline = now, now_s() + PATIENCE_S
        if arrived >= len(frames):
            return
    raise BenchError(f"{arrived} of {len(frames)} frames arrived from {sender.name} at {receiver.name}")


class Burst(NamedTuple):
    """How many frames arrived in one burst of a flood, and for how many seconds it was let go."""

    arrived: int
    elapsed_s: float


class Flood(NamedTuple):
    """A generator, held back but for its bursts: its process group is *group*, its aim *receiver*."""

    group: int
    receiver: Station

    def burst(self, seconds: float) -> Burst:
        """Let it go for about *seconds*; returns when all that came of it has arrived."""
        before, started_s = self.receiver.received(), now_s()
        os.killpg(self.group, signal.SIGCONT)
        # Time itself is what is measured here: there is nothing to wait for.
        time.sleep(seconds)
        return Burst(self.hold() - before, now_s() - started_s)

    def hold(self) -> int:
        """Hold it back, and return how many frames have arrived ever, once there come no more."""
        os.killpg(self.group, signal.SIGSTOP)
        seen, now = -1, self.receiver.received()
        while seen != now:
            time.sleep(QUIET_S)
            seen, now = now, self.receiver.received()
        return now


@contextmanager
def flood(folder: Path, sender: Station, receiver: Station, frames: Sequence[bytes]) -> Iterator[Flood]:
    """Make a flood that sends *frames* over and over, as fast as it goes, for the length of the block.

    Raises `BenchError` if they do not arrive.
    """
    before = receiver.received()
    argv = generator(folder, sender, frames, "--num", str(MOST_FRAMES))
    # It forks; a group of its own is what can be held and ended as one.
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            deadline = now_s() + TIMEOUT_S
            while receiver.received() < before + 1000:
                if now_s() > deadline or process.poll() is not None:
                    raise BenchError(f"the generator's frames do not arrive at {receiver.name}")
                time.sleep(QUIET_S)
            made = Flood(process.pid, receiver)
            made.hold()
            yield made
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def stream_gbit_s(sender: Station, receiver: Station, *words: str) -> float:
    """Return the Gbit/s of payload that iperf3 gets across, by TCP unless *words* say otherwise."""
    # With the generator's processor to themselves, both ends leave the switch's own to it.
    server = ["iperf3", "--server", "--one-off", "--forceflush", "--affinity", GENERATOR_CPU]
    with receiver.serving(server, "listening"):
        client = [
            "iperf3",
            "--client",
            address(receiver.number),
            "--json",
            "--affinity",
            GENERATOR_CPU,
            *words,
        ]
        end = json.loads(do(sender.namespace.argv(client), os.environ))["end"]
    return float(end["sum_received"]["bits_per_second"]) / 1e9


def round_trips_s(sender: Station, receiver: Station, count: int) -> list[float]:
    """Return the seconds until each of *count* echo requests is answered; one is under way at a time."""
    # On the switch's own processor: to wake another one of a virtual machine takes as long as all the rest.
    argv = [
        "taskset",
        "-c",
        SWITCH_CPU,
        "ping",
        "-A",
        "-c",
        str(count),
        "-w",
        str(int(TIMEOUT_S)),
        address(receiver.number),
    ]
    said = do(sender.namespace.argv(argv), os.environ)
    return [float(found) / 1e3 for found in re.findall(r"time=([\d.]+) ms", said)]
