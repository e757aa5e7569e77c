"""Which chassis live, behind or silent, shown by asking them; on real agents and switches that are harmed."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import Agent, Site, until
from program import Done, trunkline
from relay import HeldRelay
from unruly_switch import UnrulySwitch

from trunkline.northbound import liveness, sync
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import insert, select, update

pytestmark = pytest.mark.system


def status(site: Site, *options: str) -> Done:
    return trunkline("status", *options, nb=site.served.remote)


def states(site: Site, *options: str) -> dict[str, str]:
    seen = json.loads(status(site, "-o", "json", *options).out)
    return {row["name"]: row["state"] for row in seen["chassis"]}


@contextmanager
def stopped(agent: Agent) -> Iterator[None]:
    """Keep the agent from running for the length of the block."""
    agent.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        agent.process.send_signal(signal.SIGCONT)


def test_agents_that_were_killed_or_stopped_show_at_once_beside_one_that_is_well(site: Site) -> None:
    for name in ("c1", "c2", "c3"):
        site.chassis(name)
    site.sync()
    assert states(site) == dict.fromkeys(("c1", "c2", "c3"), "live")
    assert status(site, "--check") == (0, "3 chassis: 3 live; 0 faults\n", "")
    site.all[1].agent.end(signal.SIGKILL)
    with stopped(site.all[2].agent):
        # What was said last knows nothing of it.
        assert states(site, "--no-ask") == dict.fromkeys(("c1", "c2", "c3"), "current")
        done = status(site, "--check")
        assert done == (4, "3 chassis: 1 live, 2 silent (c2, c3); 0 faults\n", "")
        listed = json.loads(trunkline("chassis", "list", "-o", "json", nb=site.served.remote).out)
        assert {row["name"]: row["state"] for row in listed} == {"c1": "live", "c2": "silent", "c3": "silent"}
        assert listed[0]["answer_age_s"] == 0 < listed[1]["answer_age_s"]
        shown = trunkline("chassis", "show", "c3", nb=site.served.remote).out
        assert shown.splitlines()[1].split() == ["state", "silent"]
    # Nobody wrote anything for that: who is back is back.
    until(lambda: states(site)["c3"] == "live", "live again")
    site.all[1].start_agent()
    site.sync()
    assert set(states(site).values()) == {"live"}


def test_a_switch_that_answers_late_keeps_sync_waiting_and_its_chassis_is_behind(site: Site) -> None:
    chassis = site.chassis("c1", is_running=False)
    site.chassis("c2")
    with UnrulySwitch(chassis.switch.rundir / "br-int.mgmt") as switch:
        chassis.start_agent()
        site.sync()
        with switch.silent():
            asked = sync.request(site.nb)
            with pytest.raises(sync.LaggingError) as raised:
                sync.wait(site.nb, asked, 1.5)
            assert raised.value.lagging == {"c1"}
            assert states(site) == {"c1": "behind", "c2": "live"}
            assert status(site, "--check") == (3, "2 chassis: 1 live, 1 behind (c1); 0 faults\n", "")
        site.sync()
        assert states(site) == {"c1": "live", "c2": "live"}


def test_a_switch_that_hangs_is_given_up_and_its_chassis_is_without_a_switch(site: Site) -> None:
    chassis = site.chassis("c1")
    site.chassis("c2")
    site.sync()
    with chassis.switch.stopped():
        fault = until(lambda: site.nb.chassis("c1")["faults"].get("switch"), "given up", timeout_s=60)
        assert "no OpenFlow connection to br-int: no answer to an echo request; is ovs-vswitchd" in fault
        assert states(site)["c1"] == "no switch"
        # One cause is one fault, however often it is tried again, and it keeps saying what to look for.
        until(lambda: "each connection ends soon" in chassis.faults["switch"], "tried again", timeout_s=60)
        until(lambda: "each connection ends soon" in site.nb.chassis("c1")["faults"]["switch"], "reported")
        assert list(site.nb.chassis("c1")["faults"]) == ["switch"]
        assert "is ovs-vswitchd running" in site.nb.chassis("c1")["faults"]["switch"]
        assert status(site, "--check").code == 4
    site.sync()
    until(lambda: states(site) == {"c1": "live", "c2": "live"}, "live")


def test_a_switch_that_was_killed_or_has_lost_its_socket_is_a_fault_and_no_switch(site: Site) -> None:
    chassis = site.chassis("c1")
    site.chassis("c2")
    site.sync()
    chassis.switch.kill_vswitchd()
    until(lambda: states(site) == {"c1": "no switch", "c2": "live"}, "no switch")
    line = status(site, "--check")
    assert line == (4, "2 chassis: 1 live, 1 no switch (c1); 1 fault\n", "")
    chassis.switch.start_vswitchd()
    site.sync()
    assert status(site, "--check").code == 0
    # The session that there is goes on; the agent after it finds none.
    (chassis.switch.rundir / "br-int.mgmt").unlink()
    chassis.agent.end()
    agent = chassis.start_agent(is_settled=False)
    until(lambda: states(site) == {"c1": "no switch", "c2": "live"}, "no switch")
    fault = site.nb.chassis("c1")["faults"]["switch"]
    assert fault.startswith("no OpenFlow connection to br-int: No such file or directory; is ovs-vswitchd")
    chassis.switch.kill_vswitchd()
    chassis.switch.start_vswitchd()
    agent.await_settled()
    site.sync()


def test_a_chassis_whose_bundle_is_not_answered_is_behind_and_not_silent(site: Site) -> None:
    chassis = site.chassis("c1", is_running=False)
    site.network()
    for port in ("a", "b"):
        site.port(port)
    socket = chassis.switch.rundir / "br-int.mgmt"
    real = Path(f"{socket}.real")
    socket.rename(real)
    with HeldRelay(socket, real) as relay:
        chassis.start_agent()
        chassis.plug("a")
        site.await_up("a")
        site.sync()
        assert states(site) == {"c1": "live"}
        relay.hold()
        chassis.plug("b")
        assert states(site) == {"c1": "behind"}
        assert not site.bindings()["b"][1]
        # However long a `sync` waits, it is not silent: it has heard of the request.
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sync, "PATIENCE_S", 0.1)
            with pytest.raises(sync.LaggingError):
                site.sync(1.5)
        assert sync.request(site.nb).live == {"c1"}
        relay.release()
        site.sync()
        assert (states(site), site.bindings()["b"]) == ({"c1": "live"}, ("c1", True))
        chassis.check()
        chassis.agent.end()


def test_a_chassis_at_rest_writes_once_for_a_question_and_nothing_without(site: Site) -> None:
    """No heartbeats: what a question costs is one transaction of each chassis."""
    site.chassis("c1")
    site.sync()

    def transactions() -> int:
        text = (site.folder / "nb.db").read_text(errors="replace")
        return text.count("trunkline agent of c1")

    for _ in range(3):
        before = transactions()
        assert states(site) == {"c1": "live"}
        until(lambda before=before: transactions() > before, "written")  # type: ignore[misc]
        site.sync()
        assert transactions() == before + 2


# -- chassis that are rows, which a test writes as agents would --------------------------------------


@pytest.fixture
def northbound(nb: Any) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as connected:
        yield connected


@pytest.mark.parametrize("clock_ms", [0, 4_000_000_000_000], ids=["no clock", "a clock of the year 2096"])
def test_no_state_follows_from_the_clock_of_a_chassis(northbound: Northbound, clock_ms: int) -> None:
    rows = {"gone": 0, "c1": 6, "c2": 0}
    for name, nb_cfg in rows.items():
        heard = {"nb_cfg_heard": 6} if name == "c2" else {}
        row = {"name": name, "nb_cfg": nb_cfg, "nb_cfg_timestamp": clock_ms} | heard
        northbound.transact([insert("Chassis", row)])
    northbound.transact([update("NB_Global", row={"nb_cfg": 6})])
    seen = json.loads(trunkline("chassis", "list", "-o", "json", nb=northbound.rpc.remote).out)
    assert {row["state"] for row in seen} == {"silent"}
    asked = liveness.Asked(6, frozenset(rows), is_quiet=True)
    states = {row["name"]: liveness.state(row, 7, asked) for row in northbound.all_chassis()}
    assert states == {"gone": "silent", "c1": "live", "c2": "behind"}
    busy = asked._replace(is_quiet=False)
    states = {row["name"]: liveness.state(row, 7, busy) for row in northbound.all_chassis()}
    assert states == {"gone": "unknown", "c1": "live", "c2": "behind"}


def test_a_chassis_of_which_no_answer_came_in_the_time_of_many_answers_is_not_called_silent(
    northbound: Northbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy cluster 500 answers take more than 2 s; those to come are no reason for an alarm."""
    northbound.transact([insert("Chassis", {"name": f"c{number}"}) for number in range(40)])
    is_over, is_answering, remote = threading.Event(), threading.Event(), northbound.rpc.remote

    def answer() -> None:
        with Northbound.connect(remote) as own:
            for number in count(1):
                if is_over.is_set():
                    return
                own.transact([update("Chassis", ("name", "==", f"c{number % 39}"), row={"nb_cfg": number})])
                is_answering.set()

    answers = threading.Thread(target=answer)
    answers.start()
    try:
        assert is_answering.wait(20)
        # Longer than this thread or that one may be kept waiting for a processor, and less than all the time.
        monkeypatch.setattr(liveness, "QUIET_S", 0.75 * liveness.PATIENCE_S)
        asked = liveness.ask(northbound)
    finally:
        is_over.set()
        answers.join()
    assert isinstance(asked, liveness.Asked)
    assert not asked.is_quiet
    assert liveness.state(northbound.chassis("c39"), asked.nb_cfg, asked) == "unknown"


