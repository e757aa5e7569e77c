"""The files that a daemon makes on this machine: whether it may, before it deletes or writes into one."""

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
"""As `ovsdb-server` has it: names and addresses are in a log, too."""

_LONGEST_PID_FILE = 32
_DATABASE_MAGIC = b"OVSDB "


class FootprintError(TrunklineError):
    """A file that a daemon would make is somebody else's, or cannot be made."""


def pid(pidfile: Path) -> int | None:
    """Return the process id of the daemon that holds *pidfile*, None where none does.

    A daemon of Open vSwitch keeps its pid file locked for as long as it lives, so a stale file or a reused id
    does not count.

    Raises:
        FootprintError: a program holds the file that is no such daemon.
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
            f"{pidfile} is held by another program and names no process; give another `pidfile`"
        )
    return int(text)


def refuse_foreign_pidfile(path: Path) -> None:
    """Raise FootprintError where *path* is anything but a pid file; a daemon would replace it."""
    if not os.path.lexists(path):
        return
    if path.is_file():
        with path.open("rb") as file:
            if re.fullmatch(rb"[\d\s]*", file.read(_LONGEST_PID_FILE)):
                return
    raise FootprintError(f"{path} is there already and is not a pid file; give another `pidfile`")


def refuse_shared(path_by_use: Mapping[str, Path | None]) -> None:
    """Raise InvalidValueError where two uses, such as `` `db` ``, have one path; None stands for no file."""
    used = {use: path.resolve() for use, path in path_by_use.items() if path is not None}
    for (one, path), (other, same) in combinations(used.items(), 2):
        if path == same:
            raise InvalidValueError(f"{path} cannot be both {one} and {other}; give each a path of its own")


def make_log(path: Path) -> None:
    """Make the log file *path* where there is none, mode 0640; leave it as it is where there is one.

    Raises:
        FootprintError: it cannot be written, or is a database.
    """
    try:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, LOG_MODE)
    except OSError as error:
        raise FootprintError(f"cannot log to {path}: {os.strerror(error.errno or 0)}") from error
    with os.fdopen(number, "rb", buffering=0) as file:
        if Path(path).is_file() and file.read(len(_DATABASE_MAGIC)) == _DATABASE_MAGIC:
            raise FootprintError(f"{path} is a database; give another `log_file`")
