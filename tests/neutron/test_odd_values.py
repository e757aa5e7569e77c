"""What users and operators may well say, and chassis cannot do: refused, or left out, and in no one's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from neutron_server import until
from openstack.exceptions import BadRequestException

from trunkline.northbound.client import NetworkSpec
from trunkline.northbound.operation import update
from trunkline.northbound.step import Create

if TYPE_CHECKING:
    from neutron_site import Site


def test_pairs_in_any_spelling_are_allowed_and_those_that_cannot_be_are_left_out(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network)
    pairs = [
        {"mac_address": "fa163e001123", "ip_address": "10.9.0.1"},
        {"mac_address": "FA-16-3E-00-11-24", "ip_address": "10.9.0.1"},
        {"mac_address": "fa16.3e00.1125", "ip_address": "10.9.0.1/8"},
        {"mac_address": "0:1:2:3:4:5", "ip_address": "0.0.0.0/0"},
    ]
    site.api.update_port(port, allowed_address_pairs=pairs)
    wanted = [
        "00:01:02:03:04:05,0.0.0.0/0",
        "fa:16:3e:00:11:23,10.9.0.1",
        "fa:16:3e:00:11:24,10.9.0.1",
        "fa:16:3e:00:11:25,10.0.0.0/8",
    ]
    assert site.row(port)["allowed_address_pairs"] == wanted
    wrong = [{"ip_address": "127.0.0.1"}, {"ip_address": "::1"}]
    site.api.update_port(port, allowed_address_pairs=[*pairs, *wrong], is_admin_state_up=False)
    assert (site.row(port)["allowed_address_pairs"], site.row(port)["enabled"]) == (wanted, False)
    site.neutron.expect("2 of its allowed address pairs left out: 127.0.0.1 is a loopback address")


def sub_port(port: Any, tag: int) -> dict[str, Any]:
    return {"port_id": port.id, "segmentation_type": "vlan", "segmentation_id": tag}


def test_a_trunk_that_no_chassis_can_carry_is_refused_with_the_reason(site: Site) -> None:
    (outer, _), (inner, _) = site.network(), site.network()
    transparent, _ = site.network(is_vlan_transparent=True)
    parent, tagged = site.port(outer), site.port(transparent)
    one, two, own = (
        site.port(network, host=None, device_owner="", device_id="") for network in (inner, inner, outer)
    )
    trunk = site.api.create_trunk(port_id=parent.id, sub_ports=[sub_port(one, 7)])
    for again in (two, own):
        with pytest.raises(BadRequestException, match="only once"):
            site.api.add_trunk_subports(trunk, [sub_port(again, 8)])
    with pytest.raises(BadRequestException, match="VLAN transparent"):
        site.api.create_trunk(port_id=tagged.id, sub_ports=[sub_port(two, 7)])
    assert (site.row(two), [each["port_id"] for each in site.api.get_trunk(trunk.id).sub_ports]) == (
        {},
        [one.id],
    )


@pytest.mark.parametrize(
    ("kind", "qemu_is"), [("dpdkvhostuserclient", "server"), ("dpdkvhostuser", "client")]
)
def test_a_port_on_a_chassis_with_dpdk_is_bound_as_vhost_user(site: Site, kind: str, qemu_is: str) -> None:
    def kinds() -> list[str]:
        found: list[str] = site.agents()["c2"].configuration["ovs_capabilities"]["iface_types"]
        return found

    network, _ = site.network(vlan=180)
    c2, before = site.lab.chassis["c2"], kinds()
    # What the agent says if Open vSwitch has DPDK. There is none here, which the agent would say again.
    c2.kill_agent()
    try:
        row = {"iface_types": [*before, kind]}
        site.nb.transact([update("Chassis", ("name", "==", "c2"), row=row)])
        until(lambda: kind in kinds(), "the agent's kinds of interfaces")
        port = site.port(network, "c2")
        details = port.binding_vif_details
        assert (port.binding_vif_type, details["vhostuser_mode"]) == ("vhostuser", qemu_is)
        assert (
            details["vhostuser_socket"]
            == f"/var/run/openvswitch/vhu{port.id}"[: len("/var/run/openvswitch/") + 14]
        )
        assert (details["vhostuser_ovs_plug"], details["port_filter"], details["datapath_type"]) == (
            *(True, False, "netdev"),
        )
        # Elsewhere, ports are as before.
        assert site.port(network, "c1").binding_vif_type == "ovs"
        assert site.row(port)["requested_chassis"] == "c2"
        site.api.update_network(network, provider_segmentation_id=181)
        assert site.networks()[network.id]["segmentation_id"] == 181
    finally:
        c2.start_agent()
        until(lambda: kinds() == before, "the agent's kinds of interfaces")
    site.vm(port, "c2")
    site.await_status(port, "ACTIVE")


def test_a_network_that_somebody_makes_in_the_drivers_set_goes_at_once(site: Site) -> None:
    mine = NetworkSpec(
        name="stray",
        network_type="vlan",
        physical_network="physnet2",
        segmentation_id=300,
        external_ids={"trunkline-set": "neutron"},
    )
    site.nb.write([Create(mine)])
    until(lambda: not site.nb.networks(), "the end of the network")
