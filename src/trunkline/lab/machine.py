"""A machine with an IP stack of its own: what VMs and bare-metal hosts have in common."""

from __future__ import annotations

import json
import select
import socket
import time
from typing import TYPE_CHECKING

from trunkline.lab.command import HANGS_S
from trunkline.lab.datapath import SYSTEM
from trunkline.lab.error import CommandError, LabError, WaitError
from trunkline.lab.interface import Interface
from trunkline.lab.journal import Process
from trunkline.lab.namespace import LinkEnd, ip, veth
from trunkline.lab.ping import PingResult, PingSeries

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from ipaddress import IPv4Interface

    from trunkline.lab.interface import Capture
    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace

_RTMGRP_IPV6_IFADDR = 0x100  # linux/rtnetlink.h

NIC = "eth0"
"""The name of a machine's only NIC, inside the machine."""


class Machine:
    """A namespace with one NIC, an IPv4 address, and the kernel's IPv6 link-local address.

    With *vlan*, the machine itself tags its frames: its addresses are on the VLAN interface `eth0.<vlan>`.
    """

    def __init__(
        self,
        name: str,
        namespace: Namespace,
        mac: str,
        address: IPv4Interface,
        journal: Journal,
        vlan: int | None = None,
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.mac = mac
        self.address = address
        self.vlan = vlan
        self.interface = Interface(namespace, NIC, LinkEnd(namespace, NIC))
        self._journal = journal

    @property
    def ip(self) -> str:
        """The IPv4 address without its prefix length."""
        return str(self.address.ip)

    def start(self, far_end: LinkEnd, datapath: str) -> None:
        """Create the namespace and the veth pair to *far_end*, whose namespace exists; set the address.

        Checksums and segments are left to the NIC if *datapath*, that of the switch, is the kernel's, as in a
        VM; the userspace datapath forwards frames as it gets them.
        """
        self._journal.add_namespace(self.namespace)
        nic = LinkEnd(self.namespace, NIC)
        self._journal.add_link(nic)
        ip([f"netns add {self.namespace.name}", veth(nic, far_end, self.mac)])
        ip([f"link set {far_end.name} up"], far_end.namespace)
        self.interface = Interface(self.namespace, NIC, far_end)
        if datapath != SYSTEM:
            self.interface.leave_checksums_to_software()
        ip(["link set lo up", f"link set {NIC} up"], self.namespace)
        named = NIC if self.vlan is None else self._add_vlan(self.vlan)
        ip([f"address add {self.address} dev {named}"], self.namespace)

    def _add_vlan(self, vlan: int) -> str:
        name = f"{NIC}.{vlan}"
        try:
            ip(
                [f"link add link {NIC} name {name} type vlan id {vlan}", f"link set {name} up"],
                self.namespace,
            )
        except CommandError as error:
            raise LabError(
                f"{self.name} cannot tag its frames without the kernel module 8021q ({error});"
                " remove 'tagged: true' from the topology, for an access port"
            ) from error
        return name

    def link_local(self, timeout_s: float = 5.0) -> str:
        """Wait for duplicate address detection (RFC 4862), and return the NIC's IPv6 link-local address.

        Raises WaitError if it finds a duplicate, or takes longer than *timeout_s* seconds.
        """
        deadline = time.monotonic() + timeout_s
        with self.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as news:
            news.bind((0, _RTMGRP_IPV6_IFADDR))
            while True:
                [shown] = json.loads(self.run(["ip", "-6", "-j", "address", "show", "dev", NIC]))[:1] or [{}]
                for entry in shown.get("addr_info", []):
                    if entry.get("dadfailed"):
                        raise WaitError(f"{self.name}: {entry['local']} is a duplicate")
                    if entry["scope"] == "link" and not entry.get("tentative"):
                        return str(entry["local"])
                ready, _, _ = select.select([news], [], [], max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise WaitError(f"{self.name} has no IPv6 address after {timeout_s:g} s")
                news.recv(65536)

    def run(self, argv: Sequence[str], *, timeout_s: float = HANGS_S) -> str:
        """Run *argv* in the machine, and return its output when it has exited; raises CommandError."""
        return self.namespace.run(argv, timeout_s=timeout_s)

    def popen(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Start *argv* in the machine; the caller ends it, otherwise `lab down` does."""
        started = self.namespace.popen(argv)
        self._journal.add_process(Process.of(started.pid))
        return started

    def ping(
        self, address: str, count: int = 1, interval_s: float = 0.02, timeout_s: float = 10.0
    ) -> PingResult:
        """Send *count* echo requests to the IPv4 *address*, and return when all are answered or lost.

        The answer to the last one may take *timeout_s* seconds.
        """
        series = PingSeries(self.namespace, address, interval_s=interval_s, count=count, timeout_s=timeout_s)
        return series.wait()

    def start_ping(self, address: str, interval_s: float = 0.02) -> PingSeries:
        """Start a series of echo requests to the IPv4 *address*; its `stop` ends it."""
        return PingSeries(self.namespace, address, interval_s=interval_s)

    def send(self, *frames: bytes) -> None:
        """Send whole *frames* from the NIC, exactly as they are."""
        self.interface.send(*frames)

    def capture(self) -> Capture:
        """Return a capture of the frames that arrive at the NIC; it has begun when this returns."""
        return self.interface.capture()
