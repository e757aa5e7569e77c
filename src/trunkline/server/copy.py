"""Copies of the northbound: for their owner alone, whole or not there, never over a file unasked."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import nullcontext
from itertools import count
from pathlib import Path

from trunkline.server.lock import locked


def free_path(db: Path, suffix: str) -> Path:
    """Return the first of `<db>.<suffix>`, `<db>.<suffix>.1` and so on that is not taken."""
    paths = (db.with_name(f"{db.name}.{suffix}{f'.{n}' if n else ''}") for n in count())
    return next(path for path in paths if not os.path.lexists(path))


def write_new(path: Path, data: bytes) -> None:
    """Write *data* to a new file *path*, mode 0600, whole or not at all.

    Raises:
        FileExistsError: there is something at *path* already; it is left as it is.
        OSError: it cannot be written.
    """
    _write(path, data, replaces=False)


def write_over(path: Path, data: bytes) -> None:
    """Write *data* to the file *path*, mode 0600, in the place of one that may be there; whole or not at all.

    Raises:
        FileInUseError: *path* is a database, and a server has it open: it would go on without the file.
        FileExistsError: *path* is something else than a file, such as a device.
        OSError: it cannot be written; what was there is still there.
    """
    target = path.resolve()
    if not target.exists():
        _write(target, data, replaces=True)
        return
    if not target.is_file():
        raise FileExistsError(errno.EEXIST, "is not a file; name another one", str(path))
    with locked(target) if target.with_name(f".{target.name}.~lock~").exists() else nullcontext():
        _write(target, data, replaces=True)


def _write(path: Path, data: bytes, *, replaces: bool) -> None:
    try:
        # A name that nobody else has, and mode 0600 from the start.
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
    except OSError as error:  # of the draft, of which the caller knows nothing
        raise OSError(error.errno, error.strerror, str(path)) from error
