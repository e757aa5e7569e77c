"""A real ovs-vswitchd with one bridge of dummy ports, which take and give frames as octets."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from model.vswitchd import Vswitchd
from model.wires import Wires
from trunkline.core.flow import Flow
from trunkline.openflow.text import text

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
BATCH = 100
"""Frames that wait at a dummy port at once; the switch drops what exceeds this."""


class DummySwitch:
    """The bridge br-int with the dummy ports *ofports*; all its files are in *folder*."""

    def __init__(self, folder: Path, ofports: Iterable[int]) -> None:
        self.folder = folder
        self._vswitchd = Vswitchd(folder)
        self._environment = os.environ | {f"OVS_{name}DIR": str(folder) for name in ("RUN", "LOG", "DB")}
        self._wires = Wires()
        self._run("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA)
        self._daemon("ovsdb-server", f"{folder}/conf.db", f"--remote=punix:{folder}/db.sock")
        self.vsctl("--no-wait", "init")
        self._daemon("ovs-vswitchd", f"unix:{folder}/db.sock", "--enable-dummy=override")
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
        """End both daemons, which have nothing to keep, and wait until they are gone."""
        for program in ("ovs-vswitchd", "ovsdb-server"):
            pidfile = self.folder / f"{program}.pid"
            if not pidfile.exists():
                continue
            pid = int(pidfile.read_text())
            os.kill(pid, signal.SIGKILL)
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.005)

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
        return self._run("ovs-ofctl", "-O", "OpenFlow14", *arguments, stdin=stdin)

    def vsctl(self, *arguments: str) -> str:
        """Run `ovs-vsctl`; returns when ovs-vswitchd has done what was asked."""
        return self._run("ovs-vsctl", "--timeout=60", *arguments)

    @property
    def log(self) -> str:
        """The log of ovs-vswitchd."""
        return (self.folder / "ovs-vswitchd.log").read_text()

    def _daemon(self, program: str, *arguments: str) -> None:
        files = [f"--pidfile={self.folder}/{program}.pid", f"--log-file={self.folder}/{program}.log"]
        quiet = ["-vconsole:off", "-vsyslog:off"]
        self._run(program, *arguments, "--detach", "--no-chdir", *files, *quiet)

    def _run(self, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            command,
            env=self._environment,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=70,
            check=False,
        )
        assert done.returncode == 0, (command[:3], done.stderr)
        return done.stdout
