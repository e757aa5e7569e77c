"""DESIGN.md section 3: `trunkline sync --wait` says whether every chassis has applied it all.

The chassis here are rows that the test writes as an agent would.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from program import refusal, trunkline
from terminal import Terminal

from trunkline.northbound import liveness, sync
from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import expect, insert, select, update
from trunkline.northbound.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as connected:
        yield connected


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def register(northbound: Northbound, name: str, **columns: Any) -> None:
    northbound.transact([insert("Chassis", {"name": name} | columns)])


def answer(northbound: Northbound, name: str, nb_cfg: int) -> None:
    row = {"nb_cfg": nb_cfg, "nb_cfg_timestamp": now_ms()}
    northbound.transact([update("Chassis", ("name", "==", name), row=row)])


def test_without_wait_the_number_of_the_request_is_printed(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    register(northbound, "c1")
    said = [(0, f"request {number}: 1 chassis asked\n", "") for number in (1, 2)]
    assert [trunkline("sync", nb=remote) for _ in range(2)] == said


@pytest.mark.parametrize("options", [(), ("--wait",)])
def test_a_program_gets_the_number_and_the_silent_chassis(
    northbound: Northbound, options: tuple[str, ...]
) -> None:
    register(northbound, "c1", silent_at=0)
    done = trunkline("sync", *options, "-o", "json", nb=northbound.rpc.remote)
    wanted = {"version": 1, "nb_cfg": 1, "waited": bool(options), "silent": ["c1"]}
    assert (done.code, json.loads(done.out)) == (4 if options else 0, wanted)


def test_with_no_chassis_there_is_nothing_to_wait_for(northbound: Northbound) -> None:
    done = trunkline("sync", "--wait", nb=northbound.rpc.remote)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("request 1: applied by 0 of 0 chassis after ")


def _waiting(northbound: Northbound, *options: str) -> subprocess.Popen[str]:
    """Return a `sync --wait` that has made its request."""
    (before,) = northbound.read(select("NB_Global", only=("nb_cfg",)))
    command = [sys.executable, "-m", "trunkline", "--nb", northbound.rpc.remote, "sync", "--wait", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # A `wait` of the database's own (RFC 7047 section 5.2.6): it answers when the number is another.
    changed = expect("NB_Global", rows=before, only=("nb_cfg",)) | {"until": "!=", "timeout": 20_000}
    northbound.transact([changed])
    return process


def test_wait_returns_once_the_last_live_chassis_has_answered(northbound: Northbound) -> None:
    register(northbound, "c1")
    register(northbound, "c2")
    process = _waiting(northbound)
    answer(northbound, "c1", 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    answer(northbound, "c2", 1)
    assert process.communicate(timeout=20)[0].startswith("request 1: applied by 2 of 2 chassis after ")
    assert process.returncode == 0


def test_a_terminal_shows_how_many_chassis_have_applied_it_and_nothing_of_that_stays(
    northbound: Northbound,
) -> None:
    register(northbound, "c1")
    register(northbound, "c2")
    terminal = Terminal(northbound.rpc.remote, command=("sync", "--wait"))
    terminal.until("[....................] 0 of 2 chassis have applied it, ")
    answer(northbound, "c1", 1)
    terminal.until("[##########..........] 1 of 2 chassis have applied it, ")
    answer(northbound, "c2", 1)
    assert terminal.end() == 0
    assert terminal.said.rpartition("\r\x1b[K")[2].startswith("request 1: applied by 2 of 2 chassis after ")


def test_a_wait_outlives_the_northbounds_server(nb: Served, northbound: Northbound) -> None:
    register(northbound, "c1")
    process = _waiting(northbound)
    nb.stop()
    nb.start()
    answer(northbound, "c1", 1)
    out, err = process.communicate(timeout=20)
    assert (out.partition(" after ")[0], err) == ("request 1: applied by 1 of 1 chassis", "")
    assert process.returncode == 0


def test_a_wait_whose_northbound_does_not_come_back_says_so_and_the_exit_code_is_1(
    nb: Served, northbound: Northbound
) -> None:
    register(northbound, "c1")
    process = _waiting(northbound, "--timeout", "1")
    nb.stop()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert "is the northbound running" in err


def test_a_chassis_that_lags_is_named_and_the_exit_code_is_3(northbound: Northbound) -> None:
    register(northbound, "c1")
    register(northbound, "c2", nb_cfg=1)
    line = refusal(trunkline("sync", "--wait", "--timeout", "0.2", nb=northbound.rpc.remote), 3)
    assert line.startswith("trunkline: after 0.2 s these chassis have not applied 1: c1; ")


def state(remote: str, *options: str) -> str:
    """Return the state of the only chassis."""
    (row,) = json.loads(trunkline("status", *options, "-o", "json", nb=remote).out)["chassis"]
    return str(row["state"])


def found_silent(northbound: Northbound, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the chassis that do not answer found silent, by a patience that ends at once."""
    monkeypatch.setattr(sync, "PATIENCE_S", 0.1)
    with pytest.raises(sync.LaggingError):
        sync.wait(northbound, sync.request(northbound), 0.1)


