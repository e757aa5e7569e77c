"""Two hosts with one `system-id` (DESIGN.md section 6, rule 10): one goes on, the other stands back."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import trunkline, typed

from model.tcp_port import free_port
from trunkline.northbound.operation import select

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
OUT = {"nic-br-phys1": [ethernet(BROADCAST, A, 101)]}


@pytest.fixture
def first(site: Site) -> DummyChassis:
    """The chassis c1, with port a up."""
    site.network("net1", 101)
    site.port("a")
    site.port("b")
    first = site.chassis("c1")
    first.plug("a")
    site.await_up("a")
    site.sync()
    return first


def clone(site: Site, folder: str = "clone", remote: str | None = None) -> DummyChassis:
    """Start another host that calls itself c1, and has VIFs for both ports."""
    site.is_checked = False
    copy = DummyChassis(
        "c1", site.folder / folder, site.journal, remote or site.served.remote, {"physnet1": "br-phys1"}
    )
    site.all.append(copy)
    copy.plug("a", "a2")
    copy.plug("b")
    copy.start_agent(is_settled=False)
    return copy


@pytest.fixture
def copy(site: Site, first: DummyChassis) -> Iterator[DummyChassis]:
    """A second host of the name c1 that has been denied it."""
    copy = clone(site)
    until(lambda: "system-id" in copy.faults, "denied")
    yield copy
    first.check()


def committed(site: Site) -> tuple[object, ...]:
    """Return all rows that chassis write."""
    return tuple(map(str, site.nb.read(select("Chassis"), select("Port"))))


def test_the_second_host_of_a_name_stands_back_with_a_fault_on_both(
    site: Site, first: DummyChassis, copy: DummyChassis
) -> None:
    hostname = site.nb.chassis("c1")["hostname"]
    fault = until(lambda: site.nb.chassis("c1")["faults"].get("system-id"), "fault reported")
    assert f"host {hostname} has it too" in fault
    assert "stands back" in fault
    assert "was first" in copy.faults["system-id"]
    assert hostname in copy.faults["system-id"]
    assert not copy.agent.status()["settled"]
    assert site.bindings() == {"a": ("c1", True), "b": (None, False)}
    assert copy.flows() == []
    assert first.receive("a", ethernet(BROADCAST, A)) == OUT
    # Nothing goes to and fro: what both have to say is said.
    until(lambda: site.nb.chassis("c1")["denied"], "denied")
    before = committed(site), first.agent.log, copy.agent.log
    for _ in range(20):
        first.agent.status()
        copy.agent.status()
    assert (committed(site), first.agent.log, copy.agent.log) == before
    done = trunkline("sync", "--wait", nb=site.served.remote)
    assert done.code == 4
    assert f"host {hostname!r} has the system-id 'c1' of another host" in done.err
    assert trunkline("sync", "--wait", "--live", nb=site.served.remote).code == 0


def test_two_hosts_of_one_hostname_are_told_apart_by_the_address_of_the_second(
    site: Site, first: DummyChassis
) -> None:
    port = free_port()
    assert typed(f"nb listen ptcp:{port}:127.0.0.1", nb=site.served.remote) == (0, "", "")
    clone(site, remote=f"tcp:127.0.0.1:{port}")
    fault = until(lambda: first.faults.get("system-id"), "fault")
    assert f"{site.nb.chassis('c1')['hostname']} (127.0.0.1) stands back" in fault


def test_a_host_that_stands_back_leaves_the_row_of_the_other_alone_when_it_goes(
    site: Site, first: DummyChassis, copy: DummyChassis
) -> None:
    copy.agent.end()
    said = trunkline("agent", "--ovs", copy.switch.remote, "--cleanup")
    assert said.code == 0, said
    assert "stays in the northbound" in said.out
    until(lambda: site.nb.chassis("c1")["claims"] == {}, "claim gone")
    until(lambda: "system-id" not in first.faults, "fault gone")
    assert site.bindings()["a"] == ("c1", True)


def test_a_host_that_stands_back_and_gets_a_name_of_its_own_goes_to_work(
    site: Site, first: DummyChassis, copy: DummyChassis
) -> None:
    copy.set(**{"system-id": "c2"})
    site.await_up("a", "b")
    site.sync()
    assert site.bindings() == {"a": ("c1", True), "b": ("c2", True)}
    assert site.nb.chassis("c1")["claims"] == {}
    until(lambda: "system-id" not in first.faults, "fault gone")


def test_a_host_that_is_made_anew_takes_its_name_over(site: Site, first: DummyChassis) -> None:
    first.agent.end(signal.SIGKILL)
    anew = clone(site, "anew")
    site.await_up("a", "b")
    assert site.bindings() == {"a": ("c1", True), "b": ("c1", True)}
    assert "system-id" not in anew.faults
    # The old one is back after all: now it is the second.
    first.start_agent(is_settled=False)
    until(lambda: "system-id" in first.faults, "denied")
    assert first.receive("a", ethernet(BROADCAST, A)) == OUT


def test_an_agent_that_is_started_again_has_its_name_at_once_and_after_its_database_too(
    site: Site, first: DummyChassis
) -> None:
    first.agent.end(signal.SIGKILL)
    first.start_agent()
    first.switch.kill_ovsdb_server()
    first.switch.start_ovsdb_server()
    site.sync()
    first.agent.end(signal.SIGKILL)
    first.start_agent()
    site.sync()
    assert "nobody denies" not in "".join(agent.log for agent in first.agents)


def test_a_host_whose_database_is_started_again_while_it_asks_is_no_other_host_to_itself(
    site: Site, first: DummyChassis
) -> None:
    def marks() -> set[str]:
        return set(site.nb.chassis("c1")["claims"])

    first.agent.end(signal.SIGKILL)
    # A new mark, which no agent has had, is asked for; and, before it is granted, another one.
    first.switch.kill_ovsdb_server()
    first.switch.start_ovsdb_server()
    first.start_agent(is_settled=False)
    before = until(marks, "asked")
    first.switch.kill_ovsdb_server()
    first.switch.start_ovsdb_server()
    until(lambda: marks() - before, "asked by the new mark")
    until(lambda: first.agent.status()["settled"], "settled")
    until(lambda: not marks(), "no claim is left")
    assert "system-id" not in first.faults
    assert "another host" not in first.agent.log
