"""A chassis for tests of the agent: a real Open vSwitch on dummy devices, in a directory of its own.

Dummy devices take and show exact bytes (netdev-dummy of ovs-vswitchd), so no namespace and no NIC is needed.
A chassis with its agent starts in 0.4 s. If the labs of the tests have the kernel's datapath
(`TRUNKLINE_LAB_DATAPATH=system`), so has this chassis, with veth pairs in the place of dummy devices.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from device import ChassisDevices, Dummies, Veths, a_switch
from isolated import assert_isolated

from model.octets import with_fewer_tags
from model.vswitchd import Vswitchd
from trunkline.lab import command, datapath
from trunkline.lab.command import PROGRAM
from trunkline.lab.journal import Journal
from trunkline.lab.northbound import Northbound as Served
from trunkline.lab.switchd import Switchd
from trunkline.northbound import sync
from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import update

TIMEOUT_S = 60.0
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.[\d.]+Z \|\s*\d+\s*\|\s*\S+\s*\| [A-Z]+ \| .+")


def until(is_so: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Return what *is_so* returns once that is true: for what no acknowledgement tells of, such as a log."""
    deadline = time.monotonic() + timeout_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not: {what}"
        time.sleep(0.02)
    return found


class Agent:
    """The program `trunkline agent` as a process on one chassis."""

    def __init__(self, switch: Switchd, log_path: Path, *options: str) -> None:
        self.switch = switch
        self.log_path = log_path
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *PROGRAM[1:], "agent", "--log-file", str(log_path), *options],
            env=switch.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def socket(self) -> Path:
        return self.switch.rundir / f"trunkline-agent.{self.process.pid}.ctl"

    @property
    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def ask(self, *words: str) -> str:
        until(lambda: _is_served(self.socket) or self.process.poll() is not None, "control socket")
        assert self.process.poll() is None, self.process.communicate()
        return self.switch.appctl("-t", str(self.socket), *words)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask("status"))
        return answer

    def await_settled(self) -> None:
        until(lambda: self.status()["settled"], "settled")

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End the process, and return its exit code and what it wrote to its standard error."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        complaint = self.process.communicate(timeout=TIMEOUT_S)[1]
        return self.process.returncode, complaint

    def end_by_itself(self) -> tuple[int, str]:
        """Return what `end` does, of a process that ends without being told to."""
        complaint = self.process.communicate(timeout=TIMEOUT_S)[1]
        return self.process.returncode, complaint


