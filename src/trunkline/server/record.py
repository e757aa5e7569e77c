"""The records of an OVSDB file (ovsdb(5)), and the damage that a crash leaves after the last complete one.

A file, standalone or a cluster member's, is a sequence of records. Each has a header with the length and the
SHA-1 of what follows it. A crash in the middle of a write, or a full disk, leaves an incomplete record at the
end. `ovsdb-server` reads up to the first incomplete record, logs that, and writes on from there; `ovsdb-tool`
refuses such a file. So the damaged end is cut off before `ovsdb-tool` reads the file.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from trunkline.server.copy import free_path, write_new
from trunkline.server.lock import locked

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = re.compile(rb"OVSDB (JSON|CLUSTER) ([0-9]{1,18}) ([0-9a-fA-F]{40})\n")
_LONGEST_HEADER = 128
_CHUNK = 1 << 20


class Whole(NamedTuple):
    """How many records from the start of a file are complete, and the byte after the last of them."""

    records: int
    length: int


def whole(file: BinaryIO) -> Whole:
    """Return how much of *file*, from its start, `ovsdb-server` would read.

    >>> from io import BytesIO
    >>> record = b"OVSDB JSON 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\\n{}\\n"
    >>> whole(BytesIO(record + record[:-1]))
    Whole(records=1, length=57)
    """
    records, length, magic = 0, 0, b""
    while header := _HEADER.fullmatch(file.readline(_LONGEST_HEADER)):
        size, digest = int(header[2]), hashlib.sha1(usedforsecurity=False)
        left = size
        while left and (chunk := file.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
        if not size or left or digest.hexdigest() != header[3].decode().lower():
            break
        if header[1] != (magic or header[1]):
            break
        magic = header[1]
        records, length = records + 1, length + len(header[0]) + size
    return Whole(records, length)


def drop_torn_tail(db: Path) -> str | None:
    """Cut off what comes after the last complete record of *db*, and keep it in `<db>.torn`.

    Return a line that says what was dropped. Return None, and leave *db* as it is, if nothing comes after
    that record, or if no record is complete.

    Raises:
        FileInUseError: a server or a tool has *db* open.
        OSError: *db* cannot be read or written.
    """
    with db.open("rb") as file:
        if whole(file).length in (0, db.stat().st_size):
            return None
    with locked(db), db.open("r+b") as file:
        kept = whole(file)
        file.seek(kept.length)
        tail = file.read()
        if not tail:
            return None
        place = free_path(db, "torn")
        try:
            write_new(place, tail)
        except OSError as error:  # a full disk damages files, and must not keep the northbound down
            where = f"no copy could be kept ({error.strerror})"
        else:
            where = f"they are kept in {place}"
        file.truncate(kept.length)
        os.fsync(file.fileno())
    behind = len(re.findall(rb"\nOVSDB (?:JSON|CLUSTER) ", tail))
    more = f" and {behind} after it" if behind else ""
    return (
        f"{db}: record {kept.records + 1} is incomplete, as after a crash; the server goes on from the "
        f"{kept.records} before it. Dropped: that record{more}, {len(tail)} bytes; {where}"
    )
