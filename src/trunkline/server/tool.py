"""The programs of Open vSwitch that work on databases: where they are, and how to run them."""

from __future__ import annotations

import os
import shutil
import subprocess

from trunkline.core.error import TrunklineError

_TIMEOUT_S = 60.0
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # ovsdb-server is in one of these; a user's PATH has none


class ToolError(TrunklineError):
    """A program of Open vSwitch is missing, or failed; the text is the last line that it wrote."""


def executable(name: str) -> str:
    """Return the path of the program *name*.

    Raises:
        ToolError: it is not installed.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}")
    if path is None:
        raise ToolError(f"{name} is not installed; install openvswitch-switch")
    return path


def run(name: str, *arguments: str, timeout_s: float = _TIMEOUT_S) -> str:
    """Return what the program *name* prints, without white space at its ends; raises as `output` does."""
    return output(name, *arguments, timeout_s=timeout_s).decode(errors="replace").strip()


def output(name: str, *arguments: str, timeout_s: float = _TIMEOUT_S) -> bytes:
    """Return what the program *name* prints, as bytes.

    Raises:
        ToolError: it is not installed, fails, or takes longer than *timeout_s*.
    """
    try:
        done = subprocess.run(
            [executable(name), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{name} has not finished within {timeout_s:g} s") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise ToolError(f"{name}: {lines[-1].removeprefix(f'{name}: ')}")
    return done.stdout
