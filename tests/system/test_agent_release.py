"""A release of Open vSwitch with a known defect is a fault of its chassis, for the datapath that has it."""

from __future__ import annotations

import pytest
from dummy_chassis import DummyChassis, Site, until

pytestmark = pytest.mark.system


def test_a_release_with_a_known_defect_is_a_fault_until_it_is_upgraded(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    vsctl = chassis.switch.vsctl
    for bridge in ("br-int", "br-phys1"):
        vsctl("set", "Bridge", bridge, "datapath_type=netdev")
    chassis.start_agent()
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    assert chassis.faults == {}, "nobody has written the release"
    vsctl("set", "Open_vSwitch", ".", "ovs_version=3.1.0")
    fault = until(lambda: chassis.faults.get("open-vswitch"), "fault")
    assert fault == (
        "Open vSwitch 3.1.0 may keep to cached flows that are wrong after a change of flows, in its "
        "userspace datapath and for up to 20 s; upgrade it to 3.1.3 or later"
    )
    site.sync()
    assert site.nb.chassis("c1")["faults"] == {"open-vswitch": fault}
    assert site.bindings() == {"a": ("c1", True)}, "a frame can pass"
    vsctl("set", "Open_vSwitch", ".", "ovs_version=3.1.3")
    until(lambda: chassis.faults == {}, "no fault")


def test_a_release_that_is_not_supported_is_a_fault_with_any_datapath(chassis: DummyChassis) -> None:
    chassis.switch.vsctl("set", "Open_vSwitch", ".", "ovs_version=2.17.9")
    fault = until(lambda: chassis.faults.get("open-vswitch"), "fault")
    assert fault == (
        "Open vSwitch 2.17.9 is not supported: flows that another program changes may not be put back; "
        "upgrade it to 3.1.3 or later"
    )
    chassis.switch.vsctl("set", "Open_vSwitch", ".", "ovs_version=3.1.3")
    until(lambda: chassis.faults == {}, "no fault")
