"""The journal ends what the lab started, and nothing else that has the same process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trunkline.lab import command
from trunkline.lab.error import CommandError, WaitError
from trunkline.lab.journal import Daemon, Journal, Process, end_surely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY = "import signal, sys; print('ready', flush=True); sys.stdin.read()"
DEAF = READY.replace("print", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print")
LOCKING = "import fcntl, os; file = open('sleeper.pid', 'w'); fcntl.lockf(file, fcntl.LOCK_EX); "
LOCKING += f"file.write(f'{{os.getpid()}}\\n'); file.flush(); {READY}"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that keeps its pidfile locked, as daemons of Open vSwitch do, and names it nowhere."""
    argv = [sys.executable, "-c", LOCKING]
    with subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_daemon_is_known_by_its_pidfile(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    daemon = Daemon(tmp_path / "sleeper.pid")
    assert daemon.pid == sleeper.pid
    daemon.end()
    assert sleeper.wait(timeout=5) == -signal.SIGTERM
    assert daemon.pid is None


def test_a_process_id_that_went_to_another_program_is_not_signalled(tmp_path: Path) -> None:
    pidfile = tmp_path / "stale.pid"
    pidfile.write_text(str(os.getpid()))
    daemon = Daemon(pidfile)
    assert daemon.pid is None
    daemon.end(signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "not a number", "99999999999"])
def test_a_pidfile_that_says_nothing_useful_is_a_daemon_that_does_not_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.pid").write_text(text)
    assert Daemon(tmp_path / "odd.pid").pid is None


def test_a_process_is_ended_only_while_its_start_time_agrees(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process.of(sleeper.pid)
    Process(process.pid, process.start_ticks - 1).end()
    assert process.is_running
    process.end()
    assert sleeper.wait(timeout=5) == -signal.SIGKILL
    assert not process.is_running


def test_a_process_that_ignores_the_signal_is_reported() -> None:
    argv = [sys.executable, "-c", DEAF]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"ready\n"
        with pytest.raises(WaitError, match="after SIGTERM"):
            Process.of(deaf.pid).end(signal.SIGTERM, timeout_s=0.1)
        deaf.kill()


def test_undoing_ends_what_is_noted_and_passes_over_a_line_cut_short(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    journal = Journal(tmp_path)
    journal.add_daemon(Daemon(tmp_path / "never-started.pid"))
    journal.add_daemon(Daemon(tmp_path / "sleeper.pid"))
    with journal.path.open("a") as file:
        file.write('{"daemon": "/half/a li')
    journal.undo()
    assert sleeper.wait(timeout=5) == -signal.SIGTERM


def test_undoing_an_empty_journal_does_nothing(tmp_path: Path) -> None:
    Journal(tmp_path).undo()


def test_a_program_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(CommandError, match=r"'sh -c .*' ended with exit code 3: no such thing"):
        command.run(["sh", "-c", "echo no such thing >&2; exit 3"])


def test_a_program_that_is_missing_is_named_with_what_to_do() -> None:
    with pytest.raises(CommandError, match=r"no-such-program is not installed; run scripts/demo"):
        command.run(["no-such-program"])


def test_a_program_that_does_not_end_is_given_up() -> None:
    with pytest.raises(CommandError, match=r"'sleep 60' was not done after 0\.05 s"):
        command.run(["sleep", "60"], timeout_s=0.05)


def test_a_refusal_of_our_own_program_reads_as_it_is_typed() -> None:
    with pytest.raises(CommandError, match=r"^'trunkline no-such-noun' ended with exit code 2: "):
        command.run([*command.PROGRAM, "no-such-noun"])


def test_what_is_deaf_to_the_first_signal_is_ended_by_the_second() -> None:
    argv = [sys.executable, "-c", DEAF]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"ready\n"
        end_surely(Process.of(deaf.pid))
        assert deaf.wait(timeout=5) == -signal.SIGKILL
