"""What happens amid a session of a probe: a switch or an agent that dies, a network that changes.

The asker says what it is at, and that is the moment at which these tests do it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from dummy_chassis import until
from program import trunkline

from trunkline.cli.probe import lines
from trunkline.core.probe import Secret
from trunkline.northbound import question
from trunkline.northbound.client import Northbound
from trunkline.probe.asking import Probed, SilentError, Wanted, probed
from trunkline.probe.judgement import verdicts
from trunkline.probe.matrix import State
from trunkline.probe.order import KIND, Order, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import LabFactory
    from trunkline.lab import Lab

pytestmark = pytest.mark.system

CAUGHT = "cookie=0x747005"
NETWORKS = ("blue", "red", "office")

TOPOLOGY = """
physnets: [physnet1]
networks:
  - {name: blue, type: vlan, physical_network: physnet1, segment: 101}
  - {name: red, type: vlan, physical_network: physnet1, segment: 102}
  - {name: office, type: flat, physical_network: physnet1}
chassis:
  - {name: c1, mappings: {physnet1: br-phys1}}
  - {name: c2, mappings: {physnet1: br-phys1}}
  - {name: c3, mappings: {physnet1: br-phys1}}
vms:
""" + "".join(
    f"  - {{name: {network}{number}, chassis: c{number}, network: {network}, ip: 10.{at}.0.{number}/24}}\n"
    for at, network in enumerate(NETWORKS)
    for number in (1, 2, 3)
)


@pytest.fixture(scope="module")
def started(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


@pytest.fixture
def nb(started: Lab) -> Iterator[Northbound]:
    with Northbound.connect(started.nb.remote) as connected:
        yield connected


def probed_while(nb: Northbound, act: Callable[[], object], **wanted: object) -> Probed:
    """Return what a probe finds if *act* is done when all chassis are ready, and before the first beacon."""
    done: list[object] = []

    def say(text: str) -> None:
        if "round 1" in text:
            done.append(act())

    found = probed(nb, Wanted(timeout_s=120, **wanted), say)  # type: ignore[arg-type]
    assert done
    return found


def caught(lab: Lab, chassis: str) -> bool:
    return CAUGHT in lab.chassis[chassis].switch.ofctl("dump-flows", "br-int")


def check_free(nb: Northbound, *chassis: str) -> None:
    """Check that none of *chassis* is in a session: each begins another one."""
    order = Order(Step.OPEN, Secret(bytes(8), bytes(16)))
    answers = question.ask(nb, KIND, chassis, order.parameters(), timeout_s=30).by_chassis
    assert {name: each.body.keys() for name, each in answers.items()} == {
        name: {"networks"} for name in chassis
    }
    question.ask(nb, KIND, chassis, order._replace(step=Step.CLOSE).parameters(), timeout_s=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_probe_that_is_ended_while_chassis_get_ready_leaves_them_free(
    started: Lab, nb: Northbound, number: signal.Signals
) -> None:
    """The asker waits for c3, which is asleep; the others have begun, and nobody has read what they say."""
    asleep = started.chassis["c3"].agent_pid
    assert asleep is not None
    os.kill(asleep, signal.SIGSTOP)
    words = ["env", "--default-signal=INT,TERM", sys.executable, "-m", "trunkline", "--nb", started.nb.remote]
    process = subprocess.Popen(
        [*words, "probe", "--timeout", "120"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        until(lambda: caught(started, "c1") and caught(started, "c2"), "the others have begun")
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        os.kill(asleep, signal.SIGCONT)
    assert process.returncode == 128 + number
    check_free(nb, "c1", "c2", "c3")
    assert not any(caught(started, name) for name in started.chassis)


def test_a_chassis_whose_switch_is_away_at_the_end_is_free_when_that_is_back(
    started: Lab, nb: Northbound
) -> None:
    switch = started.chassis["c3"].switch
    try:
        probed_while(nb, switch.kill_vswitchd, networks=("blue",))
    finally:
        switch.start_vswitchd()
        started.nb.sync()
    check_free(nb, *started.chassis)


def test_a_switch_that_is_killed_is_named_and_nothing_is_called_lost(started: Lab, nb: Northbound) -> None:
    switch = started.chassis["c3"].switch
    try:
        found = probed_while(nb, switch.kill_vswitchd)
    finally:
        switch.start_vswitchd()
        started.nb.sync()
    assert dict(found.silent) == {"c3": "the switch of this chassis is not connected; ask again"}
    assert (verdicts(found.matrix), found.is_whole) == ([], False)
    states = {
        cell.state
        for network in found.matrix.networks
        for cell in found.matrix.cells(network)
        if "c3" not in (cell.sender, cell.receiver)
    }
    assert states == {State.OK}
    # It is ready for the next one.
    assert trunkline("probe", "--timeout", "60", nb=started.nb.remote).code == 0
    assert not caught(started, "c3")


def test_a_switch_that_comes_back_meanwhile_is_probed(started: Lab, nb: Northbound) -> None:
    """All that it lost is tried again."""
    switch = started.chassis["c3"].switch

    def restart() -> None:
        switch.kill_vswitchd()
        switch.start_vswitchd()

    found = probed_while(nb, restart, networks=("blue",))
    started.nb.sync()
    assert verdicts(found.matrix) == []
    assert not any(caught(started, name) for name in started.chassis)


def test_an_agent_that_is_killed_is_named_and_the_others_are_probed(started: Lab, nb: Northbound) -> None:
    chassis = started.chassis["c3"]
    try:
        found = probed_while(nb, chassis.kill_agent, networks=("blue",))
    finally:
        chassis.start_agent()
        started.nb.sync()
    assert list(found.silent) == ["c3"]
    assert (verdicts(found.matrix), found.is_whole) == ([], False)


def test_a_network_that_is_changed_meanwhile_is_not_judged(started: Lab, nb: Northbound) -> None:
    def change() -> None:
        assert (
            trunkline("network", "set", "blue", "--segment", "150", "--wait", nb=started.nb.remote).code == 0
        )

    try:
        found = probed_while(nb, change)
    finally:
        trunkline("network", "set", "blue", "--segment", "101", "--wait", nb=started.nb.remote)
    assert [network.name for network in found.changed] == ["blue"]
    assert {network.name for network in found.matrix.networks} == {"red", "office"}
    assert (verdicts(found.matrix), found.is_whole) == ([], False)
    assert "  ? blue: it was changed meanwhile, so its frames say nothing; probe again" in lines(found, [])
    assert not any(caught(started, name) for name in started.chassis)


@pytest.fixture
def catching(started: Lab, nb: Northbound) -> Iterator[Lab]:
    """Yield the lab while c2 is in a session."""
    order = Order(Step.OPEN, Secret(bytes(8), bytes(16)))
    question.ask(nb, KIND, ["c2"], order.parameters(), timeout_s=30)
    assert caught(started, "c2")
    yield started
    question.ask(nb, KIND, ["c2"], order._replace(step=Step.CLOSE).parameters(), timeout_s=30)
    assert not caught(started, "c2")


def test_flows_of_a_session_are_no_difference_and_not_those_of_another_program(catching: Lab) -> None:
    checked = json.loads(trunkline("check", "--deep", "-o", "json", nb=catching.nb.remote).out)
    assert [each["code"] for each in checked] == []
    planned = json.loads(trunkline("plan", "--chassis", "c2", "-o", "json", nb=catching.nb.remote).out)
    assert planned["changes"] == []
    shown = json.loads(trunkline("flows", "--chassis", "c2", "-o", "json", nb=catching.nb.remote).out)
    assert "CATCH" in {each["band"] for each in shown["bands"]}


def test_a_repair_of_all_flows_leaves_those_of_a_session(catching: Lab) -> None:
    """An audit, and a comparison with a fresh computation, know nothing of them."""
    agent = catching.chassis["c2"].switch
    agent.appctl("-t", "trunkline-agent", "recompute")
    catching.nb.sync()
    assert caught(catching, "c2")


def test_who_is_asked_for_and_takes_no_part_is_an_error(started: Lab, nb: Northbound) -> None:
    chassis = started.chassis["c3"]
    chassis.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-probe=false")
    started.nb.sync()
    for options in ([], ["--addresses"]):
        done = trunkline("probe", "--chassis", "c3", *options, nb=started.nb.remote)
        said = "trunkline: c3: this chassis takes no part in probes (external_ids:trunkline-probe=false)\n"
        assert (done.code, done.out, done.err) == (1, "", said)
    chassis.switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-probe")
    started.nb.sync()

    chassis.kill_agent()
    try:
        with pytest.raises(SilentError, match="c3 does not answer"):
            probed(nb, Wanted(chassis=("c3",), timeout_s=5))
        done = trunkline("probe", "--chassis", "c3", "--timeout", "4", nb=started.nb.remote)
        assert (done.code, "c3 does not answer: it has not answered for" in done.err) == (3, True), done
    finally:
        chassis.start_agent()
        started.nb.sync()
