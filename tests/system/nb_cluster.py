"""A northbound for tests that is more than one server: Raft members and relays, on the loopback interface."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dummy_chassis import DummyChassis
from program import trunkline

from model.tcp_port import free_port
from trunkline.lab.journal import Daemon, Journal
from trunkline.northbound import sync
from trunkline.northbound.client import Northbound


@dataclass
class Server:
    """One server, a member or a relay, started and stopped by the program; its files are called *name*."""

    folder: Path
    name: str
    options: tuple[str, ...] = ()

    @property
    def db(self) -> Path:
        return self.folder / f"{self.name}.db"

    @property
    def remote(self) -> str:
        return f"unix:{self.folder}/{self.name}.sock"

    @property
    def control(self) -> Path:
        return self.folder / f"{self.name}.ctl"

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.folder / f"{self.name}.pid")

    def start(self, *more: str) -> str:
        """Start it as it was, and return what it said to standard error."""
        place = ["--db", str(self.db), "--remote", f"p{self.remote}", "--detach"]
        log = ["--log-file", str(self.folder / f"{self.name}.log")]
        done = trunkline("nb", "start", *place, *log, *self.options, *more)
        assert (done.code, done.out) == (0, ""), done
        return done.err

    def foreground(self, *more: str) -> subprocess.Popen[bytes]:
        """Start it without `--detach`, and return the process that becomes the server."""
        place = ["--db", str(self.db), "--remote", f"p{self.remote}"]
        log = ["--log-file", str(self.folder / f"{self.name}.log")]
        words = ["nb", "start", *place, *log, *self.options, *more]
        return subprocess.Popen([sys.executable, "-m", "trunkline", *words], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        assert trunkline("nb", "stop", "--db", str(self.db)) == (0, "", "")

    def kill(self) -> None:
        self.daemon.end(signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(trunkline("nb", "status", "--db", str(self.db), "-o", "json").out)
        return seen

    def appctl(self, *words: str) -> str:
        asked = ["ovs-appctl", "-t", str(self.control), *words]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


@dataclass
class Cluster:
    """Members, relays and chassis in one folder; a *journal* ends what is still running."""

    folder: Path
    journal: Journal
    members: list[Server] = field(default_factory=list)
    chassis: list[DummyChassis] = field(default_factory=list)

    @property
    def remotes(self) -> str:
        return ",".join(member.remote for member in self.members)

    def server(self, name: str, *options: str) -> Server:
        """Return a server that is to be started."""
        server = Server(self.folder, name, options)
        self.journal.add_daemon(server.daemon)
        return server

    def form(self, count: int = 3, kind: str = "tcp", *options: str) -> None:
        """Start *count* members; the first makes the cluster and the others join it."""
        for number in range(count):
            address = f"{kind}:127.0.0.1:{free_port()}"
            first = self.members[0].options[1] if self.members else None
            joining = () if first is None else ("--cluster-remote", first)
            member = self.server(f"m{number}", "--cluster-local", address, *joining, *options)
            member.start()
            self.members.append(member)

    def leader(self) -> Server:
        (leader,) = (each for each in self.members if each.status()["cluster"]["role"] == "leader")
        return leader

    def add_chassis(self, name: str, remotes: str) -> DummyChassis:
        """Start a chassis with its agent, on the northbound at *remotes*."""
        started = DummyChassis(name, self.folder / name, self.journal, remotes, {"physnet1": "br-phys1"})
        self.chassis.append(started)
        started.start_agent()
        return started

    def sync(self, timeout_s: float = 60) -> None:
        with Northbound.connect(self.remotes) as nb:
            assert not sync.wait(nb, sync.request(nb), timeout_s)


@contextmanager
def opened() -> Iterator[Cluster]:
    """Give a folder for a cluster; end all that runs there afterwards."""
    # Not pytest's own directory, whose names are too long for a Unix socket (107 bytes, unix(7)).
    folder = Path(tempfile.mkdtemp(prefix="tl-c-"))
    cluster = Cluster(folder, Journal(folder))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(cluster.journal.undo)
        yield cluster
        for chassis in cluster.chassis:
            chassis.check()
            chassis.close()
