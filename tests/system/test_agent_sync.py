"""DESIGN.md section 3: what `sync` covers on a chassis, also where the switch's database is slow to tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dummy_chassis import DummyChassis, Site
from relay import HeldRelay

from trunkline.ovsdb.sync import LaggingError

pytestmark = pytest.mark.system


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    return site.chassis("c1", is_running=False)


@pytest.fixture
def database(site: Site, chassis: DummyChassis) -> Iterator[HeldRelay]:
    """The way from the switch's database to the agent, which is at work; network and ports are there."""
    rundir = chassis.switch.rundir
    with HeldRelay(rundir / "held.sock", rundir / "db.sock") as relay:
        site.network()
        for port in ("a", "b"):
            site.port(port)
        chassis.start_agent("--ovs", f"unix:{rundir}/held.sock")
        chassis.plug("a")
        site.await_up("a")
        site.sync()
        yield relay
        chassis.check()
        chassis.agent.end()


def lagging(site: Site) -> frozenset[str]:
    """Return the chassis that leave a request unanswered for as long as many turns of their loop take."""
    with pytest.raises(LaggingError) as raised:
        site.sync(0.3)
    return raised.value.lagging


def test_sync_covers_a_vif_that_was_plugged_in_before_it(
    site: Site, chassis: DummyChassis, database: HeldRelay
) -> None:
    database.hold()
    chassis.plug("b")
    assert lagging(site) == {"c1"}
    database.release()
    site.sync()
    assert site.bindings()["b"] == ("c1", True)


def test_sync_covers_a_setting_that_was_written_before_it(
    site: Site, chassis: DummyChassis, database: HeldRelay
) -> None:
    database.hold()
    chassis.set(**{"trunkline-bridge-mappings": "physnet1:br-none"})
    assert lagging(site) == {"c1"}
    database.release()
    site.sync()
    assert "mapping physnet1" in chassis.faults


def test_sync_waits_for_a_switch_whose_database_has_gone_and_covers_what_is_there_when_it_is_back(
    site: Site, chassis: DummyChassis, database: HeldRelay
) -> None:
    database.hold()
    chassis.plug("b")
    assert lagging(site) == {"c1"}
    chassis.switch.kill_ovsdb_server()
    database.release()
    assert lagging(site) == {"c1"}
    chassis.switch.start_ovsdb_server()
    site.sync()
    assert site.bindings()["b"] == ("c1", True)


@pytest.fixture
def trunk(site: Site) -> DummyChassis:
    """A chassis that has loaded the trunk port p with its network, and nothing of its sub-port's."""
    chassis = site.chassis("c1")
    site.network("net1", 101)
    site.network("net2", 102)
    for port in ("a", "p"):
        site.port(port)
    site.port("s", "net2", parent="p", parent_vlan=7)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    return chassis


def test_the_sub_port_of_a_vif_whose_own_port_is_loaded_comes_up_by_itself(
    site: Site, trunk: DummyChassis
) -> None:
    """DESIGN.md section 5, rule 12: it is asked for a moment later than what concerns the VIF itself."""
    trunk.plug("p")
    site.await_up("p", "s")


def test_sync_covers_the_sub_ports_of_a_vif_that_was_plugged_in_before_it(
    site: Site, trunk: DummyChassis
) -> None:
    trunk.plug("p")
    site.sync()
    assert site.bindings() == dict.fromkeys(("a", "p", "s"), ("c1", True))
