"""The daemon: the agent as a process, with its signals, its pid file and its control socket."""

from __future__ import annotations

import errno
import gc
import glob
import logging
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ovs.daemon
import ovs.dirs
import ovs.fatal_signal
import ovs.poller
import ovs.unixctl
import ovs.util
import ovs.vlog

from trunkline.agent.agent import Agent
from trunkline.core.error import TrunklineError
from trunkline.host import footprint
from trunkline.host.listener import refuse_used_socket
from trunkline.host.remote import parse_switch
from trunkline.host.rundir import rundir
from trunkline.ovsdb import restore_wait
from trunkline.process import memory
from trunkline.process.answering import Answering
from trunkline.process.control import Control
from trunkline.process.control_socket import ControlSocket, remove_left
from trunkline.process.detachment import detach
from trunkline.process.notify import READY, STOPPING, notify
from trunkline.runtime.log import Log

log = Log("daemon")

LOG_PATTERN = "%D{%Y-%m-%dT%H:%M:%S.%fZ}|%05N|%c|%p|%m"
"""Time, number, module, level, text (ovs-appctl(8)); `###`, for milliseconds, drops leading zeros."""

PROGRAM = "trunkline-agent"
"""The name that the control socket and the default pid file carry."""


"""Where Open vSwitch of a distribution has its sockets; `ovs` from PyPI looks below /usr/local instead."""


class DaemonError(TrunklineError):
    """The agent cannot start with these options, or on this host."""


PATIENCE_S = 5.0
"""How long to wait for another agent on this switch to end: a predecessor takes a moment."""

PARTING_S = 1.0
"""How long the switch's database has for the last write of an agent that ends."""

GC_THRESHOLDS = (50_000, 50, 1000)
"""How often Python looks for cycles of garbage, once the agent has started. The agent keeps hundreds of
thousands of small values that have none; with Python's default, looking through them was 20 % of the start
with 10,000 ports."""

GC_PAUSE_S = 60.0
"""After how long it looks for garbage in any case: a start ends when all is in place, if ever."""


@dataclass(frozen=True)
class Options:
    """How to run: where the database of the switch is, and how to behave as a process.

    *rundir* holds the database's socket by default, the bridges' management sockets, and the control socket
    unless *unixctl* is its path.
    """

    ovs_remote: str | None = None
    is_detached: bool = False
    pidfile: str | None = None
    log_file: str | None = None
    unixctl: str | None = None

    @property
    def rundir(self) -> str:
        """Where Open vSwitch keeps its sockets."""
        return rundir(str(ovs.dirs.RUNDIR))

    @property
    def control(self) -> str:
        """The path of the control socket of this process."""
        return os.path.abspath(self.unixctl or os.path.join(self.rundir, f"{PROGRAM}.{os.getpid()}.ctl"))

    @property
    def remote(self) -> str:
        """The remote of the switch's database."""
        return self.ovs_remote or f"unix:{self.rundir}/db.sock"


def require_socket(remote: str) -> None:
    """Say now that *remote*, of the switch's database, leads nowhere.

    Raises:
        InvalidValueError: it is not written as such a remote is.
        DaemonError: it is a Unix socket that is missing or cannot be opened.
    """
    kind, path, _ = parse_switch(remote)
    if kind != "unix":
        return
    try:
        is_open = os.stat(path) and os.access(path, os.R_OK | os.W_OK)
    except PermissionError:  # of a directory above it, so nobody knows whether it exists
        is_open = False
    except OSError:
        raise DaemonError(
            f"{path} does not exist; start Open vSwitch, or say where it is with `ovs_remote` or $OVS_RUNDIR"
        ) from None
    if not is_open:
        raise DaemonError(
            f"cannot open {path}: permission denied; run as root or as a member of the socket's group"
        )


def other_agents(rundir: str) -> str:
    """Return the process ids of other agents with a control socket in *rundir*, or `unknown`.

    A socket that a killed agent left behind does not answer, and does not count.
    """
    found = []
    for path in glob.glob(os.path.join(glob.escape(rundir), f"{PROGRAM}.*.ctl")):
        pid = path.rsplit(".", 2)[-2]
        if pid != str(os.getpid()) and _is_listening(path):
            found.append(pid)
    return ", ".join(sorted(found)) or "unknown"


