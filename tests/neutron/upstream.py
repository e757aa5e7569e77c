"""Neutron's own tests of ML2 with the driver as the one that binds (`scripts/test-neutron --upstream`).

There is no northbound, as most of these tests fake what is around ML2. Each test that fails is listed here,
with what the driver does not have or do; if one of them passes, that fails too.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
from neutron.tests.unit.plugins.ml2 import test_plugin
from neutron.tests.unit.services.trunk import test_plugin as test_trunk

DRIVERS = ["trunkline", "logger"]
WHY = {
    "security groups are hidden": (
        "test_create_ports_bulk_with_sec_grp",
        "test_create_ports_bulk_with_sec_grp_member_provider_update",
        "test_list_ports_filtered_by_security_groups",
        "test_update_port_fixed_ip_changed",
        "test_update_port_with_empty_data",
    ),
    "the ports of distributed routers are refused": (
        "test_no_dhcp_provisioning_blocks_added_for_empty_or_service_port",
        "test_no_dhcp_provisioning_blocks_removed_for_empty_or_service_port",
    ),
    "the test expects that no driver carries transparent networks": (
        "test_create_network_vlan_transparent_all_abstain",
        "test_create_network_vlan_transparent_fail",
    ),
    "a trunk is ACTIVE as soon as its sub-ports are bound": (
        "test_add_subports_notify_after_create",
        "test_add_subports_notify_precommit_create",
        "test_create_trunk_in_down_state",
    ),
    "the test replaces `agent_type` in the class, and drivers of agents have it in the object": (
        "test__update_segmentation_id_agentless_mech_drivers",
    ),
}


def with_the_driver(suite: Any) -> Any:
    """Return *suite*, a class of Neutron's tests, with the driver, and with what is expected to fail."""
    failing = {
        name: pytest.mark.xfail(strict=True, reason=reason)(_copy(getattr(suite, name)))
        for reason, names in WHY.items()
        for name in names
        if hasattr(suite, name)
    }
    return type(suite.__name__, (suite,), {"_mechanism_drivers": DRIVERS, "__module__": __name__, **failing})


def _copy(test: Any) -> Any:
    """Return a function of its own that does *test*, so that its mark is not on other suites' too."""

    @functools.wraps(test)
    def copy(self: Any) -> None:
        test(self)

    return copy


TestNetworks = with_the_driver(test_plugin.TestMl2NetworksV2)
TestPorts = with_the_driver(test_plugin.TestMl2PortsV2)
TestSubnets = with_the_driver(test_plugin.TestMl2SubnetsV2)
TestTransparency = with_the_driver(test_plugin.TestMl2NetworksWithVlanTransparency)
TestBinding = with_the_driver(test_plugin.TestMl2PortBinding)
TestPairs = with_the_driver(test_plugin.TestMl2AllowedAddressPairs)
TestPortSecurity = with_the_driver(test_plugin.TestMl2PortSecurity)
TestSegments = with_the_driver(test_plugin.TestMultiSegmentNetworks)
TestTrunks = with_the_driver(test_trunk.TrunkPluginTestCase)
