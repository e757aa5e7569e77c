"""The records of an OVSDB file (ovsdb(5)), and what a crash leaves behind the last whole one.

A file, standalone or a cluster member's, is a row of records, each a header with the length and the SHA-1 of
what follows it. A crash in the middle of a write, or a full disk, leaves a torn record at the end.
`ovsdb-server` reads up to the first one that is not whole, says so in its log, and writes on from there;
`ovsdb-tool` refuses such a file. So the torn tail comes off before `ovsdb-tool` sees it.
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
    """How many records are whole from the start of a file on, and at which byte the last of them ends."""

    records: int
    length: int


def whole(file: BinaryIO) -> Whole:
    """Return what `ovsdb-server` would read of *file*, from its start.

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
    """Take off *db* what is behind its last whole record, and keep that as `<db>.torn`.

    Return what was dropped, in one line; None where there is nothing behind, or no whole record at all, in
    which case *db* is left as it is.

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
        except OSError as error:  # a full disk tears files, and must not keep the northbound down
            where = f"no copy could be kept ({error.strerror})"
        else:
            where = f"they are kept in {place}"
        file.truncate(kept.length)
        os.fsync(file.fileno())
    behind = len(re.findall(rb"\nOVSDB (?:JSON|CLUSTER) ", tail))
    more = f" and {behind} behind it" if behind else ""
    return (
        f"{db}: record {kept.records + 1} is not whole, as after a crash; the server goes on from the "
        f"{kept.records} before it. Dropped: that record{more}, {len(tail)} bytes; {where}"
    )