@pytest.mark.parametrize(("count", "state"), [(liveness.MANY - 1, "silent"), (liveness.MANY, "unknown")])
def test_if_many_are_asked_and_nobody_answers_the_northbound_may_be_busy(
    northbound: Northbound, count: int, state: str
) -> None:
    """One that was found silent before does not count among those who might have answered."""
    northbound.transact([insert("Chassis", {"name": f"c{number}"}) for number in range(count)])
    northbound.transact([insert("Chassis", {"name": "gone", "silent_at": 0})])
    done = trunkline("status", "--check", nb=northbound.rpc.remote)
    names = "(c0, c1, c2, …)"
    assert done.out in (
        f"{count + 1} chassis: {count} {state} {names}, 1 silent (gone); 0 faults\n",
        f"{count + 1} chassis: 1 silent (gone), {count} {state} {names}; 0 faults\n",
        f"{count + 1} chassis: {count + 1} silent {names}; 0 faults\n",
    )
    assert done.code == 4


def test_who_may_not_ask_gets_the_answer_without(northbound: Northbound, nb: Any) -> None:
    """Over a listener that is read-only."""
    northbound.transact([insert("Chassis", {"name": "c1"})])
    read_only = f"unix:{nb.directory}/ro.sock"
    row = {"target": f"p{read_only}", "read_only": True}
    changed = ["connections", "insert", ["set", [["named-uuid", "ro"]]]]
    mutation = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [changed]}
    northbound.transact([insert("Connection", row, "ro"), mutation])
    until(lambda: Path(f"{nb.directory}/ro.sock").exists(), "listening")
    for words, code in (
        (("status",), 0),
        (("status", "--check"), 3),
        (("chassis", "list"), 0),
        (("chassis", "show", "c1"), 0),
    ):
        done = trunkline(*words, nb=read_only)
        assert (done.code, "unknown" in done.out) == (code, True), done
        assert done.err.startswith("trunkline: the chassis were not asked, as this connection may neither")
        assert done.err.count("\n") == 1
        unasked = trunkline(*words, "--no-ask", nb=read_only)
        assert (unasked.code, unasked.err, "current" in unasked.out) == (0, "", True)
    found = trunkline("check", "-o", "json", nb=read_only)
    assert [each["code"] for each in json.loads(found.out)] == ["T503"]
    assert found.code == 3
    assert northbound.read(select("NB_Global"))[0][0]["nb_cfg"] == 0


