"""What an agent itself would change, asked from afar, or on the chassis while the northbound is away."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import click
import pytest
from dummy_chassis import DummyChassis, Site, mac_of, until
from program import refusal, trunkline
from unruly_switch import UnrulySwitch

from trunkline.cli.plan import lines
from trunkline.insight import daemon
from trunkline.insight.connection import SwitchError
from trunkline.insight.parcel import MOST_CHARACTERS
from trunkline.insight.plan_summary import PlanSummary, summary
from trunkline.insight.waiting import finished
from trunkline.northbound import question
from trunkline.process.plan_answer import MOST_OF_A_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

MANY = 1500


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    """A chassis with port a of blue. Only what is asked from afar does not find its switch."""
    chassis = site.chassis()
    monkeypatch.setenv("OVS_RUNDIR", "/nowhere")
    site.network("blue", 101)
    site.port("a", "blue")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    return chassis


@pytest.fixture
def switch(chassis: DummyChassis) -> Iterator[UnrulySwitch]:
    """The switch of *chassis*, which can be silent without being given up."""
    chassis.agent.end()
    with UnrulySwitch(chassis.switch.rundir / "br-int.mgmt") as switch:
        chassis.start_agent()
        yield switch


def afar(site: Site, *words: str, code: int = 0) -> Any:
    done = trunkline("plan", "--chassis", "c1", "-o", "json", *words, nb=site.served.remote)
    assert (done.code, done.err) == (code, ""), done
    return json.loads(done.out)


def test_an_agent_that_has_settled_says_from_afar_that_there_is_nothing_to_do(
    site: Site, chassis: DummyChassis
) -> None:
    done = trunkline("plan", "--chassis", "c1", "--exit-code", nb=site.served.remote)
    flows = len(chassis.flows())
    assert done == (0, f"nothing to do: the switch holds all {flows:,} flows as computed\n", "")
    found = afar(site)
    assert (found["source"], found["steady"], found["hold"]) == ("agent", True, None)
    assert (found["counts"], found["changes"]) == ({"change": 0, "add": 0, "delete": 0}, [])
    # The agent's own socket gives the same answer.
    assert json.loads(chassis.agent.ask("answer", "plan"))["flows"] == flows


def pending(site: Site) -> PlanSummary:
    """Return what c1 says that it would do; it takes much less time than the program."""
    body = question.ask(site.nb, "plan", ["c1"], timeout_s=20).by_chassis["c1"].body
    assert len(body["packed"]) <= MOST_CHARACTERS
    return summary(body)


def test_what_waits_for_the_switch_is_told_from_afar_with_names(site: Site, switch: UnrulySwitch) -> None:
    with switch.silent():
        site.port("r", "blue")
        until(lambda: pending(site).counts["add"], "computed")
        found = afar(site, "--exit-code", code=4)
        told = trunkline("plan", "--chassis", "c1", nb=site.served.remote).out
    assert {(each["verb"], each["band"]) for each in found["changes"]} == {
        ("add", "REMOTE_MAC"),
        ("add", "REMOTE"),
    }
    assert {each["row"]["name"] for each in found["changes"]} == {"r"}
    assert told.startswith("c1: 2 flows to add, of ")
    assert f"in blue, to {mac_of('r')}: for r, on to 60 EGRESS" in told
    assert "out of int-br-phys1" in told
    assert told.endswith("the agent is at work: some of this may be under way; run again\n")


def test_many_changes_are_told_within_bounds(site: Site, switch: UnrulySwitch, tmp_path: Path) -> None:
    path = _manifest(tmp_path / "many.yaml")
    with switch.silent():
        assert trunkline("apply", "-f", str(path), "--yes", nb=site.served.remote).code == 0
        until(lambda: pending(site).counts["add"] == 2 * MANY, "computed")
        found = pending(site)
    assert len(found.changes) == 2 * MOST_OF_A_KIND
    assert set(found.count_by_kind.values()) == {MANY}
    told = [click.unstyle(line) for line in lines(found)]
    assert f"  + {MANY - MOST_OF_A_KIND:,} more flows: 70 EGRESS_EXTERNAL REMOTE" in told
    told = [click.unstyle(line) for line in lines(found, is_short=True)]
    assert f"  + {MANY:,} flows: 70 EGRESS_EXTERNAL REMOTE" in told


def _manifest(path: Path) -> Path:
    path.write_text(
        "".join(
            f"---\nkind: Port\nname: r{n}\nnetwork: blue\nmac: 02:00:00:01:{n >> 8:02x}:{n & 255:02x}\n"
            for n in range(MANY)
        )
    )
    return path


def test_while_the_northbound_is_away_the_agent_says_what_it_would_do(
    site: Site, chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    # One that was killed leaves its socket, which does not count.
    chassis.agent.end(signal.SIGKILL)
    chassis.start_agent()
    site.sync()
    site.served.stop()
    try:
        flows = len(chassis.flows())
        done = trunkline("plan", "--exit-code")
        assert (done.code, done.out) == (
            0,
            f"nothing to do: the switch holds all {flows:,} flows as computed\n",
        )
        assert done.err.startswith("the northbound does not answer, so what should be is not known")
        assert done.err.endswith("; this is what the agent would do by what it knew before\n")
        assert done.err.count("\n") == 1
        done = trunkline("plan", "-o", "json")
        assert json.loads(done.out)["source"] == "agent"
        path = _manifest(chassis.switch.rundir / "many.yaml")
        refusal(trunkline("plan", "--with", str(path)), 1)
        chassis.agent.end()
        line = refusal(trunkline("plan"), 1)
        assert "the northbound does not answer" in line
        assert "nor does the agent say what it would do: " in line
    finally:
        site.served.start()
        site.reconnect()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--with", "x.yaml"), "does not say what files would change: run this command there"),
        (("--full",), "does not say every change: run this command there"),
        (("--ovs", "unix:/x"), "give one of them"),
    ],
)
def test_what_cannot_be_asked_from_afar_is_a_usage_error(words: tuple[str, ...], complaint: str) -> None:
    assert complaint in refusal(trunkline("plan", "--chassis", "c1", *words), 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("answer",), "requires at least 1"),
        (("answer", "nothing"), "there is no kind 'nothing'; the kinds are "),
        (("answer", "plan", "x"), "'x' is not of the form NAME=VALUE"),
        (("answer", "plan", "x=1"), "'x' says nothing about a plan"),
        (("answer", "flows", "mask=zz"), "mask 'zz' is no number of 64 bits"),
        (("answer", "flows", "who=me"), "flows have no 'who'"),
    ],
)
def test_a_bad_question_on_the_chassis_is_refused(
    chassis: DummyChassis, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SwitchError, match=said):
        finished(daemon.answer("the agent", chassis.agent.socket, *words))