def test_a_chassis_that_left_a_request_unanswered_is_named_and_not_waited_for_and_the_exit_code_is_4(
    northbound: Northbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(northbound, "gone", nb_cfg=0)
    register(northbound, "c1", nb_cfg=0)
    northbound.transact([update("NB_Global", row={"nb_cfg": 5})])
    found_silent(northbound, monkeypatch)
    answer(northbound, "c1", 6)
    process = _waiting(northbound)
    answer(northbound, "c1", 7)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 4
    assert out.startswith("request 7: applied by 1 of 2 chassis after ")
    assert err.startswith("trunkline: chassis 'gone' is silent: it has not applied 7; ")
    assert "`trunkline chassis delete gone`" in err
    process = _waiting(northbound, "--live")
    answer(northbound, "c1", 8)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.startswith("request 8: applied by 1 of 2 chassis after ")
    assert "chassis 'gone' is silent" in err


def test_a_host_that_asks_for_a_name_may_have_restarted_until_that_is_denied(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    host = "7d9f1a52-3c0e-4a57-9a37-1f1d5a6e8b11"
    register(northbound, "c1", silent_at=0, claims={host: "h1"})
    code, _, err = trunkline("sync", "--wait", nb=remote)
    assert (code, "'h1' asks for the system-id 'c1'" in err, "another host" in err) == (4, True, False)
    northbound.transact([update("Chassis", ("name", "==", "c1"), row={"denied": [host]})])
    code, _, err = trunkline("sync", "--wait", nb=remote)
    assert (code, "'h1' has the system-id 'c1' of another host" in err) == (4, True)


def test_a_silent_chassis_that_answers_is_waited_for_again(
    northbound: Northbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(northbound, "c1")
    found_silent(northbound, monkeypatch)
    remote = northbound.rpc.remote
    assert state(remote) == "silent"
    answer(northbound, "c1", 1)
    refusal(trunkline("sync", "--wait", "--timeout", "0.1", nb=remote), 3)
    assert state(remote, "--no-ask") == "behind"


def test_a_wait_of_less_than_10_s_finds_nobody_silent(northbound: Northbound) -> None:
    register(northbound, "c1")
    for _ in range(2):
        assert "c1;" in refusal(trunkline("sync", "--wait", "--timeout", "0.1", nb=northbound.rpc.remote), 3)


LONG_S = 8.0
"""Longer than a northbound takes to start again on a busy machine."""


def test_a_northbound_that_was_away_meanwhile_makes_nobody_silent(
    nb: Served, northbound: Northbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(northbound, "c1")
    is_restart_due = True

    def restarting(*_: object) -> bool:
        nonlocal is_restart_due
        if is_restart_due:
            is_restart_due = False
            nb.stop()
            nb.start()
        return False

    with monkeypatch.context() as patched:
        patched.setattr(sync, "PATIENCE_S", LONG_S)
        patched.setattr(sync, "has_applied", restarting)
        patched.setattr(sync, "has_heard", restarting)
        with pytest.raises(sync.LaggingError):
            sync.wait(northbound, sync.request(northbound), LONG_S)
        assert state(nb.remote, "--no-ask") == "behind"
        # Nor does `status` call it so, which waits for less.
        is_restart_due = True
        asked = liveness.ask(northbound, timeout_s=LONG_S)
        assert isinstance(asked, liveness.Asked)
        assert not asked.is_quiet
    refusal(trunkline("sync", "--wait", "--timeout", "0.1", nb=nb.remote), 3)


@pytest.mark.parametrize("clock_ms", [-15_000, 15_000], ids=["slow clock", "fast clock"])
def test_the_clock_of_a_chassis_does_not_matter(northbound: Northbound, clock_ms: int) -> None:
    """An agent that was paused for longer than 10 s, on a host whose clock is 15 s off, is waited for."""
    register(northbound, "c1", nb_cfg=4, nb_cfg_timestamp=now_ms() + clock_ms - 20_000)
    northbound.transact([update("NB_Global", row={"nb_cfg": 5, "nb_cfg_timestamp": now_ms() - 11_000})])
    assert "c1" in refusal(trunkline("sync", "--wait", "--timeout", "0.1", nb=northbound.rpc.remote), 3)


def test_a_number_that_no_request_has_had_is_no_answer(northbound: Northbound) -> None:
    """It is left from another NB_Global row; it must not answer all requests to come."""
    register(northbound, "c1", nb_cfg=57)
    remote = northbound.rpc.remote
    assert "c1" in refusal(trunkline("sync", "--wait", "--timeout", "0.1", nb=remote), 3)
    assert (state(remote, "--no-ask"), state(remote)) == ("behind", "silent")


def test_live_without_wait_is_a_usage_error(northbound: Northbound) -> None:
    assert "--wait" in refusal(trunkline("sync", "--live", nb=northbound.rpc.remote), 2)


def test_a_chassis_that_is_deleted_meanwhile_is_not_waited_for_any_more(northbound: Northbound) -> None:
    from trunkline.northbound import sync

    register(northbound, "c1")
    asked = sync.request(northbound)
    northbound.delete_chassis(["c1"])
    sync.wait(northbound, asked, 5)


def test_one_connection_waits_as_often_as_it_is_asked_to(northbound: Northbound) -> None:
    from trunkline.northbound import sync

    register(northbound, "c1")
    asked = sync.request(northbound)
    with pytest.raises(sync.LaggingError):
        sync.wait(northbound, asked, 0.1)
    answer(northbound, "c1", asked.nb_cfg)
    for _ in range(2):
        sync.wait(northbound, asked, 5)
    assert northbound.rpc.notification(0) is None


def test_deleting_a_chassis_says_of_its_ports_that_none_holds_them(northbound: Northbound) -> None:
    register(northbound, "c1")
    network = NetworkSpec(name="web", network_type="flat", physical_network="p")
    ports = [PortSpec(name=f"web{n}", network="web", mac=f"02:00:00:00:00:0{n}") for n in (1, 2)]
    northbound.create([network], ports)
    for port, chassis in (("web1", "c1"), ("web2", "c2")):
        northbound.transact([update("Port", ("name", "==", port), row={"chassis": chassis, "up": True})])
    assert trunkline("chassis", "delete", "c1", nb=northbound.rpc.remote) == (0, "", "")
    (rows,) = northbound.read(select("Port", only=("name", "chassis", "up")))
    assert sorted((row["name"], row["chassis"], row["up"]) for row in rows) == [
        ("web1", None, None),
        ("web2", "c2", True),
    ]


def test_status_shows_chassis_networks_ports_and_faults_and_succeeds(northbound: Northbound) -> None:
    register(northbound, "c1", faults={"mapping physnet1": "bridge br-x is missing\x1b[2J"})
    northbound.create([NetworkSpec(name="web", network_type="flat", physical_network="p")])
    remote = northbound.rpc.remote
    done = trunkline("status", nb=remote)
    assert done.code == 0
    assert done.out.startswith("1 chassis, 1 network, 0 ports (0 up, 0 down, 0 disabled), 1 fault\n")
    assert "bridge br-x is missing\\x1b[2J" in done.out
    seen = json.loads(trunkline("status", "-o", "json", nb=remote).out)
    row = {"name": "c1", "answer_age_s": None, "nb_cfg": 0, "ports": 0, "faults": 1}
    assert seen["chassis"] == [row | {"state": "silent"}]
    seen = json.loads(trunkline("status", "--no-ask", "-o", "json", nb=remote).out)
    assert seen["chassis"] == [row | {"state": "behind"}]
    assert [fault["chassis"] for fault in seen["faults"]] == ["c1"]


def test_status_tells_a_chassis_that_obeys_another_northbound_from_one_that_is_well(
    northbound: Northbound,
) -> None:
    register(northbound, "c1", faults={"northbound": "it is another one than this chassis obeys"})
    assert state(northbound.rpc.remote, "--no-ask") == "disobeys"


def test_a_fault_that_names_a_column_names_the_option_to_a_person(northbound: Northbound) -> None:
    register(northbound, "c1", faults={"port a": "pick another `parent_vlan`; use `port_security=false`"})
    remote = northbound.rpc.remote
    for command in (("status",), ("chassis", "show", "c1")):
        assert "pick another --parent-vlan; use --no-port-security" in trunkline(*command, nb=remote).out
        assert "pick another `parent_vlan`" in trunkline(*command, "-o", "json", nb=remote).out


def test_an_interrupted_wait_ends_quietly(northbound: Northbound) -> None:
    register(northbound, "c1")
    northbound.rpc.request("monitor", [DATABASE, None, {"NB_Global": {"columns": ["nb_cfg"]}}], 5)
    # If the tests themselves run in the background, their children would ignore SIGINT.
    program = ["env", "--default-signal=INT", sys.executable, "-m", "trunkline"]
    command = [*program, "--nb", northbound.rpc.remote, "sync", "--wait"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert northbound.rpc.notification(20) is not None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, "", "")
