"""What a process uses, its share of the processor and its memory; and how one is made to stand still."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has."""
    return psutil.Process(pid).memory_info().rss


def share(pid: int, spin_s: float = 0.5) -> float:
    """Return how much processor time a process uses while this one uses as much as it gets, as a ratio.

    A process that is never idle gets as much as this one, however many others there are. This one is done
    when it has used *spin_s*.
    """
    before_s, start_s = cpu_s(pid), time.process_time()
    while time.process_time() - start_s < spin_s:
        pass
    return (cpu_s(pid) - before_s) / spin_s


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep a process from running (SIGSTOP) for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
