"""The northbound's server: the `ovsdb-server` of Open vSwitch on a file of ours, started and stopped.

The file is a standalone database or one member's share of a Raft cluster (ovsdb(7)). Next to the pid file is
the server's control socket, `nb.ctl` for `nb.pid`.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from trunkline.core.error import TrunklineError
from trunkline.ovsdb.cluster import Standing, standing
from trunkline.ovsdb.datafile import is_standalone, prepare
from trunkline.ovsdb.rpc import Tls
from trunkline.ovsdb.schema import DATABASE
from trunkline.ovsdb.tool import ToolError, executable, output, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT_DB = Path("/var/lib/trunkline/nb.db")
DEFAULT_LISTENER = "punix:/run/trunkline/nb.sock"

_START_TIMEOUT_S = 60
_QUORUM_TIMEOUT_S = 10
_STOP_TIMEOUT_S = 30
_ATTENDANCE_S = 0.1  # between two looks at a server that does not take commands yet


class ServerError(TrunklineError):
    """The northbound's server cannot be started or stopped, or is not in the state that it should be in."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve: on which *listeners*, as what, and with which files for `ssl:` and `pssl:`.

    With *cluster_local* (`tcp|ssl:IP:PORT`) the file, where it does not exist, becomes a member of a new
    cluster or of that of *cluster_remotes*. With *relayed* there is no file: the server relays those servers.
    Without *tls*, key and certificates are those of the database's SSL row, if any.
    """

    listeners: tuple[str, ...]
    log_file: Path | None = None
    tls: Tls = field(default_factory=Tls)
    cluster_local: str | None = None
    cluster_remotes: tuple[str, ...] = ()
    relayed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """The server of the file *db*; whether it runs is told by the lock that it holds on its *pidfile*."""

    db: Path
    pidfile: Path

    @classmethod
    def of(cls, db: Path, pidfile: Path | None = None) -> Server:
        """Return the server of *db*, whose pid file is `nb.pid` for `nb.db` unless said otherwise."""
        absolute = db.absolute()
        return cls(absolute, pidfile.absolute() if pidfile else absolute.with_suffix(".pid"))

    @property
    def control(self) -> Path:
        """The server's control socket, for `ovs-appctl -t`."""
        return self.pidfile.with_suffix(".ctl")

    def pid(self) -> int | None:
        """Return the process id of the running server, None where none runs.

        ovsdb-server keeps its pid file locked for as long as it lives, so a stale file or a reused id does
        not count.
        """
        try:
            with self.pidfile.open() as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return int(file.read())
        except FileNotFoundError:
            pass
        return None

    def start(self, serving: Serving, *, is_detached: bool) -> str | None:
        """Start the server, on a file that is made or converted as need be.

        Detached, return once it answers; the text, if any, says what it still waits for. Else the calling
        process becomes the server; a process beside it upgrades a member's cluster once that has a leader.

        Raises:
            ServerError: it already runs, or another server answers on one of *listeners*.
            ToolError: Open vSwitch is not installed, or its programs refuse.
            DatafileError: the file is another database's, or newer than this program.
        """
        pid = self.pid()
        if pid is not None:
            raise ServerError(f"the northbound is already running (pid {pid})")
        listeners = [_absolute(listener) for listener in serving.listeners]
        program = executable("ovsdb-server")
        for path in filter(None, map(_socket_path, listeners)):
            _refuse_taken(path)
            path.parent.mkdir(parents=True, exist_ok=True)
        for directory in {self.db.parent, self.pidfile.parent}:
            directory.mkdir(parents=True, exist_ok=True)
        is_new = not self.db.exists()
        if not serving.relayed:
            prepare(self.db, serving.cluster_local, serving.cluster_remotes)
        arguments = self._arguments(listeners, serving)
        if not is_detached:
            if not serving.relayed and not is_standalone(self.db):
                self._leave_attendant(listeners)
            _become(program, arguments)
        run("ovsdb-server", *arguments, "-vconsole:off", "--detach", timeout_s=_START_TIMEOUT_S)
        return self._await_answer(listeners, serving, is_new=is_new)

    def stop(self) -> None:
        """Stop the server, and return when it is gone.

        Raises:
            ServerError: it does not run, or does not stop.
        """
        pid = self.pid()
        if pid is None:
            raise ServerError(f"the northbound is not running: no ovsdb-server holds {self.pidfile}")
        with suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                gone, _, _ = select.select([process], [], [], _STOP_TIMEOUT_S)
            finally:
                os.close(process)
            if not gone:
                raise ServerError(f"pid {pid} has not stopped within {_STOP_TIMEOUT_S} s; see its log")

    def listeners(self) -> list[str]:
        """Return what the running server listens on, `db:` aside."""
        answer = run("ovs-appctl", "-t", str(self.control), "ovsdb-server/list-remotes")
        return [line for line in answer.splitlines() if not line.startswith("db:")]

    def standing(self) -> Standing | None:
        """Return the running server's place in its cluster, None where it is in none."""
        try:
            return standing(run("ovs-appctl", "-t", str(self.control), "cluster/status", DATABASE))
        except ToolError:
            return None

    def _arguments(self, listeners: Sequence[str], serving: Serving) -> list[str]:
        tls, log_file = serving.tls, serving.log_file
        relayed = ",".join(_absolute(place) for place in serving.relayed)
        return [
            *(f"--remote={listener}" for listener in listeners),
            f"--remote=db:{DATABASE},NB_Global,connections",
            f"--private-key={_file(tls.private_key) or f'db:{DATABASE},SSL,private_key'}",
            f"--certificate={_file(tls.certificate) or f'db:{DATABASE},SSL,certificate'}",
            f"--ca-cert={_file(tls.ca_cert) or f'db:{DATABASE},SSL,ca_cert'}",
            f"--pidfile={self.pidfile}",
            f"--unixctl={self.control}",
            *([f"--log-file={log_file.absolute()}", "-vsyslog:off"] if log_file else []),
            f"relay:{DATABASE}:{relayed}" if relayed else str(self.db),
        ]

    def _await_answer(self, listeners: Sequence[str], serving: Serving, *, is_new: bool) -> str | None:
        """Return once the server answers; as a member of its cluster, or a relay of servers, where it is one.

        A member that is back may have to wait for others, and a relay for the servers that it relays: they
        are given less time, and the text says what they wait for.
        """
        is_patient = is_new and not serving.relayed
        timeout_s = _START_TIMEOUT_S if is_patient else _QUORUM_TIMEOUT_S
        with self._entrance(listeners) as place:
            try:
                _wait_connected(place, timeout_s)
            except ToolError as error:
                if serving.relayed:
                    return (
                        f"the relay runs (pid {self.pid()}); none of {', '.join(serving.relayed)} answers yet"
                    )
                if not is_patient and self.standing() is not None:
                    return f"the member runs (pid {self.pid()}), and waits for enough others to have a leader"
                raise ServerError(
                    f"the northbound runs (pid {self.pid()}) but does not answer on {place}: {error}"
                ) from error
            if self.standing() is not None:
                _upgrade(place, self.db)
        return None

    @contextmanager
    def _entrance(self, listeners: Sequence[str]) -> Iterator[str]:
        """Give a remote of the running server without TLS; where it has none, for the block alone.

        Raises:
            ToolError: the server does not take commands.
        """
        places = [place for place in map(remote, listeners) if place and not place.startswith("ssl:")]
        if places:
            yield places[0]
            return
        path = self.pidfile.with_suffix(".start.sock")
        ask = ("ovs-appctl", "-t", str(self.control))
        run(*ask, "ovsdb-server/add-remote", f"punix:{path}")
        try:
            yield f"unix:{path}"
        finally:
            run(*ask, "ovsdb-server/remove-remote", f"punix:{path}")

    def _leave_attendant(self, listeners: Sequence[str]) -> None:
        """Leave a process that upgrades the cluster once this process, by then the server, is part of it.

        It ends then, or when this process does.
        """
        server = os.pidfd_open(os.getpid())
        try:
            first = os.fork()
            if first:
                os.waitpid(first, 0)
            elif os.fork():
                # The server would not wait for a child that it knows nothing of: init does.
                os._exit(0)
            else:
                self._attend(server, listeners)
        finally:
            os.close(server)

    def _attend(self, server: int, listeners: Sequence[str]) -> NoReturn:
        """Upgrade the cluster once it has a leader, while the process *server* lives; then end."""
        is_upgraded = False
        try:
            while not is_upgraded and not select.select([server], [], [], _ATTENDANCE_S)[0]:
                is_upgraded = self._is_upgraded(listeners)
        except TrunklineError as error:
            print(f"trunkline: the cluster is not upgraded: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(0 if is_upgraded else 1)

    def _is_upgraded(self, listeners: Sequence[str]) -> bool:
        """Upgrade the cluster where it has a leader by now; return whether it had."""
        with ExitStack() as stack:
            try:
                place = stack.enter_context(self._entrance(listeners))
                _wait_connected(place, _QUORUM_TIMEOUT_S)
            except ToolError:
                return False
            _upgrade(place, self.db)
        return True


def _wait_connected(place: str, timeout_s: int) -> None:
    """Return when the server at *place* has the database, and its cluster a leader; else raise ToolError."""
    wait = ("ovsdb-client", f"--timeout={timeout_s}", "wait", place, DATABASE, "connected")
    run(*wait, timeout_s=timeout_s + 5)


def _upgrade(place: str, db: Path) -> None:
    # Only a cluster is upgraded while it runs, and a client of the database costs most starts nothing.
    from trunkline.ovsdb.upgrade import upgrade

    upgrade(place, db)


def backup(place: str, tls: Tls) -> bytes:
    """Return a consistent copy of the northbound served at *place*, as a standalone database file."""
    files = (("-p", tls.private_key), ("-c", tls.certificate), ("-C", tls.ca_cert))
    options = [text for flag, file in files if file for text in (flag, file)]
    kind, _, path = place.partition(":")
    # ovsdb-client looks for a relative path in the run directory of Open vSwitch.
    where = f"unix:{Path(path).absolute()}" if kind == "unix" else place
    return output("ovsdb-client", *options, "backup", where, DATABASE)


def remote(listener: str) -> str | None:
    """Return where a client on this machine finds *listener*; None where it is not a listener.

    >>> remote("punix:/run/nb.sock"), remote("ptcp:6651:192.0.2.1"), remote("ptcp:6651")
    ('unix:/run/nb.sock', 'tcp:192.0.2.1:6651', 'tcp:127.0.0.1:6651')
    """
    kind, _, place = listener.partition(":")
    if kind == "punix":
        return f"unix:{place}"
    if kind not in ("ptcp", "pssl"):
        return None
    port, _, host = place.partition(":")
    return f"{kind.removeprefix('p')}:{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"


def _socket_path(listener: str) -> Path | None:
    kind, _, path = listener.partition(":")
    return Path(path) if kind == "punix" else None


def _absolute(place: str) -> str:
    kind, _, path = place.partition(":")
    return f"{kind}:{Path(path).absolute()}" if kind in ("punix", "unix") else place


def _file(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _refuse_taken(path: Path) -> None:
    """Raise ServerError where a server listens at *path*; ovsdb-server would take its place unasked."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise ServerError(f"another server already answers on {path}; stop it, or use another --remote")


def _become(program: str, arguments: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(program, [program, *arguments])
