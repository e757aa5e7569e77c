"""The frame rules of DESIGN.md section 5, byte for byte, with the agent at work on a real switch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened

pytestmark = pytest.mark.system

PHYSNETS = {"physnet1": "br-phys1", "physnet2": "br-phys2"}
NIC1, NIC2 = "nic-br-phys1", "nic-br-phys2"
MULTICAST = "01:00:5e:00:00:fb"
OUTSIDE = "02:ee:00:00:00:01"
UNKNOWN = "02:ee:00:00:00:99"
A, B, C, D, F, G = (mac_of(name) for name in "abcdfg")
REMOTE, REMOTE_FLAT = mac_of("r"), mac_of("s")
PRIORITY_TAG = 0xE000
"""VLAN id 0, PCP 7."""


def populated(site: Site) -> DummyChassis:
    """VLAN 101 on physnet1 (a, b, c; r is elsewhere), 101 on physnet2 (d), flat on physnet1 (f, g; s)."""
    chassis = site.chassis(physnets=PHYSNETS)
    site.network("vlan1", 101, "physnet1")
    site.network("vlan2", 101, "physnet2")
    site.network("flat1", None, "physnet1")
    homes = {"vlan1": "abcr", "vlan2": "d", "flat1": "fgs"}
    for network, ports in homes.items():
        for port in ports:
            site.port(port, network)
    for port in "abcdfg":
        chassis.plug(port)
    site.await_up(*"abcdfg")
    site.sync()
    return chassis


@pytest.fixture(scope="module")
def chassis() -> Iterator[DummyChassis]:
    """The chassis of the tests that send frames only."""
    with opened() as site:
        yield populated(site)


@pytest.fixture
def own_chassis(site: Site) -> DummyChassis:
    """A chassis for a test that changes rows too."""
    return populated(site)


@pytest.mark.parametrize("dst", [BROADCAST, MULTICAST])
def test_rules_1_2_3_and_5_frames_from_the_wire(chassis: DummyChassis, dst: str) -> None:
    plain = ethernet(B, OUTSIDE)
    assert chassis.receive(NIC1, ethernet(B, OUTSIDE, 101)) == {"b": [plain]}
    assert chassis.receive(NIC1, ethernet(B, OUTSIDE, 0xE000 | 101)) == {"b": [plain]}
    # Rule 2: untagged and priority-tagged frames are the flat network's alone.
    assert chassis.receive(NIC1, ethernet(F, OUTSIDE)) == {"f": [ethernet(F, OUTSIDE)]}
    assert chassis.receive(NIC1, ethernet(F, OUTSIDE, PRIORITY_TAG)) == {"f": [ethernet(F, OUTSIDE)]}
    assert chassis.receive(NIC1, ethernet(B, OUTSIDE)) == {}
    assert chassis.receive(NIC1, ethernet(F, OUTSIDE, 101)) == {}
    assert chassis.receive(NIC2, ethernet(F, OUTSIDE)) == {}
    # Rule 5: a copy each, none back.
    copy = ethernet(dst, OUTSIDE)
    assert chassis.receive(NIC1, ethernet(dst, OUTSIDE, 101)) == {key: [copy] for key in "abc"}
    assert chassis.receive(NIC1, copy) == {key: [copy] for key in "fg"}
    assert chassis.receive(NIC1, ethernet(dst, OUTSIDE, PRIORITY_TAG)) == {key: [copy] for key in "fg"}


@pytest.mark.parametrize("tag", [1, 100, 102, 4094, 4095, 0xE000 | 4095])
def test_rule_3_another_tag_is_dropped(chassis: DummyChassis, tag: int) -> None:
    frames = [ethernet(dst, OUTSIDE, tag) for dst in (A, F, D, BROADCAST)]
    assert chassis.receive(NIC1, *frames) == {}
    assert chassis.receive(NIC2, *frames) == {}


def test_rule_4_the_same_tag_on_another_physnet_is_another_network(chassis: DummyChassis) -> None:
    copy = ethernet(BROADCAST, OUTSIDE)
    assert chassis.receive(NIC2, ethernet(BROADCAST, OUTSIDE, 101)) == {"d": [copy]}
    assert chassis.receive(NIC2, ethernet(A, OUTSIDE, 101)) == {}
    assert chassis.receive(NIC1, ethernet(D, OUTSIDE, 101)) == {}
    assert chassis.receive("d", ethernet(BROADCAST, D)) == {NIC2: [ethernet(BROADCAST, D, 101)]}
    assert chassis.receive("d", ethernet(A, D)) == {NIC2: [ethernet(A, D, 101)]}


def test_rule_6_unknown_unicast_and_a_remote_ports_frames_from_the_wire_go_nowhere(
    chassis: DummyChassis,
) -> None:
    frames = [ethernet(dst, OUTSIDE, 101) for dst in (UNKNOWN, REMOTE)]
    flat = [ethernet(dst, OUTSIDE) for dst in (UNKNOWN, REMOTE_FLAT)]
    assert chassis.receive(NIC1, *frames, *flat) == {}


def test_rule_8_local_frames_stay_off_the_wire(chassis: DummyChassis) -> None:
    assert chassis.receive("a", ethernet(B, A)) == {"b": [ethernet(B, A)]}
    assert chassis.receive("f", ethernet(G, F)) == {"g": [ethernet(G, F)]}


def test_rule_9_unicast_leaves_once_with_the_networks_tag(chassis: DummyChassis) -> None:
    for dst in (REMOTE, UNKNOWN, F, D):
        assert chassis.receive("a", ethernet(dst, A)) == {NIC1: [ethernet(dst, A, 101)]}
    for dst in (REMOTE_FLAT, UNKNOWN, A):
        assert chassis.receive("f", ethernet(dst, F)) == {NIC1: [ethernet(dst, F)]}


def test_rule_9_unknown_unicast_goes_nowhere_if_the_network_drops_it(
    site: Site, own_chassis: DummyChassis
) -> None:
    site.nb.set_network("vlan1", {"unknown_unicast": "drop"})
    site.sync()
    assert own_chassis.receive("a", ethernet(UNKNOWN, A)) == {}
    assert own_chassis.receive("a", ethernet(REMOTE, A)) == {NIC1: [ethernet(REMOTE, A, 101)]}
    assert own_chassis.receive("f", ethernet(UNKNOWN, F)) == {NIC1: [ethernet(UNKNOWN, F)]}


@pytest.mark.parametrize("dst", [BROADCAST, MULTICAST])
def test_rule_10_one_copy_to_each_other_port_and_one_on_the_wire(chassis: DummyChassis, dst: str) -> None:
    copy = ethernet(dst, A)
    assert chassis.receive("a", copy) == {"b": [copy], "c": [copy], NIC1: [ethernet(dst, A, 101)]}
    copy = ethernet(dst, F)
    assert chassis.receive("f", copy) == {"g": [copy], NIC1: [copy]}


@pytest.mark.parametrize("tag", [1, 101, 0x6000 | 101, 102, 4094, 4095])
def test_rule_11_no_vm_chooses_its_vlan(chassis: DummyChassis, tag: int) -> None:
    for dst in (B, REMOTE, UNKNOWN, BROADCAST):
        assert chassis.receive("a", ethernet(dst, A, tag), ethernet(dst, A, tag, 101)) == {}
        assert chassis.receive("f", ethernet(dst, F, tag)) == {}
        assert chassis.receive("a", ethernet(dst, A, 0, tag)) == {}, "behind a priority tag"


def test_rule_11_a_vms_priority_tag_comes_off(chassis: DummyChassis) -> None:
    assert chassis.receive("a", ethernet(B, A, PRIORITY_TAG)) == {"b": [ethernet(B, A)]}
    assert chassis.receive("a", ethernet(REMOTE, A, PRIORITY_TAG)) == {NIC1: [ethernet(REMOTE, A, 101)]}
    assert chassis.receive("f", ethernet(BROADCAST, F, PRIORITY_TAG)) == {
        "g": [ethernet(BROADCAST, F)],
        NIC1: [ethernet(BROADCAST, F)],
    }


def test_rule_7_a_local_ports_mac_or_a_group_as_source_is_not_believed_from_the_wire(
    chassis: DummyChassis,
) -> None:
    assert chassis.receive(NIC1, *(ethernet(dst, A, 101) for dst in (B, BROADCAST))) == {}
    assert chassis.receive(NIC1, *(ethernet(dst, F) for dst in (G, BROADCAST))) == {}
    assert chassis.receive(NIC1, ethernet(B, MULTICAST, 101), ethernet(F, MULTICAST)) == {}
    assert chassis.receive(NIC1, ethernet(B, D, 101)) == {"b": [ethernet(B, D)]}, (
        "its own network's MACs only"
    )


def test_rule_14_a_disabled_port_and_a_vif_without_a_port_are_cut_off(
    site: Site, own_chassis: DummyChassis
) -> None:
    own_chassis.plug("nobody")
    site.nb.set_port("b", {"enabled": False})
    site.sync()
    copy = ethernet(BROADCAST, OUTSIDE)
    assert own_chassis.receive(NIC1, ethernet(B, OUTSIDE, 101)) == {}
    assert own_chassis.receive(NIC1, ethernet(BROADCAST, OUTSIDE, 101)) == {"a": [copy], "c": [copy]}
    for silent in ("b", "nobody"):
        frames = [ethernet(dst, mac_of(silent)) for dst in (A, REMOTE, BROADCAST)]
        assert own_chassis.receive(silent, *frames) == {}
    assert site.bindings()["b"] == (None, False)
    site.nb.set_port("b", {"enabled": True})
    site.sync()
    assert site.bindings()["b"] == ("c1", True)
    assert own_chassis.receive(NIC1, ethernet(B, OUTSIDE, 101)) == {"b": [ethernet(B, OUTSIDE)]}


def test_rule_14_a_port_that_another_chassis_holds_is_not_heard_here(
    site: Site, own_chassis: DummyChassis
) -> None:
    site.request("b", "elsewhere")
    site.sync()
    assert own_chassis.receive(NIC1, ethernet(B, OUTSIDE, 101)) == {}
    assert own_chassis.receive("b", ethernet(A, B), ethernet(BROADCAST, B)) == {}
    assert own_chassis.receive("a", ethernet(B, A)) == {NIC1: [ethernet(B, A, 101)]}, "it is remote"


def test_frames_of_every_length_pass_unchanged(chassis: DummyChassis) -> None:
    for length in (60, 61, 590, 1514):
        frame = ethernet(B, OUTSIDE, text="x" * (length - 14))
        assert chassis.receive(NIC1, frame[:12] + b"\x81\x00\x00\x65" + frame[12:]) == {"b": [frame]}


def test_the_costs_of_section_4_hold_on_the_switch(site: Site, own_chassis: DummyChassis) -> None:
    """Costs to hold: 4 flows for a local port (before port security), 2 for a remote one, 8 for a network."""

    def count() -> int:
        site.sync()
        return sum("table=10," not in line for line in own_chassis.flows())

    before = count()
    site.port("r2", "vlan1")
    assert count() - before == 2
    site.port("e", "vlan1")
    own_chassis.plug("e")
    assert count() - before - 2 <= 5, "4, and the guard of rule 7"
    before = count()
    site.network("vlan3", 103)
    assert count() == before, "a network without local ports costs nothing"
    site.port("h", "vlan3")
    own_chassis.plug("h")
    assert count() - before <= 8 + 5
