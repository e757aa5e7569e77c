"""The switch's database replaced under a running agent: an older copy, another row, a file that is new."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until

from trunkline.agent.plumbing import Plumbing
from trunkline.lab import command
from trunkline.ovsdb.settings import settings
from trunkline.ovsdb.vswitch import SwitchReplica

pytestmark = pytest.mark.system

A = mac_of("a")
NIC = "nic-br-phys1"
HELLO = ethernet(BROADCAST, A)


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    chassis = site.chassis()
    site.network()
    for port in "abc":
        site.port(port)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert works(chassis)
    return chassis


def works(chassis: DummyChassis) -> bool:
    return chassis.receive("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 101)]}


def conf_db(chassis: DummyChassis) -> Path:
    return Path(chassis.switch.rundir) / "conf.db"


def replace_file(chassis: DummyChassis, put: Callable[[Path], object]) -> None:
    """Stop the database's server, have *put* change its file, and start it again."""
    chassis.switch.stop_ovsdb_server()
    conf_db(chassis).unlink()
    put(conf_db(chassis))
    chassis.switch.start_ovsdb_server()


def number(chassis: DummyChassis, column: str) -> int:
    return int(chassis.get("Open_vSwitch", ".", column))


def test_an_older_copy_of_the_database_is_followed(site: Site, chassis: DummyChassis) -> None:
    old = site.folder / "old.db"
    shutil.copy(conf_db(chassis), old)
    before = number(chassis, "next_cfg")
    # The agent writes, too: it awaits what the older copy has not come to.
    for physnet in ("physnet2", "physnet3"):
        bridge = f"br-{physnet}"
        chassis.add_provider_bridge(bridge)
        chassis.set(**{"trunkline-bridge-mappings": f"physnet1:br-phys1,{physnet}:{bridge}"})
        site.sync()
    chassis.plug("b")
    site.await_up("b")
    assert number(chassis, "next_cfg") > before + 4
    replace_file(chassis, lambda place: shutil.copy(old, place))
    site.await_up("b", is_up=False)
    chassis.plug("c")
    site.await_up("c")
    site.sync()
    chassis.agent.await_settled()
    assert chassis.faults == {}
    assert chassis.receive("a", HELLO) == {"c": [HELLO], NIC: [ethernet(BROADCAST, A, 101)]}


def test_no_flow_is_sent_before_the_switch_has_answered_for_another_database(site: Site) -> None:
    """What it says of ofports is of another time: those may be others' by now."""
    chassis = site.chassis(is_running=False)
    old = site.folder / "old.db"
    with closing(SwitchReplica(chassis.switch.remote)) as switch:
        plumbing = Plumbing(switch)

        def step(is_so: Callable[[], bool]) -> Callable[[], bool]:
            def taken() -> bool:
                switch.changes(switch.run())
                if switch.is_synced and switch.external_ids:
                    switch.watch("br-int")
                    now = settings(switch.external_ids, None)
                    plumbing.read(now)
                    plumbing.write(now, are_flows_applied=False)
                return is_so()

            return taken

        until(step(lambda: switch.is_synced and plumbing.is_settled), "settled")
        read = settings(switch.external_ids, None)
        assert plumbing.is_ready(read)
        shutil.copy(conf_db(chassis), old)
        chassis.set(**{"trunkline-audit-interval": "5"})
        until(step(lambda: "trunkline-audit-interval" in switch.external_ids), "read")
        with chassis.switch.stopped():
            replace_file(chassis, lambda place: shutil.copy(old, place))
            plumbing.is_due = True
            until(step(lambda: switch.is_replaced and not switch.must_bump_next_cfg), "called")
            assert not plumbing.is_ready(read)
        until(step(lambda: plumbing.is_ready(read)), "answered")
        assert switch.is_realized
    site.is_checked = False


def test_a_database_that_is_new_and_empty_is_a_fault_and_then_followed(
    site: Site, chassis: DummyChassis
) -> None:
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    replace_file(chassis, lambda place: command.run(["ovsdb-tool", "create", str(place), schema]))
    until(lambda: "settings" in chassis.faults, "a fault")
    assert not chassis.agent.status()["settled"]
    chassis.switch.vsctl("--no-wait", "init")
    configure(site, chassis)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert works(chassis)
    assert chassis.faults == {}


def test_with_a_database_that_is_empty_neither_agent_nor_cleanup_begins(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    replace_file(chassis, lambda place: command.run(["ovsdb-tool", "create", str(place), schema]))
    for options, reason in (
        ((), "system-id is not set for this chassis"),
        (("--cleanup",), "has no Open_vSwitch row"),
    ):
        code, complaint = chassis.start_agent(*options, is_settled=False).end_by_itself()
        assert (code, complaint.count("\n")) == (1, 1), complaint
        assert reason in complaint
    site.is_checked = False


def configure(site: Site, chassis: DummyChassis) -> None:
    """Set the chassis up as an operator does that begins anew; its datapath is that of its devices."""
    chassis.switch.vsctl("--if-exists", "del-br", "br-int")
    kind = f"datapath_type={chassis.devices.datapath_type}"
    chassis.switch.vsctl("--may-exist", "add-br", "br-int", "--", "set", "Bridge", "br-int", kind)
    chassis.add_provider_bridge("br-phys1")
    chassis.set(
        **{
            "system-id": "c1",
            "trunkline-nb": site.served.remote,
            "trunkline-bridge-mappings": "physnet1:br-phys1",
        }
    )


def test_another_row_in_the_place_of_the_first_is_followed(site: Site, chassis: DummyChassis) -> None:
    columns = ["external_ids", "bridges", "other_config"]
    [row] = transact(chassis, {"op": "select", "table": "Open_vSwitch", "where": [], "columns": columns})[0][
        "rows"
    ]
    transact(
        chassis,
        {"op": "delete", "table": "Open_vSwitch", "where": []},
        {"op": "insert", "table": "Open_vSwitch", "row": row},
    )
    chassis.plug("b")
    site.await_up("b")
    site.sync()
    chassis.agent.await_settled()
    assert chassis.receive("a", HELLO) == {"b": [HELLO], NIC: [ethernet(BROADCAST, A, 101)]}
    # And with none at all, for a while.
    transact(chassis, {"op": "delete", "table": "Open_vSwitch", "where": []})
    until(lambda: "settings" in chassis.faults, "a fault")
    chassis.switch.vsctl("--no-wait", "init")
    configure(site, chassis)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    assert works(chassis)


def transact(chassis: DummyChassis, *operations: object) -> list[dict[str, list[dict[str, object]]]]:
    request = json.dumps(["Open_vSwitch", *operations])
    reply = command.run(["ovsdb-client", "transact", chassis.switch.remote, request], env=chassis.switch.env)
    results: list[dict[str, list[dict[str, object]]]] = json.loads(reply)
    assert not any("error" in (result or {}) for result in results), results
    return results
