"""What the northbound listens on: refused before it starts, or really bound; and `nb status` tells which."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import Done, refusal, trunkline, typed

from model.certificate import Authority
from model.tcp_port import free_port
from trunkline.host.listener import bound
from trunkline.server.tool import run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system


@pytest.fixture
def folder() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tl-listen-"))
    yield directory
    trunkline("nb", "stop", "--db", str(directory / "nb.db"))
    shutil.rmtree(directory)


def start(folder: Path, *listeners: str, more: tuple[str, ...] = ()) -> Done:
    remotes = [word for listener in listeners for word in ("--remote", listener)]
    return trunkline("nb", "start", "--db", str(folder / "nb.db"), *remotes, "--detach", *more)


def status(folder: Path, code: int = 0) -> dict[str, Any]:
    done = trunkline("nb", "status", "--db", str(folder / "nb.db"), "-o", "json", timeout_s=20)
    assert (done.code, done.err) == (code, "")
    seen: dict[str, Any] = json.loads(done.out)
    return seen


@pytest.mark.parametrize(
    ("listener", "reason"),
    [
        ("ptcp:99999:127.0.0.1", "has no port 1–65535; write ptcp:PORT:IP"),
        ("ptcp:0", "has no port 1–65535; write ptcp:PORT:IP"),
        ("ptcp:6651:localhost", "is not a place to listen; write ptcp:PORT:IP"),
        ("ptcp:6651:192.0.2.300", "has no IP address; write ptcp:PORT:IP"),
        ("pssl:6651:::1", "is not a place to listen; write pssl:PORT:IP, an IPv6 address in brackets"),
        ("punix:", "is not a place to listen"),
        ("tcp:127.0.0.1:6651", "is not a place to listen"),
    ],
)
def test_what_is_no_place_to_listen_is_a_usage_error(folder: Path, listener: str, reason: str) -> None:
    assert reason in refusal(start(folder, listener), 2)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", ["--remote", "--cluster-local"])
def test_a_place_that_cannot_be_had_is_refused_before_anything_starts(folder: Path, how: str) -> None:
    def attempt(port: int, host: str) -> Done:
        if how == "--remote":
            return start(folder, f"punix:{folder}/nb.sock", f"ptcp:{port}:{host}")
        return start(folder, f"punix:{folder}/nb.sock", more=(how, f"tcp:{host}:{port}"))

    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        port = theirs.getsockname()[1]
        line = refusal(attempt(port, "127.0.0.1"), 1)
    assert line == (
        f"trunkline: cannot listen on ptcp:{port}:127.0.0.1: another program listens there; "
        f"stop it, or use another port"
    )
    assert "this machine does not have that address" in refusal(attempt(port, "192.0.2.1"), 1)
    assert list(folder.iterdir()) == []


def test_a_server_that_cannot_listen_after_all_is_not_left_running(folder: Path) -> None:
    """In /proc nothing can be made: what no look from before the start tells of."""
    line = refusal(start(folder, f"punix:{folder}/nb.sock", "punix:/proc/nb.sock"), 1)
    assert line == "trunkline: the server cannot listen on punix:/proc/nb.sock; see its log (--log-file)"
    assert not status(folder, 1)["running"]
    assert start(folder, f"punix:{folder}/nb.sock") == (0, "", "")


def test_a_path_may_be_longer_than_a_sockets_and_a_name_may_not(folder: Path) -> None:
    assert "too long for a socket" in refusal(start(folder, f"punix:{folder}/{'x' * 100}"), 1)
    assert list(folder.iterdir()) == []
    long = folder / ("x" * 60) / ("y" * 60)
    assert start(folder, f"punix:{long}/nb.sock") == (0, "", "")
    assert typed("network list -o json", f"unix:{long}/nb.sock") == (0, "[]\n", "")
    assert status(folder)["remotes"] == [f"punix:{long}/nb.sock"]
    again = trunkline("nb", "start", "--db", f"{folder}/other.db", "--remote", f"punix:{long}/nb.sock")
    assert "another server already answers" in refusal(again, 1)


def test_a_process_that_opens_and_closes_files_listens_at_none_of_anothers_places() -> None:
    churn = "while True: open('/dev/null').close()"
    with socket.socket() as ours, subprocess.Popen([sys.executable, "-c", churn]) as theirs:
        ours.bind(("127.0.0.1", 0))
        ours.listen(1000)
        try:
            listener = f"ptcp:{ours.getsockname()[1]}:127.0.0.1"
            assert all(bound([listener], theirs.pid) == [] for _ in range(500))
            assert bound([listener], os.getpid()) == [listener]
        finally:
            theirs.kill()


def test_status_lists_what_is_really_bound_and_what_is_not(folder: Path) -> None:
    port, gone = free_port(), free_port()
    sock = f"punix:{folder}/nb.sock"
    assert start(folder, sock, f"ptcp:{port}:127.0.0.1") == (0, "", "")
    nb = f"unix:{folder}/nb.sock"
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", gone))
        theirs.listen()
        assert typed(f"nb listen ptcp:{gone}:127.0.0.1", nb) == (0, "", "")
        seen = status(folder)
        assert (seen["remotes"], seen["answers"]) == ([f"ptcp:{port}:127.0.0.1", sock], True)
        assert seen["connections"] == {f"ptcp:{gone}:127.0.0.1": ""}
        assert seen["not_listening"] == [f"ptcp:{gone}:127.0.0.1"]
        shown = trunkline("nb", "status", "--db", str(folder / "nb.db")).out
        assert re.search(rf"^connections +ptcp:{gone}:127\.0\.0\.1: no role$", shown, re.MULTILINE)
    (folder / "nb.sock").unlink()
    seen = status(folder)
    assert seen["remotes"] == [f"ptcp:{port}:127.0.0.1"]
    assert sock in seen["not_listening"]
    assert seen["rows"] == {"Network": 0, "Port": 0, "Chassis": 0}


def test_a_port_that_nothing_can_be_is_not_written_as_a_connection(folder: Path) -> None:
    start(folder, f"punix:{folder}/nb.sock")
    assert "has no port" in refusal(typed("nb listen ptcp:99999:127.0.0.1", f"unix:{folder}/nb.sock"), 2)
    assert status(folder)["connections"] == {}


def test_status_tells_of_a_server_with_tls_alone_and_leaves_it_as_it_was(folder: Path) -> None:
    port = free_port()
    files = Authority(folder).issue("server").options
    assert start(folder, f"pssl:{port}:127.0.0.1", more=files) == (0, "", "")
    before = sorted(folder.iterdir())
    seen = status(folder)
    assert seen["remotes"] == [f"pssl:{port}:127.0.0.1"]
    assert seen["rows"] == {"Network": 0, "Port": 0, "Chassis": 0}
    assert seen["schema_version"]
    assert sorted(folder.iterdir()) == before
    assert status(folder)["not_listening"] == []


def test_status_that_is_told_to_end_while_it_lets_itself_in_leaves_no_entrance(folder: Path) -> None:
    port = free_port()
    files = Authority(folder).issue("server").options
    assert start(folder, f"pssl:{port}:127.0.0.1", more=files) == (0, "", "")
    before = sorted(folder.iterdir())
    # The entrance is there, and who asked for it is told to end before it knows.
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ovs-appctl").write_text(
        f'#!/bin/sh\n{shutil.which("ovs-appctl")} "$@" || exit\n'
        'case "$*" in *add-remote*) kill -TERM $PPID ;; esac\n'
    )
    (programs / "ovs-appctl").chmod(0o755)
    argv = [sys.executable, "-m", "trunkline", "nb", "status", "--db", str(folder / "nb.db")]
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(argv, env=os.environ | {"PATH": path}, capture_output=True, timeout=60, check=False)
    shutil.rmtree(programs)
    assert done.returncode == 128 + signal.SIGTERM, done
    assert sorted(folder.iterdir()) == before


GIVE_FILES = "give --private-key, --certificate and --ca-cert"


def test_a_server_that_is_to_speak_tls_and_has_no_certificate_says_so(folder: Path) -> None:
    """Each client would be refused without a reason. A row of SSL can name the files later."""
    listener = f"pssl:{free_port()}:127.0.0.1"
    note = f"trunkline: nobody can connect to {listener}: there is no certificate yet; {GIVE_FILES}\n"
    assert start(folder, listener) == (0, "", note)
    db = str(folder / "nb.db")
    assert trunkline("nb", "stop", "--db", db).code == 0
    row = dict.fromkeys(("private_key", "certificate", "ca_cert"), "/nowhere.pem")
    named = ["ssl", "insert", ["set", [["named-uuid", "ssl"]]]]
    operations = [
        {"op": "insert", "table": "SSL", "row": row, "uuid-name": "ssl"},
        {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [named]},
    ]
    run("ovsdb-tool", "transact", db, json.dumps(["Trunkline_Northbound", *operations]))
    assert start(folder, listener) == (0, "", "")


@pytest.mark.parametrize("links", [["--cluster-local", "ssl:127.0.0.1:1"], ["--relay", "ssl:127.0.0.1:1"]])
def test_a_server_with_links_over_tls_and_no_certificate_does_not_start(
    folder: Path, links: list[str]
) -> None:
    """It would wait for the other servers without end."""
    line = refusal(start(folder, f"punix:{folder}/nb.sock", more=tuple(links)), 1)
    assert line.endswith(f"no certificate for ssl: links to other servers; {GIVE_FILES}")
    assert not (folder / "nb.db").exists()


def test_status_of_a_server_that_hangs_says_so_within_seconds(folder: Path) -> None:
    assert start(folder, f"punix:{folder}/nb.sock") == (0, "", "")
    pid = status(folder)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        seen = status(folder, 1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (seen["running"], seen["pid"], seen["answers"]) == (True, pid, False)
    assert "has not finished within 3 s" in seen["reason"]


def test_status_is_of_the_northbound_that_is_named(folder: Path) -> None:
    start(folder, f"punix:{folder}/nb.sock")
    nb = f"unix:{folder}/nb.sock"
    told = json.loads(trunkline("nb", "status", "-o", "json", nb=nb).out)
    assert (told["remote"], told["model"]) == (nb, "standalone")
    assert told["rows"] == {"Network": 0, "Port": 0, "Chassis": 0}
    assert json.loads(trunkline("nb", "status", "--nb", nb, "-o", "json").out) == told
    assert "nobody listens there" in refusal(trunkline("nb", "status", nb=f"unix:{folder}/gone"), 1)
    # A file that is named is a server of this machine's, whatever the environment says.
    local = trunkline("nb", "status", "--db", str(folder / "nb.db"), "-o", "json", nb=f"unix:{folder}/gone")
    assert json.loads(local.out)["running"]
