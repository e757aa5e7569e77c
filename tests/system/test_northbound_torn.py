"""A northbound whose file a crash tore starts with all that is whole in it, as `ovsdb-server` itself does."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from program import refusal, trunkline, typed

from model.tcp_port import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system


class Site(NamedTuple):
    """A northbound in *folder* with the networks a, b and c, each written in a record of its own."""

    folder: Path
    cluster: tuple[str, ...]

    @property
    def db(self) -> Path:
        return self.folder / "nb.db"

    @property
    def nb(self) -> str:
        return f"unix:{self.folder}/nb.sock"

    def start(self) -> tuple[int, str]:
        done = trunkline(
            *("nb", "start", "--db", str(self.db), "--remote", f"punix:{self.folder}/nb.sock", "--detach"),
            *self.cluster,
        )
        assert done.out == ""
        return done.code, done.err

    def stop(self) -> None:
        trunkline("nb", "stop", "--db", str(self.db))

    def networks(self) -> list[str]:
        """Ask the database alone: what starts a program of ours each time would take half a minute."""
        select = [{"op": "select", "table": "Network", "where": [], "columns": ["name"]}]
        asked = ["ovsdb-client", "transact", self.nb, json.dumps(["Trunkline_Northbound", *select])]
        done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=30)
        return sorted(row["name"] for row in json.loads(done.stdout)[0]["rows"])


@pytest.fixture(scope="module", params=["standalone", "clustered"])
def written(request: pytest.FixtureRequest) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="tl-torn-"))
    address = () if request.param == "standalone" else ("--cluster-local", f"tcp:127.0.0.1:{free_port()}")
    site = Site(folder, address)
    assert site.start() == (0, "")
    for number, name in enumerate("abc"):
        assert typed(f"network create {name} --type flat --physical-network p{number}", site.nb).code == 0
    site.stop()
    site.db.rename(folder / "whole.db")
    yield site
    shutil.rmtree(folder)


def last_record(file: bytes) -> int:
    """Return where the last record that writes a network starts."""
    return file.rindex(b"\nOVSDB ", 0, file.rindex(b'"name":"c"')) + 1


@pytest.mark.parametrize("cut", [70, -2])
def test_a_last_record_that_is_cut_short_is_dropped_and_told(written: Site, cut: int) -> None:
    file = (written.folder / "whole.db").read_bytes()
    start = last_record(file)
    end = file.find(b"\nOVSDB ", start) + 1 or len(file)
    torn = file[: (start if cut > 0 else end) + cut]
    written.db.write_bytes(torn)
    (written.folder / "nb.db.torn").unlink(missing_ok=True)
    try:
        code, said = written.start()
        assert (code, said.count("\n")) == (0, 1), said
        assert "is incomplete, as after a crash" in said
        assert f"that record, {len(torn) - start} bytes; they are kept in {written.db}.torn" in said
        assert written.networks() == ["a", "b"]
        # What is written from now on stays, too.
        assert typed("network create d --type flat --physical-network p9", written.nb) == (0, "", "")
        written.stop()
        assert written.start() == (0, "")
        assert written.networks() == ["a", "b", "d"]
    finally:
        written.stop()


def test_what_is_behind_the_last_record_is_dropped_and_no_network_lost(written: Site) -> None:
    tail = b"\0" * 4096  # as a crash of a machine leaves them
    written.db.write_bytes((written.folder / "whole.db").read_bytes() + tail)
    try:
        code, said = written.start()
        assert (code, said.count("\n")) == (0, 1), said
        assert f"{len(tail)} bytes" in said
        assert written.networks() == ["a", "b", "c"]
    finally:
        written.stop()


def test_in_the_middle_nothing_is_taken_from_a_server_that_runs(written: Site) -> None:
    """A second start, with another pid file, of a file that a server writes to at this moment."""
    shutil.copy(written.folder / "whole.db", written.db)
    assert written.start() == (0, "")
    try:
        with written.db.open("ab") as file:
            file.write(b"OVSDB JSON 99 ")
        before = written.db.read_bytes()
        more = ("--pidfile", f"{written.folder}/other.pid", "--remote", f"punix:{written.folder}/other.sock")
        line = refusal(trunkline("nb", "start", "--db", str(written.db), "--detach", *more), 1)
        assert "another program has open" in line
        assert written.db.read_bytes() == before
    finally:
        written.stop()
