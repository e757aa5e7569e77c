"""The agent as a service: a user that has nothing but the switch's sockets, readiness and log rotation."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from dummy_chassis import TIMEOUT_S, Site, opened, until

pytestmark = pytest.mark.system

NOBODY = 65534
SOCKETS_GROUP = 47111
"""A group of no name, which holds the switch's and the northbound's sockets; no user is in it by default."""


@pytest.fixture
def site() -> Iterator[Site]:
    old = os.umask(0o007)
    try:
        with opened() as started:
            # A set-group-id directory hands its group to the sockets in it, as Group= of a unit would.
            open_to_group(started.folder)
            for path in started.folder.glob("nb.sock"):
                os.chown(path, 0, SOCKETS_GROUP)
            yield started
    finally:
        os.umask(old)


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a directory of the unprivileged user's own, as RuntimeDirectory= of a unit would."""
    directory = Path(tempfile.mkdtemp(prefix="tl-u-"))
    os.chown(directory, NOBODY, NOBODY)
    yield directory
    shutil.rmtree(directory)


def open_to_group(directory: Path) -> None:
    os.chown(directory, 0, SOCKETS_GROUP)
    directory.chmod(0o2750)


@cache
def program() -> tuple[str, ...]:
    """Return the program, run by an interpreter that is open to other users than root."""
    for interpreter in (sys.executable, "/usr/bin/python3"):
        argv = (interpreter, "-W", "ignore", "-m", "trunkline")
        with suppress(PermissionError):
            done = subprocess.run(
                [*argv, "agent", "--help"], env=environment(), user=NOBODY, capture_output=True
            )
            if done.returncode == 0:
                return argv
    pytest.fail(
        "no interpreter is open to other users; install python3 with the distribution's package", False
    )


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def start(
    site: Site, home: Path, *options: str, groups: tuple[int, ...] = (SOCKETS_GROUP,), **env: str
) -> subprocess.Popen[str]:
    """Start the agent of chassis c1 as a user that is in *groups* alone."""
    return subprocess.Popen(
        [*program(), "agent", *options],
        env=environment() | {"OVS_RUNDIR": str(site.all[0].switch.rundir)} | env,
        cwd=home,
        user=NOBODY,
        group=NOBODY,
        extra_groups=groups,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def unprepared(site: Site) -> None:
    """Make the chassis c1 with sockets that are open to the group."""
    rundir = site.folder / "c1"
    rundir.mkdir()
    open_to_group(rundir)
    site.chassis(is_running=False)


def end(agent: subprocess.Popen[str]) -> tuple[int, str]:
    agent.terminate()
    complaint = agent.communicate(timeout=20)[1]
    return agent.returncode, complaint


def test_the_agent_does_all_its_work_as_a_user_with_the_sockets_alone(site: Site, home: Path) -> None:
    unprepared(site)
    chassis = site.all[0]
    # Both bridges in one datapath, as the agent wants it; on this switch every type is a dummy.
    chassis.switch.vsctl("del-br", "br-int", "--", "set", "Bridge", "br-phys1", "datapath_type=netdev")
    chassis.set(**{"trunkline-datapath-type": "netdev"})
    log, control = home / "agent.log", home / "agent.ctl"
    agent = start(
        site, home, "--unixctl", str(control), "--log-file", str(log), "--pidfile", str(home / "pid")
    )
    site.network()
    site.port("a")
    until(lambda: chassis.get("Bridge", "br-int", "fail_mode") == "secure", "br-int")
    chassis.plug("a")
    site.await_up("a")
    assert Path(f"/proc/{agent.pid}/status").read_text().count("CapEff:\t0000000000000000") == 1
    status = json.loads(chassis.switch.appctl("-t", str(control), "status"))
    assert status["uplinks"] == {"physnet1": "br-phys1"}
    log.rename(home / "agent.log.1")
    chassis.switch.appctl("-t", str(control), "vlog/reopen")
    site.port("b")
    chassis.plug("b")
    site.await_up("b")
    assert "iface_id=b" in log.read_text()
    assert end(agent) == (0, "")
    assert not control.exists()


def test_a_control_socket_that_cannot_be_made_is_one_line(site: Site, home: Path) -> None:
    unprepared(site)
    agent = start(site, home, "--log-file", str(home / "agent.log"))
    assert agent.wait(TIMEOUT_S) == 1
    complaint = agent.communicate()[1]
    assert complaint.count("\n") == 1
    assert "give the control socket another path with --unixctl" in complaint


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_user_without_the_sockets_is_told_in_one_line(site: Site, home: Path, mode: int) -> None:
    unprepared(site)
    site.folder.chmod(0o755)
    (site.folder / "c1").chmod(mode)
    agent = start(site, home, "--unixctl", str(home / "agent.ctl"), groups=())
    assert agent.wait(TIMEOUT_S) == 1
    complaint = agent.communicate()[1]
    assert complaint.count("\n") == 1
    assert "cannot open " in complaint
    assert "permission denied; run as root" in complaint


def test_a_user_who_may_not_ask_the_switch_is_told_how_to_get_there(site: Site) -> None:
    unprepared(site)
    chassis = site.all[0]
    for directory in (site.folder, site.folder / "c1"):
        directory.chmod(0o755)
    for name in ("db.sock", "br-int.mgmt"):
        for verb in ("flows", "prove"):
            done = subprocess.run(
                [*program(), verb],
                env=environment() | {"OVS_RUNDIR": str(chassis.switch.rundir)},
                user=NOBODY,
                group=NOBODY,
                extra_groups=(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == (
                f"trunkline: cannot open {chassis.switch.rundir / name}: permission denied; "
                "join the group trunkline (usermod -aG trunkline $USER), or use sudo\n"
            )
        (chassis.switch.rundir / name).chmod(0o777)


def test_a_user_who_may_not_create_the_northbounds_files_is_told_which_and_what_to_do(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o755)
    for db, socket_, reason in (
        (closed / "new" / "nb.db", home / "nb.sock", f"cannot create {closed}/new"),
        (closed / "nb.db", home / "nb.sock", f"cannot create files in {closed}"),
        (home / "nb.db", closed / "nb.sock", f"cannot create files in {closed}"),
    ):
        done = subprocess.run(
            [*program(), "nb", "start", "--db", str(db), "--remote", f"punix:{socket_}", "--detach"],
            env=environment(),
            user=NOBODY,
            group=NOBODY,
            extra_groups=(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"trunkline: {reason}: permission denied; run as root, or give another path\n"
        assert not [path for path in home.rglob("*") if path != closed]


def test_the_service_manager_hears_of_readiness_and_of_what_is_waited_for(site: Site, home: Path) -> None:
    unprepared(site)
    site.served.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(str(home / "notify"))
        os.chown(home / "notify", NOBODY, NOBODY)
        agent = start(site, home, "--unixctl", str(home / "ctl"), NOTIFY_SOCKET=str(home / "notify"))
        # The northbound is not there, and the agent has started all the same.
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100).startswith(b"STATUS=waiting for the northbound")
        site.served.start()
        os.chown(site.folder / "nb.sock", 0, SOCKETS_GROUP)
        said = [manager.recv(100)]
        while said[-1] != b"STATUS=connected":
            said.append(manager.recv(100))
        assert end(agent)[0] == 0
        assert manager.recv(100) == b"STOPPING=1"
    site.reconnect()
