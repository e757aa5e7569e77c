"""Running a program to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.lab.error import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = (sys.executable, str(Path(__file__).parents[1]))
"""The command line of this program: the package by its path, as Python need not find it by its name."""

HANGS_S = 120.0
"""After so long a program is taken to hang: a busy machine may need a minute for a second of work."""


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = HANGS_S,
) -> str:
    """Run *argv* to its end and return what it wrote to its standard output.

    Raises CommandError if the program is not installed, if its exit code is not 0, or if it runs longer than
    *timeout_s* seconds; then it is killed.
    """
    try:
        done = subprocess.run(
            argv, input=stdin, env=env, timeout=timeout_s, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise CommandError(
            f"{argv[0]} is not installed; run scripts/demo, which installs what it needs"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"'{_line(argv)}' was not done after {timeout_s:g} s") from error
    if done.returncode != 0:
        complaint = reason(done.stderr or done.stdout)
        raise CommandError(f"'{_line(argv)}' ended with exit code {done.returncode}: {complaint}")
    return done.stdout


def reason(complaints: str) -> str:
    """Return the line of *complaints* that says why: the last one that is not the line count of `ip -batch`.

    >>> reason("RTNETLINK answers: File exists\\nCommand failed -:3\\n")
    'RTNETLINK answers: File exists'
    """
    lines = [line for line in complaints.strip().splitlines() if not line.startswith("Command failed -:")]
    return lines[-1] if lines else "no reason given"


def _line(argv: Sequence[str]) -> str:
    if tuple(argv[: len(PROGRAM)]) == PROGRAM:
        argv = ["trunkline", *argv[len(PROGRAM) :]]
    text = " ".join(argv)
    return text if len(text) <= 200 else text[:197] + "..."
