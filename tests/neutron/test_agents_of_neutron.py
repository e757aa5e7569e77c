"""Neutron's own agents on chassis of Trunkline: DHCP, metadata and L3."""

from __future__ import annotations

import os
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from neutron_bus import HostAgents, bus_opened
from neutron_server import until
from neutron_site import Site

from trunkline.lab import Lab
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trunkline.lab.vm import Vm

pytestmark = pytest.mark.timeout(1800)
"""Setting all of it up takes minutes on a busy machine."""

MAPPINGS = (("physnet1", "br-phys1"), ("physnet2", "br-phys2"))

UDHCPC = """#!/bin/sh
if [ "$1" = bound ]; then
    ip addr add $ip/$mask dev $interface
    set -- $staticroutes
    while [ $# -gt 1 ]; do ip route replace $1 via $2; shift 2; done
    echo "leased $ip mtu $mtu"
fi
exit 0
"""
"""What the client does with a lease (udhcpc(8)), as a VM's own client does."""


class NovaMetadata:
    """Nova's metadata service: it says whose metadata it was asked for, by the headers that Neutron adds."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = f"{self.path} of {self.headers['X-Instance-ID']}".encode()
                self.send_response(200)
                # As Nova says it; Neutron's agent fails without the charset.
                self.send_header("Content-Type", "text/plain; charset=UTF-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A Neutron with a bus and two chassis; the agents are on c1."""
    plans = tuple(ChassisPlan(name, MAPPINGS) for name in ("c1", "c2"))
    topology = Topology(f"na-{os.getpid()}", ("physnet1", "physnet2"), chassis=plans)
    with (
        Lab.up(topology) as lab,
        bus_opened(lab.nb.remote) as neutron,
        Northbound.connect(lab.nb.remote) as nb,
        closing(NovaMetadata()) as nova,
        closing(HostAgents(neutron, lab.chassis["c1"], nova_port=nova.port)) as agents,
    ):
        site = Site(neutron, lab, nb)
        for name in ("dhcp", "metadata", "l3"):
            agents.start(name)
        until(lambda: {"c1", "c2"} <= site.agents().keys(), "the agents of the chassis")

        def are_alive() -> bool:
            agents.require()
            wanted = {"DHCP agent", "Metadata agent", "L3 agent"}
            return wanted <= {each.agent_type for each in site.api.agents() if each.is_alive}

        until(are_alive, "the agents of Neutron")
        yield site
        wrong = neutron.complaints()
        assert not wrong, "\n".join(wrong[:40])


@pytest.fixture(scope="module")
def inside(site: Site) -> Any:
    """A network with a subnet that has DHCP."""
    network = site.api.create_network(
        name="inside", provider_network_type="vlan", provider_physical_network="physnet1", mtu=1400
    )
    site.api.create_subnet(network_id=network.id, ip_version=4, cidr="192.0.2.0/24")
    return network


def started(site: Site, network: Any, chassis: str, tmp_path: Path) -> tuple[Any, Vm]:
    """Return a port on *chassis* and its VM, which has asked for its address as a VM does."""
    port = site.port(network, chassis)
    vm = site.vm(port, chassis)
    site.await_status(port, "ACTIVE")
    script = tmp_path / "lease"
    script.write_text(UDHCPC)
    script.chmod(0o755)
    vm.namespace.run(["ip", "address", "flush", "dev", "eth0", "scope", "global"])
    client = ["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "15", "-T", "2", "-s", str(script)]
    said = vm.namespace.run([*client, "-O", "mtu", "-O", "staticroutes"], timeout_s=60)
    assert f"leased {port.fixed_ips[0]['ip_address']} mtu 1400" in said.splitlines()
    return port, vm


@pytest.mark.parametrize("chassis", ["c1", "c2"])
def test_a_vm_gets_its_address_and_its_metadata_from_agents_on_a_chassis(
    site: Site, inside: Any, chassis: str, tmp_path: Path
) -> None:
    port, vm = started(site, inside, chassis, tmp_path)
    (server,) = site.api.ports(network_id=inside.id, device_owner="network:dhcp")
    assert (server.binding_host_id, server.binding_vif_type) == ("c1", "ovs")
    assert vm.ping(server.fixed_ips[0]["ip_address"], count=3).lost == 0
    said: list[str] = []

    def is_answered() -> bool:
        asked = ["curl", "-s", "-m", "20", "http://169.254.169.254/latest/meta-data"]
        said[:] = [vm.namespace.run(["sh", "-c", f"{' '.join(asked)} || true"], timeout_s=40)]
        return said[0].endswith(f" of {port.device_id}")

    until(is_answered, "metadata")
    assert said == [f"/latest/meta-data of {port.device_id}"]


def test_a_router_on_a_chassis_connects_a_vm_of_another_one_with_a_provider_network(
    site: Site, inside: Any, tmp_path: Path
) -> None:
    outside = site.api.create_network(
        name="outside",
        provider_network_type="flat",
        provider_physical_network="physnet2",
        is_router_external=True,
    )
    site.api.create_subnet(network_id=outside.id, ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    (subnet,) = site.api.subnets(network_id=inside.id)
    router = site.api.create_router(name="r", external_gateway_info={"network_id": outside.id})
    site.api.add_interface_to_router(router, subnet_id=subnet.id)
    port, vm = started(site, inside, "c2", tmp_path)

    def ends() -> list[Any]:
        return list(site.api.ports(device_id=router.id))

    until(lambda: [each.status for each in ends()] == ["ACTIVE"] * 2, "the ports of the router")
    assert {(each.binding_host_id, each.binding_vif_type) for each in ends()} == {("c1", "ovs")}
    floating = site.api.create_ip(floating_network_id=outside.id, port_id=port.id)
    host = site.host(None, "203.0.113.200", "physnet2")
    until(lambda: site.api.get_ip(floating.id).status == "ACTIVE", "the floating IP")
    assert vm.ping("203.0.113.200", count=3, timeout_s=5).lost == 0
    assert host.ping(floating.floating_ip_address, count=3, timeout_s=5).lost == 0
