"""`trunkline apply` asks a person, meets other writers, and is interrupted, at any moment."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from applied import BLUE, applied
from program import trunkline
from relay import WriteRelay
from terminal import Terminal

from trunkline.northbound.operation import insert, update

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served
    from trunkline.northbound.client import Northbound

pytestmark = pytest.mark.system


@pytest.fixture
def northbound(nb: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Northbound]:
    monkeypatch.chdir(tmp_path)
    with applied(nb) as connected:
        yield connected


def test_a_person_sees_the_difference_in_colour_and_is_asked(northbound: Northbound) -> None:
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    terminal = Terminal(northbound.rpc.remote)
    terminal.until("0 to add, 1 to change, 0 to delete, 2 unchanged.  Apply? [y/N] ")
    assert "\x1b[33m  ~ network blue" in terminal.said
    terminal.answer("n\n")
    assert terminal.end() == 1
    assert "nothing was applied" in terminal.said
    assert northbound.network("blue")["segmentation_id"] == 101
    terminal = Terminal(northbound.rpc.remote)
    terminal.until("Apply? [y/N] ")
    terminal.answer("y\n")
    assert terminal.end() == 0
    assert "done: transaction of 1 row\r\n" in terminal.said
    assert northbound.network("blue")["segmentation_id"] == 121


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            [update("Network", ("name", "==", "blue"), row={"external_ids": {"trunkline-set": "prod"}})],
            'network blue was changed meanwhile (by set "prod"); run again',
        ),
        ([update("Port", ("name", "==", "vm2"), row={"addresses": ["192.0.2.5"]})], "port vm2 was changed m"),
        ([{"op": "delete", "table": "Port", "where": [["name", "==", "vm1"]]}], "port vm1 was deleted meanw"),
    ],
)  # fmt: skip
def test_what_somebody_else_changes_before_the_answer_is_theirs(
    northbound: Northbound, change: list[dict[str, object]], said: str
) -> None:
    text = BLUE.replace("101", "121").replace("192.0.2.11", "192.0.2.12")
    Path("blue.yaml").write_text(text[: text.rindex("---")])
    terminal = Terminal(northbound.rpc.remote, "--prune")
    terminal.until("Apply? [y/N] ")
    assert "0 to add, 2 to change, 1 to delete, 0 unchanged." in terminal.said
    northbound.transact(change)
    before = northbound.networks(), northbound.ports()
    terminal.answer("y\n")
    assert terminal.end() == 1
    assert said in terminal.said
    assert (northbound.networks(), northbound.ports()) == before


def test_what_somebody_else_makes_before_the_answer_is_theirs(northbound: Northbound) -> None:
    port = "---\nkind: Port\nname: vm9\nnetwork: blue\nmac: 02:00:00:00:00:09\n"
    Path("blue.yaml").write_text(BLUE + port)
    terminal = Terminal(northbound.rpc.remote)
    terminal.until("Apply? [y/N] ")
    Path("other.yaml").write_text(port.replace("00:09", "00:0a"))
    remote = northbound.rpc.remote
    assert trunkline("apply", "-f", "other.yaml", "--set", "prod", "--yes", nb=remote).code == 0
    terminal.answer("y\n")
    assert terminal.end() == 1
    assert 'port vm9 was made meanwhile (by set "prod"); run again' in terminal.said
    assert northbound.port("vm9")["mac"] == "02:00:00:00:00:0a"


def test_a_person_sees_that_a_northbound_is_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        terminal = Terminal(f"unix:{tmp_path}/mute", command=("network", "list"))
        terminal.until("connecting to the northbound, ")
        assert terminal.end() == 1
        assert "no answer within 5 s: its server is stopped, or very busy" in terminal.said


# --- an interrupt, at any moment ---


ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDS)
def test_an_interrupt_before_the_answer_changes_nothing(
    northbound: Northbound, number: signal.Signals
) -> None:
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    terminal = Terminal(northbound.rpc.remote)
    terminal.until("Apply? [y/N] ")
    terminal.interrupt(number)
    assert terminal.end() == 128 + number
    assert terminal.said.rstrip().endswith("\nnothing was applied")
    assert northbound.network("blue")["segmentation_id"] == 101


def test_interrupts_that_follow_the_first_one_keep_nothing_from_being_said(northbound: Northbound) -> None:
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    terminal = Terminal(northbound.rpc.remote)
    terminal.until("Apply? [y/N] ")
    terminal.interrupt()
    while terminal.process.poll() is None:
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert terminal.said.rstrip().endswith("\nnothing was applied")


def test_what_was_typed_before_the_question_is_no_answer_to_it(northbound: Northbound) -> None:
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    terminal = Terminal(northbound.rpc.remote)
    terminal.answer("y\n")
    terminal.until("Apply? [y/N] ")
    terminal.answer("n\n")
    assert terminal.end() == 1
    assert northbound.network("blue")["segmentation_id"] == 101


def test_a_terminal_that_is_closed_before_the_answer_changes_nothing(northbound: Northbound) -> None:
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    terminal = Terminal(northbound.rpc.remote)
    terminal.until("Apply? [y/N] ")
    assert terminal.close() == 128 + signal.SIGHUP
    assert northbound.network("blue")["segmentation_id"] == 101


def test_that_it_is_committed_is_said_although_nobody_reads_the_rest(
    northbound: Northbound, nb: Served
) -> None:
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    with WriteRelay(nb.directory / "relay", nb.directory / "nb.sock") as relay:
        argv = ["--nb", f"unix:{nb.directory}/relay", "apply", "-f", "blue.yaml", "--yes"]
        command = [sys.executable, "-m", "trunkline", *argv]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            assert relay.has_come.wait(60)
            program.stdout.close()
            relay.may_pass.set()
            assert program.stderr.read() == "committed; standard output cannot be written: Broken pipe\n"
            assert program.wait(60) == 3
    assert northbound.network("blue")["segmentation_id"] == 121


@pytest.mark.parametrize("number", ENDS)
def test_an_interrupt_while_the_database_writes_waits_for_its_answer(
    northbound: Northbound, nb: Served, number: signal.Signals
) -> None:
    text = BLUE.replace("101", "121")
    with WriteRelay(nb.directory / "relay", nb.directory / "nb.sock") as relay:
        Path("blue.yaml").write_text(text)
        terminal = Terminal(f"unix:{nb.directory}/relay", "--yes", "--wait")
        assert relay.has_come.wait(60)
        terminal.interrupt(number)
        terminal.until("waiting for the database's answer; interrupt again to leave at once")
        relay.may_pass.set()
        assert terminal.end() == 3, terminal.said
        assert terminal.said.rstrip().endswith("committed; not waited for")
    assert northbound.network("blue")["segmentation_id"] == 121


def test_an_interrupt_that_comes_too_late_leaves_nothing_undone(northbound: Northbound, nb: Served) -> None:
    with WriteRelay(nb.directory / "relay", nb.directory / "nb.sock") as relay:
        Path("blue.yaml").write_text(BLUE.replace("101", "121"))
        terminal = Terminal(f"unix:{nb.directory}/relay", "--yes")
        assert relay.has_come.wait(60)
        terminal.interrupt()
        terminal.until("interrupt again to leave at once")
        relay.may_pass.set()
        assert terminal.end() == 0, terminal.said
        assert "trunkline: it is committed: the interrupt came too late\r\n" in terminal.said
        assert terminal.said.endswith("\r\ndone: transaction of 1 row\r\n")
    assert northbound.network("blue")["segmentation_id"] == 121


def test_a_second_interrupt_leaves_without_knowing(northbound: Northbound, nb: Served) -> None:
    with WriteRelay(nb.directory / "relay", nb.directory / "nb.sock") as relay:
        Path("blue.yaml").write_text(BLUE.replace("101", "121"))
        terminal = Terminal(f"unix:{nb.directory}/relay", "--yes")
        assert relay.has_come.wait(60)
        terminal.interrupt()
        terminal.until("interrupt again to leave at once")
        terminal.interrupt()
        assert terminal.end() == 3, terminal.said
        assert "it is unknown whether the change was made; run again to see" in terminal.said
        relay.may_pass.set()


def test_an_interrupt_while_chassis_are_waited_for_says_that_it_is_committed(northbound: Northbound) -> None:
    northbound.transact([insert("Chassis", {"name": "c1"})])
    Path("blue.yaml").write_text(BLUE.replace("101", "121"))
    terminal = Terminal(northbound.rpc.remote, "--yes", "--wait")
    terminal.until("done: transaction of 1 row")
    changed = {"op": "wait", "table": "NB_Global", "where": [], "columns": ["nb_cfg"], "until": "!="}
    northbound.transact([changed | {"rows": [{"nb_cfg": 0}], "timeout": 20_000}])
    terminal.interrupt()
    assert terminal.end() == 3
    assert terminal.said.rstrip().endswith("committed; not waited for")
