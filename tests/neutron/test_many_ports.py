"""A hundred VMs that start at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neutron_server import until

from trunkline.lab.topology import INTEGRATION_BRIDGE

if TYPE_CHECKING:
    from neutron_site import Site

COUNT = 100


def test_a_hundred_ports_at_once_become_active_and_nova_hears_of_each_once(site: Site) -> None:
    network, _ = site.network()
    owner = {"network_id": network.id, "device_owner": "compute:nova"}
    site.api.create_ports(
        [
            {
                **owner,
                "binding:host_id": f"c{number % 2 + 1}",
                "device_id": f"00000000-0000-0000-0001-{number:012}",
            }
            for number in range(COUNT)
        ]
    )
    ports = list(site.api.ports())
    switches = {name: chassis.switch for name, chassis in site.lab.chassis.items()}
    try:
        for name, switch in switches.items():
            words = [
                word
                for number, port in enumerate(ports)
                if port.binding_host_id == name
                for word in (
                    *("--", "add-port", INTEGRATION_BRIDGE, f"vif{number}"),
                    *("--", "set", "Interface", f"vif{number}", "type=internal"),
                    f"external_ids:iface-id={port.id}",
                )
            ]
            switch.vsctl("--no-wait", *words)
        until(lambda: len(list(site.api.ports(status="ACTIVE"))) == COUNT, "all ports to be ACTIVE")
        heard = site.neutron.nova.events
        until(lambda: all(heard(port.id) for port in ports), "all events")
        assert [heard(port.id) for port in ports] == [["network-vif-plugged"]] * COUNT
    finally:
        for switch in switches.values():
            there = [
                each for each in switch.vsctl("list-ports", INTEGRATION_BRIDGE).split() if each[:3] == "vif"
            ]
            if there:
                switch.vsctl(*(word for each in there for word in ("--", "del-port", each)))
