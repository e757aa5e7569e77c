"""What a change of rows touches, and what this chassis cannot honour."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from model.rows import CHASSIS, Rows, changes, outcomes
from trunkline import apps
from trunkline.core import subject as subjects
from trunkline.core.desired import Desired
from trunkline.core.inventory import Changes
from trunkline.core.model import AllowedPair, Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes, contradictions, name
from trunkline.core.subject import MacSubject, NetworkSubject, PortSubject, SubjectId, VifSubject
from trunkline.core.view import LocalPortView, NetworkView, Outlet, RemotePortView, SharedMacView, Wire
from trunkline.openflow.message import encode

NET = Network(UUID(int=1), "net", 7, "physnet1", 101)
HERE = Port(UUID(int=10), "here", 42, NET.id, 0x020000000001)
ALSO = Port(UUID(int=11), "also", 43, NET.id, 0x020000000002)
AWAY = Port(UUID(int=12), "away", 44, NET.id, 0x020000000003, chassis="chassis-b")
ROWS = Rows(
    {NET.id: NET},
    {port.id: port for port in (HERE, ALSO, AWAY)},
    {"here": (Vif("here", "tap0", 10),), "also": (Vif("also", "tap1", 11),)},
    {"physnet1": Uplink("physnet1", "br-ex", 1)},
)


def clean() -> Outcomes:
    found = outcomes(ROWS)
    found.refresh()
    return found


def test_a_network_with_local_ports_has_a_view_of_them() -> None:
    view = outcomes(ROWS).refresh()[NetworkSubject(NET.id)]
    assert isinstance(view, NetworkView)
    assert (view.wire, view.outlets) == (Wire(1, 101), (Outlet(10), Outlet(11)))


def test_a_network_without_local_ports_has_no_views() -> None:
    views = outcomes(replace(ROWS, vifs={})).refresh()
    assert [subject for subject, view in views.items() if view is not None] == [subjects.CHASSIS]


def test_a_further_remote_port_marks_itself_alone() -> None:
    """DESIGN.md section 7: one port in a network of 10,000 costs one port's work."""
    found = clean()
    port = AWAY._replace(id=UUID(int=13), name="more", key=45, mac=0x020000000004)
    found.inventory.change(Changes(ports={port.id: port}))
    views = {subject: view for subject, view in found.refresh().items() if view is not None}
    assert list(views) == [PortSubject(port.id)]


def test_a_further_local_port_marks_itself_and_its_network() -> None:
    """DESIGN.md section 7."""
    found = clean()
    port = HERE._replace(id=UUID(int=13), name="more", key=45, mac=0x020000000004)
    found.inventory.change(Changes(ports={port.id: port}, vifs={"more": (Vif("more", "tap2", 12),)}))
    views = {subject for subject, view in found.refresh().items() if view is not None}
    assert views == {PortSubject(port.id), NetworkSubject(NET.id)}


def test_the_last_local_port_takes_the_remote_ports_with_it() -> None:
    found = clean()
    found.inventory.change(changes(ROWS, replace(ROWS, vifs={})))
    assert set(found.refresh().values()) == {None}


def test_a_port_that_moves_to_another_chassis_becomes_remote() -> None:
    found = clean()
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(requested_chassis=("chassis-b",))}))
    assert isinstance(found.refresh()[PortSubject(HERE.id)], RemotePortView)


def test_an_uplink_that_goes_leaves_the_local_ports_to_one_another() -> None:
    found = clean()
    found.inventory.change(Changes(uplinks={"physnet1": None}))
    views = found.refresh()
    local, network = views[PortSubject(HERE.id)], views[NetworkSubject(NET.id)]
    away = views[PortSubject(AWAY.id)]
    assert isinstance(local, LocalPortView)
    assert isinstance(network, NetworkView)
    assert isinstance(away, RemotePortView)
    assert (local.wire, network.wire, away.wire) == (None, None, None)


def test_a_mac_that_an_allowed_pair_lists_is_shared_by_its_owner_and_all_who_list_it() -> None:
    """DESIGN.md section 5, rule 15."""
    found = clean()
    lister = ALSO._replace(allowed_pairs=(AllowedPair(HERE.mac),))
    found.inventory.change(Changes(ports={ALSO.id: lister}))
    views = found.refresh()
    shared, owner = views[MacSubject(NET.id, HERE.mac)], views[PortSubject(HERE.id)]
    assert isinstance(shared, SharedMacView)
    assert isinstance(owner, LocalPortView)
    assert (shared.outlets, shared.is_on_wire, owner.has_own_mac) == ((Outlet(10), Outlet(11)), False, False)
    found.inventory.change(Changes(ports={ALSO.id: ALSO}))
    views = found.refresh()
    owner = views[PortSubject(HERE.id)]
    assert isinstance(owner, LocalPortView)
    assert owner.has_own_mac
    assert views[MacSubject(NET.id, HERE.mac)] is None


