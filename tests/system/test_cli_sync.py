"""DESIGN.md section 3: `trunkline sync --wait` returns when every live chassis has applied it all.

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

from trunkline.ovsdb.northbound import NetworkSpec, Northbound, PortSpec
from trunkline.ovsdb.operation import insert, select, update
from trunkline.ovsdb.schema import DATABASE

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
    assert [trunkline("sync", nb=remote) for _ in range(2)] == [(0, "1\n", ""), (0, "2\n", "")]


def test_with_no_chassis_there_is_nothing_to_wait_for(northbound: Northbound) -> None:
    assert trunkline("sync", "--wait", nb=northbound.rpc.remote) == (0, "1\n", "")


def test_wait_returns_once_the_last_live_chassis_has_answered(northbound: Northbound) -> None:
    register(northbound, "c1")
    register(northbound, "c2")
    northbound.rpc.request("monitor", [DATABASE, None, {"NB_Global": {"columns": ["nb_cfg"]}}], 5)
    command = [sys.executable, "-m", "trunkline", "--nb", northbound.rpc.remote, "sync", "--wait"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert northbound.rpc.notification(20) is not None
    answer(northbound, "c1", 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    answer(northbound, "c2", 1)
    assert process.communicate(timeout=20)[0] == "1\n"
    assert process.returncode == 0


def test_a_chassis_that_lags_is_named_and_the_exit_code_is_3(northbound: Northbound) -> None:
    register(northbound, "c1")
    register(northbound, "c2", nb_cfg=1)
    line = refusal(trunkline("sync", "--wait", "--timeout", "0.2", nb=northbound.rpc.remote), 3)
    assert line.startswith("trunkline: after 0.2 s these chassis have not applied 1: c1; ")


def test_a_chassis_that_left_an_earlier_request_unanswered_is_named_and_not_waited_for(
    northbound: Northbound,
) -> None:
    register(northbound, "gone", nb_cfg=4, nb_cfg_timestamp=now_ms() - 60_000)
    northbound.transact([update("NB_Global", row={"nb_cfg": 5, "nb_cfg_timestamp": now_ms() - 11_000})])
    done = trunkline("sync", "--wait", nb=northbound.rpc.remote)
    assert (done.code, done.out) == (0, "6\n")
    assert "not waiting for chassis 'gone'" in done.err
    assert "`trunkline chassis delete gone`" in done.err


@pytest.mark.parametrize(
    ("asked_ms_ago", "shown_ms_ago", "nb_cfg"),
    [(11_000, 20_000, 5), (9_000, 20_000, 4), (11_000, 1_000, 0)],
    ids=["answered the last request", "had less than 10 s", "registered since"],
)
def test_a_live_chassis_is_waited_for(
    northbound: Northbound, asked_ms_ago: int, shown_ms_ago: int, nb_cfg: int
) -> None:
    register(northbound, "c1", nb_cfg=nb_cfg, nb_cfg_timestamp=now_ms() - shown_ms_ago)
    northbound.transact([update("NB_Global", row={"nb_cfg": 5, "nb_cfg_timestamp": now_ms() - asked_ms_ago})])
    assert "c1" in refusal(trunkline("sync", "--wait", "--timeout", "0.1", nb=northbound.rpc.remote), 3)


def test_a_chassis_that_is_deleted_meanwhile_is_not_waited_for_any_more(northbound: Northbound) -> None:
    from trunkline.ovsdb import sync

    register(northbound, "c1")
    asked = sync.request(northbound)
    northbound.delete_chassis(["c1"])
    sync.wait(northbound, asked, 5)


def test_one_connection_waits_as_often_as_it_is_asked_to(northbound: Northbound) -> None:
    from trunkline.ovsdb import sync

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
    assert seen["chassis"] == [{"name": "c1", "state": "current", "nb_cfg": 0, "ports": 0, "faults": 1}]
    assert [fault["chassis"] for fault in seen["faults"]] == ["c1"]


def test_an_interrupted_wait_ends_quietly(northbound: Northbound) -> None:
    register(northbound, "c1")
    northbound.rpc.request("monitor", [DATABASE, None, {"NB_Global": {"columns": ["nb_cfg"]}}], 5)
    # Where the tests themselves run in the background, their children would ignore SIGINT.
    program = ["env", "--default-signal=INT", sys.executable, "-m", "trunkline"]
    command = [*program, "--nb", northbound.rpc.remote, "sync", "--wait"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert northbound.rpc.notification(20) is not None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, "", "")
