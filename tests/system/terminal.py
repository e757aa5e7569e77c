"""A command at a terminal of its own, by which it asks, and is answered or interrupted."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil
import pytest


class Terminal:
    """A `trunkline`, by default an `apply` of `blue.yaml`, with a terminal for all that it reads and prints.

    The terminal does not say how wide it is.
    """

    def __init__(
        self, remote: str, *options: str, command: Sequence[str] = ("apply", "-f", "blue.yaml")
    ) -> None:
        self._master, slave = pty.openpty()
        # Where the tests themselves run in the background, their children would ignore SIGINT.
        program = [
            "setsid",
            "--ctty",
            "env",
            "--default-signal=INT,TERM,HUP",
            sys.executable,
            "-m",
            "trunkline",
            "--nb",
            remote,
        ]
        self.process = subprocess.Popen(
            [*program, *command, *options], stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self.said = ""

    def until(self, text: str, timeout_s: float = 60) -> None:
        """Return when *text* has been said."""
        deadline_s = time.monotonic() + timeout_s
        while text not in self.said:
            assert select.select([self._master], [], [], max(deadline_s - time.monotonic(), 0))[0], self.said
            try:
                self.said += os.read(self._master, 4096).decode()
            except OSError:  # the other end is closed
                pytest.fail(f"{text!r} is not in {self.said!r}")

    def answer(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Interrupt the program where it waits: between a question and the wait for its answer it is deaf."""
        while psutil.Process(self.process.pid).status() != psutil.STATUS_SLEEPING:
            time.sleep(0)
        self.process.send_signal(number)

    def close(self) -> int:
        """Close the terminal, and return the exit code of the program."""
        os.close(self._master)
        return self.process.wait(60)

    def end(self) -> int:
        """Return the exit code, when all that was said is read."""
        while True:
            try:
                read = os.read(self._master, 4096)
            except OSError:
                break
            self.said += read.decode()
        os.close(self._master)
        return self.process.wait(60)
