"""The case `metrics`: what a scrape of `trunkline metrics` costs the programs of a chassis."""

from __future__ import annotations

import socket
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from load import Load
from ours import PROGRAM, Trunkline
from process import BenchError, Process, now_s, run_ns
from series import Results

LIMIT_S = 120.0
NO_PORTS, ALL_PORTS = "no ports", "all ports"
PER_ROUND = 10
"""How many scrapes one value is the mean of: the clock of a process is read before and after them."""

Say = Callable[[str], None]


def scrape(results: Results, say: Say, load: Load, rounds: int) -> None:
    """Scrape a chassis with *load*, *rounds* times `PER_ROUND` times each way."""
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        chassis = Trunkline(Path(folder) / "0", load)
        try:
            chassis.start()
            chassis.settle(LIMIT_S)
            count = chassis.switch.flow_count()
            say(f"metrics {load}: at rest, {count:,} flows")
            with served(chassis) as few, served(chassis, "--ports", ".*") as many:
                for _ in range(rounds):
                    for work, (url, process) in ((NO_PORTS, few), (ALL_PORTS, many)):
                        pids = {"agent": chassis.agent_pid, "ovs-vswitchd": chassis.switch.vswitchd_pid}
                        pids["northbound"] = chassis.nb_pid
                        for name, cpu_s in cost(url, pids, process).items():
                            note = f"of {count:,} flows"
                            results.record("scrape", f"CPU, {work}", name, "s", cpu_s, note=note)
        finally:
            chassis.close()


def cost(url: str, pids: dict[str, int], metrics: Process) -> dict[str, float]:
    """Return the CPU seconds that a scrape cost each of those processes, as the mean of `PER_ROUND`."""
    before, metrics_s = {name: run_ns(pid) for name, pid in pids.items()}, metrics.usage.cpu_s
    for _ in range(PER_ROUND):
        read(url)
    costs = {name: (run_ns(pid) - before[name]) / 1e9 / PER_ROUND for name, pid in pids.items()}
    # A thread answers each scrape and ends, which only the coarser clock of the process counts.
    return costs | {"metrics": (metrics.usage.cpu_s - metrics_s) / PER_ROUND}


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
        body: bytes = answer.read()
    if b"trunkline_agent_up 1.0" not in body:
        raise BenchError("the agent did not answer a scrape")
    return body


@contextmanager
def served(chassis: Trunkline, *words: str) -> Iterator[tuple[str, Process]]:
    """Serve the metrics of *chassis* for the length of the block; yields where, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    argv = [*PROGRAM, "metrics", "--listen", place, *words]
    process = Process(argv, chassis.switch.environment, chassis.folder / "metrics.out")
    try:
        url = f"http://{place}/metrics"
        deadline_s = now_s() + LIMIT_S
        while not is_served(url):
            if now_s() > deadline_s:
                raise BenchError(f"nothing is served: {(chassis.folder / 'metrics.out').read_text()}")
            time.sleep(0.05)
        yield url, process
    finally:
        process.end()


def is_served(url: str) -> bool:
    try:
        read(url)
    except OSError:
        return False
    return True
