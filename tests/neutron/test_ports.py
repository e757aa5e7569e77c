"""What a user does with networks and ports, on real frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neutron_server import until

from trunkline.neutron.prompt import FEW, call

if TYPE_CHECKING:
    from neutron_site import Site


def test_vms_on_two_chassis_are_active_and_reach_each_other_and_the_vlan(site: Site) -> None:
    network, _ = site.network(vlan=101)
    ports = [site.port(network, host) for host in ("c1", "c2")]
    assert [(port.binding_vif_type, port.status) for port in ports] == [("ovs", "DOWN")] * 2
    details = ports[0].binding_vif_details
    assert (details["bridge_name"], details["datapath_type"]) == ("br-int", "netdev")
    one, two = (site.vm(port, host) for port, host in zip(ports, ("c1", "c2"), strict=True))
    for port in ports:
        site.await_status(port, "ACTIVE")
        site.await_event(port, "network-vif-plugged")
    assert one.ping(two.ip, count=3).lost == 0
    host = site.host(101, one.ip.rpartition(".")[0] + ".254")
    assert one.ping(host.ip, count=3).lost == 0


def test_a_port_follows_its_vif_and_its_admin_state(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network)
    vm = site.vm(port)
    site.await_status(port, "ACTIVE")
    vm.unplug()
    site.await_status(port, "DOWN")
    vm.plug(port.id)
    site.await_status(port, "ACTIVE")
    site.api.update_port(port, is_admin_state_up=False)
    site.await_status(port, "DOWN")
    site.api.update_port(port, is_admin_state_up=True)
    site.await_status(port, "ACTIVE")


def test_what_a_user_changes_is_in_the_northbound_when_the_call_returns(site: Site) -> None:
    network, _ = site.network(vlan=110)
    port = site.port(network)
    row = site.networks()[network.id]
    assert (row["segmentation_id"], row["mtu"], row["vlan_transparent"]) == (110, 1500, False)
    site.api.update_network(network, mtu=1400)
    site.api.update_network(network, provider_segmentation_id=111)
    row = site.networks()[network.id]
    assert (row["segmentation_id"], row["mtu"]) == (111, 1400)
    pairs = [
        {"ip_address": "192.0.2.99"},
        {"ip_address": "198.51.100.0/24", "mac_address": "02:00:00:00:00:77"},
    ]
    site.api.update_port(port, allowed_address_pairs=pairs)
    assert site.row(port)["allowed_address_pairs"] == sorted(
        ["02:00:00:00:00:77,198.51.100.0/24", f"{port.mac_address},192.0.2.99"]
    )
    site.api.update_port(port, allowed_address_pairs=[], is_port_security_enabled=False)
    assert site.row(port)["port_security"] is False
    site.api.delete_port(port)
    assert site.row(port) == {}
    assert network.id in site.networks()
    site.api.delete_network(network)
    assert network.id not in site.networks()


def test_an_unbound_port_has_no_row_and_a_port_that_is_bound_anew_keeps_its_own(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network, host=None)
    assert site.row(port) == {}
    vm = site.vm(port, "c2")
    site.api.update_port(port, binding_host_id="c2")
    site.await_status(port, "ACTIVE")
    key = site.row(port)["unique_key"]
    # Neutron unbinds it to bind it anew.
    site.api.update_port(port, binding_host_id="c1")
    row = site.row(port)
    assert (row["unique_key"], row["requested_chassis"]) == (key, "c1")
    vm.move(site.lab.chassis["c1"])
    vm.unplug()
    vm.plug(port.id)
    site.await_status(port, "ACTIVE")
    site.api.update_port(port, binding_host_id="")
    assert site.row(port) == {}


def test_many_ports_in_one_call_are_made_though_groups_are_hidden(site: Site) -> None:
    network, _ = site.network()
    assert "security-group" not in {each.alias for each in site.api.extensions()}
    ports = site.api.create_ports(
        [
            {"network_id": network.id, "binding:host_id": "c1", "device_owner": "compute:nova"}
            for _ in range(3)
        ]
    )
    assert {port.id for port in ports} == {row["name"] for row in site.nb.ports()}


def addresses(site: Site, network: Any) -> dict[str, list[str]]:
    """Return the addresses of each port of *network*, as Neutron says."""
    ports = site.api.ports(network_id=network.id)
    return {port.id: sorted(each["ip_address"] for each in port.fixed_ips) for port in ports}


def test_addresses_come_and_go_with_a_subnet_that_gives_them_to_ports_by_itself(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network)

    def row() -> dict[str, list[str]]:
        return {port.id: site.row(port)["addresses"]}

    slaac = {"ip_version": 6, "ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    subnet = site.api.create_subnet(network_id=network.id, cidr="2001:db8:1::/64", **slaac)
    found = addresses(site, network)
    assert (len(found[port.id]), row()) == (2, found)
    site.api.delete_subnet(subnet)
    found = addresses(site, network)
    assert (len(found[port.id]), row()) == (1, found)
    # Of many ports, the worker brings the rows.
    made = {"network_id": network.id, "binding:host_id": "c1", "device_owner": "compute:nova"}
    site.api.create_ports([made] * FEW)
    subnet = site.api.create_subnet(network_id=network.id, cidr="2001:db8:2::/64", **slaac)
    assert all(len(each["addresses"]) == 2 for each in site.nb.ports())
    site.api.delete_subnet(subnet)
    until(lambda: all(len(each["addresses"]) == 1 for each in site.nb.ports()), "the end of the addresses")


def test_a_port_that_something_else_holds_back_is_down_and_holds_back_no_other(site: Site) -> None:
    network, _ = site.network()
    free, held, freed = ports = [site.port(network) for _ in range(3)]
    for port in (held, freed):
        site.neutron.sql(
            "use neutron; insert into provisioningblocks (standard_attr_id, entity) "
            f"select standard_attr_id, 'DHCP' from ports where id = '{port.id}'"
        )
    for port in ports:
        site.vm(port)
    site.await_status(free, "ACTIVE")
    blocks = "use neutron; select entity from provisioningblocks"
    until(lambda: site.neutron.sql(blocks).split() == ["DHCP"] * 2, "the end of the driver's own blocks")
    assert [site.status(port) for port in (held, freed)] == ["DOWN", "DOWN"]
    site.neutron.sql(
        "use neutron; delete from provisioningblocks where standard_attr_id = "
        f"(select standard_attr_id from ports where id = '{freed.id}')"
    )
    call(site.nb)
    site.await_status(freed, "ACTIVE")
    assert site.status(held) == "DOWN"
