"""Processes of a benchmark: started, looked at, and ended by their ids alone."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

END_TIMEOUT_S = 30.0


class Usage(NamedTuple):
    """What a process has used: CPU seconds since its start, resident bytes now and at most."""

    cpu_s: float
    rss_bytes: int
    peak_rss_bytes: int


class BenchError(Exception):
    """Something that a benchmark needs did not work; the text says what."""


def do(argv: Sequence[str], environment: Mapping[str, str], text: str | None = None) -> str:
    """Run *argv* with *text* as its input, and return what it wrote; raises `BenchError` if it fails."""
    done = subprocess.run(argv, env=dict(environment), input=text, text=True, capture_output=True)
    if done.returncode:
        raise BenchError(f"{' '.join(argv)[:200]}: {done.stderr.strip()[:500]}")
    return done.stdout


def run_ns(pid: int) -> int:
    """Return the nanoseconds that the present threads of that process have run (proc(5), schedstat)."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


class Process:
    """A process that this program started; *log_path* takes what it writes."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                argv, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid = self._process.pid

    @property
    def usage(self) -> Usage:
        """What it has used up to now (proc(5))."""
        return usage(self.pid)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it with signal *number*, and wait until it is gone."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Daemon:
    """A program that detaches once it is ready, and writes *pidfile*."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], pidfile: Path) -> None:
        do([*argv, "--detach", "--no-chdir", f"--pidfile={pidfile}"], environment)
        self.pid = int(pidfile.read_text())

    @property
    def usage(self) -> Usage:
        """What it has used up to now (proc(5))."""
        return usage(self.pid)

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        kill(self.pid)


def kill(*pids: int) -> None:
    """Kill the processes with *pids* at once, and wait until they are gone."""
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
            processes[-1].kill()
    psutil.wait_procs(processes, END_TIMEOUT_S)


def usage(pid: int) -> Usage:
    """Return what the process with *pid* has used up to now (proc(5))."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    # psutil knows no peak on Linux.
    status = Path(f"/proc/{pid}/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    return Usage(times.user + times.system, process.memory_info().rss, peak_kib * 1024)


def now_s() -> float:
    """Return the time, in seconds that only grow."""
    return time.perf_counter()
