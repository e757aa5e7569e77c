"""A real ovs-vswitchd with one bridge of dummy ports, which take and give frames as octets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from model.vswitchd import Vswitchd
from model.wires import Wires
from trunkline.core.flow import Flow
from trunkline.lab.journal import Journal
from trunkline.lab.namespace import HERE
from trunkline.lab.switchd import Devices, Switchd
from trunkline.openflow.text import text

BATCH = 100
"""Frames that wait at a dummy port at once; the switch drops what exceeds this."""


class DummySwitch:
    """The bridge br-int with the dummy ports *ofports*; all its files are in *folder*."""

    def __init__(self, folder: Path, ofports: Iterable[int]) -> None:
        self.folder = folder
        self._vswitchd = Vswitchd(folder)
        self._wires = Wires()
        self._switchd = Switchd(HERE, folder, Journal(folder), Devices.DUMMIES)
        self._switchd.start()
        bridge = ["datapath_type=dummy", "fail_mode=secure", "protocols=OpenFlow14"]
        self.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", *bridge)
        self.add_ports(ofports)

    def add_ports(self, ofports: Iterable[int]) -> None:
        """Add dummy ports; returns when the switch has them."""
        commands: list[str] = []
        for ofport in ofports:
            name, pcap = f"p{ofport}", self.folder / f"p{ofport}.pcap"
            self._wires.add(name, pcap)
            kind = ["type=dummy", f"ofport_request={ofport}", f"options:tx_pcap={pcap}"]
            commands += ["--", "add-port", "br-int", name, "--", "set", "Interface", name, *kind]
        self.vsctl(*commands[1:])

    def close(self) -> None:
        """End both daemons, and wait until they are gone."""
        self._switchd.kill()

    def replace_flows(self, flows: Iterable[Flow]) -> None:
        """Let *flows* be all flows of the bridge, in one bundle."""
        lines = "\n".join(text(flow) for flow in flows)
        self.ofctl("--bundle", "replace-flows", "br-int", "-", stdin=lines)
        self._vswitchd.await_revalidated()

    def forget(self) -> None:
        """Let the datapath have nothing cached."""
        self.appctl("revalidator/purge")

    def receive(self, frames_by_port: Mapping[int, list[bytes]]) -> list[tuple[int, bytes]]:
        """Let frames come in, and return all that came out, with the port that each left by."""
        for ofport, frames in frames_by_port.items():
            for start in range(0, len(frames), BATCH):
                self._vswitchd.receive(f"p{ofport}", *frames[start : start + BATCH])
        return [(int(name[1:]), frame) for name, frames in self._wires.new().items() for frame in frames]

    def appctl(self, *words: str) -> str:
        """Return the answer of ovs-vswitchd to a command."""
        return self._vswitchd.ask(*words)

    def ofctl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run `ovs-ofctl`."""
        return self._switchd.ofctl(*arguments, stdin=stdin, timeout_s=240)

    def vsctl(self, *arguments: str) -> str:
        """Run `ovs-vsctl`; returns when ovs-vswitchd has done what was asked."""
        return self._switchd.vsctl(*arguments, timeout_s=240)

    @property
    def log(self) -> str:
        """The log of ovs-vswitchd."""
        return self._switchd.log
