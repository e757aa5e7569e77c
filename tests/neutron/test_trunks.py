"""Trunks: sub-ports are bound where the trunk's port is, and are up if frames pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neutron_server import until

from trunkline.northbound.client import PortSpec
from trunkline.northbound.step import Create, Delete

if TYPE_CHECKING:
    from neutron_site import Site


def test_a_sub_port_goes_where_its_trunks_port_goes(site: Site) -> None:
    (outer, _), (inner, _) = site.network(), site.network()
    parent, child = site.port(outer), site.port(inner, host=None, device_owner="", device_id="")
    trunk = site.api.create_trunk(port_id=parent.id, sub_ports=[])
    sub_port = {"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 7}
    site.api.add_trunk_subports(trunk, [sub_port])
    row = site.row(child)
    assert (row["parent"], row["parent_vlan"], row["requested_chassis"]) == (parent.id, 7, "c1")
    vm = site.vm(parent)
    for port in (parent, child):
        site.await_status(port, "ACTIVE")
    assert site.api.get_trunk(trunk.id).status == "ACTIVE"
    # It moves: the sub-port with it.
    site.api.update_port(parent, binding_host_id="c2")
    until(lambda: site.row(child)["requested_chassis"] == "c2", "the sub-port to move")
    vm.unplug()
    site.await_status(child, "DOWN")
    site.vm(parent, "c2")
    for port in (parent, child):
        site.await_status(port, "ACTIVE")
    site.api.delete_trunk_subports(trunk, [{"port_id": child.id}])
    assert site.row(child) == {}
    site.await_status(parent, "ACTIVE")


def test_a_trunk_of_a_port_that_is_bound_already_and_its_end(site: Site) -> None:
    (outer, _), (inner, _) = site.network(), site.network()
    parent, child = site.port(outer), site.port(inner, host=None, device_owner="", device_id="")
    site.vm(parent)
    site.await_status(parent, "ACTIVE")
    sub_port = {"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 8}
    trunk = site.api.create_trunk(port_id=parent.id, sub_ports=[sub_port])
    site.await_status(child, "ACTIVE")
    assert site.row(child)["parent"] == parent.id
    site.api.delete_trunk(trunk)
    assert site.row(child) == {}
    assert site.status(parent) == "ACTIVE"


def test_a_sub_port_whose_parent_is_refused_waits_for_it_and_holds_up_no_other(site: Site) -> None:
    (outer, _), (inner, _) = site.network(), site.network()
    parent = site.port(outer, host=None)
    child = site.port(inner, host=None, device_owner="", device_id="")
    (segment,) = [row["name"] for key, row in site.networks().items() if key == outer.id]
    site.nb.write([Create(PortSpec(name="mine", network=segment, mac=parent.mac_address))])
    try:
        site.api.update_port(parent, binding_host_id="c1")
        sub_port = {"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 9}
        site.api.create_trunk(port_id=parent.id, sub_ports=[sub_port])
        log = site.neutron.controllers[0].periodic.log
        until(lambda: f"port {child.id}: its parent was refused" in log.read_text(), "the worker's word")
        fine = site.port(outer)
        assert (site.row(parent), site.row(child), bool(site.row(fine))) == ({}, {}, True)
        site.neutron.expect(f"port {parent.id}: ", f"port {child.id}: ")
    finally:
        site.nb.write([Delete("Port", "mine")])
    until(lambda: site.row(parent) and site.row(child), "the rows of both")