def _is_served(path: Path) -> bool:
    """Whether somebody listens at *path*: a socket is there a moment earlier than that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


PASSED = 8
"""How many frames that passed are sent again before one that may be dropped: the last of that interface."""


class DummyChassis:
    """One chassis: provider bridges with a dummy NIC `nic-<bridge>` each, settings, VIFs and an agent."""

    def __init__(
        self, name: str, folder: Path, journal: Journal, nb: str, physnets: Mapping[str, str]
    ) -> None:
        self.name = name
        self.switch = a_switch(folder, journal)
        self.vswitchd = Vswitchd(folder)
        self.devices: ChassisDevices = (
            Veths(self.switch)
            if self.switch.datapath == datapath.SYSTEM
            else Dummies(self.switch, self.vswitchd)
        )
        self.agents: list[Agent] = []
        self._passed_by_interface: dict[str, deque[bytes]] = {}
        self.switch.start()
        self.switch.vsctl(*self.bridge("br-int", "fail_mode=secure"))
        for bridge in physnets.values():
            self.add_provider_bridge(bridge)
        mappings = ",".join(f"{physnet}:{bridge}" for physnet, bridge in physnets.items())
        self.set(**{"system-id": name, "trunkline-nb": nb, "trunkline-bridge-mappings": mappings})

    # -- the switch --------------------------------------------------------------------------------

    def set(self, **external_ids: str | None) -> None:
        """Write chassis settings; None takes one away."""
        words: list[str] = []
        for key, value in external_ids.items():
            root = ["Open_vSwitch", ".", "external_ids"]
            words += ["--", "remove", *root, key]
            if value is not None:
                words += ["--", "set", *root[:2], f"external_ids:{key}={json.dumps(value)}"]
        self.switch.vsctl(*words[1:])

    def add_provider_bridge(self, bridge: str) -> None:
        """Create *bridge* with its NIC; it copies every frame to all other ports and learns nothing."""
        self.switch.vsctl(*self.bridge(bridge), *self.device(bridge, f"nic-{bridge}"))
        self.switch.ofctl("add-flow", bridge, "priority=9,actions=FLOOD")

    def add_nic(self, bridge: str) -> None:
        """Put the NIC that `add_provider_bridge` made back into *bridge*."""
        self.switch.vsctl(*self.device(bridge, f"nic-{bridge}")[1:])

    def plug(self, port: str, interface: str | None = None, bridge: str = "br-int", **columns: str) -> str:
        """Plug a VIF for *port* in, and return its interface's name: that of the port unless it is given."""
        interface = interface or port
        words = self.device(bridge, interface, **{"external_ids:iface-id": json.dumps(port)}, **columns)
        self.switch.vsctl(*words[1:])
        return interface

    def unplug(self, interface: str) -> None:
        self.switch.vsctl("del-port", interface)

    def device(self, bridge: str, name: str, **columns: str) -> list[str]:
        device = [*self.devices.add(name), *(f"{column}={value}" for column, value in columns.items())]
        return ["--", "add-port", bridge, name, "--", "set", "Interface", name, *device]

    def bridge(self, name: str, *columns: str) -> list[str]:
        """Return what `ovs-vsctl` is told to create a bridge with the datapath of this chassis."""
        kind = f"datapath_type={self.devices.datapath_type}"
        return ["--", "add-br", name, "--", "set", "Bridge", name, kind, *columns]

    def get(self, table: str, record: str, column: str) -> str:
        return self.switch.vsctl("--if-exists", "get", table, record, column).strip()

    def ofport(self, interface: str) -> int:
        return int(self.get("Interface", interface, "ofport"))

    def receive(self, interface: str, *frames: bytes, after: Iterable[bytes] = ()) -> dict[str, list[bytes]]:
        """Let *frames* arrive at *interface*; return what came out of which device because of it.

        They arrive twice. First warm: right after frames that may pass, and that differ only in what may be
        forbidden: *after*, each frame with fewer tags, and what passed recently. Then cold, with nothing
        cached. The datapath's cache must carry no more than the flows say, so the same must come out both
        times. The cache is emptied before each: what it knows of the frame itself would hide a defect.
        """
        passed = self._passed_by_interface.setdefault(interface, deque(maxlen=PASSED))
        with_fewer = (each for frame in frames for each in with_fewer_tags(frame))
        self.vswitchd.ask("revalidator/purge")
        self.receive_once(interface, *dict.fromkeys((*after, *with_fewer, *passed)))
        warm = self.receive_once(interface, *frames)
        self.vswitchd.ask("revalidator/purge")
        cold = self.receive_once(interface, *frames)
        assert {name: sorted(sent) for name, sent in warm.items()} == {
            name: sorted(sent) for name, sent in cold.items()
        }, "warm, and then cold"
        if cold:
            passed += frames
        return cold

    def receive_once(self, interface: str, *frames: bytes) -> dict[str, list[bytes]]:
        """Let *frames* arrive at *interface* just once: for frames that are counted or change something."""
        self.vswitchd.await_revalidated()
        self.devices.new()
        self.devices.receive(interface, *frames)
        return self.devices.new()

    def flows(self, bridge: str = "br-int") -> list[str]:
        """Return the flows on *bridge*, a line each, as ovs-ofctl shows them."""
        listed = self.switch.ofctl("dump-flows", bridge).splitlines()
        return [line.strip() for line in listed if "cookie=" in line]

    # -- the agent ---------------------------------------------------------------------------------

    @property
    def agent(self) -> Agent:
        return self.agents[-1]

    def start_agent(self, *options: str, is_settled: bool = True) -> Agent:
        """Start the agent; return it when it has everything in place, or at once."""
        number = len(self.agents)
        self.agents.append(Agent(self.switch, self.switch.rundir / f"agent{number}.log", *options))
        if is_settled:
            self.agent.await_settled()
        return self.agent

    @property
    def faults(self) -> dict[str, str]:
        found: dict[str, str] = self.agent.status()["faults"]
        return found

    def check(self) -> None:
        """Hold the flows against a fresh computation and a proof, and the logs against what one may be."""
        if self.agents and self.agent.process.poll() is None:
            self.agent.await_settled()
            total, _, differing = self.agent.ask("recompute").strip().strip('"').partition(" flows, ")
            assert differing == "0 differed", self.agent.log
            self.agent.await_settled()
            assert self.agent.ask("plan").strip() in ("", '""')
            assert len(self.flows()) == int(total)
            status = self.agent.status()
            if status["northbound"] and not status["faults"]:
                assert_isolated(self.switch.remote, self.switch.rundir)
        for agent in self.agents:
            for line in agent.log.splitlines():
                assert LOG_LINE.fullmatch(line), line
                assert "Traceback" not in line

    def close(self) -> None:
        """End the agents; none may have complained."""
        for agent in self.agents:
            code, complaint = agent.end()
            assert "Traceback" not in complaint
            assert code in (0, -signal.SIGKILL, 1), (code, complaint)


