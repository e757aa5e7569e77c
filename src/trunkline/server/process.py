"""The northbound's server: `ovsdb-server` of Open vSwitch, started and stopped on the northbound's file.

The file is a standalone database or one member's part of a Raft cluster (ovsdb(7)). The server's control
socket is next to the pid file: `nb.ctl` for `nb.pid`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from trunkline.core.error import TrunklineError
from trunkline.host import footprint
from trunkline.host.interruption import kept_back
from trunkline.host.listener import (
    absolute,
    bound,
    passive,
    refuse_taken,
    refuse_used_socket,
    remote,
    socket_path,
)
from trunkline.northbound.rpc import Tls
from trunkline.northbound.schema import DATABASE
from trunkline.server.cluster import Standing, standing
from trunkline.server.datafile import has_certificate, is_standalone, prepare
from trunkline.server.tool import ToolError, executable, output, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEFAULT_DB = Path("/var/lib/trunkline/nb.db")
DEFAULT_LISTENER = "punix:/run/trunkline/nb.sock"

_START_TIMEOUT_S = 60
_QUORUM_TIMEOUT_S = 10
_STOP_TIMEOUT_S = 30
_ANSWER_TIMEOUT_S = 3  # for a question that the server answers at once
_ATTENDANCE_S = 0.1  # between two attempts to reach a server that does not take commands yet


class ServerError(TrunklineError):
    """The northbound's server cannot be started or stopped, or does not run as it should."""


