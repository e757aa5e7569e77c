"""The agent as a process: its files, its way to the background, and questions that are invalid."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from dummy_chassis import DummyChassis, Site, opened, until
from program import refusal, trunkline

from model.process import resident_bytes
from trunkline.lab.command import PROGRAM

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One chassis whose agent runs, for all of these tests."""
    with opened() as started:
        started.chassis()
        yield started


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    chassis = site.all[0]
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    return chassis


def asked(chassis: DummyChassis, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["ovs-appctl", "-t", str(chassis.agent.socket), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


NONSENSE = (("--bogus",), ("--format", "xml"), ("--help",), ("-x", "y"), ("",), ("\u00e9\n",), ("a",) * 50)


def test_no_question_ends_the_agent_and_each_is_answered(chassis: DummyChassis) -> None:
    code, commands, _ = asked(chassis, "help")
    names = [line.split()[0] for line in commands.splitlines()[1:]]
    assert code == 0
    assert {"status", "flows", "plan", "recompute", "set-options", "vlog/set", "exit"} <= set(names)
    assert chassis.agent.process.poll() is None
    for name in names:
        for words in NONSENSE:
            if name != "vlog/close":
                code, out, err = asked(chassis, name, *words)
                assert code in (0, 2)
                assert (out or err).endswith("\n"), (name, words)
                assert "Traceback" not in out + err
    assert asked(chassis, "set-options", "--bogus") == (
        2,
        "",
        f"{_said(chassis)}ovs-appctl: {chassis.agent.socket}: server returned an error\n",
    )
    assert chassis.agent.status()["settled"]


def _said(chassis: DummyChassis) -> str:
    """Return the parser's own line, whose start is the program's name."""
    line = asked(chassis, "set-options", "--bogus")[2].split("\n")[0]
    assert line.endswith("error: unrecognized arguments: --bogus")
    return f"{line}\n"


def test_flows_of_no_kind_are_refused(chassis: DummyChassis) -> None:
    code, out, err = asked(chassis, "flows", "wanted")
    assert (code, out) == (2, "")
    assert err.startswith("'wanted' are no flows to show; ask for desired or installed\n")
    assert asked(chassis, "flows", "desired") == asked(chassis, "flows")


@pytest.mark.parametrize("question", ["status", "flows", "recompute", "version", "vlog/list"])
def test_an_answer_ends_its_line(chassis: DummyChassis, question: str) -> None:
    code, out, _ = asked(chassis, question)
    assert code == 0
    assert out.endswith("\n")
    assert not out.endswith("\n\n")


def test_a_log_whose_folder_is_gone_ends_no_agent_and_a_new_one_is_not_for_everybody(site: Site) -> None:
    chassis = site.all[0]
    folder = site.folder / "logs"
    folder.mkdir()
    chassis.agent.end()
    agent = chassis.start_agent("--log-file", str(folder / "agent.log"))
    assert stat.S_IMODE((folder / "agent.log").stat().st_mode) == 0o640
    folder.rename(site.folder / "moved")
    code, _, err = asked(chassis, "vlog/reopen")
    assert code == 2
    assert "No such file or directory" in err
    folder.mkdir()
    assert asked(chassis, "vlog/reopen")[0] == 0
    assert stat.S_IMODE((folder / "agent.log").stat().st_mode) == 0o640
    assert agent.status()["settled"]


def test_detached_a_log_that_cannot_be_written_is_told_and_nothing_runs(chassis: DummyChassis) -> None:
    before = sorted(chassis.switch.rundir.glob("*.ctl"))
    line = refusal(trunkline("agent", "--detach", "--log-file", "/nonexistent/x.log"), 1)
    assert (
        line
        == "trunkline: cannot log to /nonexistent/x.log: no such file or directory; give another --log-file"
    )
    assert sorted(chassis.switch.rundir.glob("*.ctl")) == before


@pytest.mark.parametrize("option", ["--unixctl", "--pidfile", "--log-file"])
def test_a_file_of_somebody_else_is_refused_by_name_and_kept(
    site: Site, chassis: DummyChassis, option: str
) -> None:
    theirs = site.folder / "theirs"
    theirs.write_text("OVSDB JSON, somebody's work\n")
    line = refusal(trunkline("agent", "--detach", option, str(theirs)), 1)
    assert line.startswith(f"trunkline: {theirs} ")
    assert " is not a " in line or " is a database" in line
    assert theirs.read_text() == "OVSDB JSON, somebody's work\n"


def test_the_socket_of_an_agent_that_runs_and_its_pid_file_are_refused(
    site: Site, chassis: DummyChassis
) -> None:
    line = refusal(trunkline("agent", "--unixctl", str(chassis.agent.socket)), 1)
    assert "another server already answers" in line
    chassis.agent.end()
    pidfile = site.folder / "agent.pid"
    chassis.start_agent("--pidfile", str(pidfile))
    assert "an agent is running already (pid " in refusal(trunkline("agent", "--pidfile", str(pidfile)), 1)
    chassis.agent.end()
    pidfile.write_text("99999999\n")
    chassis.start_agent("--pidfile", str(pidfile))
    assert pidfile.read_text() == f"{chassis.agent.process.pid}\n"


def test_one_path_for_two_files_is_a_usage_error(site: Site, chassis: DummyChassis) -> None:
    place = str(site.folder / "one")
    line = refusal(trunkline("agent", "--pidfile", place, "--log-file", place), 2)
    assert "cannot be both --pidfile and --log-file" in line


def test_the_control_sockets_of_killed_agents_go_and_others_stay(site: Site, chassis: DummyChassis) -> None:
    killed = chassis.agent
    killed.end(signal.SIGKILL)
    theirs = chassis.switch.rundir / "trunkline-agent.99999998.ctl"
    theirs.write_text("not a socket\n")
    with socket.socket(socket.AF_UNIX) as other:
        served = chassis.switch.rundir / "trunkline-agent.99999997.ctl"
        other.bind(str(served))
        other.listen()
        assert killed.socket.exists()
        chassis.start_agent()
        assert [path.exists() for path in (killed.socket, theirs, served)] == [False, True, True]


def test_detached_a_child_that_dies_before_it_is_ready_is_told(site: Site, chassis: DummyChassis) -> None:
    """The switch's database hangs; so the agent cannot get ready, and is killed by somebody."""
    database = int((chassis.switch.rundir / "ovsdb-server.pid").read_text())
    os.kill(database, signal.SIGSTOP)
    try:
        parent = subprocess.Popen(
            [*PROGRAM, "agent", "--detach", "--unixctl", str(site.folder / "second.ctl")],
            stderr=subprocess.PIPE,
            text=True,
        )
        until((site.folder / "second.ctl").exists, "control socket")
        psutil.Process(parent.pid).children()[0].kill()
        complaint = parent.communicate(timeout=60)[1]
    finally:
        os.kill(database, signal.SIGCONT)
    assert parent.returncode == 1
    assert complaint == "trunkline: the agent was killed by SIGKILL before it was ready\n"


def test_what_one_huge_message_took_is_given_back(chassis: DummyChassis) -> None:
    """30 MB come in; a tenth of that is what the agent may have grown by for other reasons."""
    chassis.agent.await_settled()
    before = resident_bytes(chassis.agent.process.pid)
    with socket.socket(socket.AF_UNIX) as asker:
        asker.connect(str(chassis.agent.socket))
        asker.sendall(b'{"method":"version","id":1,"params":["' + b"x" * 30_000_000 + b'"]}')
        assert b"takes at most 0 arguments" in asker.recv(4096)
    assert chassis.agent.ask("version")
    until(lambda: resident_bytes(chassis.agent.process.pid) - before < 3_000_000, "memory given back")
