"""The programs of a controller of Neutron, and whether its API answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PROCESSES, THREADS = 2, 4
"""Of an API."""

_SERVED = re.compile(r"^\[pid: (\d+)\|", re.MULTILINE)
"""What begins the line in which uwsgi says that a process has answered a request."""


@dataclass
class Program:
    """A program that runs with its output in a file of its name."""

    name: str
    words: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def kill_all(self) -> None:
        """End it and all of its processes with SIGKILL; nothing if it does not run."""
        if self.process is None:
            return
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def end(self, *, kill: bool = False) -> None:
        """End it with SIGTERM, or SIGKILL, and wait until it has exited."""
        if self.process is None:
            return
        (self.process.kill if kill else self.process.terminate)()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill_all()
        self.process = None

    def require(self) -> None:
        """Fail, with the end of its output, if it has ended by itself."""
        assert self.process is not None
        code = self.process.poll()
        assert code is None, f"{self.name} has ended with {code}:\n{self.log.read_text()[-3000:]}"


@dataclass
class Controller:
    """The programs of one controller; its API is at *url*."""

    name: str
    url: str
    api: Program
    periodic: Program

    def is_served(self) -> bool:
        """Return whether the API answers, and each of its processes has; one cannot take all requests."""
        count = PROCESSES * THREADS
        with ThreadPoolExecutor(count) as pool:
            is_served = all(pool.map(_answers, [f"{self.url}/v2.0/networks"] * count))
        served = set(_SERVED.findall(self.api.log.read_text(errors="replace")))
        return is_served and len(served) == PROCESSES


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