_GIVE_FILES = "give `private_key`, `certificate` and `ca_cert`"


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve: on which *listeners*, with which files for `ssl:` and `pssl:`, and in which cluster.

    With *cluster_local* (`tcp|ssl:IP:PORT`), a file that does not exist yet becomes a member of a new
    cluster, or of the cluster at *cluster_remotes*. With *relayed* there is no file: the server relays those
    servers. If *tls* names no files, the server takes those of the database's SSL row, if there is one.
    """

    listeners: tuple[str, ...]
    log_file: Path | None = None
    tls: Tls = field(default_factory=Tls)
    cluster_local: str | None = None
    cluster_remotes: tuple[str, ...] = ()
    relayed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """The server of the file *db*. It runs if its *pidfile* is locked."""

    db: Path
    pidfile: Path

    @classmethod
    def of(cls, db: Path, pidfile: Path | None = None) -> Server:
        """Return the server of *db*; its default pid file is `nb.pid` for `nb.db`."""
        absolute = db.absolute()
        return cls(absolute, pidfile.absolute() if pidfile else absolute.with_suffix(".pid"))

    @property
    def control(self) -> Path:
        """The server's control socket, for `ovs-appctl -t`."""
        return self.pidfile.with_suffix(".ctl")

    def pid(self) -> int | None:
        """Return the process id of the running server, None if none runs."""
        return footprint.pid(self.pidfile)

    def start(self, serving: Serving, *, is_detached: bool, report: Callable[[str], None]) -> None:
        """Start the server. First create, repair or convert its file if necessary.

        Detached, return when it answers. Otherwise the calling process becomes the server; if that is a
        member of a cluster, another process upgrades the cluster when it has a leader. *report* is called
        with a line about what was dropped from a damaged file, one about a certificate that is missing, and
        one about what the server waits for. If this raises, no server is left running.

        Raises:
            ServerError: it already runs, or does not answer.
            ListenerError: it cannot listen on one of its listeners.
            FootprintError: one of its files is another program's, or cannot be made.
            ToolError: Open vSwitch is not installed, or one of its programs failed.
            DatafileError: the file is another database's, or newer than this program.
        """
        pid = self.pid()
        if pid is not None:
            raise ServerError(f"the northbound is already running (pid {pid})")
        listeners = list(dict.fromkeys(map(absolute, serving.listeners)))
        program = executable("ovsdb-server")
        self._refuse_foreign(listeners, serving)
        for path in (self.db, self.pidfile, *filter(None, map(socket_path, listeners))):
            footprint.make_directory(path.parent)
        if serving.log_file is not None:
            footprint.make_log(serving.log_file)
        is_new = not self.db.exists()
        joined = (serving.cluster_local or "", *serving.cluster_remotes) if is_new else ()
        if not any(serving.tls) and any(place.startswith("ssl:") for place in (*serving.relayed, *joined)):
            raise ServerError(f"the server has no certificate for ssl: links to other servers; {_GIVE_FILES}")
        if not serving.relayed:
            dropped = prepare(self.db, serving.cluster_local, serving.cluster_remotes)
            if dropped is not None:
                report(dropped)
        deaf = [listener for listener in listeners if listener.startswith("pssl:")]
        if deaf and not any(serving.tls) and is_standalone(self.db) and not has_certificate(self.db):
            report(f"nobody can connect to {', '.join(deaf)}: there is no certificate yet; {_GIVE_FILES}")
        arguments = self._arguments(listeners, serving)
        if not is_detached:
            if not serving.relayed and not is_standalone(self.db):
                self._leave_attendant(listeners)
            _become(program, arguments)
        run("ovsdb-server", *arguments, "-vconsole:off", "--detach", timeout_s=_START_TIMEOUT_S)
        try:
            self._require_bound(listeners)
            note = self._await_answer(listeners, serving, is_new=is_new)
        except BaseException:
            if self.pid() is not None:
                self.stop()
            raise
        if note is not None:
            report(note)

    def _refuse_foreign(self, listeners: Sequence[str], serving: Serving) -> None:
        """Raise if a file, socket or port that the server would use belongs to something else."""
        sockets = {f"`listeners` {path}": path for path in filter(None, map(socket_path, listeners))}
        files = {
            "`pidfile`": self.pidfile,
            "the control socket": self.control,
            "`log_file`": serving.log_file,
        }
        footprint.refuse_shared({"`db`": self.db, **files, **sockets})
        for listener in listeners:
            refuse_taken(listener)
        if serving.cluster_local is not None and (among := passive(serving.cluster_local)) is not None:
            refuse_taken(among)
        refuse_used_socket(self.control)
        footprint.refuse_foreign_pidfile(self.pidfile)

    def _require_bound(self, listeners: Sequence[str]) -> None:
        """Raise ServerError if the server, just started, does not listen on all of *listeners*."""
        pid = self.pid()
        if pid is None:
            raise ServerError("the server exited right after its start; see its log (`log_file`)")
        listening = bound(listeners, pid)
        missing = [place for place in listeners if place not in listening]
        if missing:
            raise ServerError(f"the server cannot listen on {', '.join(missing)}; see its log (`log_file`)")

    def stop(self) -> None:
        """Stop the server, and return when it has exited.

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
        """Return where the running server was told to listen, without its `db:` listeners.

        Raises:
            ToolError: the server does not answer on its control socket, or not in time.
        """
        answer = self._ask("ovsdb-server/list-remotes", timeout_s=_ANSWER_TIMEOUT_S)
        return sorted(line for line in answer.splitlines() if not line.startswith("db:"))

    def standing(self) -> Standing | None:
        """Return the running server's place in its cluster, None if it is in none."""
        try:
            return standing(self._ask("cluster/status", DATABASE, timeout_s=_ANSWER_TIMEOUT_S))
        except ToolError:
            return None

    def _ask(self, *words: str, timeout_s: float = _START_TIMEOUT_S) -> str:
        return run("ovs-appctl", "-t", str(self.control), *words, timeout_s=timeout_s)

    def _arguments(self, listeners: Sequence[str], serving: Serving) -> list[str]:
        tls, log_file = serving.tls, serving.log_file
        relayed = ",".join(absolute(place) for place in serving.relayed)
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
        """Wait until the server answers, and is connected to its cluster, or to the servers that it relays.

        A member that was started again may have to wait for other members, and a relay for its servers. For
        those this waits less long, and returns a line that says what the server waits for.
        """
        is_patient = is_new and not serving.relayed
        timeout_s = _START_TIMEOUT_S if is_patient else _QUORUM_TIMEOUT_S
        with self.entrance(listeners) as place:
            try:
                _wait_connected(place, timeout_s)
            except ToolError as error:
                if serving.relayed:
                    return (
                        f"the relay runs (pid {self.pid()}); none of {', '.join(serving.relayed)} answers yet"
                    )
                if not is_patient and self.standing() is not None:
                    return f"the member runs (pid {self.pid()}); it waits for enough others to elect a leader"
                raise ServerError(
                    f"the northbound runs (pid {self.pid()}) but does not answer on {place}: {error}"
                ) from error
            if self.standing() is not None:
                _upgrade(place, self.db)
        return None

    @contextmanager
    def entrance(self, listeners: Sequence[str], timeout_s: float = _START_TIMEOUT_S) -> Iterator[str]:
        """Yield a remote of the running server without TLS. If it has none, add one for the block.

        Raises:
            ToolError: the server does not take commands, or not within *timeout_s*.
        """
        places = [place for place in map(remote, listeners) if place and not place.startswith("ssl:")]
        if places:
            yield places[0]
            return
        path = self.pidfile.with_suffix(f".{os.getpid()}.sock")
        with ExitStack() as stack:
            with kept_back():
                self._ask("ovsdb-server/add-remote", f"punix:{path}", timeout_s=timeout_s)
                stack.callback(self._ask, "ovsdb-server/remove-remote", f"punix:{path}", timeout_s=timeout_s)
            yield f"unix:{path}"

    def _leave_attendant(self, listeners: Sequence[str]) -> None:
        """Fork a process that upgrades the cluster when the server has joined it. This process is the server.

        The other one ends when the upgrade is done, or when the server exits.
        """
        server = os.pidfd_open(os.getpid())
        try:
            first = os.fork()
            if first:
                os.waitpid(first, 0)
            elif os.fork():
                # The server does not wait for children that it does not know, so this one becomes init's.
                os._exit(0)
            else:
                self._attend(server, listeners)
        finally:
            os.close(server)

    def _attend(self, server: int, listeners: Sequence[str]) -> NoReturn:
        """Upgrade the cluster when it has a leader, and exit; or exit when the process *server* does."""
        is_upgraded = False
        try:
            while not is_upgraded and not select.select([server], [], [], _ATTENDANCE_S)[0]:
                is_upgraded = self._is_upgraded(listeners)
        except TrunklineError as error:
            print(f"trunkline: the cluster was not upgraded: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(0 if is_upgraded else 1)

    def _is_upgraded(self, listeners: Sequence[str]) -> bool:
        """Upgrade the cluster if it has a leader by now; return whether it had."""
        with ExitStack() as stack:
            try:
                place = stack.enter_context(self.entrance(listeners))
                _wait_connected(place, _QUORUM_TIMEOUT_S)
            except ToolError:
                return False
            _upgrade(place, self.db)
        return True


def _wait_connected(place: str, timeout_s: int) -> None:
    """Wait until the server at *place* has the database, and its cluster a leader; else raise ToolError."""
    wait = ("ovsdb-client", f"--timeout={timeout_s}", "wait", place, DATABASE, "connected")
    run(*wait, timeout_s=timeout_s + 5)


def _upgrade(place: str, db: Path) -> None:
    # Imported here, since only a cluster is upgraded while it runs, and most starts need no client.
    from trunkline.server.upgrade import upgrade

    upgrade(place, db)


def backup(place: str, tls: Tls) -> bytes:
    """Return a consistent copy of the northbound served at *place*, as a standalone database file."""
    files = (("-p", tls.private_key), ("-c", tls.certificate), ("-C", tls.ca_cert))
    options = [text for flag, file in files if file for text in (flag, file)]
    kind, _, path = place.partition(":")
    # ovsdb-client looks for a relative path in the run directory of Open vSwitch.
    where = f"unix:{Path(path).absolute()}" if kind == "unix" else place
    return output("ovsdb-client", *options, "backup", where, DATABASE)


def _file(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _become(program: str, arguments: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(program, [program, *arguments])
