"""`trunkline prove --chassis`: the agent has a process of its own prove, and goes on meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, until
from program import refusal, trunkline

from trunkline.core.error import TimedOutError
from trunkline.insight.afar import answer
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import select
from trunkline.path.isolation_question import KIND

pytestmark = pytest.mark.system

LIMIT_S = 15.0
"""How long an answer is awaited that does not come; the agent has to start a process before."""


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    """A chassis with port a of blue and port b of red. What is asked from afar does not find its switch."""
    chassis = site.chassis()
    monkeypatch.setenv("OVS_RUNDIR", "/nowhere")
    for network, vlan_id, port in (("blue", 101, "a"), ("red", 102, "b")):
        site.network(network, vlan_id)
        site.port(port, network)
        chassis.plug(port)
    site.await_up("a", "b")
    site.sync()
    return chassis


def afar(site: Site, *words: str) -> Any:
    done = trunkline("prove", "--chassis", "c1", "-o", "json", *words, nb=site.served.remote)
    assert done.err == ""
    found = json.loads(done.out)
    assert done.code == (0 if found["is_proved"] else 4)
    return found


def test_another_chassis_is_proved_and_its_leak_is_shown(site: Site, chassis: DummyChassis) -> None:
    found = afar(site)
    assert (found["chassis"], found["is_proved"], found["flows"]) == ("c1", True, len(chassis.flows()))
    leak = (
        f"cookie=0x5,table=50,priority=900,in_port={chassis.ofport('a')},actions=output:{chassis.ofport('b')}"
    )
    chassis.switch.ofctl("add-flow", "br-int", leak)
    told = afar(site)["leaks"][0]
    assert (told["from"]["port"], told["to"]["port"]) == ("a", "b")
    assert told["trace"] == "ofproto/trace agrees", told
    assert "b" in chassis.receive_once("a", bytes.fromhex(told["frame"]))
    assert not afar(site, "--network", "red")["is_proved"]
    done = trunkline("prove", "--chassis", "c1", nb=site.served.remote)
    assert (done.code, done.err) == (4, "")
    assert done.out.startswith("VIOLATED: frames from a (a), of blue, reach b (b), of red")
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")


def test_why_nothing_was_proved_there_is_one_line(site: Site, chassis: DummyChassis) -> None:
    chassis.switch.ofctl("add-flow", "br-int", "cookie=0x5,table=99,actions=NORMAL")
    ask = ("prove", "--chassis", "c1")
    assert "the action NORMAL" in refusal(trunkline(*ask, nb=site.served.remote), 1)
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
    named = refusal(trunkline(*ask, "--network", "green", nb=site.served.remote), 1)
    assert "no network is called 'green'" in named


def test_the_agent_answers_for_a_child_that_ends_early_and_leaves_none_behind(
    chassis: DummyChassis, tmp_path: Path
) -> None:
    proved = json.loads(chassis.agent.ask("answer", "prove"))
    assert proved["is_proved"]
    children = f"/proc/{chassis.agent.process.pid}/task/{chassis.agent.process.pid}/children"
    with open(children) as listed:
        assert listed.read() == ""


def test_an_agent_that_is_dead_is_found_out_before_its_proof_is_waited_for(
    site: Site, chassis: DummyChassis
) -> None:
    chassis.agent.end(signal.SIGKILL)
    ask = ("prove", "--chassis", "c1")
    for words, limit in (((), "10"), (("--timeout", "0.5"), "0.5")):
        said = refusal(trunkline(*ask, *words, nb=site.served.remote), 3)
        assert f"chassis 'c1' has not answered within {limit} s; is its agent running?" in said
    assert "give --chassis too" in refusal(trunkline("prove", "--timeout", "5"), 2)
    assert "above 0" in refusal(trunkline("prove", "--chassis", "c1", "--timeout", "0"), 2)
    assert site.nb.read(select("Request"), select("Answer")) == [[], []]
    chassis.start_agent()


def children(chassis: DummyChassis) -> list[str]:
    """Return the processes that the agent of *chassis* has started."""
    pid = chassis.agent.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as listed:
        return listed.read().split()


def is_running(pid: str) -> bool:
    """Return whether that process runs; one that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_of_a_chassis_that_goes_away_amid_a_proof_one_line_is_said_and_nothing_is_left(
    site: Site, chassis: DummyChassis
) -> None:
    vswitchd = int((chassis.switch.rundir / "ovs-vswitchd.pid").read_text())
    os.kill(vswitchd, signal.SIGSTOP)
    try:
        with Northbound.connect(site.served.remote) as nb, ThreadPoolExecutor(1) as pool:
            asked = pool.submit(answer, nb, "c1", KIND, {}, LIMIT_S)
            # The process that proves waits for ovs-vswitchd, so the proof cannot end.
            while not (provers := children(chassis)):
                assert not asked.done(), asked.result()
            chassis.agent.end(signal.SIGKILL)
            until(lambda: not any(map(is_running, provers)), "no prover without its agent")
            with pytest.raises(TimedOutError) as said:
                asked.result()
    finally:
        os.kill(vswitchd, signal.SIGCONT)
    assert str(said.value) == (
        f"chassis 'c1' has not answered within {LIMIT_S:g} s; is its agent running? "
        "(`trunkline chassis show`)"
    )
    assert site.nb.read(select("Request"), select("Answer")) == [[], []]
    chassis.start_agent()


def test_a_watch_proves_again_after_each_change_until_it_is_interrupted(
    site: Site, chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    # If the tests themselves run in the background, their children would ignore SIGINT.
    argv = ["env", "--default-signal=INT", sys.executable, "-m", "trunkline", "prove", "--watch", "0.1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            assert watching.stdout.readline().startswith(f"{len(chassis.flows())} flows")
            site.port("c", "blue")
            site.sync()
            now = f"{len(chassis.flows())} flows"
            assert any(line.startswith(now) for line in watching.stdout)
            watching.send_signal(signal.SIGINT)
            assert watching.wait(60) == 0
        finally:
            watching.kill()
