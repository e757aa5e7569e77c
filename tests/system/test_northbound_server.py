"""DESIGN.md section 3, Commands: `trunkline nb start|stop|status|backup`."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import refusal, trunkline, typed

from model.tcp_port import free_port
from trunkline.northbound.schema import SCHEMA_PATH, version

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

SWITCH_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name; the servers of all databases in it are ended afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="tl-nb-"))
    yield directory
    for db in directory.glob("*.db"):
        trunkline("nb", "stop", "--db", str(db))
    shutil.rmtree(directory)


def start(folder: Path, *more: str, db: str = "nb.db", sock: str = "nb.sock") -> list[str]:
    return ["nb", "start", "--db", str(folder / db), "--remote", f"punix:{folder / sock}", "--detach", *more]


def test_start_makes_the_file_and_returns_when_the_server_answers(folder: Path) -> None:
    assert trunkline(*start(folder)) == (0, "", "")
    assert trunkline("network", "list", "-o", "json", nb=f"unix:{folder}/nb.sock") == (0, "[]\n", "")


def test_an_existing_file_is_used_as_it_is(folder: Path) -> None:
    nb = f"unix:{folder}/nb.sock"
    trunkline(*start(folder))
    typed("network create web --type flat --physical-network p", nb)
    assert trunkline("nb", "stop", "--db", str(folder / "nb.db")) == (0, "", "")
    assert "nobody listens there" in refusal(trunkline("network", "list", nb=nb), 1)
    trunkline(*start(folder))
    assert json.loads(trunkline("network", "show", "web", "-o", "json", nb=nb).out)["unique_key"] == 1


def test_a_second_start_is_refused_and_so_is_a_socket_in_use(folder: Path) -> None:
    trunkline(*start(folder))
    assert "already running (pid " in refusal(trunkline(*start(folder)), 1)
    assert "another server already answers" in refusal(trunkline(*start(folder, db="other.db")), 1)
    assert not (folder / "other.db").exists()


def test_a_database_of_another_schema_is_refused(folder: Path) -> None:
    subprocess.run(["ovsdb-tool", "create", folder / "vs.db", SWITCH_SCHEMA], check=True)
    line = refusal(trunkline(*start(folder, db="vs.db")), 1)
    assert line.endswith("vs.db holds the database Open_vSwitch, not Trunkline_Northbound; give another --db")


def test_a_file_that_is_no_database_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "nb.db").write_text("hello\n")
    assert refusal(trunkline(*start(folder)), 1).endswith("nb.db is no database; give another --db")
    assert (folder / "nb.db").read_text() == "hello\n"


def test_an_older_schema_is_converted_and_a_copy_kept(folder: Path) -> None:
    older = json.loads(SCHEMA_PATH.read_text())
    older["version"] = "0.9.0"
    del older["tables"]["Network"]["columns"]["mtu"]
    (folder / "old.ovsschema").write_text(json.dumps(older))
    subprocess.run(["ovsdb-tool", "create", folder / "nb.db", folder / "old.ovsschema"], check=True)
    assert trunkline(*start(folder)) == (0, "", "")
    status = json.loads(trunkline("nb", "status", "--db", str(folder / "nb.db"), "-o", "json").out)
    assert status["schema_version"] == version()
    backup = folder / "nb.db.0.9.0.backup"
    kept = subprocess.run(["ovsdb-tool", "db-version", backup], check=True, capture_output=True, text=True)
    assert kept.stdout == "0.9.0\n"
    nb = f"unix:{folder}/nb.sock"
    assert typed("network create web --type flat --physical-network p --mtu 1400", nb).code == 0


def test_a_newer_schema_is_refused(folder: Path) -> None:
    newer = json.loads(SCHEMA_PATH.read_text()) | {"version": "9.0.0"}
    (folder / "new.ovsschema").write_text(json.dumps(newer))
    subprocess.run(["ovsdb-tool", "create", folder / "nb.db", folder / "new.ovsschema"], check=True)
    assert refusal(trunkline(*start(folder)), 1).endswith(f"newer than {version()}; upgrade trunkline")


def test_stop_is_refused_if_nothing_runs(folder: Path) -> None:
    assert "is not running" in refusal(trunkline("nb", "stop", "--db", str(folder / "nb.db")), 1)


def test_status_tells_whether_it_runs_and_what_it_holds(folder: Path) -> None:
    db = str(folder / "nb.db")
    done = trunkline("nb", "status", "--db", db, "-o", "json")
    assert (done.code, json.loads(done.out)["running"]) == (1, False)
    trunkline(*start(folder))
    status = json.loads(trunkline("nb", "status", "--db", db, "-o", "json").out)
    assert status["running"]
    assert status["remotes"] == [f"punix:{folder}/nb.sock"]
    assert status["rows"] == {"Network": 0, "Port": 0, "Chassis": 0}


def test_a_pid_file_that_a_killed_server_left_does_not_count(folder: Path) -> None:
    db = str(folder / "nb.db")
    trunkline(*start(folder))
    pid = json.loads(trunkline("nb", "status", "--db", db, "-o", "json").out)["pid"]
    process = os.pidfd_open(pid)
    signal.pidfd_send_signal(process, signal.SIGKILL)
    select.select([process], [], [], 60)
    os.close(process)
    assert trunkline(*start(folder)) == (0, "", "")


def test_a_backup_restores_what_it_was_taken_of(folder: Path) -> None:
    nb, db, copy = f"unix:{folder}/nb.sock", folder / "nb.db", folder / "copy"
    trunkline(*start(folder))
    typed("network create web --type flat --physical-network p", nb)
    assert trunkline("nb", "backup", str(copy), nb=nb) == (0, "", "")
    assert trunkline("nb", "backup", nb=nb).out.encode().startswith(b"OVSDB JSON")
    trunkline("network", "delete", "web", nb=nb)
    trunkline("nb", "stop", "--db", str(db))
    shutil.copy(copy, db)
    trunkline(*start(folder))
    assert [row["name"] for row in json.loads(trunkline("network", "list", "-o", "json", nb=nb).out)] == [
        "web"
    ]


def test_the_switchs_own_database_is_told_from_the_northbound(folder: Path) -> None:
    subprocess.run(["ovsdb-tool", "create", folder / "vs.db", SWITCH_SCHEMA], check=True)
    server = [
        "ovsdb-server",
        f"{folder}/vs.db",
        f"--remote=punix:{folder}/vs.sock",
        f"--unixctl={folder}/vs.ctl",
    ]
    daemon = [
        *server,
        f"--pidfile={folder}/vs.pid",
        "--detach",
        "--no-chdir",
        "-vconsole:off",
        "-vsyslog:off",
    ]
    subprocess.run(daemon, check=True)
    assert refusal(trunkline("network", "list", nb=f"unix:{folder}/vs.sock"), 1) == (
        f"trunkline: unix:{folder}/vs.sock: serves only Open_vSwitch, not Trunkline_Northbound; "
        f"is this the switch's own database?"
    )


def test_in_the_foreground_it_is_the_server_and_ends_on_term(folder: Path) -> None:
    arguments = [argument for argument in start(folder) if argument != "--detach"]
    process = subprocess.Popen([sys.executable, "-m", "trunkline", *arguments], stderr=subprocess.DEVNULL)
    wait = [
        "ovsdb-client",
        "--timeout=20",
        "wait",
        f"unix:{folder}/nb.sock",
        "Trunkline_Northbound",
        "connected",
    ]
    while subprocess.run(wait, capture_output=True, check=False).returncode:
        assert process.poll() is None
    process.terminate()
    assert process.wait(60) in (-signal.SIGTERM, 0)
    assert (
        json.loads(trunkline("nb", "status", "--db", str(folder / "nb.db"), "-o", "json").out)["running"]
        is False
    )


def test_two_members_of_a_cluster_serve_one_northbound(folder: Path) -> None:
    first, second = (f"tcp:127.0.0.1:{free_port()}" for _ in range(2))
    assert trunkline(*start(folder, "--cluster-local", first)) == (0, "", "")
    join = start(folder, "--cluster-local", second, "--cluster-remote", first, db="nb2.db", sock="nb2.sock")
    assert trunkline(*join) == (0, "", "")
    create = "network create web --type flat --physical-network p"
    assert typed(create, f"unix:{folder}/gone,unix:{folder}/nb2.sock") == (0, "", "")
    # The other member's copy may be a moment behind; a write through it is not.
    assert "already exists" in refusal(typed(create, f"unix:{folder}/nb.sock"), 1)
