"""A question changes nothing of what is forwarded (DESIGN.md section 6, rule 13), whatever state it meets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from relay import HeldRelay

pytestmark = pytest.mark.system

HELLO = ethernet(BROADCAST, mac_of("a"))
OUT = {"nic-br-phys1": [ethernet(BROADCAST, mac_of("a"), 101)]}
AWAY = "br-int.away"
QUESTIONS = ("status", "flows", "flows installed", "plan", "recompute")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One site for all states; each leaves it as it was."""
    with opened() as started:
        started.chassis()
        started.network("net1", 101)
        started.port("a")
        started.all[0].plug("a")
        started.await_up("a")
        yield started


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    site.sync()
    site.all[0].agent.await_settled()
    return site.all[0]


@contextmanager
def never_reached(site: Site, chassis: DummyChassis) -> Iterator[None]:
    chassis.agent.end()
    site.served.stop()
    chassis.start_agent(is_settled=False)
    until(lambda: chassis.agent.status()["switch"], "the switch's flows are read")
    try:
        yield
    finally:
        site.served.start()


@contextmanager
def gone(site: Site, chassis: DummyChassis) -> Iterator[None]:
    site.served.stop()
    until(lambda: not chassis.agent.status()["northbound"], "northbound gone")
    try:
        yield
    finally:
        site.served.start()


@contextmanager
def elsewhere(site: Site, chassis: DummyChassis) -> Iterator[None]:
    """The setting names a northbound that is not there."""
    chassis.set(**{"trunkline-nb": f"unix:{site.folder}/nowhere.sock"})
    until(lambda: "nowhere" in chassis.agent.status()["northbound_remotes"], "setting read")
    try:
        yield
    finally:
        chassis.set(**{"trunkline-nb": site.served.remote})
        until(lambda: chassis.agent.status()["northbound"], "northbound back")


@contextmanager
def not_obeyed(site: Site, chassis: DummyChassis) -> Iterator[None]:
    """Another northbound, an empty one, is at the same place."""
    db = next(site.folder.glob("*.db"))
    kept = Path(shutil.copy2(db, site.folder / "kept.copy"))
    site.served.stop()
    db.unlink()
    site.served.start()
    until(lambda: "accept-nb" in chassis.faults.get("northbound", ""), "fault")
    try:
        yield
    finally:
        site.served.stop()
        shutil.copy2(kept, db)
        site.served.start()
        until(lambda: "northbound" not in chassis.faults, "obeyed")


@contextmanager
def no_switch(site: Site, chassis: DummyChassis) -> Iterator[None]:
    """The bridge's management socket is not at the path that the agent connects to."""
    place = chassis.switch.rundir / "br-int.mgmt"
    place.rename(place.with_name(AWAY))
    chassis.agent.end()
    chassis.start_agent(is_settled=False)
    until(lambda: chassis.agent.status()["northbound"], "northbound read")
    try:
        yield
    finally:
        place.with_name(AWAY).rename(place)


@contextmanager
def amid_a_start(site: Site, chassis: DummyChassis) -> Iterator[None]:
    """The northbound is connected, and what it says does not come."""
    chassis.agent.end()
    place = site.folder / "held.sock"
    with HeldRelay(place, Path(site.served.remote.removeprefix("unix:"))) as relay:
        relay.hold()
        chassis.set(**{"trunkline-nb": f"unix:{place}"})
        chassis.start_agent(is_settled=False)
        until(lambda: chassis.agent.status()["switch"], "the switch's flows are read")
        try:
            yield
        finally:
            relay.release()
            chassis.agent.await_settled()
            chassis.set(**{"trunkline-nb": site.served.remote})
            until(lambda: chassis.agent.status()["northbound_remotes"] == site.served.remote, "setting read")


@contextmanager
def settled(site: Site, chassis: DummyChassis) -> Iterator[None]:
    yield


def _forwarded(chassis: DummyChassis) -> list[str]:
    """Return what the flows are, without their counters and ages."""
    away = chassis.switch.rundir / AWAY
    flows = chassis.flows(f"unix:{away}" if away.exists() else "br-int")
    return sorted(flow.split(" ")[-1] + flow.split("table=")[1].split(",")[0] for flow in flows)


@pytest.mark.parametrize(
    "state", [settled, gone, elsewhere, not_obeyed, never_reached, no_switch, amid_a_start]
)
def test_a_question_changes_nothing_of_what_is_forwarded(
    state: Callable[[Site, DummyChassis], AbstractContextManager[None]], site: Site, chassis: DummyChassis
) -> None:
    before = _forwarded(chassis)
    with state(site, chassis):
        answers = {question: chassis.agent.ask(*question.split()) for question in QUESTIONS}
        # Each is another turn of the loop, or more: what a question began would be done by then.
        for _ in range(20):
            chassis.agent.ask("plan")
        assert _forwarded(chassis) == before, answers
        assert chassis.receive("a", HELLO) == OUT
        assert "flow drifted" not in chassis.agent.log
        assert chassis.agent.status()["longest_turn_ms"] >= 0
    site.reconnect()
