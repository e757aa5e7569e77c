"""A transparent flat network shares its physical network with no VLAN network (DESIGN.md section 5, rule 12).

The program refuses to create both. If the rows say so all the same, no tag passes, whatever the chassis hold.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of

from trunkline.lab.northbound import Northbound as Served
from trunkline.northbound.client import NetworkSpec, Northbound, RefusedError

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
V, DB = mac_of("v"), mac_of("db")
RACES = 20


def vlan300(key: int = 5000) -> dict[str, Any]:
    """Return the operation that makes VLAN 300 of physnet1, past the program's own checks."""
    row = {"name": "db", "unique_key": key, "network_type": "vlan", "physical_network": "physnet1"}
    return {"op": "insert", "table": "Network", "row": row | {"segmentation_id": 300}}


def assert_tags_pass(chassis: DummyChassis, *, do_they: bool) -> None:
    """Send an untagged frame, which passes, and then one tagged 300: by v, and from the physical network."""
    plain, tagged = ethernet(BROADCAST, V), ethernet(BROADCAST, V, 300)
    assert chassis.receive("v", plain, tagged) == {NIC: [plain, tagged] if do_they else [plain]}
    plain, tagged = ethernet(BROADCAST, OUTSIDE), ethernet(BROADCAST, OUTSIDE, 300)
    found = chassis.receive(NIC, plain, tagged)
    assert found.pop("v") == ([plain, tagged] if do_they else [plain])
    assert found in ({}, {"b": [plain]}), "b is in VLAN 300"


def trunk(chassis: DummyChassis) -> str:
    return chassis.get("Port", "phy-br-phys1", "trunks")


def test_beside_a_vlan_network_no_tag_passes_wherever_its_ports_are(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    chassis.set(**{"trunkline-vlan-pruning": "true"})
    chassis.start_agent()
    site.network("mgmt", None, vlan_transparent=True)
    site.port("v", "mgmt")
    chassis.plug("v")
    site.await_up("v")
    site.sync()
    assert_tags_pass(chassis, do_they=True)
    assert trunk(chassis) == "[]"

    # VLAN 300 has no port at all: this chassis would not load it for its own sake.
    site.transact(vlan300())
    site.sync()
    assert_tags_pass(chassis, do_they=False)
    assert trunk(chassis) == "[0]"
    assert "physnet1 also has VLAN networks" in chassis.faults["network mgmt"]

    site.port("b", "db")
    chassis.plug("b")
    site.await_up("b")
    site.sync()
    assert_tags_pass(chassis, do_they=False)
    assert trunk(chassis) == "[0, 300]"
    chassis.agent.end()
    chassis.start_agent()
    assert_tags_pass(chassis, do_they=False)

    site.nb.set_network("db", {"physical_network": "physnet2"})
    site.sync()
    assert_tags_pass(chassis, do_they=True)
    assert "network mgmt" not in chassis.faults
    site.transact(vlan300(5001) | {"row": vlan300(5001)["row"] | {"name": "db2"}})
    site.sync()
    assert_tags_pass(chassis, do_they=False)
    site.nb.set_network("mgmt", {"vlan_transparent": False})
    site.sync()
    assert_tags_pass(chassis, do_they=False)
    assert "network mgmt" not in chassis.faults


def vlan(vlan_id: int = 300, physnet: str = "physnet1", *, is_open: bool = False) -> NetworkSpec:
    return NetworkSpec(
        name=f"vlan{vlan_id}",
        network_type="vlan",
        physical_network=physnet,
        segmentation_id=vlan_id,
        vlan_transparent=is_open,
    )


def flat(physnet: str = "physnet1", *, is_open: bool = True) -> NetworkSpec:
    return NetworkSpec(name="mgmt", network_type="flat", physical_network=physnet, vlan_transparent=is_open)


FLAT_IN_THE_WAY = r"the flat network \(mgmt\) of physnet1 carries its VMs' tags"
VLANS_IN_THE_WAY = r"physnet1 has VLAN networks \(vlan300\), which"
Change = tuple[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("there", "wanted", "said"),
    [
        ([vlan()], flat(), VLANS_IN_THE_WAY),
        ([flat()], vlan(), FLAT_IN_THE_WAY),
        ([vlan(), flat(is_open=False)], ("mgmt", {"vlan_transparent": True}), VLANS_IN_THE_WAY),
        ([vlan(), flat("physnet2")], ("mgmt", {"physical_network": "physnet1"}), VLANS_IN_THE_WAY),
        ([flat(), vlan(physnet="physnet2")], ("vlan300", {"physical_network": "physnet1"}), FLAT_IN_THE_WAY),
        ([vlan(), vlan(301, is_open=True)], ("vlan301", {"network_type": "flat"}), VLANS_IN_THE_WAY),
    ],
)
def test_the_program_refuses_it_in_every_order(
    nb: Served, there: list[NetworkSpec], wanted: NetworkSpec | Change, said: str
) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create(there)
        before = northbound.networks()
        with pytest.raises(RefusedError, match=said):
            northbound.create([wanted]) if isinstance(wanted, NetworkSpec) else northbound.set_network(
                *wanted
            )
        assert northbound.networks() == before


def test_what_mends_it_and_what_has_nothing_to_do_with_it_is_not_refused(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.create([flat()])
        northbound.transact([vlan300()])
        northbound.set_network("mgmt", {"mtu": 1400})
        northbound.set_network("db", {"segmentation_id": 301})
        northbound.set_network("db", {"physical_network": "physnet2"})
        northbound.create([vlan(300, "physnet3", is_open=True), vlan(301, "physnet3")])
        northbound.transact([vlan300(5001) | {"row": vlan300(5001)["row"] | {"name": "db2"}}])
        northbound.set_network("mgmt", {"vlan_transparent": False})


def test_of_two_writers_at_once_one_is_refused(nb: Served) -> None:
    start = Barrier(2)

    def write(spec: NetworkSpec) -> bool:
        with Northbound.connect(nb.remote) as northbound:
            start.wait()
            try:
                northbound.create([spec])
            except RefusedError:
                return False
            return True

    with Northbound.connect(nb.remote) as northbound, ThreadPoolExecutor(2) as pool:
        for _ in range(RACES):
            done = list(pool.map(write, (flat(), vlan())))
            assert sorted(done) == [False, True]
            northbound.delete_networks([row["name"] for row in northbound.networks()])
