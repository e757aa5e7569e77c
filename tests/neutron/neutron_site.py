"""A Neutron with two chassis and a physical switch, as its users and as Nova use it."""

from __future__ import annotations

import itertools
import subprocess
from contextlib import contextmanager
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Any

import openstack
from neutron_server import BIN, START_S, Neutron, until

from trunkline.lab.topology import HostPlan, VmPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab import Lab
    from trunkline.lab.host import Host
    from trunkline.lab.vm import Vm
    from trunkline.northbound.client import Northbound

AGENT_TYPE = "Trunkline agent"


class Site:
    """Neutron's API as *api*, the northbound as *nb*, and the lab with its chassis and machines."""

    def __init__(self, neutron: Neutron, lab: Lab, nb: Northbound) -> None:
        self.neutron = neutron
        self.lab = lab
        self.nb = nb
        self.api = api_of(neutron.controllers[0].url)
        self._numbers = itertools.count(1)
        self._subnets = IPv4Network("10.0.0.0/8").subnets(new_prefix=24)

    def network(self, vlan: int | None = None, **more: Any) -> tuple[Any, Any]:
        """Return a new network, and its subnet; its VLAN is *vlan*, or one of Neutron's choice."""
        provider = {"provider_network_type": "vlan", "provider_physical_network": "physnet1"}
        if vlan is not None:
            provider["provider_segmentation_id"] = vlan  # type: ignore[assignment]
        network = self.api.create_network(name=f"net{next(self._numbers)}", **{**provider, **more})
        subnet = self.api.create_subnet(
            network_id=network.id, ip_version=4, cidr=str(next(self._subnets)), enable_dhcp=False
        )
        return network, subnet

    def port(self, network: Any, host: str | None = "c1", **more: Any) -> Any:
        """Return a new port, as Nova makes it for a VM on *host*."""
        owner = {
            "device_owner": "compute:nova",
            "device_id": f"00000000-0000-0000-0000-{next(self._numbers):012}",
        }
        bound = {} if host is None else {"binding_host_id": host}
        return self.api.create_port(network_id=network.id, **{**owner, **bound, **more})

    def vm(self, port: Any, chassis: str = "c1", *, plugs: bool = True) -> Vm:
        """Return a machine with the MAC and the address of *port*, plugged as os-vif does."""
        address = next(ip["ip_address"] for ip in port.fixed_ips)
        plan = VmPlan(
            f"vm{next(self._numbers)}", chassis, "-", IPv4Interface(f"{address}/24"), port.mac_address
        )
        vm = self.lab.add_vm(plan)
        if plugs:
            vm.plug(port.id)
        return vm

    def host(self, vlan: int | None, address: str, physnet: str = "physnet1") -> Host:
        """Return a bare-metal host on that VLAN of the physical network."""
        number = next(self._numbers)
        mac = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
        return self.lab.add_host(HostPlan(f"h{number}", physnet, vlan, IPv4Interface(f"{address}/24"), mac))

    def status(self, port: Any) -> str:
        return str(self.api.get_port(port.id).status)

    def await_status(self, port: Any, status: str) -> float:
        """Wait until Neutron shows *port* with that status; return how long that took, in seconds."""
        return until(lambda: self.status(port) == status, f"port {port.id} to be {status}")

    def await_event(self, port: Any, name: str) -> None:
        """Wait until Nova has heard of that event, once, and of no other of this port."""
        heard = self.neutron.nova.events
        until(lambda: heard(port.id) == [name], f"the event {name} of port {port.id}")

    def bind_too(self, port: Any, host: str) -> None:
        """Bind *port* to *host* as well, inactive, as Nova does before a migration."""
        self._binding("POST", port, json={"binding": {"host": host}})

    def activate(self, port: Any, host: str) -> None:
        """Make the binding to *host* the active one."""
        self._binding("PUT", port, f"/{host}/activate")

    def unbind(self, port: Any, host: str) -> None:
        """Delete the binding to *host*."""
        self._binding("DELETE", port, f"/{host}")

    def _binding(self, method: str, port: Any, more: str = "", **what: Any) -> None:
        answer = self.api.request(f"/ports/{port.id}/bindings{more}", method, **what)
        assert answer.ok, answer.text

    def agents(self) -> dict[str, Any]:
        """Return the agents of chassis, by host."""
        return {agent.host: agent for agent in self.api.agents() if agent.agent_type == AGENT_TYPE}

    def row(self, port: Any) -> dict[str, Any]:
        """Return the port's row in the northbound, {} if it has none."""
        return next((row for row in self.nb.ports() if row["name"] == port.id), {})

    def networks(self) -> dict[str, dict[str, Any]]:
        """Return the networks of the northbound by their id in Neutron."""
        return {row["external_ids"].get("neutron:network", row["name"]): row for row in self.nb.networks()}

    def clear(self) -> None:
        """Delete all that there is in Neutron, and unplug the machines."""
        for vm in self.lab.vm.values():
            vm.unplug()
        for trunk in self.api.trunks():
            self.api.delete_trunk(trunk)
        for port in self.api.ports():
            self.api.delete_port(port)
        for network in self.api.networks():
            self.api.delete_network(network)
        until(lambda: not self.nb.ports() and not self.nb.networks(), "an empty northbound")


Typed = tuple[int, str, str]
"""The exit code of a command, and what it printed on standard output and on standard error."""


def typed(site: Site, *words: str, files: list[str] | None = None) -> Typed:
    """Run `trunkline-neutron` with Neutron's own configuration; nobody sits at the terminal."""
    chosen = site.neutron.config_files() if files is None else files
    argv = [str(BIN / "trunkline-neutron"), *words, *chosen]
    done = subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=START_S
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def used(site: Site) -> Iterator[Site]:
    """Give *site* to one test. It is cleared afterwards, and a complaint that was not expected fails it.

    It is cleared too if what sets the test up fails: the next test would find its networks else.
    """
    site.neutron.begin_test()
    try:
        yield site
    finally:
        until(lambda: not site.neutron.misses_northbound(), "the API to have the northbound again")
        site.clear()
    wrong = site.neutron.complaints()
    assert not wrong, "\n".join(wrong[:40])


def api_of(url: str) -> Any:
    """Return the network API of Neutron at *url*."""
    connection = openstack.connection.Connection(auth_type="none", endpoint=url)
    return connection.network