def _is_listening(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (0, errno.EAGAIN)


class _OtherAgent:
    """Waits for a while until another agent on this switch has ended."""

    def __init__(self, rundir: str) -> None:
        self._rundir = rundir
        self._end_s: float | None = None

    def run(self, *, is_contended: bool) -> None:
        """Note whether there is another agent; raise `DaemonError` if it has not ended in time."""
        now_s = time.monotonic()
        if not is_contended:
            self._end_s = None
        elif self._end_s is None:
            self._end_s = now_s + PATIENCE_S
            log.warning("waiting for another agent on this switch to end", pid=other_agents(self._rundir))
        elif now_s >= self._end_s:
            who = other_agents(self._rundir)
            log.error("another agent works on this switch", pid=who)
            raise DaemonError(f"another agent works on this switch (pid {who}); stop it first")

    def wait(self, poller: ovs.poller.Poller) -> None:
        if self._end_s is not None:
            poller.timer_wait(max(0, int((self._end_s - time.monotonic()) * 1000) + 1))


class Stopped(BaseException):
    """The process was told to end in the middle of a turn. It ends at once, and leaves nothing half done.

    A bundle, or a write to a database, has no effect if it is cut off.
    """


class Wakeup:
    """Turns SIGTERM, SIGINT and the control command `exit` into `is_asked`, and wakes the poller for it.

    While `is_armed`, a signal raises `Stopped`, so that the process ends at once, whatever it is doing.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.is_armed = False
        self._askers: list[Any] = []
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        ovs.unixctl.command_register("exit", "", 0, 0, self._exit, None)

    def _ask(self, *_: Any) -> None:
        self.is_asked = True
        if self.is_armed:
            self.is_armed = False
            raise Stopped

    def _exit(self, connection: Any, *_: Any) -> None:
        self.is_asked = True
        self._askers.append(connection)

    def answer(self) -> None:
        """Answer the callers of `exit`: it is done, and another agent can be started."""
        for connection in self._askers:
            # The caller may have gone.
            if connection.is_asked:
                connection.reply("")

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when the process is told to end."""
        poller.fd_wait(self._reader, ovs.poller.POLLIN)
        if self.is_asked:
            poller.immediate_wake()


def run(options: Options) -> None:
    """Run the agent until it is told to stop; with `is_detached`, the caller goes on once it is at work.

    It is at work when the switch's database is read and the settings are valid. The service manager is told
    then (sd_notify(3)). The northbound need not be there: an agent that waits for it has started well.

    Raises:
        DaemonError: the switch's database is not there or may not be opened, or another agent works on the
            switch or has the pid file.
        FootprintError, ListenerError: one of its files belongs to another program, or cannot be created.
        DetachmentError: the agent ended before it was at work.
        SettingsError: a required chassis setting is missing.
    """
    require_socket(options.remote)
    place = os.path.dirname(options.control)
    if not os.access(place, os.W_OK | os.X_OK):
        raise DaemonError(f"cannot write to {place}; give the control socket another path with `unixctl`")
    _refuse_foreign(options)
    ovs.util.PROGRAM_NAME = PROGRAM
    gc.disable()
    ready = _start(options)
    wakeup = Wakeup()
    remove_left(options.rundir, PROGRAM)
    server = ControlSocket.at(options.control)
    agent = Agent(options.remote, options.rundir)
    control, answering = Control(agent), Answering(agent)
    try:
        wakeup.is_armed = True
        _loop(agent, control, answering, server, wakeup, _OtherAgent(options.rundir), ready)
    except Stopped:
        log.debug("stopped in the middle of a turn")
    except TrunklineError:
        raise
    except Exception:
        # In the background nobody sees what is written to standard error.
        log.error("the agent ends because of a defect in it", error=traceback.format_exc())
        raise
    finally:
        wakeup.is_armed = False
        _tell(STOPPING)
        agent.close()
        _let_start(agent, options.remote)
        if options.pidfile is not None:
            ovs.fatal_signal.unlink_file_now(os.path.abspath(options.pidfile))
        wakeup.answer()
        server.close()
    log.info("exiting; the switch goes on forwarding")


def _refuse_foreign(options: Options) -> None:
    """Raise if one of the agent's files is in use or belongs to another program; create its log."""
    unixctl, pidfile, log_file = (
        Path(file).absolute() if file is not None else None
        for file in (options.unixctl, options.pidfile, options.log_file)
    )
    footprint.refuse_shared({"`unixctl`": unixctl, "`pidfile`": pidfile, "`log_file`": log_file})
    if unixctl is not None:
        refuse_used_socket(unixctl)
    if pidfile is not None:
        running = footprint.pid(pidfile)
        if running is not None:
            raise DaemonError(f"an agent is running already (pid {running}, {pidfile}); stop it first")
        footprint.refuse_foreign_pidfile(pidfile)
        if not os.access(pidfile.parent, os.W_OK | os.X_OK):
            raise DaemonError(f"cannot write to {pidfile.parent}; correct `pidfile`")
    if log_file is not None:
        footprint.make_log(log_file)


def _start(options: Options) -> Callable[[], None]:
    """Become the process that runs the agent; return what to call when it is at work."""
    ovs.vlog.Vlog.init(os.path.abspath(options.log_file) if options.log_file else None)
    for destination in ("console", "file"):
        ovs.vlog.Vlog.set_pattern(destination, LOG_PATTERN)
    for destination in ovs.vlog.DESTINATIONS:
        # Without a handler, `logging` writes warnings to standard error: a second time in the foreground.
        logging.getLogger(destination).addHandler(logging.NullHandler())
    ovs.vlog.Vlog.set_level("any", "syslog", "off")
    if options.is_detached or options.log_file is not None:
        ovs.vlog.Vlog.set_level("any", "console", "off")
    ready = detach() if options.is_detached else lambda: None
    if options.pidfile is not None:
        ovs.daemon.set_pidfile(os.path.abspath(options.pidfile))
    ovs.daemon.set_no_chdir()
    ovs.daemon.daemonize_start()
    # So that a log file that is created after rotation is not readable by everybody, either.
    os.umask(os.umask(0) | 0o027)
    return ready


def _loop(
    agent: Agent,
    control: Control,
    answering: Answering,
    server: ControlSocket,
    wakeup: Wakeup,
    other_agent: _OtherAgent,
    ready: Callable[[], None],
) -> None:
    is_started = False
    said = ""
    garbage_s = time.monotonic() + GC_PAUSE_S
    while not wakeup.is_asked:
        agent.run()
        if not gc.isenabled() and (agent.is_settled or time.monotonic() >= garbage_s):
            _look_for_garbage()
        other_agent.run(is_contended=agent.switch.is_contended)
        server.run()
        control.run()
        answering.run()
        memory.give_back()
        if not is_started and agent.settings is not None:
            is_started = True
            ready()
            _tell(READY)
            log.info("at work", chassis=agent.settings.chassis, pid=os.getpid())
        if is_started and (now := _standing(agent)) != said:
            said = now
            _tell(f"STATUS={now}")
        poller = ovs.poller.Poller()
        agent.wait(poller)
        server.wait(poller)
        control.wait(poller)
        answering.wait(poller)
        wakeup.wait(poller)
        other_agent.wait(poller)
        poller.block()


def _look_for_garbage() -> None:
    """Have Python look for cycles of garbage from now on, but not in what is there already."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


def _standing(agent: Agent) -> str:
    """Return the state of the agent in a few words, for the service manager."""
    if agent.nb is None or not agent.nb.is_connected:
        return "waiting for the northbound; the switch goes on forwarding"
    if agent.forwarding is None or not agent.forwarding.is_connected:
        return "waiting for the switch"
    return "connected"


def _let_start(agent: Agent, remote: str) -> None:
    """If ovs-vswitchd is to wait for this agent, which ends, let it start without."""
    if not agent.restart.has_wait:
        return
    try:
        restore_wait.take_away(remote, PARTING_S)
    except TrunklineError as error:
        log.error("ovs-vswitchd will wait for the flows of an agent", error=error)


def _tell(state: str) -> None:
    """Tell the service manager *state*; if it does not listen, the agent goes on all the same."""
    try:
        notify(state)
    except OSError as error:
        log.warning("the service manager does not listen", error=error)