def test_a_shared_mac_goes_on_the_wire_if_a_remote_port_lists_it() -> None:
    """DESIGN.md section 5, rule 15."""
    found = clean()
    found.inventory.change(Changes(ports={AWAY.id: AWAY._replace(allowed_pairs=(AllowedPair(HERE.mac),))}))
    shared = found.refresh()[MacSubject(NET.id, HERE.mac)]
    assert isinstance(shared, SharedMacView)
    assert (shared.outlets, shared.is_on_wire) == ((Outlet(10),), True)


def test_a_vif_without_a_port_is_a_fault_until_the_port_is_there() -> None:
    """DESIGN.md section 5, rule 14."""
    found = outcomes(replace(ROWS, ports={}))
    found.refresh()
    assert found.faults["vif here"] == "no port has iface-id here; create it, or correct iface-id of tap0"
    found.inventory.change(Changes(ports={HERE.id: HERE}))
    found.refresh()
    assert "vif here" not in found.faults


def test_a_vif_is_that_of_the_port_with_its_iface_id_and_not_of_the_one_whose_name_it_was() -> None:
    """DESIGN.md section 3: VIF binding."""
    found = clean()
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(given_iface_id="09b1")}))
    views = found.refresh()
    assert isinstance(views[PortSubject(HERE.id)], RemotePortView)
    assert found.faults["vif here"] == "no port has iface-id here; create it, or correct iface-id of tap0"
    found.inventory.change(Changes(vifs={"here": (), "09b1": (Vif("09b1", "tap0", 10),)}))
    views = found.refresh()
    assert isinstance(view := views[PortSubject(HERE.id)], LocalPortView)
    assert (view.outlet, found.faults) == (Outlet(10), {})


@pytest.mark.parametrize("given", ["here", "09b1"])
def test_of_two_ports_with_one_iface_id_one_has_the_vif_and_the_other_has_a_fault(given: str) -> None:
    """It is the port of that name, or the one that was made first; in whatever order the rows come."""
    first = HERE if given == "here" else HERE._replace(given_iface_id=given)
    second = ALSO._replace(given_iface_id=given, key=41 if given == "here" else 43)
    vifs = {given: (Vif(given, "tap0", 10),)}
    for order in ((first, second), (second, first)):
        found = outcomes(replace(ROWS, ports={}, vifs=vifs))
        for port in order:
            found.inventory.change(Changes(ports={port.id: port}))
            views = found.refresh()
        assert found.faults == {
            "port also": f"iface-id {given} belongs to port here; give one of them another `iface_id`"
        }
        assert isinstance(views[PortSubject(HERE.id)], LocalPortView)
        assert isinstance(views[PortSubject(ALSO.id)], RemotePortView)
        found.inventory.change(Changes(ports={HERE.id: None}))
        assert isinstance(found.refresh()[PortSubject(ALSO.id)], LocalPortView)
        assert found.faults == {}


def test_a_vif_that_names_a_subport_is_a_fault_until_the_port_is_none() -> None:
    found = outcomes(Rows(vifs=ROWS.vifs))
    found.refresh()
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(parent="trunk", parent_vlan=5)}))
    found.refresh()
    assert found.faults["vif here"] == (
        "here is a sub-port of trunk and uses its VIF; correct iface-id of tap0, or clear `parent`"
    )
    found.inventory.change(Changes(ports={HERE.id: HERE}))
    found.refresh()
    assert "vif here" not in found.faults


def test_a_port_that_is_its_own_parent_is_one_fault_on_the_chassis_of_its_vif() -> None:
    found = clean()
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(parent="here", parent_vlan=5)}))
    found.refresh()
    assert found.faults == {"port here": "it is its own parent; clear `parent`, or name another port"}
    found.inventory.change(Changes(vifs={"here": ()}))
    found.refresh()
    assert found.faults == {}
    found.inventory.change(Changes(vifs=dict(ROWS.vifs)))
    found.refresh()
    assert list(found.faults) == ["port here"]
    found.inventory.change(Changes(ports={HERE.id: HERE}))
    assert isinstance(found.refresh()[PortSubject(HERE.id)], LocalPortView)
    assert found.faults == {}


