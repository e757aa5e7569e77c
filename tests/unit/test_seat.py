"""Where a port is, as a chassis sees it, and why not here although its VIF is."""

from __future__ import annotations

from uuid import UUID

import pytest

from trunkline.core.model import Port, Vif
from trunkline.core.seat import Seat, rival_fault, seat
from trunkline.core.view import Outlet

NETWORK_ID, OTHER_ID = UUID(int=1), UUID(int=2)
PORT = Port(UUID(int=10), "vm", 42, NETWORK_ID, 0x020000000001)
SUBPORT = Port(UUID(int=11), "sub", 43, OTHER_ID, 0x020000000002, parent="vm", parent_vlan=5)
VIFS = (Vif("vm", "tap0", 10),)


def seat_of(
    port: Port, carrier: Port | None = None, vifs: tuple[Vif, ...] = VIFS, is_awake: bool = False
) -> Seat:
    return seat(port, carrier or port, vifs, "a", is_awake=is_awake)


def test_a_port_with_a_vif_here_is_local() -> None:
    assert seat_of(PORT) == Seat(NETWORK_ID, outlet=Outlet(10))


@pytest.mark.parametrize("vifs", [(), (Vif("vm", "tap0", None),)])
def test_a_port_without_a_ready_vif_here_is_remote(vifs: tuple[Vif, ...]) -> None:
    """DESIGN.md section 3: a VIF without an ofport is not ready."""
    assert seat_of(PORT, vifs=vifs) == Seat(NETWORK_ID, is_remote=True)


def test_the_first_ready_vif_is_used() -> None:
    vifs = (Vif("vm", "tap0", None), Vif("vm", "tap1", 11), Vif("vm", "tap2", 12))
    assert seat_of(PORT, vifs=vifs).outlet == Outlet(11)


def test_a_disabled_port_is_nowhere() -> None:
    """DESIGN.md section 5, rule 14."""
    assert seat_of(PORT._replace(is_enabled=False)) == Seat(NETWORK_ID)
    assert seat_of(PORT._replace(is_enabled=False), vifs=()) == Seat(NETWORK_ID)


def test_a_port_that_another_chassis_holds_is_remote_and_says_so() -> None:
    """DESIGN.md section 5, rule 14, and section 6, rule 10."""
    found = seat_of(PORT._replace(chassis="b"))
    assert (found.outlet, found.is_remote) == (None, True)
    assert found.fault == (
        "its VIF is here, but chassis b holds it; set `requested_chassis` to the chassis where it belongs"
    )


def test_a_port_that_is_requested_here_is_local_whoever_holds_it() -> None:
    """DESIGN.md section 6, rule 10."""
    assert seat_of(PORT._replace(chassis="b", requested_chassis=("a",))).outlet == Outlet(10)


def test_a_port_that_is_requested_elsewhere_is_remote_although_this_chassis_holds_it() -> None:
    """DESIGN.md section 6, rule 10."""
    found = seat_of(PORT._replace(chassis="a", requested_chassis=("b", "c")))
    assert (found.outlet, found.is_remote) == (None, True)
    assert found.fault == "its VIF is here, but it is requested on b and c"


def test_the_additional_chassis_of_a_migration_waits_until_its_vif_has_spoken() -> None:
    migrating = PORT._replace(chassis="b", requested_chassis=("b", "a"))
    asleep = seat_of(migrating)
    assert (asleep.outlet, asleep.is_remote, asleep.fault) == (None, True, None)
    assert seat_of(migrating, is_awake=True).outlet == Outlet(10)


def test_a_subport_is_behind_its_tag_on_the_vif_of_its_parent() -> None:
    """DESIGN.md section 5, rule 12."""
    assert seat_of(SUBPORT, PORT) == Seat(OTHER_ID, outlet=Outlet(10, 5))


def test_a_subport_goes_where_its_parent_goes() -> None:
    assert seat_of(SUBPORT, PORT._replace(is_enabled=False)) == Seat(OTHER_ID)
    assert seat_of(SUBPORT, PORT._replace(requested_chassis=("b",))).is_remote
    assert seat_of(SUBPORT, PORT, vifs=()).is_remote


def test_a_subport_of_a_subport_is_refused() -> None:
    found = seat_of(SUBPORT, PORT._replace(parent="other"))
    assert (found.outlet, found.is_remote) == (None, False)
    assert found.fault == "its parent vm is itself a sub-port; give it another `parent`"


def test_a_subport_without_a_tag_is_refused() -> None:
    assert rival_fault(SUBPORT._replace(parent_vlan=None), PORT, []) == (
        "it has parent vm but no `parent_vlan`; set one"
    )


def test_a_subport_in_its_parents_network_is_refused() -> None:
    assert rival_fault(SUBPORT._replace(network_id=NETWORK_ID), PORT, []) == (
        "its parent vm is in the same network; put it in another `network`"
    )


RIVAL = SUBPORT._replace(id=UUID(int=12), name="first", key=41)


def test_of_two_subports_that_want_a_tag_the_older_has_it() -> None:
    rival = RIVAL._replace(network_id=UUID(int=3))
    assert rival_fault(SUBPORT, PORT, [SUBPORT, rival]) == (
        "tag 5 of vm belongs to port first; pick another `parent_vlan`"
    )
    assert rival_fault(rival, PORT, [SUBPORT, rival]) is None


def test_of_two_subports_in_one_network_the_older_has_it() -> None:
    rival = RIVAL._replace(parent_vlan=6)
    assert rival_fault(SUBPORT, PORT, [rival]) == (
        "port first of the same parent is in the same network; put it in another `network`"
    )


def test_a_disabled_rival_holds_nothing() -> None:
    assert rival_fault(SUBPORT, PORT, [RIVAL._replace(is_enabled=False)]) is None
