"""The lock that `ovsdb-server` and `ovsdb-tool` hold while they have a database file open."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trunkline.core.error import TrunklineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileInUseError(TrunklineError):
    """Another program has the database file open."""


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """Hold the lock of the file *db* for the block. The lock is on a file beside it, which is never deleted.

    Raises:
        FileInUseError: a server or a tool holds it.
    """
    target = db.resolve()
    lock = os.open(target.with_name(f".{target.name}.~lock~"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FileInUseError(
                f"{db} is a database that another program has open; stop that program, or give another file"
            ) from error
        yield
    finally:
        os.close(lock)
