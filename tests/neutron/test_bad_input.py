"""What users ask for that cannot be: the call has its usual answer, and all else goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql  # type: ignore[import-untyped]  # has no types
from neutron_server import until
from neutron_site import api_of, typed
from openstack.exceptions import BadRequestException, ConflictException, NotFoundException

if TYPE_CHECKING:
    from neutron_site import Site

SETTING = "external_ids:trunkline-bridge-mappings"


def test_a_port_on_a_physical_network_that_no_chassis_maps_is_bound_when_one_does(site: Site) -> None:
    network, _ = site.network(provider_physical_network="rack1")
    assert site.networks()[network.id]["physical_network"] == "rack1"
    port = site.port(network)
    assert port.binding_vif_type == "binding_failed"
    assert site.row(port) == {}
    switch = site.lab.chassis["c1"].switch
    before = switch.vsctl("get", "Open_vSwitch", ".", SETTING).strip('"\n')
    switch.vsctl("set", "Open_vSwitch", ".", f'{SETTING}="{before.replace("physnet2", "rack1")}"')
    try:
        until(lambda: "rack1" in mappings(site), "the agent's mappings")
        # As Nova does when the VM is started anew.
        site.api.update_port(port, binding_host_id="")
        site.api.update_port(port, binding_host_id="c1")
        assert site.row(port)["requested_chassis"] == "c1"
        site.vm(port)
        site.await_status(port, "ACTIVE")
    finally:
        switch.vsctl("set", "Open_vSwitch", ".", f'{SETTING}="{before}"')
        until(lambda: "physnet2" in mappings(site), "the agent's mappings")


def mappings(site: Site) -> dict[str, str]:
    found: dict[str, str] = site.agents()["c1"].configuration["bridge_mappings"]
    return found


def test_ports_of_networks_that_are_deleted_meanwhile_leave_nothing_behind(site: Site) -> None:
    networks = [site.network()[0] for _ in range(6)]
    apis = [api_of(site.neutron.controllers[0].url) for _ in range(4)]

    def outcome(call: Any, *args: Any, **more: Any) -> bool:
        """Return whether the call succeeded; Neutron may refuse it, as it refuses it always."""
        try:
            call(*args, **more)
        except (BadRequestException, ConflictException, NotFoundException):
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        for network in networks:
            calls = [
                pool.submit(outcome, api.create_port, network_id=network.id, binding_host_id="c1")
                for api in apis[:3]
            ]
            calls.append(pool.submit(outcome, apis[3].delete_network, network.id, ignore_missing=False))
            for each in calls:
                each.result()
    there = {network.id for network in site.api.networks()}
    assert site.networks().keys() == there
    bound = {port.id for port in site.api.ports() if port.binding_vif_type == "ovs"}
    assert {row["name"] for row in site.nb.ports()} == bound
    # A network that is gone is an error of the user at once.
    gone = next((each for each in networks if each.id not in there), networks[0])
    for port in site.api.ports(network_id=gone.id):
        site.api.delete_port(port)
    site.api.delete_network(gone.id)
    assert not outcome(site.api.create_port, network_id=gone.id, binding_host_id="c1")
    # Neutron may have deleted a subnet together with addresses of a new port.
    assert typed(site, "sync", "--dry-run")[1] == "nothing to do\n"


def test_a_port_loses_its_addresses_when_its_network_is_deleted_in_vain(site: Site) -> None:
    """Neutron deletes the subnets first, and only then finds the port that has come meanwhile."""
    network, _ = site.network()
    first = site.api.create_port(network_id=network.id, device_owner="network:dhcp", device_id="dhcp")
    api = api_of(site.neutron.controllers[0].url)
    # Not information_schema.innodb_trx: it stays as it is while somebody reads it every 0.1 s.
    waiting = "show global status like 'Innodb_row_lock_current_waits'"
    with (
        ThreadPoolExecutor(1) as pool,
        closing(
            pymysql.connect(unix_socket=str(site.neutron.socket), user="root", database="neutron")
        ) as mine,
    ):
        with mine.cursor() as cursor:
            cursor.execute("select id from ports where id = %s for update", (first.id,))
        going = pool.submit(api.delete_network, network.id, ignore_missing=False)
        until(lambda: site.neutron.sql(waiting).split()[-1] != "0", "Neutron to delete the port that is held")
        port = site.port(network)
        (address,) = [each["ip_address"] for each in port.fixed_ips]
        assert site.row(port)["addresses"] == [address]
        mine.rollback()
        assert isinstance(going.exception(), ConflictException)
    assert list(site.api.get_port(port.id).fixed_ips) == []
    assert site.row(port)["addresses"] == []
