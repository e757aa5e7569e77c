"""The ways to serve a northbound that are compared: one server, a cluster, relays."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from process import Usage, do, kill, usage

from trunkline.server.process import Server as Served

PROGRAM = [sys.executable, "-m", "trunkline"]


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """One ovsdb-server, started by `trunkline nb start` with *options*; its files are in *folder*."""

    folder: Path
    name: str
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)

    @property
    def remote(self) -> str:
        """The remote by which clients reach it."""
        return f"tcp:127.0.0.1:{self.port}"

    @property
    def pidfile(self) -> Path:
        """The file with its process id."""
        return self.folder / f"{self.name}.pid"

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self.pidfile.read_text())

    @property
    def usage(self) -> Usage:
        """What it has used since it was started."""
        return usage(self.pid)

    @property
    def is_leader(self) -> bool:
        """Whether it leads its cluster."""
        standing = Served.of(self.folder / f"{self.name}.db").standing()
        return standing is not None and standing.role == "leader"

    def start(self) -> None:
        """Start it; return when it answers."""
        files = [f"--db={self.folder}/{self.name}.db", f"--log-file={self.folder}/{self.name}.log"]
        listeners = [f"--remote=ptcp:{self.port}:127.0.0.1"]
        do([*PROGRAM, "nb", "start", "--detach", *files, *listeners, *self.options], os.environ)


@dataclass(frozen=True)
class Deployment:
    """Servers by what they do: *members* hold the database, agents connect to *fronts*."""

    name: str
    members: tuple[Server, ...]
    relays: tuple[Server, ...] = ()

    @property
    def servers(self) -> tuple[Server, ...]:
        """All of them, in the order in which they are to be started."""
        return (*self.members, *self.relays)

    @property
    def fronts(self) -> tuple[Server, ...]:
        """The servers that agents connect to."""
        return self.relays or self.members

    @property
    def agent_remotes(self) -> str:
        """What agents have as `trunkline-nb`."""
        return ",".join(server.remote for server in self.fronts)

    @property
    def writer_remotes(self) -> str:
        """What an operator's commands have: the leader before the others, so that none is asked in vain."""
        first = sorted(self.members, key=lambda server: len(self.members) > 1 and not server.is_leader)
        return ",".join(server.remote for server in first)

    def start(self) -> None:
        """Start all, one after the other."""
        for server in self.servers:
            server.start()

    def restart(self) -> None:
        """Start all again, at once: members wait for each other, and relays for them."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.start, self.servers))

    def kill(self) -> None:
        """Kill all at once: a session must not find another before that is gone too."""
        kill(*(server.pid for server in self.servers if server.pidfile.exists()))


def one_server(folder: Path) -> Deployment:
    """Return one server with one file."""
    return Deployment("one server", (Server(folder, "nb"),))


def cluster(folder: Path) -> Deployment:
    """Return a cluster of three members, all of which agents connect to."""
    places = [f"tcp:127.0.0.1:{free_port()}" for _ in range(3)]
    members = [Server(folder, "m0", ("--cluster-local", places[0]))]
    for number in (1, 2):
        joining = ("--cluster-local", places[number], "--cluster-remote", places[0])
        members.append(Server(folder, f"m{number}", joining))
    return Deployment("cluster of 3", tuple(members))


def relays(folder: Path) -> Deployment:
    """Return one server, and three relays that agents connect to."""
    member = Server(folder, "nb")
    fronts = tuple(Server(folder, f"relay{number}", ("--relay", member.remote)) for number in range(3))
    return Deployment("3 relays", (member,), fronts)


DEPLOYMENTS: tuple[Callable[[Path], Deployment], ...] = (one_server, cluster, relays)
