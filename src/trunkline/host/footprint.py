"""The files that a daemon creates on this machine, with checks that it may replace what is there."""

from __future__ import annotations

import fcntl
import os
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError, TrunklineError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_MODE = 0o640
"""The mode that `ovsdb-server` uses too: a log has names and addresses in it."""

_LONGEST_PID_FILE = 32
_DATABASE_MAGIC = b"OVSDB "


class FootprintError(TrunklineError):
    """A file that a daemon would create belongs to something else, or cannot be created."""


def pid(pidfile: Path) -> int | None:
    """Return the process id of the daemon that holds *pidfile*, None if none does.

    A daemon of Open vSwitch keeps its pid file locked as long as it lives, so a stale file, or a reused
    process id, does not count.

    Raises:
        FootprintError: the program that holds the file is no such daemon.
    """
    try:
        with pidfile.open("rb") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                text = file.read(_LONGEST_PID_FILE)
            else:
                return None
    except FileNotFoundError:
        return None
    if not re.fullmatch(rb"\s*\d{1,10}\s*", text):
        raise FootprintError(
            f"{pidfile} is locked by another program and has no process id; give another `pidfile`"
        )
    return int(text)


def refuse_foreign_pidfile(path: Path) -> None:
    """Raise FootprintError if *path* exists and is not a pid file, since a daemon would replace it."""
    if not os.path.lexists(path):
        return
    if path.is_file():
        with path.open("rb") as file:
            if re.fullmatch(rb"[\d\s]*", file.read(_LONGEST_PID_FILE)):
                return
    raise FootprintError(f"{path} exists and is not a pid file; give another `pidfile`")


def make_directory(path: Path) -> None:
    """Create the directory *path* if it does not exist.

    Raises:
        FootprintError: it cannot be created, or this user may not create files in it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FootprintError(f"cannot create {path}: {_advice(error, 'path')}") from error
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
        raise FootprintError(f"cannot create files in {path}: {_advice(PermissionError(), 'path')}")


def _advice(error: OSError, place: str) -> str:
    """Return why a file cannot be made, and what to do; *place* is what can be another one."""
    if isinstance(error, PermissionError):
        return f"permission denied; run as root, or give another {place}"
    return f"{os.strerror(error.errno or 0).lower()}; give another {place}"


def refuse_shared(path_by_use: Mapping[str, Path | None]) -> None:
    """Raise InvalidValueError if two uses, such as `` `db` ``, have one path; None stands for no file."""
    used = {use: path.resolve() for use, path in path_by_use.items() if path is not None}
    for (one, path), (other, same) in combinations(used.items(), 2):
        if path == same:
            raise InvalidValueError(f"{path} cannot be both {one} and {other}; give each a path of its own")


def make_log(path: Path) -> None:
    """Create the log file *path*, mode 0640, if it does not exist; leave it as it is if it does.

    Raises:
        FootprintError: it cannot be written, or is a database.
    """
    try:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, LOG_MODE)
    except OSError as error:
        raise FootprintError(f"cannot log to {path}: {_advice(error, '`log_file`')}") from error
    with os.fdopen(number, "rb", buffering=0) as file:
        if Path(path).is_file() and file.read(len(_DATABASE_MAGIC)) == _DATABASE_MAGIC:
            raise FootprintError(f"{path} is a database; give another `log_file`")
