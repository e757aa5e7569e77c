"""A run of tests that somebody ends by SIGTERM: it ends what its tests have started."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
WAITING = """
import pathlib, threading, pytest

@pytest.fixture
def started():
    pathlib.Path("begun").touch()
    yield
    pathlib.Path("ended").touch()

def test_waits(started):
    threading.Event().wait(300)

def test_comes_after():
    pathlib.Path("went on").touch()
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "a worker"])
def test_a_run_that_is_terminated_ends_what_its_tests_have_started(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "test_waiting.py").write_text(WAITING)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        *workers,
    ]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        while not (tmp_path / "begun").exists():
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        said = run.communicate(timeout=120)[0]
    assert (tmp_path / "ended").exists(), said
    assert not (tmp_path / "went on").exists(), said
    assert run.returncode != 0
