"""A live migration as Nova drives it: it hears of the port only when the other chassis is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from neutron_server import until

if TYPE_CHECKING:
    from neutron_site import Site

    from trunkline.lab.vm import Vm

PLUGGED = "network-vif-plugged"


@pytest.fixture
def started(site: Site) -> tuple[Any, Vm]:
    """A port that is ACTIVE on c1, about to migrate to c2, and its VM, still on c1."""
    network, _ = site.network()
    port = site.port(network)
    vm = site.vm(port)
    site.await_status(port, "ACTIVE")
    site.await_event(port, PLUGGED)
    site.bind_too(port, "c2")
    site.api.update_port(port, binding_profile={"migrating_to": "c2"})
    until(lambda: site.row(port)["requested_chassis"] == "c1,c2", "both chassis to be requested")
    return port, vm


def plugged(site: Site, port: Any) -> int:
    """Return how often Nova has heard that the port is there."""
    return site.neutron.nova.events(port.id).count(PLUGGED)


def test_nova_hears_of_a_port_when_the_other_chassis_is_ready_and_not_before(
    site: Site, started: tuple[Any, Vm]
) -> None:
    port, vm = started
    assert site.status(port) == "DOWN"
    assert plugged(site, port) == 1
    # The hypervisor plugs the VIF in on the other host.
    other = site.vm(port, "c2")
    site.await_status(port, "ACTIVE")
    until(lambda: plugged(site, port) == 2, "the second event")
    site.activate(port, "c2")
    until(lambda: site.row(port)["requested_chassis"] == "c2", "the new chassis alone to be requested")
    vm.unplug()
    until(lambda: (site.row(port)["chassis"], site.row(port)["up"]) == ("c2", True), "the other chassis")
    site.await_status(port, "ACTIVE")
    assert other.name in site.lab.vm


def test_a_migration_that_is_called_off_leaves_the_port_where_it_was(
    site: Site, started: tuple[Any, Vm]
) -> None:
    port, _ = started
    site.unbind(port, "c2")
    site.api.update_port(port, binding_profile={})
    site.await_status(port, "ACTIVE")
    row = site.row(port)
    assert (row["requested_chassis"], row["chassis"], row["up"]) == ("c1", "c1", True)
