"""Copies of the northbound. Only their owner can read them, they are complete or not there at all, and they
replace an existing file only if that is asked for.
"""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import nullcontext
from itertools import count
from pathlib import Path

from trunkline.server.lock import locked


def free_path(db: Path, suffix: str) -> Path:
    """Return the first of `<db>.<suffix>`, `<db>.<suffix>.1` and so on that does not exist."""
    paths = (db.with_name(f"{db.name}.{suffix}{f'.{n}' if n else ''}") for n in count())
    return next(path for path in paths if not os.path.lexists(path))


def write_new(path: Path, data: bytes) -> None:
    """Write *data* to a new file *path*, mode 0600, whole or not at all.

    Raises:
        FileExistsError: *path* exists already; it is left as it is.
        OSError: it cannot be written.
    """
    _write(path, data, replaces=False)


def write_over(path: Path, data: bytes) -> None:
    """Write *data* to the file *path*, mode 0600, whole or not at all; replace the file if it exists.

    Raises:
        FileInUseError: *path* is a database that a server has open, which would go on with a deleted file.
        FileExistsError: *path* is not a file but, for example, a device.
        OSError: it cannot be written; the file that was there is unchanged.
    """
    target = path.resolve()
    if not target.exists():
        _write(target, data, replaces=True)
        return
    if not target.is_file():
        raise FileExistsError(errno.EEXIST, "is not a file; give another path", str(path))
    with locked(target) if target.with_name(f".{target.name}.~lock~").exists() else nullcontext():
        _write(target, data, replaces=True)


def _write(path: Path, data: bytes, *, replaces: bool) -> None:
    try:
        # A name that no other program uses, and mode 0600 from the start.
        number, name = tempfile.mkstemp(prefix=".trunkline-", suffix=".new", dir=path.parent)
        draft = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not replaces:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:  # its path is the draft's, which the caller does not know
        raise OSError(error.errno, error.strerror, str(path)) from error
