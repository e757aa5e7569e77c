"""The northbound is away, hangs, or is edited by hand: calls succeed, and all is in place afterwards."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from neutron_server import until

from trunkline.northbound.client import NetworkSpec
from trunkline.northbound.step import Change, Create, Delete

if TYPE_CHECKING:
    from neutron_site import Site

MORE_THAN_A_CALL_S = 20.0
"""A call waits 2 s at most for the northbound; without a limit it would wait a minute."""


def test_a_northbound_that_is_killed_fails_no_call_and_all_is_in_place_when_it_is_back(site: Site) -> None:
    network, _ = site.network()
    kept, gone = site.port(network), site.port(network)
    vm = site.vm(kept)
    site.await_status(kept, "ACTIVE")
    site.lab.nb.kill()
    try:
        made = site.port(network, "c2")
        site.api.delete_port(gone)
        site.api.update_network(network, mtu=1300)
        other, _ = site.network()
        assert vm.ping(str(vm.ip), count=1).lost == 0
    finally:
        site.lab.nb.start()
    until(lambda: site.row(made) and not site.row(gone), "the rows", 60)
    assert site.networks()[network.id]["mtu"] == 1300
    assert other.id in site.networks()
    site.vm(made, "c2")
    site.await_status(made, "ACTIVE")
    assert site.status(kept) == "ACTIVE"
    site.neutron.expect("left to the worker", "the northbound is away")


def test_a_northbound_that_hangs_holds_up_no_call_for_long(site: Site) -> None:
    network, _ = site.network()
    pid = site.lab.nb.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        port = site.port(network)
        assert time.monotonic() - began_s < MORE_THAN_A_CALL_S
        # For a while, nobody waits for it again.
        site.api.update_port(port, name="renamed", allowed_address_pairs=[{"ip_address": "192.0.2.9"}])
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: site.row(port).get("allowed_address_pairs"), "the row", 120)
    site.neutron.expect("left to the worker", "the northbound is away")


def test_what_somebody_does_to_rows_of_the_driver_is_undone_at_once(site: Site) -> None:
    network, _ = site.network(vlan=120)
    port = site.port(network)
    vm = site.vm(port)
    site.await_status(port, "ACTIVE")
    (segment,) = [row["name"] for row in site.nb.networks()]
    site.nb.write([Delete("Port", port.id)])
    until(lambda: site.row(port), "the port's row", 30)
    site.nb.write([Change("Port", port.id, {"mac": "02:00:00:00:00:01"})])
    until(lambda: site.row(port)["mac"] == port.mac_address, "the port's MAC", 30)
    site.nb.write([Change("Network", segment, {"segmentation_id": 121})])
    until(lambda: site.networks()[network.id]["segmentation_id"] == 120, "the network's VLAN", 30)
    # What an operator decides stays.
    site.nb.write([Change("Network", segment, {"unknown_unicast": "drop"})])
    site.api.update_network(network, mtu=1450)
    assert site.networks()[network.id]["unknown_unicast"] == "drop"
    site.await_status(port, "ACTIVE")
    assert vm.name in site.lab.vm


def test_a_vlan_that_an_operators_network_has_is_a_fault_until_it_is_free(site: Site) -> None:
    mine = NetworkSpec(name="mine", network_type="vlan", physical_network="physnet1", segmentation_id=130)
    site.nb.write([Create(mine)])
    try:
        network, _ = site.network(vlan=130)
        port = site.port(network)
        fine, _ = site.network(vlan=131)
        assert (site.row(port), fine.id in site.networks()) == ({}, True)
        site.neutron.expect("already uses VLAN 130")
        assert site.nb.network("mine")["segmentation_id"] == 130
    finally:
        site.nb.write([Delete("Network", "mine")])
    site.api.update_network(network, mtu=1400)
    until(lambda: site.row(port), "the port's row", 30)


def test_an_mtu_that_the_northbound_cannot_have_is_no_error_of_the_user(site: Site) -> None:
    network = site.api.create_network(
        provider_network_type="vlan", provider_physical_network="physnet1", mtu=67
    )
    assert site.networks()[network.id]["mtu"] is None
