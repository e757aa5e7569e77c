"""What `scripts/test-matrix` says if it cannot do what it is asked: one line, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from shutil import which

import pytest
from dummy_chassis import until

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).parents[2] / "scripts" / "test-matrix"


def matrix(
    *words: str, cache: Path, before: tuple[str, ...] = (), **extra: str
) -> subprocess.CompletedProcess[str]:
    argv = [*before, str(SCRIPT), *words]
    env = environment(cache, **extra)
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def environment(cache: Path, **extra: str) -> dict[str, str]:
    return {**os.environ, "TRUNKLINE_MATRIX_CACHE": str(cache), **extra}


def apt_config(folder: Path, port: int) -> str:
    """Return the path of a configuration of apt whose only source is at *port* of this machine."""
    apt = folder / "apt"
    (apt / "lists" / "partial").mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{port}/debian bookworm main\n")
    (apt / "apt.conf").write_text(
        f'Dir::Etc {{ sourcelist "{apt}/sources.list"; sourceparts "-"; }}; Dir::State::lists "{apt}/lists";'
    )
    return str(apt / "apt.conf")


def test_a_suite_a_datapath_or_an_option_that_there_is_not_is_usage(tmp_path: Path) -> None:
    for words, complaint in (
        (("--suite", "woody"), "test-matrix: --suite 'woody': give bookworm, trixie or sid"),
        (("--suite",), "test-matrix: --suite '': give bookworm, trixie or sid"),
        (("--datapath", "dpdk"), "test-matrix: --datapath 'dpdk': give netdev, system or stock"),
        (
            ("-k", "vlan"),
            "test-matrix: there is no option '-k'; what pytest or the benchmarks are to get comes after --",
        ),
        (("--out", "there"), "test-matrix: --out is for --bench with one suite and one datapath"),
        (("--bench", "--out", "there"), "test-matrix: --out is for --bench with one suite and one datapath"),
        (("--bench", "--out"), "test-matrix: --out '': give a directory"),
    ):
        done = matrix(*words, cache=tmp_path)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [f"{complaint}; see the head of {SCRIPT}"]
    assert not list(tmp_path.iterdir())


def test_anyone_but_root_is_told_that_it_needs_root(tmp_path: Path) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = matrix("--suite", "sid", cache=tmp_path, before=nobody)
    assert (done.returncode, done.stderr) == (
        1,
        "test-matrix: this needs root: run it as root, or with sudo\n",
    )


@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b"])
def test_a_directory_that_no_overlay_takes_is_refused(tmp_path: Path, name: str) -> None:
    done = matrix("--suite", "sid", "--datapath", "netdev", cache=tmp_path / name)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"test-matrix: TRUNKLINE_MATRIX_CACHE: an overlay cannot be mounted at {tmp_path / name};"
    )
    assert not list(tmp_path.iterdir())


def test_a_directory_without_space_is_named_with_what_is_needed(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=1m tmpfs "$TRUNKLINE_MATRIX_CACHE"; exec "$@"'
    mounted = ("unshare", "--mount", "sh", "-ec", mount, "sh")
    done = matrix("--suite", "sid", "--datapath", "netdev", cache=tmp_path, before=mounted)
    assert done.returncode == 1
    assert done.stderr == (
        f"test-matrix: {tmp_path} has 1 MB of free space, and 2000 MB are needed; make room, or name "
        "a directory of another disk in TRUNKLINE_MATRIX_CACHE\n"
    )


def test_a_suite_that_cannot_be_fetched_is_named_with_the_reason_and_leaves_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    words = ("--suite", "trixie", "--datapath", "netdev")
    done = matrix(*words, cache=cache, APT_CONFIG=apt_config(tmp_path, port=1))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("test-matrix: the packages of Debian trixie cannot be fetched: E: Failed to fetch")
    assert [path.name for path in cache.iterdir()] == ["root-trixie.lock"]


def test_a_directory_for_measurements_that_cannot_be_created_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = matrix(
        *("--bench", "--out", str(tmp_path / "file" / "out"), "--suite", "sid", "--datapath", "system"),
        cache=tmp_path / "cache",
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"test-matrix: --out {tmp_path}/file/out cannot be created; give another directory\n",
    )
    assert not (tmp_path / "cache").exists()


def test_the_benchmark_on_the_kernels_datapath_says_where_its_results_go(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for datapath, *words in (
        ("system", "--out", f"{tmp_path}/file/out"),
        ("system", f"--out={tmp_path}/file/out"),
        ("stock", "--out", f"{tmp_path}/file/out"),
    ):
        argv = [str(SCRIPT.parent / "bench"), "forward", "--quick", "--datapath", datapath, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (
            1,
            f"test-matrix: --out {tmp_path}/file/out cannot be created; give another directory\n",
        )


def test_a_directory_that_another_has_just_made_is_not_taken_for_one_that_is_left(tmp_path: Path) -> None:
    cache, programs = tmp_path / "cache", tmp_path / "programs"
    programs.mkdir()
    # The first run is held between making its directory and locking it.
    (programs / "mktemp").write_text(
        f'#!/bin/sh\n{which("mktemp")} "$@" && touch "$MADE" && cat "$GOES_ON"\n'
    )
    (programs / "mktemp").chmod(0o755)
    made, goes_on = tmp_path / "made", tmp_path / "goes-on"
    os.mkfifo(goes_on)
    with socket.create_server(("127.0.0.1", 0)) as mirror, ExitStack() as ending:
        mirror.settimeout(0)
        config = apt_config(tmp_path, mirror.getsockname()[1])

        def started(suite: str, **extra: str) -> subprocess.Popen[bytes]:
            argv = [str(SCRIPT), "--suite", suite, "--datapath", "netdev"]
            env = environment(cache, APT_CONFIG=config, **extra)
            process = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
            ending.callback(process.wait, 50)
            ending.callback(os.killpg, process.pid, signal.SIGTERM)
            return process

        path = f"{programs}:{os.environ['PATH']}"
        first = started("trixie", PATH=path, MADE=str(made), GOES_ON=str(goes_on))
        until(made.exists, "the directory of the first")
        second = started("sid")
        # It waits, or has looked for what is left, and has a directory of its own.
        (of_first,) = cache.glob("run.*")
        until(lambda: waits_for_a_lock(second.pid) or {*cache.glob("run.*")} - {of_first}, "the second")
        assert of_first.exists()
        with goes_on.open("w"):
            pass
        until(lambda: len(list(cache.glob("run.*"))) == 2, "both directories")
        assert first.poll() is second.poll() is None
        mirror.settimeout(50)
        for _ in range(2):
            mirror.accept()[0].close()


def waits_for_a_lock(pid: int) -> bool:
    """Whether *pid* has a child that waits for a lock without end: `flock NUMBER`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    with suppress(FileNotFoundError):  # a child that has just ended
        words = [Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children]
        return any(word[0].endswith(b"flock") and b"--nonblock" not in word for word in words)
    return False


def test_an_interrupt_in_the_middle_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with socket.create_server(("127.0.0.1", 0)) as mirror:  # it never answers
        mirror.settimeout(50)
        env = environment(cache, APT_CONFIG=apt_config(tmp_path, mirror.getsockname()[1]))
        # If the tests themselves run in the background, their children would ignore SIGINT.
        argv = ["env", "--default-signal=INT", str(SCRIPT), "--suite", "trixie", "--datapath", "netdev"]
        process = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
        asking, _ = mirror.accept()
        with asking:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does with Ctrl-C
            assert process.wait(50) == 130
            asking.settimeout(50)
            while asking.recv(4096):
                pass  # returns when the last process that had the connection has ended
    assert [path.name for path in cache.iterdir()] == ["root-trixie.lock"]
