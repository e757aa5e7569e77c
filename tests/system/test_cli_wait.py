"""A command that changes the northbound returns, with `--wait`, when every chassis has applied the change.

The chassis here is a row, and the test answers as its agent would.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from program import refusal, trunkline, typed
from relay import WriteRelay

from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import expect, insert, select, update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

CHANGES: dict[str, tuple[str, str, dict[str, object] | None]] = {
    "network create red --type flat --physical-network p": ("Network", "red", {"network_type": "flat"}),
    "network set blue --mtu 1400": ("Network", "blue", {"mtu": 1400}),
    "network delete empty": ("Network", "empty", None),
    "port create vm2 --network blue --mac 02:00:00:00:00:02": ("Port", "vm2", {"mac": "02:00:00:00:00:02"}),
    "port set vm1 --disable": ("Port", "vm1", {"enabled": False}),
    "port delete vm1": ("Port", "vm1", None),
    "chassis delete c9": ("Chassis", "c9", None),
}
"""Each command that changes a row, with the columns of the row after it, None if it is deleted."""


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    """A northbound with the networks blue and empty, the port vm1 and the chassis c1 and c9."""
    with Northbound.connect(nb.remote) as connected:
        networks = [
            NetworkSpec(name=name, network_type="vlan", physical_network="p", segmentation_id=segment)
            for name, segment in (("blue", 101), ("empty", 102))
        ]
        connected.create(networks, [PortSpec(name="vm1", network="blue", mac="02:00:00:00:00:01")])
        connected.transact([insert("Chassis", {"name": name}) for name in ("c1", "c9")])
        yield connected


def waiting(northbound: Northbound, command: str) -> subprocess.Popen[str]:
    """Return *command* with `--wait`, when it has asked the chassis."""
    (before,) = northbound.read(select("NB_Global", only=("nb_cfg",)))
    # If the tests themselves run in the background, their children would ignore SIGINT.
    program = ["env", "--default-signal=INT", sys.executable, "-m", "trunkline"]
    arguments = ["--nb", northbound.rpc.remote, *command.split(), "--wait"]
    process = subprocess.Popen(
        [*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    changed = expect("NB_Global", rows=before, only=("nb_cfg",)) | {"until": "!=", "timeout": 60_000}
    northbound.transact([changed])
    return process


def answer(northbound: Northbound, nb_cfg: int) -> None:
    northbound.transact([update("Chassis", row={"nb_cfg": nb_cfg})])


def is_committed(northbound: Northbound, command: str) -> bool:
    table, name, columns = CHANGES[command]
    (rows,) = northbound.read(select(table, ("name", "==", name)))
    if columns is None:
        return rows == []
    return [{column: row[column] for column in columns} for row in rows] == [columns]


@pytest.mark.parametrize("command", CHANGES)
def test_each_change_is_committed_first_and_then_waited_for(northbound: Northbound, command: str) -> None:
    assert not is_committed(northbound, command)
    process = waiting(northbound, command)
    assert is_committed(northbound, command)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    answer(northbound, 1)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    count = 1 if command.startswith("chassis") else 2
    assert out.startswith(f"applied by {count} of {count} chassis after ")


@pytest.mark.parametrize("command", CHANGES)
def test_without_wait_no_chassis_is_asked(northbound: Northbound, command: str) -> None:
    assert typed(command, northbound.rpc.remote) == (0, "", "")
    assert is_committed(northbound, command)
    assert northbound.read(select("NB_Global", only=("nb_cfg",))) == [[{"nb_cfg": 0}]]


def test_a_chassis_that_lags_is_named_and_the_change_is_committed(northbound: Northbound) -> None:
    line = refusal(typed("port set vm1 --disable --wait --timeout 0.2", northbound.rpc.remote), 3)
    assert line.startswith(
        "trunkline: committed; after 0.2 s these chassis have not applied 1: c1, c9; see `trunkline chassis"
    )
    assert is_committed(northbound, "port set vm1 --disable")


def test_a_silent_chassis_is_named_and_not_waited_for(northbound: Northbound) -> None:
    northbound.transact([update("Chassis", ("name", "==", "c9"), row={"silent_at": 0})])
    process = waiting(northbound, "port set vm1 --disable")
    northbound.transact([update("Chassis", ("name", "==", "c1"), row={"nb_cfg": 1})])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert out.startswith("applied by 1 of 2 chassis after ")
    assert err.startswith("trunkline: chassis 'c9' is silent: it has not applied 1; start its agent, or run")


def test_an_interrupt_while_chassis_are_waited_for_says_that_it_is_committed(northbound: Northbound) -> None:
    process = waiting(northbound, "port delete vm1")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "committed; not waited for\n")
    assert process.returncode == 3
    assert is_committed(northbound, "port delete vm1")


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        ((), "trunkline: it is committed: the interrupt came too late\n", 0),
        (("--wait",), "committed; not waited for\n", 3),
    ],
)
def test_an_interrupt_while_the_database_writes_waits_for_its_answer(
    northbound: Northbound, nb: Served, options: tuple[str, ...], said: str, code: int
) -> None:
    with WriteRelay(nb.directory / "relay", nb.directory / "nb.sock") as relay:
        program = ["env", "--default-signal=INT", sys.executable, "-m", "trunkline"]
        arguments = ["--nb", f"unix:{nb.directory}/relay", "port", "set", "vm1", "--disable", *options]
        process = subprocess.Popen(
            [*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert relay.has_come.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "waiting for the database's answer; interrupt again to leave" in process.stderr.readline()
        relay.may_pass.set()
        assert process.communicate(timeout=60) == ("", said)
    assert process.returncode == code
    assert is_committed(northbound, "port set vm1 --disable")


def test_a_change_that_is_refused_is_not_waited_for(northbound: Northbound) -> None:
    assert refusal(typed("network delete blue --wait", northbound.rpc.remote), 1).startswith(
        "trunkline: network 'blue' still has 1 port"
    )
    assert northbound.read(select("NB_Global", only=("nb_cfg",))) == [[{"nb_cfg": 0}]]


@pytest.mark.parametrize("command", [*CHANGES, "sync"])
def test_how_long_to_wait_needs_a_wait(nb: Served, command: str) -> None:
    line = refusal(trunkline(*command.split(), "--timeout", "5", nb=nb.remote), 2)
    assert "--timeout applies only to a wait; give --wait too" in line
