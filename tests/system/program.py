"""The program `trunkline` as a person runs it: its exit code, what it prints and what it complains of."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple


class Done(NamedTuple):
    code: int
    out: str
    err: str


def trunkline(*arguments: str, nb: str | None = None, timeout_s: float = 120) -> Done:
    """Run the program with *arguments*, on the northbound *nb*, and return what came of it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TRUNKLINE_")}
    environment |= {"TRUNKLINE_NB": nb} if nb else {}
    done = subprocess.run(
        [sys.executable, "-m", "trunkline", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def typed(command: str, nb: str | None = None) -> Done:
    """Run `trunkline` with *command*, as typed in a shell, if no argument has a space."""
    return trunkline(*command.split(), nb=nb)


def refusal(done: Done, code: int) -> str:
    """Return the one line of complaint of a command that had to end with *code*, and print nothing else."""
    assert (done.code, done.out) == (code, ""), done
    assert done.err.endswith("\n"), done
    assert done.err.count("\n") == 1, done
    return done.err.strip()
