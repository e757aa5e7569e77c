"""A port with an iface-id apart from its name: DESIGN.md section 3, VIF binding."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import refusal, typed

from trunkline.core import announcement
from trunkline.core.address import parse_port_mac
from trunkline.northbound.client import Northbound, PortSpec, RefusedError
from trunkline.northbound.iface_id import FEW
from trunkline.northbound.operation import update

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
HELLO = ethernet(BROADCAST, A)
UUID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
OTHER = "1f7c0f52-0d2b-4f5e-9d6a-6a3c5f0f5a11"


@pytest.fixture(params=["explicit", "learned"])
def chassis(site: Site, request: pytest.FixtureRequest) -> Iterator[DummyChassis]:
    """Return a chassis with the VIF `tap` of port a, found by the UUID, and with that of port b."""
    chassis = site.chassis()
    site.network(remote_ports=request.param)
    site.port("a", iface_id=UUID)
    site.port("b")
    chassis.plug(UUID, "tap")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    yield chassis
    site.sync()
    # Whatever was done, an agent that is new finds nothing to do.
    chassis.agent.end()
    chassis.start_agent()
    site.sync()
    assert "flows sent" not in chassis.agent.log


def reach(chassis: DummyChassis) -> None:
    """Hold that a and b reach each other and the physical network."""
    assert chassis.receive("tap", HELLO) == {"b": [HELLO], NIC: [ethernet(BROADCAST, A, 101)]}
    assert chassis.receive(NIC, ethernet(A, OUTSIDE, 101)) == {"tap": [ethernet(A, OUTSIDE)]}
    assert chassis.receive("b", ethernet(A, B)) == {"tap": [ethernet(A, B)]}


def cut_off(chassis: DummyChassis) -> None:
    """Hold that no frame comes from a's interface, or gets there."""
    assert chassis.receive("tap", HELLO) == {}
    assert "tap" not in chassis.receive(NIC, ethernet(A, OUTSIDE, 101), ethernet(BROADCAST, OUTSIDE, 101))
    assert "tap" not in chassis.receive("b", ethernet(A, B), ethernet(BROADCAST, B))


def matches(chassis: DummyChassis) -> list[str]:
    """Return the table and the match of each flow."""
    return sorted(
        re.sub(r".*(table=\d+).*(priority=\S+) actions=.*", r"\1,\2", flow) for flow in chassis.flows()
    )


def test_it_changes_while_frames_pass_and_leaves_no_flow_behind(site: Site, chassis: DummyChassis) -> None:
    reach(chassis)
    before = matches(chassis)
    for iface_id, fault in ((OTHER, f"no port has iface-id {UUID}"), (None, f"no port has iface-id {UUID}")):
        site.nb.set_port("a", {"iface_id": iface_id})
        site.sync()
        assert chassis.faults[f"vif {UUID}"].startswith(fault)
        assert site.bindings()["a"] == (None, False)
        cut_off(chassis)
        chassis.switch.vsctl("set", "Interface", "tap", f"external_ids:iface-id={iface_id or 'a'}")
        site.await_up("a")
        site.sync()
        assert chassis.faults == {}
        reach(chassis)
        chassis.switch.vsctl("set", "Interface", "tap", f"external_ids:iface-id={UUID}")
        site.await_up("a", is_up=False)
    site.nb.set_port("a", {"iface_id": UUID})
    site.await_up("a")
    site.sync()
    reach(chassis)
    assert matches(chassis) == before


def test_two_ports_swap_their_vifs_in_one_step(site: Site, chassis: DummyChassis) -> None:
    site.nb.set_port("b", {"iface_id": OTHER})
    chassis.switch.vsctl("set", "Interface", "b", f"external_ids:iface-id={OTHER}")
    site.await_up("b")
    site.transact(
        {"op": "update", "table": "Port", "where": [["name", "==", "a"]], "row": {"iface_id": OTHER}},
        {"op": "update", "table": "Port", "where": [["name", "==", "b"]], "row": {"iface_id": UUID}},
    )
    site.sync()
    assert chassis.receive("b", HELLO) == {"tap": [HELLO], NIC: [ethernet(BROADCAST, A, 101)]}
    assert chassis.receive(NIC, ethernet(A, OUTSIDE, 101)) == {"b": [ethernet(A, OUTSIDE)]}
    assert chassis.receive("tap", ethernet(A, B)) == {"b": [ethernet(A, B)]}


@pytest.mark.parametrize("network", ["net1", "net2"])
def test_one_that_is_written_twice_is_a_fault_of_the_later_port_and_moves_nothing(
    site: Site, chassis: DummyChassis, network: str
) -> None:
    if network != "net1":
        site.network(network, 102)
    site.port("late", network)
    row = {"iface_id": UUID}
    site.transact({"op": "update", "table": "Port", "where": [["name", "==", "late"]], "row": row})
    site.sync()
    fault = f"iface-id {UUID} belongs to port a; give one of them another `iface_id`"
    assert chassis.faults == {"port late": fault}
    assert site.bindings()["late"] == (None, False)
    reach(chassis)
    lines = chassis.agent.log.count("\n")
    for _ in range(3):
        site.sync()
    assert chassis.agent.log.count("\n") - lines < 10, "it does not go round"
    assert "T327 port late" in typed("check", nb=site.served.remote)[1]
    site.nb.delete_ports(["a"])
    site.await_up("late")
    site.sync()
    assert chassis.faults == {}


