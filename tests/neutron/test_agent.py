"""What Neutron's table of agents holds of a chassis."""

from __future__ import annotations

import json

import pytest

from trunkline.neutron import agent

CHASSIS = {
    "name": "c1",
    "bridge_mappings": {f"physnet{number}": f"br-phys{number}" for number in range(20)},
    "integration_bridge": "br-int",
    "datapath_type": "netdev",
    "iface_types": ["internal", "system", "tap"],
    "version": "1",
}


@pytest.mark.parametrize("letter", ["a", "ü"])
def test_however_many_faults_a_chassis_has_the_column_can_hold_what_is_shown(letter: str) -> None:
    faults = {f"{number} " + letter * 300: letter * 300 for number in range(100)}
    found = agent.configurations({**CHASSIS, "faults": faults})
    assert len(json.dumps(found)) <= agent.MOST_CHARACTERS
    assert found["fault_count"] == len(faults)
    assert found["faults"]
    assert found["bridge_mappings"] == CHASSIS["bridge_mappings"]
