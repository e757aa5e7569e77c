"""The stations of the forwarding benchmark: machines with a kernel's IP stack, wired to a switch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from load import Load, address, mac, port_name, vlan_id
from process import BenchError, do
from switch import NIC, Switch

from forward import filter as frame_filter
from trunkline.lab.journal import Journal
from trunkline.lab.namespace import LinkEnd, Namespace, ip, veth

NETWORK = 0
"""All stations are in this network."""

ETH0 = "eth0"


class Station(NamedTuple):
    """A machine that is port *number* of the load, in a namespace with the one interface `eth0`."""

    name: str
    namespace: Namespace
    number: int
    is_wire: bool

    @property
    def end(self) -> LinkEnd:
        """Its interface."""
        return LinkEnd(self.namespace, ETH0)

    def received(self) -> int:
        """Return how many frames have arrived at it."""
        with self.namespace.entered():
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
        return next(int(line.split()[2]) for line in lines if line.split()[0] == f"{ETH0}:")

    @contextmanager
    def serving(self, argv: Sequence[str], ready: str) -> Iterator[None]:
        """Run *argv* in it for the length of the block, which begins once it has written *ready*."""
        with subprocess.Popen(
            self.namespace.argv(argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                assert process.stdout is not None
                if not any(ready in line for line in process.stdout):
                    raise BenchError(f"{argv[0]} ended before it was ready")
                yield
            finally:
                process.kill()


class Stations(NamedTuple):
    """Two VMs of one network, and a machine on the physical network that is a remote port of it."""

    vm: Station
    other_vm: Station
    wire: Station


class Wiring:
    """The namespaces of one contender: its switch's, and its stations', with veth pairs between them.

    *prefix*, unlike any other's, begins the names of the namespaces. *journal* is told before one is made.
    The switch has the *datapath* of that type.
    """

    def __init__(self, prefix: str, load: Load, journal: Journal, datapath: str) -> None:
        self._load = load
        self._datapath = datapath
        self._journal = journal
        self.within = Namespace(f"{prefix}-sw")
        here = [number for number in load.of_network(NETWORK) if number < load.local]
        away = [number for number in load.of_network(NETWORK) if number >= load.local]
        self.stations = Stations(
            Station("VM", Namespace(f"{prefix}-vm"), here[0], False),
            Station("other VM", Namespace(f"{prefix}-vm2"), here[1], False),
            Station("wire", Namespace(f"{prefix}-wire"), away[0], True),
        )
        self.remote = tuple(away)
        """The numbers of all ports of the network that are not here."""
        self._make_namespace(self.within)
        for station in self.stations:
            self._make(station)

    def make_switch(self, folder: Path) -> Switch:
        """Return a switch in *folder* whose devices lead to the stations."""
        devices = [self._device(station) for station in self.stations]
        return Switch(folder, devices, self.within, self._datapath)

    def _device(self, station: Station) -> str:
        return NIC if station.is_wire else port_name(station.number)

    def _make_namespace(self, namespace: Namespace) -> None:
        self._journal.add_namespace(namespace)
        ip([f"netns add {namespace.name}"])
        # Unasked frames of IPv6 would be counted, and learned from.
        namespace.run(
            ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]
        )
        ip(["link set lo up"], namespace)

    def _make(self, station: Station) -> None:
        self._make_namespace(station.namespace)
        far_end = LinkEnd(self.within, self._device(station))
        ip([veth(station.end, far_end, mac(station.number))])
        # The userspace datapath forwards the bytes that it is given: checksums must be in them, and no
        # frame longer than the MTU.
        for end in (station.end, far_end):
            end.namespace.run(["ethtool", "-K", end.name, "tx", "off"])
        ip([f"link set {far_end.name} up"], self.within)
        neighbours = [
            f"neigh add {address(each.number)} lladdr {mac(each.number)} dev {ETH0} nud permanent"
            for each in self.stations
            if each is not station
        ]
        up = [f"addr add {address(station.number)}/8 dev {ETH0}", f"link set {ETH0} up"]
        ip([*up, *neighbours], station.namespace)
        station.namespace.run(["tc", "qdisc", "add", "dev", ETH0, "clsact"])
        if station.is_wire:
            frame_filter.discard_and_tag(station.end, vlan_id(NETWORK))
        else:
            frame_filter.discard(station.end)


def ping(station: Station, to: Station, count: int = 3) -> None:
    """Send echo requests until *count* are answered; raises `BenchError` if they are not within 5 s."""
    words = ["ping", "-q", "-c", str(count), "-i", "0.01", "-w", "5", address(to.number)]
    do(station.namespace.argv(words), os.environ)