def test_a_port_of_that_name_has_the_vif_and_not_the_one_that_was_given_it(
    site: Site, chassis: DummyChassis
) -> None:
    row = {"iface_id": "b"}
    site.transact({"op": "update", "table": "Port", "where": [["name", "==", "a"]], "row": row})
    site.sync()
    assert chassis.receive("b", ethernet(BROADCAST, B)) == {NIC: [ethernet(BROADCAST, B, 101)]}
    cut_off(chassis)
    assert "T327 port a" in typed("check", nb=site.served.remote)[1]
    site.nb.set_port("a", {"iface_id": UUID})
    site.await_up("a")
    site.sync()
    reach(chassis)


def test_a_port_is_found_on_both_chassis_of_a_migration(site: Site, chassis: DummyChassis) -> None:
    there = site.chassis("c2")
    site.nb.set_port("a", {"requested_chassis": "c1,c2"})
    there.plug(UUID, "tap")
    site.sync()
    assert (chassis.faults, there.faults) == ({}, {})
    assert there.receive("tap", ethernet(OUTSIDE, A)) == {}, "it sleeps"
    reach(chassis)
    ready = {row["name"]: row["ready_ports"] for row in site.nb.all_chassis()}
    assert ready["c2"] == ["a"]
    there.receive_once("tap", announcement.frames(parse_port_mac(A), ())[0])
    until(lambda: "port wakes" in there.agent.log, "awake")
    site.nb.set_port("a", {"requested_chassis": "c2"})
    site.await_up("a")
    site.sync()
    assert site.bindings()["a"] == ("c2", True)
    assert there.receive("tap", ethernet(OUTSIDE, A)) == {NIC: [ethernet(OUTSIDE, A, 101)]}
    cut_off(chassis)
    chassis.unplug("tap")


def test_commands_find_the_port_of_such_a_vif(site: Site, chassis: DummyChassis) -> None:
    nb, seen = site.served.remote, typed
    assert json.loads(seen("port show a -o json", nb=nb)[1])["iface_id"] == UUID
    assert seen("port list --columns name,iface_id -o csv", nb=nb)[1].splitlines() == [
        "name,iface_id",
        f"a,{UUID}",
        "b,",
    ]
    assert seen(f"port list --filter iface_id={UUID} -o name", nb=nb)[1] == "a\n"
    assert f"iface_id: {UUID}" in seen("export", nb=nb)[1]
    code, out, err = seen("trace --from a --to b", nb=nb)
    assert (code, "DELIVERED to b" in out) == (0, True), err
    assert "to a (c1, tap)" in seen("trace --from b --to a", nb=nb)[1]
    assert "a works" in seen("check --port a", nb=nb)[1]
    assert "a (tap)" in seen("flows --chassis c1 --port a", nb=nb)[1]
    chassis.devices.set_link("tap", "down")
    until(lambda: f"vif {UUID}" in chassis.faults, "told")
    site.sync()
    assert "T304" in seen("check --port a", nb=nb)[1]
    chassis.devices.set_link("tap", "up")
    site.await_up("a")
    chassis.switch.vsctl("set", "Interface", "tap", f"external_ids:iface-id={UUID[:-1]}e")
    site.await_up("a", is_up=False)
    site.sync()
    told = seen("check --port a", nb=nb)[1]
    assert f"there is no VIF with iface-id {UUID}" in told
    assert f"did you mean {UUID}?" in told
    chassis.switch.vsctl("set", "Interface", "tap", f"external_ids:iface-id={UUID}")
    site.await_up("a")


@pytest.mark.parametrize("more", [0, FEW])
def test_one_that_another_port_has_is_refused_however_many_are_written(site: Site, more: int) -> None:
    site.network()
    site.port("a", iface_id=UUID)
    site.port("b")

    def specs(**columns: Any) -> list[PortSpec]:
        names = [f"p{number}" for number in range(more)]
        rest = [PortSpec(name=name, network="net1", mac=mac_of(name)) for name in names]
        return [*rest, PortSpec(network="net1", mac=mac_of("c"), **({"name": "c"} | columns))]

    with Northbound.connect(site.served.remote) as nb:
        for columns, reason in (
            ({"iface_id": UUID}, f"port 'a' already has iface-id {UUID}; pick another `iface_id`"),
            ({"iface_id": "b"}, "'b' is the name of another port, and may be the iface-id of its VIF"),
            ({"name": UUID}, f"port 'a' already has iface-id {UUID}, so no other port can be called so"),
        ):
            with pytest.raises(RefusedError, match=reason):
                nb.create(ports=specs(**columns))
        nb.create(ports=specs(iface_id=OTHER))
    assert "pick another --iface-id" in refusal(
        typed(f"port set b --iface-id {OTHER}", nb=site.served.remote), 1
    )
    assert typed("port set c --iface-id ''", nb=site.served.remote)[0] == 0
    assert typed(f"port set b --iface-id {OTHER}", nb=site.served.remote)[0] == 0


def test_of_two_writers_at_once_one_is_refused(site: Site) -> None:
    site.network()
    site.port("a")
    site.port("b")
    with Northbound.connect(site.served.remote) as nb:
        checked = nb.transact

        def first(operations):  # type: ignore[no-untyped-def]
            nb.transact = checked  # type: ignore[method-assign]
            site.nb.transact([update("Port", ("name", "==", "a"), row={"iface_id": UUID})])
            return checked(operations)

        nb.transact = first  # type: ignore[method-assign]
        with pytest.raises(RefusedError, match="port 'a' already has iface-id"):
            nb.set_port("b", {"iface_id": UUID})
