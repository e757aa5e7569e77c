"""`trunkline nb` deletes and overwrites its own files alone, and not everybody can read what it makes."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import Done, refusal, trunkline, typed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system


@pytest.fixture
def folder() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tl-files-"))
    yield directory
    for db in directory.glob("*.db"):
        trunkline("nb", "stop", "--db", str(db))
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def served() -> Iterator[Path]:
    """The folder of a northbound that runs and holds the network web."""
    directory = Path(tempfile.mkdtemp(prefix="tl-files-"))
    assert start(directory).code == 0
    create = "network create web --type flat --physical-network p"
    assert typed(create, f"unix:{directory}/nb.sock").code == 0
    yield directory
    trunkline("nb", "stop", "--db", str(directory / "nb.db"))
    shutil.rmtree(directory)


def start(folder: Path, *more: str) -> Done:
    at = ("--db", str(folder / "nb.db"), "--remote", f"punix:{folder}/nb.sock")
    return trunkline("nb", "start", *at, "--detach", *more)


def backup(folder: Path, *more: str) -> Done:
    return trunkline("nb", "backup", *more, nb=f"unix:{folder}/nb.sock")


@pytest.mark.parametrize("option", ["--remote", "--pidfile", "nb.ctl"])
def test_a_file_of_somebody_else_is_refused_by_name_and_kept(folder: Path, option: str) -> None:
    """A socket's path, a pid file's, and that of the control socket, which follows from the pid file's."""
    theirs = folder / ("nb.ctl" if option == "nb.ctl" else "theirs.txt")
    theirs.write_text("somebody's work\n")
    given = {"--remote": ("--remote", f"punix:{theirs}"), "--pidfile": ("--pidfile", str(theirs))}
    line = refusal(start(folder, *given.get(option, ())), 1)
    assert f"{theirs} exists and is not a " in line
    assert theirs.read_text() == "somebody's work\n"
    assert not (folder / "nb.db").exists()


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--remote", "exists and is not a socket"),
        ("--pidfile", "exists and is not a pid file"),
        ("--log-file", "is a database"),
    ],
)
def test_the_database_is_never_one_of_the_servers_other_files(folder: Path, option: str, reason: str) -> None:
    assert start(folder).code == 0
    trunkline("nb", "stop", "--db", str(folder / "nb.db"))
    before = (folder / "nb.db").read_bytes()
    prefix = "punix:" if option == "--remote" else ""
    line = refusal(start(folder, option, f"{prefix}{folder}/nb.db"), 2)
    assert "nb.db cannot be both --db and " in line
    other = ("--db", f"{folder}/other.db", option, f"{prefix}{folder}/nb.db")
    assert f"{folder}/nb.db {reason}" in refusal(trunkline("nb", "start", "--detach", *other), 1)
    assert (folder / "nb.db").read_bytes() == before


def test_a_socket_that_nobody_answers_is_taken_over(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "nb.sock"))
    (folder / "nb.pid").write_text("4711\n")
    assert start(folder) == (0, "", "")


def test_a_link_and_a_socket_of_another_kind_are_somebody_elses(folder: Path) -> None:
    (folder / "nb.sock").symlink_to(folder / "gone")
    assert "is not a socket" in refusal(start(folder), 1)
    assert (folder / "nb.sock").is_symlink()
    (folder / "nb.sock").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(str(folder / "nb.sock"))
        assert "already answers" in refusal(start(folder), 1)
        assert (folder / "nb.sock").exists()


def test_what_is_called_like_a_draft_is_not_a_draft(folder: Path) -> None:
    (folder / "nb.db.new").write_text("somebody's work\n")
    assert start(folder) == (0, "", "")
    assert (folder / "nb.db.new").read_text() == "somebody's work\n"


def test_a_locked_pid_file_without_a_number_is_named(folder: Path) -> None:
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); file.write('x'); file.flush()\n"
        "fcntl.lockf(file, fcntl.LOCK_EX); print('locked', flush=True); sys.stdin.read()"
    )
    command = ["python3", "-c", code, str(folder / "nb.pid")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        for verb in ("status", "stop"):
            line = refusal(trunkline("nb", verb, "--db", str(folder / "nb.db")), 1)
            assert "nb.pid is locked by another program and has no process id" in line
        refusal(start(folder), 1)
        other.communicate(timeout=60)


def test_a_backup_is_its_owners_and_never_takes_the_place_of_a_file_unasked(served: Path) -> None:
    copy = served / "copy"
    assert backup(served, str(copy)) == (0, "", "")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    copy.write_text("somebody's work\n")
    assert "exists already" in refusal(backup(served, str(copy)), 1)
    assert copy.read_text() == "somebody's work\n"
    copy.chmod(0o644)
    assert backup(served, "--force", str(copy)) == (0, "", "")
    assert copy.read_bytes().startswith(b"OVSDB JSON")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_backup_never_takes_the_place_of_a_database_in_use_or_of_a_device(served: Path) -> None:
    before = os.stat(served / "nb.db").st_ino
    line = refusal(backup(served, "--force", str(served / "nb.db")), 1)
    assert "another program has open" in line
    assert os.stat(served / "nb.db").st_ino == before
    (served / "null").symlink_to("/dev/null")
    assert "is not a file" in refusal(backup(served, "--force", str(served / "null")), 1)
    assert Path("/dev/null").is_char_device()


def test_a_backup_that_fails_leaves_nothing_behind(served: Path) -> None:
    before = sorted(served.iterdir())
    assert f"{served}/gone/copy: " in refusal(backup(served, f"{served}/gone/copy"), 1)
    full = Path("/dev/full")  # stands for a full disk: every write fails
    assert full.is_char_device()
    refusal(backup(served, "--force", str(full)), 1)
    assert sorted(served.iterdir()) == before


def test_a_log_that_cannot_be_written_is_told_before_anything_starts(folder: Path) -> None:
    line = refusal(start(folder, "--log-file", f"{folder}/gone/nb.log"), 1)
    reason = "no such file or directory; give another --log-file"
    assert line == f"trunkline: cannot log to {folder}/gone/nb.log: {reason}"
    assert not (folder / "nb.db").exists()
    assert start(folder, "--log-file", f"{folder}/nb.log") == (0, "", "")
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) & 0o007 for name in ("nb.db", "nb.log")}
    assert modes == {"nb.db": 0, "nb.log": 0}
