"""The records of a database file, and what a crash leaves behind the last whole one."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.server.lock import FileInUseError
from trunkline.server.record import Whole, drop_torn_tail, whole

if TYPE_CHECKING:
    from pathlib import Path


def record(value: Any, magic: str = "JSON") -> bytes:
    body = json.dumps(value).encode() + b"\n"
    return f"OVSDB {magic} {len(body)} {hashlib.sha1(body).hexdigest()}\n".encode() + body


RECORDS = [record({"name": "a"}), record({"t": {}}), record({"t": {"x": "\u00e9\n"}})]
FILE = b"".join(RECORDS)
KEPT = len(RECORDS[0]) + len(RECORDS[1])


def test_every_cut_of_the_last_record_leaves_those_before_it() -> None:
    for length in range(KEPT, len(FILE)):
        assert whole(BytesIO(FILE[:length])) == Whole(2, KEPT)
    assert whole(BytesIO(FILE)) == Whole(3, len(FILE))


@pytest.mark.parametrize(
    "tail", [b"\0" * 4096, b"\n", b"OVSDB JSON", random.Random(1).randbytes(500), b"x" * 200]
)
def test_what_is_behind_the_last_record_is_not_one(tail: bytes) -> None:
    assert whole(BytesIO(FILE + tail)) == Whole(3, len(FILE))


def test_a_changed_byte_ends_what_is_whole() -> None:
    for at in range(KEPT, len(FILE)):
        torn = bytearray(FILE)
        torn[at] ^= 0x80
        assert whole(BytesIO(torn)).length == KEPT


def test_records_of_two_kinds_are_not_one_file() -> None:
    assert whole(BytesIO(RECORDS[0] + record({}, "CLUSTER"))) == Whole(1, len(RECORDS[0]))


def test_a_torn_tail_is_dropped_told_and_kept_for_its_owner(tmp_path: Path) -> None:
    db, kept = tmp_path / "nb.db", tmp_path / "nb.db.torn"
    db.write_bytes(FILE[:-1])
    line = drop_torn_tail(db)
    assert line is not None
    tail = RECORDS[2][:-1]
    assert "record 3 is incomplete, as after a crash; the server goes on from the 2 before it" in line
    assert line.endswith(f"Dropped: that record, {len(tail)} bytes; they are kept in {kept}")
    assert (db.read_bytes(), kept.read_bytes()) == (FILE[:KEPT], tail)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert drop_torn_tail(db) is None


def test_records_behind_a_damaged_one_are_counted_and_kept_beside_an_earlier_tail(tmp_path: Path) -> None:
    db = tmp_path / "nb.db"
    (tmp_path / "nb.db.torn").write_text("an earlier one")
    db.write_bytes(RECORDS[0] + RECORDS[1].replace(b"{}", b"[]") + RECORDS[2] * 3)
    line = drop_torn_tail(db)
    assert line is not None
    assert "that record and 3 after it" in line
    assert db.read_bytes() == RECORDS[0]
    assert (tmp_path / "nb.db.torn").read_text() == "an earlier one"
    assert (tmp_path / "nb.db.torn.1").read_bytes().endswith(RECORDS[2])


@pytest.mark.parametrize("content", [b"", b"hello\n", FILE[:10], FILE])
def test_a_file_without_a_whole_record_and_one_without_a_torn_one_are_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    db = tmp_path / "nb.db"
    db.write_bytes(content)
    assert drop_torn_tail(db) is None
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("nb.db", content)]


def test_a_file_that_a_server_has_open_is_not_touched(tmp_path: Path) -> None:
    db = tmp_path / "nb.db"
    db.write_bytes(FILE[:-1])
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ".nb.db.~lock~")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"locked\n"
        with pytest.raises(FileInUseError, match="another program has open"):
            drop_torn_tail(db)
        assert db.read_bytes() == FILE[:-1]
        server.communicate(timeout=10)
    assert drop_torn_tail(db) is not None
