"""`trunkline check --port` and `trace` in a lab right after something has changed: the network, or a VM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import until
from program import Done, trunkline
from scapy.layers.l2 import ARP, Ether

from trunkline.core.announcement import GAPS_S
from trunkline.core.pipeline import Band
from trunkline.insight.connection import Connection
from trunkline.insight.waiting import finished
from trunkline.lab.impairment import Impairment
from trunkline.openflow import tally

if TYPE_CHECKING:
    from conftest import LabFactory
    from trunkline.lab import Lab
    from trunkline.lab.interface import Capture

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [physnet1]
networks: [{name: blue, type: vlan, physical_network: physnet1, segment: 101}]
chassis: [{name: c1, mappings: {physnet1: br-ex}}, {name: c2, mappings: {physnet1: br-ex}}]
vms:
  - {name: vm1, chassis: c1, network: blue, ip: 10.0.0.11/24}
  - {name: vm2, chassis: c2, network: blue, ip: 10.0.0.12/24}
"""


@pytest.fixture(scope="module")
def lab(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


def run(lab: Lab, *words: str) -> Done:
    return trunkline(*words, nb=lab.nb.remote)


def trace(lab: Lab) -> dict[str, Any]:
    """Return the trace from vm1 to vm2, with that of the answer as `back`."""
    found: dict[str, Any] = json.loads(
        run(lab, "trace", "--from", "vm1", "--to", "vm2", "--both", "-o", "json").out
    )
    return found


def announced(capture: Capture) -> set[str]:
    """Return the MACs that were announced in what *capture* has."""
    frames = [Ether(each) for each in capture.frames()]
    return {each.src for each in frames if ARP in each and each[ARP].psrc == each[ARP].pdst}


def test_a_check_after_a_mend_has_the_ports_announced_and_finds_nothing(lab: Lab) -> None:
    """The first check after it: nobody sends anything, and the agents have long announced all that is new."""
    vm1, vm2 = lab.vm["vm1"], lab.vm["vm2"]
    assert vm1.ping(vm2.ip).received

    def is_quiet() -> bool:
        found = trace(lab)
        ages_s = [way["hops"][0]["announced_s"] for way in (found, found["back"])]
        return bool(min(ages_s) > max(GAPS_S) + 1)

    until(is_quiet, "the ports are no longer announced", 120)
    lab.switch.impair(lab.switch.trunk("physnet1", "c2"), Impairment(frozenset({101})))
    lab.switch.switch.wait_revalidated()

    def is_lost() -> bool:
        vm1.ping(vm2.ip, timeout_s=0.2)
        return bool(trace(lab)["verdict"] == "NOT DELIVERED")

    def are_vms_quiet() -> bool:
        found = trace(lab)
        idle_s = [way["hops"][0]["counters"]["sender"]["idle_s"] for way in (found, found["back"])]
        return bool(min(idle_s) > 5)

    until(is_lost, "frames are lost", 60)
    until(are_vms_quiet, "the VMs no longer ask for one another", 60)
    assert trace(lab)["verdict"] == "NOT DELIVERED"
    lab.switch.mend()
    wires = [lab.chassis[name].wire("physnet1") for name in ("c1", "c2")]
    with wires[0].capture() as first, wires[1].capture() as second:
        done = run(lab, "check", "--port", "vm1")
        assert done.out.startswith("vm1 works"), done.out
        assert [announced(first), announced(second)] == [{vm1.mac}, {vm2.mac}]


def refused(lab: Lab) -> int:
    """Return how many frames with a wrong address inside the switch of vm1 has dropped."""
    counts: list[tally.Count] = []
    with Connection(lab.chassis["c1"].rundir / "br-int.mgmt", versions=tally.VERSIONS) as bridge:
        finished(bridge.count(counts.extend))
    place = Band.NEIGHBOUR_REFUSED.table, Band.NEIGHBOUR_REFUSED.priority
    return sum(each.packets for each in counts if (each.table, each.priority) == place)


def test_a_vm_whose_address_has_just_changed_does_not_work(lab: Lab) -> None:
    """It has sent right frames until then, and the switch tells by whole seconds which came last."""
    vm1, vm2 = lab.vm["vm1"], lab.vm["vm2"]
    assert vm1.ping(vm2.ip).received
    before = refused(lab)
    vm1.run(["ip", "address", "flush", "dev", "eth0"])
    vm1.run(["ip", "address", "add", "10.0.0.99/24", "dev", "eth0"])
    vm1.run(["ip", "neighbour", "flush", "dev", "eth0"])
    pings = vm1.popen(["ping", "-n", "-q", "-i", "0.5", vm2.ip])
    try:
        until(lambda: refused(lab) > before, "the first frame is refused")
        done = run(lab, "check", "--port", "vm1")
        assert done.code == 4
        assert done.out.startswith("vm1 does not work, for 1 reason:\n ✗ T309 port vm1 on c1: "), done.out
        done = run(lab, "trace", "--from", "vm1", "--to", "vm2")
        assert done.code == 4
        assert "NOT DELIVERED this frame would be delivered, but the VM sends others: vm1 sends" in done.out
        assert "(T309)" in done.out
    finally:
        pings.terminate()
        pings.communicate()