def test_a_status_that_cannot_reach_the_northbound_ends_with_1(tmp_path: Path) -> None:
    for options in ((), ("--check",), ("--no-ask",)):
        done = trunkline("status", *options, nb=f"unix:{tmp_path}/nowhere")
        assert (done.code, done.out) == (1, "")


def test_a_northbound_with_no_chassis_is_well(northbound: Northbound) -> None:
    assert trunkline("status", "--check", nb=northbound.rpc.remote) == (0, "0 chassis; 0 faults\n", "")


def test_asking_500_chassis_costs_one_transaction_of_the_program_and_one_row_each(
    northbound: Northbound,
) -> None:
    """What is told of each answer is a row of two numbers, whatever else the chassis says of itself."""
    faults = {f"port p{number}": "x" * 100 for number in range(50)}
    rows = [insert("Chassis", {"name": f"c{number}", "faults": faults}) for number in range(500)]
    northbound.transact(rows)
    with Northbound.connect(northbound.rpc.remote) as other:
        request = sync.request(other)
        columns = {"nb_cfg": request.nb_cfg}
        other.transact([update("Chassis", ("name", "==", f"c{n}"), row=columns) for n in range(500)])
        missing = sync.unanswered(northbound, request, 2.0, sync.has_heard)
    assert missing.rows == {}
