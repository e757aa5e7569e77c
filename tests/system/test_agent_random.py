"""Random edits against a live agent end in the same flows as a fresh computation (DESIGN.md section 7)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, until
from program import trunkline

from trunkline.core.error import TrunklineError
from trunkline.lab.error import CommandError

pytestmark = pytest.mark.system

NETWORKS = [f"net{number}" for number in range(4)]
PORTS = [f"p{number}" for number in range(10)]
PHYSNETS = ["physnet1", "physnet2", "physnet3"]
EDITS = 200


class Editor:
    """Makes one random edit after another; an edit that the database or the switch refuses is one as well."""

    def __init__(self, site: Site, chassis: DummyChassis, seed: int) -> None:
        self.site, self.chassis, self.random = site, chassis, random.Random(seed)
        self.refused = 0
        self.edits: list[tuple[Callable[[], None], int]] = [
            (self.create_network, 3),
            (self.set_network, 4),
            (self.delete_network, 1),
            (self.create_port, 8),
            (self.set_port, 8),
            (self.delete_port, 2),
            (self.plug, 10),
            (self.unplug, 4),
            (self.set_iface_id, 2),
            (self.set_mappings, 2),
            (self.recreate_bridge, 1),
        ]

    def edit(self) -> None:
        edits, weights = zip(*self.edits, strict=True)
        (chosen,) = self.random.choices(edits, weights)
        try:
            chosen()
        except (TrunklineError, CommandError):
            self.refused += 1

    def create_network(self) -> None:
        vlan_id = self.random.choice([None, 101, 102, 103])
        physnet = self.random.choice(PHYSNETS)
        self.site.network(self.random.choice(NETWORKS), vlan_id, physnet)

    def set_network(self) -> None:
        changes: dict[str, Any] = self.random.choice(
            [
                {"network_type": "vlan", "segmentation_id": self.random.randint(101, 104)},
                {"network_type": "flat"},
                {"physical_network": self.random.choice(PHYSNETS)},
                {"unknown_unicast": self.random.choice(["forward", "drop"])},
                {"remote_ports": self.random.choice(["explicit", "learned"])},
                {"vlan_transparent": self.random.random() < 0.5},
            ]
        )
        self.site.nb.set_network(self.random.choice(NETWORKS), changes)

    def delete_network(self) -> None:
        self.site.nb.delete_networks([self.random.choice(NETWORKS)])

    def create_port(self) -> None:
        more = {"port_security": self.random.random() < 0.5}
        self.site.port(self.random.choice(PORTS), self.random.choice(NETWORKS), self.mac(), **more)

    def set_port(self) -> None:
        changes: dict[str, Any] = self.random.choice(
            [
                {"mac": self.mac()},
                {"network": self.random.choice(NETWORKS)},
                {"enabled": self.random.random() < 0.5},
                {"addresses": [f"10.0.0.{self.random.randint(1, 9)}"]},
                {"allowed_address_pairs": [f"{self.mac()},10.0.1.0/24"]},
                {"allowed_address_pairs": []},
                {"requested_chassis": self.random.choice([None, "c1", "c2", "c2,c1"])},
                {"parent": self.random.choice(PORTS), "parent_vlan": self.random.randint(1, 3)},
                {"parent": None},
                {"port_security": False, "unknown_macs": True},
            ]
        )
        self.site.nb.set_port(self.random.choice(PORTS), changes)

    def delete_port(self) -> None:
        self.site.nb.delete_ports([self.random.choice(PORTS)])

    def plug(self) -> None:
        self.chassis.plug(self.random.choice(PORTS), f"v{self.random.randint(0, 9)}")

    def unplug(self) -> None:
        self.chassis.unplug(f"v{self.random.randint(0, 9)}")

    def set_iface_id(self) -> None:
        interface = f"v{self.random.randint(0, 9)}"
        iface_id = f"external_ids:iface-id={self.random.choice(PORTS)}"
        self.chassis.switch.vsctl("set", "Interface", interface, iface_id)

    def set_mappings(self) -> None:
        bridges = ["br-phys1", "br-phys2", "br-missing"]
        pairs = [
            f"{physnet}:{self.random.choice(bridges)}" for physnet in PHYSNETS if self.random.random() < 0.8
        ]
        self.chassis.set(**{"trunkline-bridge-mappings": ",".join(pairs)})

    def recreate_bridge(self) -> None:
        bridge = self.random.choice(["br-phys1", "br-phys2"])
        self.chassis.switch.vsctl("del-br", bridge)
        self.chassis.add_provider_bridge(bridge)

    def mac(self) -> str:
        return f"02:00:00:00:00:{self.random.randint(1, 12):02x}"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_edits_end_in_the_flows_of_a_fresh_computation(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis = site.chassis(physnets={"physnet1": "br-phys1", "physnet2": "br-phys2"})
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    editor = Editor(site, chassis, seed)
    for number in range(EDITS):
        editor.edit()
        if number % 50 == 49:
            site.sync()
            chassis.check()
            assert_nothing_to_do()
    assert editor.refused < EDITS * 0.8
    # What a second agent makes of the same rows is what the first one has in place.
    flows = chassis.agent.ask("flows")
    reported = {row["name"]: row["faults"] for row in site.nb.all_chassis()}
    chassis.agent.end()
    assert_nothing_to_do()
    chassis.start_agent()
    site.sync()
    assert chassis.agent.ask("flows") == flows
    assert "flows sent" not in chassis.agent.log
    until(
        lambda: {row["name"]: row["faults"] for row in site.nb.all_chassis()} == reported, "the same faults"
    )


def assert_nothing_to_do() -> None:
    """Check that what a program beside the agent computes is what the agent has in place."""
    done = trunkline("plan", "--exit-code")
    assert (done.code, done.err) == (0, ""), done
    assert done.out.startswith("nothing to do: "), done