class Site:
    """A northbound and the chassis that read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder)
        self.served = Served(folder, self.journal)
        self.served.start()
        self.nb = Northbound.connect(self.served.remote)
        self.all: list[DummyChassis] = []
        self.is_checked = True

    def chassis(
        self, name: str = "c1", physnets: Mapping[str, str] | None = None, *, is_running: bool = True
    ) -> DummyChassis:
        """Start a chassis, by default with physnet1 on br-phys1, and its agent."""
        mapped = {"physnet1": "br-phys1"} if physnets is None else physnets
        started = DummyChassis(name, self.folder / name, self.journal, self.served.remote, mapped)
        self.all.append(started)
        if is_running:
            started.start_agent()
        return started

    def with_two_networks(self) -> DummyChassis:
        """Start a chassis: port a is on VLAN 101 of physnet1, b on VLAN 102 of physnet2, not mapped yet."""
        chassis = self.chassis()
        for name, vlan_id, physnet in (("a", 101, "physnet1"), ("b", 102, "physnet2")):
            self.network(f"net{physnet[-1]}", vlan_id, physnet)
            self.port(name, f"net{physnet[-1]}")
            chassis.plug(name)
        self.await_up("a")
        self.sync()
        assert self.bindings()["b"] == ("c1", False)
        return chassis

    def reconnect(self) -> None:
        """Connect to the northbound again, after it was restarted."""
        self.nb.close()
        self.nb = Northbound.connect(self.served.remote)

    def network(
        self, name: str = "net1", vlan_id: int | None = 101, physnet: str = "physnet1", **more: Any
    ) -> None:
        kind = "flat" if vlan_id is None else "vlan"
        spec = NetworkSpec(
            name=name, network_type=kind, physical_network=physnet, segmentation_id=vlan_id, **more
        )
        self.nb.create([spec])

    def port(self, name: str, network: str = "net1", mac: str | None = None, **more: Any) -> str:
        """Create a port without port security; return its MAC, by default `mac_of`."""
        mac = mac or mac_of(name)
        columns: dict[str, Any] = {"port_security": False, "options": {"announce": "false"}} | more
        self.nb.create(ports=[PortSpec(name=name, network=network, mac=mac, **columns)])
        return mac

    def request(self, port: str, chassis: str) -> None:
        """Have *port* requested on *chassis*, which the client refuses if there is no such chassis."""
        self.nb.transact([update("Port", ("name", "==", port), row={"requested_chassis": chassis})])

    def sync(self, timeout_s: float = TIMEOUT_S) -> None:
        """Return when every chassis has applied all that is committed."""
        with Northbound.connect(self.served.remote) as nb:
            assert not sync.wait(nb, sync.request(nb), timeout_s)

    def await_up(self, *ports: str, is_up: bool = True) -> None:
        self.served.wait_up(ports, is_up=is_up)

    def bindings(self) -> dict[str, tuple[str | None, bool]]:
        """Return who holds each port, and whether it is up, by its name."""
        return {port["name"]: (port["chassis"], bool(port["up"])) for port in self.nb.ports()}

    def transact(self, *operations: Mapping[str, Any]) -> Any:
        """Write past the program's own checks, as any client of the database can."""
        request = json.dumps(["Trunkline_Northbound", *operations])
        reply = command.run(["ovsdb-client", "transact", self.served.remote, request], env=dict(os.environ))
        results = json.loads(reply)
        assert not any("error" in (result or {}) for result in results), results
        return results

    def close(self, *, is_checked: bool) -> None:
        with ExitStack() as stack:
            stack.callback(self.nb.close)
            stack.callback(self.journal.undo)
            for chassis in self.all:
                stack.callback(chassis.close)
            if is_checked and self.is_checked:
                for chassis in self.all:
                    chassis.check()


def mac_of(name: str) -> str:
    """Return the MAC that tests give to the port of that name.

    >>> mac_of("a"), mac_of("b2")
    ('02:00:00:00:00:61', '02:00:00:00:62:32')
    """
    return "02:" + ":".join(f"{byte:02x}" for byte in name.encode().rjust(5, b"\0")[-5:])


BROADCAST = "ff:ff:ff:ff:ff:ff"


def ethernet(dst: str, src: str, *tags: int, text: str = "payload") -> bytes:
    """Return a frame of 60 bytes and more; each of *tags* is an 802.1Q TCI, outermost first.

    >>> ethernet(BROADCAST, mac_of("a"), 0x2065)[:18].hex()
    'ffffffffffff0200000000618100206588b5'
    """
    addresses = bytes.fromhex((dst + src).replace(":", ""))
    tagged = b"".join(b"\x81\x00" + tag.to_bytes(2) for tag in tags)
    # An Ethernet type for experiments (IEEE 802): neither IP nor ARP.
    return addresses + tagged + b"\x88\xb5" + text.encode().ljust(46, b".")


@contextmanager
def opened() -> Iterator[Site]:
    """Open a site for the length of the block; at its end, unless the block failed, check every chassis.

    That is: the live flows against a fresh computation, and the logs.
    """
    # Not pytest's own directory, whose names are too long for a Unix socket (107 bytes, unix(7)).
    folder = Path(tempfile.mkdtemp(prefix="tl-a-"))
    is_checked = False
    try:
        started = Site(folder)
        try:
            yield started
            is_checked = True
        finally:
            started.close(is_checked=is_checked)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    failures = request.session.testsfailed
    with opened() as started:
        yield started
        started.is_checked &= request.session.testsfailed == failures


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    """A chassis of *site* with port a on VLAN 101 of physnet1, up."""
    wired = site.chassis()
    site.network()
    site.port("a")
    wired.plug("a")
    site.await_up("a")
    site.sync()
    return wired