def test_two_ports_that_swap_their_names_keep_each_its_own_fault() -> None:
    ports = {port.id: port._replace(requested_chassis=("chassis-b",)) for port in (HERE, ALSO)}
    ports[ALSO.id] = ports[ALSO.id]._replace(requested_chassis=("chassis-c",))
    found = outcomes(replace(ROWS, ports=ports))
    found.refresh()
    swapped = {
        HERE.id: ports[HERE.id]._replace(name="also"),
        ALSO.id: ports[ALSO.id]._replace(name="here"),
    }
    found.inventory.change(Changes(ports=dict(swapped)))
    found.refresh()
    assert found.faults["port also"] == "its VIF is here, but it is requested on chassis-b"
    assert found.faults["port here"] == "its VIF is here, but it is requested on chassis-c"


def test_a_secured_port_that_should_take_unknown_macs_does_not_and_says_so() -> None:
    """DESIGN.md section 5, rule 15: needs port security off."""
    found = clean()
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(takes_unknown_macs=True)}))
    view = found.refresh()[NetworkSubject(NET.id)]
    assert isinstance(view, NetworkView)
    assert view.unknown_outlets == ()
    assert list(found.faults) == ["port here"]
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(takes_unknown_macs=True, is_secured=False)}))
    view = found.refresh()[NetworkSubject(NET.id)]
    assert isinstance(view, NetworkView)
    assert view.unknown_outlets == (Outlet(10),)
    assert found.faults == {}


def test_a_secured_port_that_control_frames_should_pass_is_held_all_the_same_and_says_so() -> None:
    """DESIGN.md section 5, rule 17: needs port security off, and an option."""
    found = clean()
    for is_secured, asked, passes in ((True, True, False), (False, True, True), (False, False, False)):
        port = HERE._replace(passes_control=asked, is_secured=is_secured)
        found.inventory.change(Changes(ports={HERE.id: port}))
        views = found.refresh()
        network, here = views[NetworkSubject(NET.id)], views[PortSubject(HERE.id)]
        assert isinstance(network, NetworkView)
        assert isinstance(here, LocalPortView)
        assert network.control_outlets == ((Outlet(10),) if passes else ())
        assert here.passes_control is passes
        assert list(found.faults) == (["port here"] if asked and is_secured else [])


def test_the_additional_chassis_of_a_migration_is_local_once_it_is_awake() -> None:
    migrating = HERE._replace(requested_chassis=("chassis-b", CHASSIS))
    found = outcomes(replace(ROWS, ports={**ROWS.ports, HERE.id: migrating}))
    found.refresh()
    assert not found.inventory.is_local(HERE.id)
    found.inventory.wake(HERE.id)
    assert found.inventory.is_local(HERE.id)
    assert isinstance(found.refresh()[PortSubject(HERE.id)], LocalPortView)


def test_a_request_that_is_reduced_to_another_chassis_puts_the_port_to_sleep_again() -> None:
    migrating = HERE._replace(requested_chassis=("chassis-b", CHASSIS))
    found = outcomes(replace(ROWS, ports={**ROWS.ports, HERE.id: migrating}))
    found.inventory.wake(HERE.id)
    found.inventory.change(Changes(ports={HERE.id: HERE._replace(requested_chassis=("chassis-b",))}))
    found.inventory.change(Changes(ports={HERE.id: migrating}))
    assert not found.inventory.is_local(HERE.id)


def test_an_inventory_is_clean_when_nothing_waits_to_be_computed() -> None:
    found = outcomes(ROWS)
    assert not found.inventory.is_clean
    found.refresh()
    assert found.inventory.is_clean


def test_of_two_that_want_one_flow_the_one_that_waits_is_a_fault() -> None:
    """What contradicts itself in a way that nobody thought of is seen by an operator all the same."""
    found, desired = outcomes(ROWS), Desired[SubjectId]()
    without: dict[UUID, Port | None] = {}
    other: dict[UUID, Port | None] = {ALSO.id: ALSO._replace(mac=HERE.mac)}
    for ports in (without, other):
        found.inventory.change(Changes(ports=ports))
        desired.replace(
            {
                subject: [encode(flow) for flow in apps.flows(view)] if view is not None else []
                for subject, view in found.refresh().items()
            }
        )
    said = contradictions(found.inventory, desired.conflicts)
    assert said == {"port also": "port here already has a flow with the same match; change one of them"}
    assert name(found.inventory, MacSubject(NET.id, HERE.mac)) == "MAC 02:00:00:00:00:01 of network net"
    assert [name(found.inventory, subject) for subject in (VifSubject("here"), NetworkSubject(NET.id))] == [
        "vif here",
        "network net",
    ]
