"""`trunkline lab` as it is typed: the whole system, from the northbound to the physical switch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.lab import demonstration, topology
from trunkline.lab import lab as labs
from trunkline.lab.command import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import LabFactory

pytestmark = pytest.mark.system


@pytest.fixture
def name() -> Iterator[str]:
    """Yield a lab's name, and take down what the test left under it."""
    found = f"r{os.getpid():06x}"
    yield found
    labs.down(found)


def trunkline(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, timeout=250, check=False)


def test_a_run_ends_well_shows_its_matrix_and_leaves_nothing(name: str) -> None:
    done = trunkline("lab", "run", "--name", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is as expected" in done.stdout
    assert done.stdout.count(" 0 lost") == 2
    assert name not in labs.names()


def test_a_lab_that_is_there_already_is_refused_with_what_to_do_and_left_alone(name: str) -> None:
    assert trunkline("lab", "up", "--name", name).returncode == 0
    again = trunkline("lab", "run", "--name", name)
    assert again.returncode == 1
    assert (
        again.stderr == f"trunkline: a lab '{name}' exists already; run 'trunkline lab down --name {name}'\n"
    )
    assert name in labs.names()
    assert trunkline("lab", "down", "--name", name).returncode == 0
    assert name not in labs.names()


def test_a_run_that_sees_something_else_than_expected_ends_with_exit_code_1(
    name: str, tmp_path: Path
) -> None:
    # Two hosts on different VLANs have one address, so that the VM reaches "far" where it reaches "near".
    file = tmp_path / "lab.yaml"
    file.write_text(
        "name: x\nphysnets: [p1]\nnetworks: [{name: red, type: vlan, physical_network: p1, segment: 101}]\n"
        "chassis: [{name: c1, mappings: {p1: br-p1}}]\n"
        "vms: [{name: a, chassis: c1, network: red, ip: 10.0.0.1/24}]\n"
        "hosts: [{name: near, physnet: p1, vlan: 101, ip: 10.0.0.9/24},"
        " {name: far, physnet: p1, vlan: 102, ip: 10.0.0.9/24}]\n"
    )
    done = trunkline("lab", "run", "-f", str(file), "--name", name)
    assert done.returncode == 1
    assert "a reaches far" in done.stdout
    assert name not in labs.names()


def test_an_agent_that_is_gone_is_missed_by_nobody_until_something_changes(lab: LabFactory) -> None:
    """DESIGN.md 6.6: the agent gone, forwarding goes on; on return no frame is lost."""
    running = lab(topology.default())
    for chassis in running.chassis.values():
        chassis.kill_agent()
    assert demonstration.matrix(running).differing == []
    with_return = running.vm["blue1"].start_ping(running.vm["blue3"].ip)
    for chassis in running.chassis.values():
        chassis.start_agent()
    running.nb.sync()
    assert with_return.stop().lost == 0
    # What a chassis cannot honour is no part of "as expected".
    assert running.nb.faults() == []
    chassis = next(iter(running.chassis.values()))
    mappings = chassis.switch.vsctl("get", "Open_vSwitch", ".", "external_ids:trunkline-bridge-mappings")
    wrong = f"{mappings.strip()[1:-1]},nonsense"
    chassis.switch.vsctl("set", "Open_vSwitch", ".", f'external_ids:trunkline-bridge-mappings="{wrong}"')
    running.nb.sync()
    (fault,) = running.nb.faults()
    assert fault.startswith(f"{chassis.name}: mapping nonsense: it is not of the form")


def completed(words: str) -> list[str]:
    """Return the words by which bash would complete *words*."""
    asked = {"_TRUNKLINE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_BREAKS": ":="}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in asked.items():
            patch.setenv(name, value)
        return [line.rpartition(",")[2] for line in trunkline().stdout.split()]


def test_a_chassis_is_restarted_and_the_list_says_what_does_not_run(lab: LabFactory) -> None:
    running = lab(topology.default())
    chassis = running.chassis["c1"]

    def seen() -> dict[str, Any]:
        done = trunkline("lab", "list", "-o", "json")
        assert done.returncode == 0, done.stderr
        (found,) = [each for each in json.loads(done.stdout) if each["name"] == running.name]
        return dict(found)

    def pids() -> dict[str, int]:
        return dict(seen()["pids"]["c1"])

    before = seen()
    assert before["northbound"] == running.nb.remote
    assert before["chassis"] == ["c1", "c2", "c3"]
    assert set(before["machines"]) == set(running.machine)
    assert (before["state"], before["not_running"]) == ("up", [])
    old = pids()
    assert set(old) == {"ovsdb-server", "ovs-vswitchd", "trunkline-agent"}
    chassis.kill_agent()
    assert (seen()["state"], seen()["not_running"]) == ("incomplete", ["c1 trunkline-agent"])
    assert running.name in trunkline("lab", "list", "-o", "name").stdout.splitlines()
    options = ("--name", running.name)
    assert completed(f"trunkline lab restart --name {running.name} c") == ["c1", "c2", "c3"]
    assert running.name in completed(f"trunkline lab restart c1 --name {running.name[0]}")
    done = trunkline("lab", "restart", "c1", *options, "--only", "agent")
    assert (done.returncode, done.stdout) == (0, "restarted on c1: agent\n"), done.stderr
    assert {program for program, pid in pids().items() if pid != old[program]} == {"trunkline-agent"}
    # One that was stopped hears no SIGTERM.
    os.kill(old["ovs-vswitchd"], signal.SIGSTOP)
    done = trunkline("lab", "restart", "c1", *options)
    assert done.returncode == 0, done.stderr
    assert set(pids().values()).isdisjoint(old.values())
    assert seen()["not_running"] == []
    # The chassis claims its name like a host that was installed anew, and has it when nobody denies that.
    while trunkline("--nb", running.nb.remote, "sync", "--wait").returncode == 4:
        pass
    assert running.vm["blue1"].ping(running.vm["blue3"].ip, count=3).lost == 0
    unknown = trunkline("lab", "restart", "c9", *options)
    assert unknown.returncode == 1
    assert unknown.stderr == f"trunkline: lab '{running.name}' has no chassis 'c9'; it has: c1, c2, c3\n"


def test_a_lab_that_is_not_there_cannot_be_taken_down() -> None:
    done = trunkline("lab", "down", "--name", "nosuchlab")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("trunkline: there is no lab 'nosuchlab'; there are: ")


def test_down_without_a_name_takes_no_lab_of_another_name_down(name: str, tmp_path: Path) -> None:
    assert topology.default().name not in labs.names(), "a lab of that name is in use on this machine"
    folder = labs.STATE / name
    folder.mkdir(parents=True)
    (folder / "journal").write_text("")
    done = trunkline("lab", "down")
    assert (done.returncode, done.stdout) == (1, "")
    assert name in done.stderr
    assert "--name" in done.stderr
    assert folder.exists()
