"""A chassis that has every feature: all kinds of networks and ports, here and elsewhere."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from dummy_chassis import DummyChassis, Site

from trunkline.insight.connection import Connection
from trunkline.ovsdb.reading import Reading
from trunkline.proof.intent import Intent
from trunkline.proof.switch import Rule, rules

NETWORKS: tuple[tuple[str, int | None, str, dict[str, Any]], ...] = (
    ("red", 101, "physnet1", {}),
    ("blue", 102, "physnet1", {"unknown_unicast": "drop"}),
    ("clear", 103, "physnet1", {"vlan_transparent": True}),
    ("learnt", 104, "physnet1", {"remote_ports": "learned"}),
    ("native", None, "physnet1", {}),
    ("other", 101, "physnet2", {}),
    ("flat", None, "physnet3", {"vlan_transparent": True}),
)
"""Name, VLAN id, physical network and more; *native* is the untagged one beside VLANs."""

VIRTUAL_MAC = "00:00:5e:00:01:07"
SECURED: dict[str, Any] = {"port_security": True}
PORTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("r1", "red", SECURED | {"addresses": ["192.0.2.1", "2001:db8::1"]}),
    ("r2", "red", {}),
    ("r3", "red", {"unknown_macs": True}),
    ("r4", "red", SECURED | {"allowed_address_pairs": [VIRTUAL_MAC, "02:00:00:00:aa:01,198.51.100.0/24"]}),
    ("r5", "red", {"allowed_address_pairs": [VIRTUAL_MAC]}),
    ("off", "red", {"enabled": False}),
    ("b1", "blue", SECURED),
    ("b2", "blue", {"options": {"announce": "false", "control-frames": "true"}}),
    ("c1", "clear", {}),
    ("c2", "clear", SECURED | {"addresses": ["192.0.2.3"]}),
    ("l1", "learnt", {}),
    ("n1", "native", {}),
    ("o1", "other", {}),
    ("f1", "flat", {}),
    ("sub1", "blue", {"parent": "r1", "parent_vlan": 7}),
    ("sub2", "learnt", SECURED | {"parent": "r1", "parent_vlan": 8}),
    ("far1", "red", {}),
    ("far2", "red", {"allowed_address_pairs": [VIRTUAL_MAC]}),
    ("far3", "blue", {}),
    ("far4", "learnt", {}),
)
"""Name, network and more. Those that begin with *far* are elsewhere; *sub* are sub-ports of a trunk."""


def with_every_feature(site: Site) -> DummyChassis:
    """Start a chassis that has them all, with all of it in place."""
    chassis = site.chassis(physnets={f"physnet{number}": f"br-phys{number}" for number in (1, 2, 3)})
    for name, vlan_id, physnet, more in NETWORKS:
        site.network(name, vlan_id, physnet, **more)
    for name, network, more in PORTS:
        site.port(name, network, **more)
    plugged = [name for name, _, more in PORTS if "parent" not in more and not name.startswith("far")]
    for name in plugged:
        chassis.plug(name)
    site.await_up(*(name for name in plugged if name != "off"), "sub1", "sub2")
    site.sync()
    return chassis


def held(chassis: DummyChassis) -> tuple[list[Rule], Intent]:
    """Return the flows of *chassis* as the proof sees them, and what it should do."""
    with (
        closing(Reading(chassis.switch.remote)) as reading,
        Connection(chassis.switch.rundir / "br-int.mgmt") as connection,
    ):
        reading.read()
        seen = reading.inventory
        vifs = {port.iface_id: seen.vifs.get(port.iface_id, ()) for port in seen.ports.values()}
        intent = Intent(seen.chassis, seen.networks, seen.ports, vifs, seen.uplinks, seen.whole_physnets)
        return rules((flow.key, flow.body) for flow in connection.flows()), intent
