"""Which northbound a chassis obeys (DESIGN.md section 6, rule 5): a wiped one must not cut every VM off."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import trunkline

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
OUT = {"nic-br-phys1": [ethernet(BROADCAST, A, 101)]}


def db_of(site: Site) -> Path:
    return next(site.folder.glob("*.db"))


def replace_database(site: Site, by: Path | None) -> None:
    """Serve another file in place of the present one: a copy of *by*, or one that is made anew."""
    site.served.stop()
    db = db_of(site)
    db.unlink()
    if by is not None:
        shutil.copy2(by, db)
    site.served.start()
    site.reconnect()


def accept(site: Site, chassis: DummyChassis) -> None:
    done = trunkline("chassis", "accept-nb", "--ovs", chassis.switch.remote)
    assert done.code == 0, done
    until(lambda: not refused(chassis), "accepted")
    chassis.agent.await_settled()
    site.sync()


def refused(chassis: DummyChassis) -> bool:
    return "accept-nb" in chassis.faults.get("northbound", "")


def test_a_wiped_northbound_is_not_obeyed_and_says_so_there(site: Site, chassis: DummyChassis) -> None:
    before = chassis.flows()
    replace_database(site, None)
    until(lambda: refused(chassis), "fault")
    assert [flow.split("actions")[1] for flow in chassis.flows()] == [
        flow.split("actions")[1] for flow in before
    ]
    assert chassis.receive("a", HELLO) == OUT
    until(lambda: [row["name"] for row in site.nb.all_chassis()] == ["c1"], "registered")
    assert "accept-nb" in until(lambda: site.nb.chassis("c1")["faults"].get("northbound"), "fault reported")
    # Not asked to apply anything, it must not say that it has.
    assert site.nb.chassis("c1")["nb_cfg"] == 0
    accept(site, chassis)
    assert chassis.receive("a", HELLO) == {}


def test_a_wiped_northbound_is_not_obeyed_by_an_agent_that_starts_after(
    site: Site, chassis: DummyChassis
) -> None:
    chassis.agent.end()
    replace_database(site, None)
    chassis.start_agent(is_settled=False)
    until(lambda: refused(chassis), "fault")
    assert chassis.receive("a", HELLO) == OUT
    accept(site, chassis)
    assert chassis.receive("a", HELLO) == {}


def test_accept_nb_makes_the_chassis_obey_and_later_refuse_the_former(
    site: Site, chassis: DummyChassis
) -> None:
    old = shutil.copy2(db_of(site), site.folder / "old.copy")
    replace_database(site, None)
    until(lambda: refused(chassis), "fault")
    accept(site, chassis)
    assert chassis.receive("a", HELLO) == {}
    site.network("net1", 102)
    site.port("a")
    site.await_up("a")
    site.sync()
    assert chassis.receive("a", HELLO) == {"nic-br-phys1": [ethernet(BROADCAST, A, 102)]}
    replace_database(site, Path(old))
    until(lambda: refused(chassis), "fault")
    assert chassis.receive("a", HELLO) == {"nic-br-phys1": [ethernet(BROADCAST, A, 102)]}
    accept(site, chassis)
    assert chassis.receive("a", HELLO) == OUT


def test_an_older_copy_and_an_empty_state_of_the_same_northbound_are_obeyed(
    site: Site, chassis: DummyChassis
) -> None:
    old = Path(shutil.copy2(db_of(site), site.folder / "old.copy"))
    site.port("b")
    chassis.plug("b")
    site.await_up("b")
    replace_database(site, old)
    site.sync()
    assert "vif b" in chassis.faults
    assert chassis.receive("a", HELLO) == OUT
    site.nb.delete_ports(["a"])
    site.nb.delete_networks(["net1"])
    site.sync()
    assert chassis.receive("a", HELLO) == {}


def test_a_restored_backup_changes_no_flow(site: Site, chassis: DummyChassis) -> None:
    backup = site.folder / "backup"
    assert trunkline("--nb", site.served.remote, "nb", "backup", str(backup)).code == 0
    assert chassis.receive("a", HELLO) == OUT
    counted = [flow for flow in chassis.flows() if "n_packets=0" not in flow]
    assert counted
    restored = subprocess.run(
        ["ovsdb-client", "restore", site.served.remote, "Trunkline_Northbound"],
        stdin=backup.open(),
        check=False,
    )
    assert restored.returncode == 0
    site.sync()
    assert chassis.receive("a", HELLO) == OUT
    kept = {flow.split("cookie=")[1].split(",")[0] for flow in chassis.flows() if "n_packets=0" not in flow}
    assert {flow.split("cookie=")[1].split(",")[0] for flow in counted} <= kept


def test_any_as_the_setting_obeys_every_northbound(site: Site, chassis: DummyChassis) -> None:
    chassis.set(**{"trunkline-nb-identity": "any"})
    replace_database(site, None)
    until(lambda: chassis.receive_once("a", HELLO) == {}, "obeyed")
    assert chassis.receive("a", HELLO) == {}


def test_accept_nb_while_the_northbound_is_away_is_for_the_one_that_comes(
    site: Site, chassis: DummyChassis
) -> None:
    site.served.stop()
    until(lambda: "not connected" in chassis.faults.get("northbound", ""), "away")
    assert trunkline("chassis", "accept-nb", "--ovs", chassis.switch.remote).code == 0
    db_of(site).unlink()
    site.served.start()
    site.reconnect()
    site.network("net1", 102)
    site.port("a")
    site.await_up("a")
    assert chassis.receive("a", HELLO) == {"nic-br-phys1": [ethernet(BROADCAST, A, 102)]}


def test_accept_nb_before_the_northbound_changes_is_remembered_too(site: Site, chassis: DummyChassis) -> None:
    accept(site, chassis)
    until(lambda: chassis.get("Open_vSwitch", ".", "external_ids:trunkline-nb-identity"), "remembered")
    replace_database(site, None)
    until(lambda: refused(chassis), "fault")
    accept(site, chassis)
