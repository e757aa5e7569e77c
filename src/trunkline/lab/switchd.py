"""One Open vSwitch: an ovsdb-server and an ovs-vswitchd with files of their own, in a namespace."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.lab import command
from trunkline.lab.datapath import NETDEV, SYSTEM
from trunkline.lab.error import LabError
from trunkline.lab.journal import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace

SCHEMAS = (
    Path("/usr/share/openvswitch/vswitch.ovsschema"),
    Path("/usr/local/share/openvswitch/vswitch.ovsschema"),
)
"""Where distributions and `make install` put the schema of Open vSwitch."""

_DATAPATH = "datapath"
"""The file that says it, for anyone who starts ovs-vswitchd again."""


class Devices(Enum):
    """Which network devices an ovs-vswitchd has, by option; dummies carry exact bytes and reach no kernel."""

    KERNEL = ""
    KERNEL_AND_DUMMIES = "--enable-dummy"
    DUMMIES = "--enable-dummy=override"


class Switchd:
    """An Open vSwitch whose bridges may have the *datapath* of that type; all its files are in *rundir*.

    Every tool is run with `OVS_RUNDIR` set to *rundir*, so no other Open vSwitch of the machine is affected.
    """

    def __init__(
        self,
        namespace: Namespace,
        rundir: Path,
        journal: Journal,
        devices: Devices = Devices.KERNEL,
        datapath: str = NETDEV,
    ) -> None:
        self.namespace = namespace
        self.rundir = rundir
        self.datapath = datapath
        self._devices = devices
        self._journal = journal
        self.database = Daemon(rundir / "ovsdb-server.pid")
        self.vswitchd = Daemon(rundir / "ovs-vswitchd.pid")

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the tools of Open vSwitch, and the agent, use this switch."""
        place = str(self.rundir)
        return {**os.environ, "OVS_RUNDIR": place, "OVS_LOGDIR": place, "OVS_DBDIR": place}

    @property
    def log(self) -> str:
        """The log of ovs-vswitchd."""
        return (self.rundir / "ovs-vswitchd.log").read_text()

    @property
    def remote(self) -> str:
        """The OVSDB remote of the local database."""
        return f"unix:{self.rundir}/db.sock"

    def start(self) -> None:
        """Create an empty database and start both daemons; return when the switch takes commands."""
        self.rundir.mkdir(parents=True, exist_ok=True)
        (self.rundir / _DATAPATH).write_text(self.datapath)
        command.run(["ovsdb-tool", "create", str(self.rundir / "conf.db"), str(_schema())])
        for daemon in (self.database, self.vswitchd):
            self._journal.add_daemon(daemon)
        self.start_ovsdb_server()
        self.vsctl("--no-wait", "init")
        self.start_vswitchd()

    def start_ovsdb_server(self) -> None:
        """Start the ovsdb-server on the existing database; return when it listens."""
        self._start(
            "ovsdb-server",
            f"--remote=punix:{self.rundir}/db.sock",
            "--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
            str(self.rundir / "conf.db"),
        )

    def start_vswitchd(self) -> None:
        """Start the ovs-vswitchd; return when it has read the database once."""
        kernel = [] if self.datapath == SYSTEM else ["--disable-system"]
        self._start("ovs-vswitchd", *kernel, *self._devices.value.split(), self.remote)

    def kill(self) -> None:
        """End both daemons with SIGKILL, since nothing has to be saved, and wait until they have exited."""
        self.kill_vswitchd()
        self.kill_ovsdb_server()

    @property
    def vswitchd_pid(self) -> int | None:
        """The process id of ovs-vswitchd, or None if it does not run."""
        return self.vswitchd.pid

    def stop_ovsdb_server(self) -> None:
        """End the ovsdb-server with SIGTERM and wait until it has exited."""
        self.database.end(signal.SIGTERM)

    def kill_ovsdb_server(self) -> None:
        """End the ovsdb-server with SIGKILL and wait until it has exited."""
        self.database.end(signal.SIGKILL)

    def stop_vswitchd(self) -> None:
        """End the ovs-vswitchd with SIGTERM and wait until it has exited."""
        self.vswitchd.end(signal.SIGTERM)

    def kill_vswitchd(self) -> None:
        """End the ovs-vswitchd with SIGKILL and wait until it has exited."""
        self.vswitchd.end(signal.SIGKILL)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the process of ovs-vswitchd (SIGSTOP) for the block; its database server goes on."""
        pid = self.vswitchd.pid
        if pid is None:
            raise LabError(f"no ovs-vswitchd runs in {self.rundir}; start it first")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def vsctl(self, *args: str, timeout_s: int = 20) -> str:
        """Run `ovs-vsctl`; without `--no-wait`, return when ovs-vswitchd has done what was asked."""
        return command.run(
            ["ovs-vsctl", f"--timeout={timeout_s}", *args], env=self.env, timeout_s=timeout_s + 5
        )

    def target(self, bridge: str) -> str:
        """The OpenFlow connection method of *bridge*."""
        return f"unix:{self.rundir}/{bridge}.mgmt"

    def ofctl(self, *args: str, stdin: str | None = None, timeout_s: float = command.HANGS_S) -> str:
        """Run `ovs-ofctl` with OpenFlow 1.4 allowed."""
        program = ["ovs-ofctl", "-O", "OpenFlow14", *args]
        return command.run(program, env=self.env, stdin=stdin, timeout_s=timeout_s)

    def appctl(self, *args: str) -> str:
        """Run `ovs-appctl`, by default on ovs-vswitchd (`-t` names another daemon)."""
        return command.run(["ovs-appctl", *args], env=self.env)

    def settle(self) -> None:
        """Wait until every frame that is queued at an interface of this switch has been forwarded.

        That is so for up to 64 frames at each interface: in each turn, the main loop of ovs-vswitchd takes up
        to 32 frames from each interface of the userspace datapath, and answers one of these commands.
        """
        for _ in range(3):
            self.appctl("version")

    def wait_revalidated(self) -> None:
        """Wait until no frame is forwarded by a cache that is older than the present flows and ports.

        What was acknowledged a turn ago concerns the revalidators only now. Then `revalidator/wait` ends with
        their present look at the cache, which may have begun before that; so the next one has to end, too.
        """
        for words in ("version", "revalidator/wait", "revalidator/wait"):
            self.appctl(words)

    def _start(self, program: str, *args: str) -> None:
        files = ["--detach", "--no-chdir", "--pidfile=" + str(self.rundir / f"{program}.pid")]
        log = ["-vconsole:off", "-vsyslog:off", "-vfile:info", f"--log-file={self.rundir}/{program}.log"]
        self.namespace.run([program, *files, *log, *args], env=self.env)


def datapath(rundir: Path) -> str:
    """Return the type of datapath with which the switch in *rundir* was started."""
    return (rundir / _DATAPATH).read_text()


def _schema() -> Path:
    for path in SCHEMAS:
        if path.exists():
            return path
    raise LabError(
        f"Open vSwitch is not installed ({SCHEMAS[0]} is missing); run scripts/demo, which installs it"
    )
