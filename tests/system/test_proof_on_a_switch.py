"""The proof over the flows that a real switch holds, read back, and the rows of both databases."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, ethernet, mac_of

from trunkline.insight.connection import Connection, SwitchError
from trunkline.insight.name import Names
from trunkline.ovsdb.reading import Reading
from trunkline.path.isolation import Asked, answer
from trunkline.proof.intent import Intent
from trunkline.proof.proof import Violation, proved
from trunkline.proof.switch import NotProvableError, rules

pytestmark = pytest.mark.system


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    """A chassis with VLAN, flat and transparent networks, a trunk, secured ports and remote ones."""
    chassis = site.chassis(physnets={"physnet1": "br-phys1", "physnet2": "br-phys2"})
    site.network("red", 101)
    site.network("blue", 102)
    site.network("flat", None, "physnet2")
    site.network("clear", 103, vlan_transparent=True)
    ports: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("r1", "red", {"port_security": True, "addresses": ["192.0.2.1"]}),
        ("r2", "red", {}),
        ("b1", "blue", {}),
        ("f1", "flat", {}),
        ("c1", "clear", {}),
        ("sub", "blue", {"parent": "r1", "parent_vlan": 7}),
        ("far", "red", {}),
    )
    for name, network, more in ports:
        site.port(name, network, **more)
        if name not in ("sub", "far"):
            chassis.plug(name)
    site.await_up("r1", "r2", "b1", "f1", "c1", "sub")
    site.sync()
    return chassis


def violations(chassis: DummyChassis) -> list[Violation]:
    with closing(Reading(chassis.switch.remote)) as reading:
        reading.read()
        seen = reading.inventory
        vifs = {port.iface_id: seen.vifs.get(port.iface_id, ()) for port in seen.ports.values()}
        intent = Intent(seen.chassis, seen.networks, seen.ports, vifs, seen.uplinks, seen.whole_physnets)
        with Connection(chassis.switch.rundir / "br-int.mgmt") as connection:
            flows = connection.flows()
    return proved(rules((flow.key, flow.body) for flow in flows), intent)


def test_what_a_switch_holds_is_proved_until_somebody_adds_a_leak(site: Site, chassis: DummyChassis) -> None:
    assert violations(chassis) == []
    key = next(row["unique_key"] for row in site.nb.networks() if row["name"] == "red")
    match = f"table=50,priority=900,metadata={key},dl_src=02:00:00:00:00:99"
    chassis.switch.ofctl("add-flow", "br-int", f"cookie=0x5,{match},actions=output:{chassis.ofport('b1')}")
    found = violations(chassis)
    assert {ofport for each in found for ofport, _ in each.got} == {chassis.ofport("b1")}
    assert all(each.rules[-1].text.startswith("cookie=0x5,table=50,priority=900") for each in found)
    # It is so, in bytes.
    hello = ethernet(mac_of("nobody"), "02:00:00:00:00:99")
    assert "b1" in chassis.receive_once("r2", hello)
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
    assert violations(chassis) == []


def test_a_switch_that_goes_away_meanwhile_is_told_in_one_line(chassis: DummyChassis) -> None:
    rundir = chassis.switch.rundir
    with (
        closing(Reading(chassis.switch.remote)) as reading,
        Connection(rundir / "br-int.mgmt") as bridge,
    ):
        assert answer(Asked(reading, bridge, str(rundir), Names()))["is_proved"]
        chassis.switch.kill_vswitchd()
        with pytest.raises(
            SwitchError, match=r"the switch closed the connection; see the log of ovs-vswitchd$"
        ):
            answer(Asked(reading, bridge, str(rundir), Names()))
    chassis.switch.start_vswitchd()


def test_a_switch_with_a_flow_that_is_not_understood_is_not_proved(chassis: DummyChassis) -> None:
    chassis.switch.ofctl("add-flow", "br-int", "cookie=0x5,table=99,actions=NORMAL")
    with pytest.raises(NotProvableError, match="the action NORMAL: cookie=0x5,table=99"):
        violations(chassis)
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
