"""Tags, byte for byte: what no VM may choose, what a transparent network carries, and what a trunk sorts.

DESIGN.md section 5, rules 2, 3, 11 and 12; and rule 7's guards, which count.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from frame_count import packets

from trunkline.agent.plumbing import Plumbing
from trunkline.core.pipeline import Band
from trunkline.ovsdb.settings import settings
from trunkline.ovsdb.vswitch import SwitchReplica

pytestmark = pytest.mark.system

NIC1, NIC2 = "nic-br-phys1", "nic-br-phys2"
OUTSIDE = "02:ee:00:00:00:01"
A, B, F, T, U, V, W = (mac_of(name) for name in "abftuvw")
P, Q, S1, S2, S3 = (mac_of(name) for name in ("p", "q", "s1", "s2", "s3"))
REMOTE, REMOTE_SUB = mac_of("r"), mac_of("rs")
PCP = 0xA000
"""Priority 5."""

VLAN, SERVICE_VLAN = b"\x81\x00", b"\x88\xa8"
OLD_VLANS = (b"\x91\x00", b"\x92\x00", b"\x93\x00")


@pytest.fixture(scope="module")
def populated() -> Iterator[Site]:
    """Yield a site of one chassis with a network of each kind.

    VLAN 101 (a, b, trunk p; r is elsewhere), VLAN 102 (q, p's sub-port s1 with tag 7; rs is elsewhere),
    VLAN 103 (p's sub-port s2 with tag 8), VLAN 201 transparent (t, u), flat (f), and flat and transparent on
    the other physical network (v, w, p's sub-port s3 with tag 9).
    """
    with opened() as site:
        started = site.chassis(physnets={"physnet1": "br-phys1", "physnet2": "br-phys2"})
        site.network("vlan101", 101)
        site.network("vlan102", 102)
        site.network("vlan103", 103)
        site.network("clear", 201, vlan_transparent=True)
        site.network("flat", None)
        site.network("clearflat", None, "physnet2", vlan_transparent=True)
        homes = {"vlan101": "abpr", "vlan102": "q", "flat": "f", "clear": "tu", "clearflat": "vw"}
        for network, ports in homes.items():
            for port in ports:
                site.port(port, network)
        site.port("rs", "vlan102")
        site.port("s1", "vlan102", parent="p", parent_vlan=7)
        site.port("s2", "vlan103", parent="p", parent_vlan=8)
        site.port("s3", "clearflat", parent="p", parent_vlan=9)
        for port in "abfpqtuvw":
            started.plug(port)
        site.await_up(*"abfpqtuvw", "s1", "s2", "s3")
        site.sync()
        yield site


@pytest.fixture
def chassis(populated: Site) -> DummyChassis:
    return populated.all[0]


@pytest.mark.parametrize("priority", range(8))
def test_rule_2_a_priority_tag_from_the_wire_is_untagged_whatever_its_priority(
    chassis: DummyChassis, priority: int
) -> None:
    tagged = ethernet(F, OUTSIDE, priority << 13)
    assert chassis.receive(NIC1, tagged) == {"f": [ethernet(F, OUTSIDE)]}


@pytest.mark.parametrize("priority", range(8))
def test_rule_11_a_priority_tag_from_a_vm_comes_off_whatever_its_priority(
    chassis: DummyChassis, priority: int
) -> None:
    assert chassis.receive("a", ethernet(B, A, priority << 13)) == {"b": [ethernet(B, A)]}
    assert chassis.receive("a", ethernet(REMOTE, A, priority << 13)) == {NIC1: [ethernet(REMOTE, A, 101)]}
    assert chassis.receive("f", ethernet(OUTSIDE, F, priority << 13)) == {NIC1: [ethernet(OUTSIDE, F)]}


def test_rule_3_vlan_id_4095_is_dropped_wherever_it_is_a_frames_first(chassis: DummyChassis) -> None:
    for tag in (4095, PCP | 4095):
        for dst in (T, BROADCAST):
            assert chassis.receive(NIC1, ethernet(dst, OUTSIDE, tag)) == {}
        for dst in (V, BROADCAST):
            assert chassis.receive(NIC2, ethernet(dst, OUTSIDE, tag)) == {}
        for dst in (U, OUTSIDE, BROADCAST):
            assert chassis.receive("t", ethernet(dst, T, tag)) == {}
        for dst in (W, OUTSIDE, BROADCAST):
            assert chassis.receive("v", ethernet(dst, V, tag)) == {}


def test_rule_11_a_vm_that_tags_its_own_frames_is_counted_by_port(
    populated: Site, chassis: DummyChassis
) -> None:
    def counted(name: str) -> int:
        return packets(chassis, Band.TAGGED, f"reg6={populated.nb.port(name)['unique_key']:#x},")

    before = {name: counted(name) for name in "abf"}
    assert chassis.receive_once("a", *(ethernet(BROADCAST, A, tag) for tag in (101, 102, 4094))) == {}
    assert chassis.receive_once("f", ethernet(BROADCAST, F, 101)) == {}
    assert {name: counted(name) - before[name] for name in "abf"} == {"a": 3, "b": 0, "f": 1}


def test_rule_7_frames_that_come_back_are_dropped_and_counted(chassis: DummyChassis) -> None:
    reflected, grouped = packets(chassis, Band.REFLECTION), packets(chassis, Band.NO_STATION)
    assert chassis.receive_once(NIC1, ethernet(BROADCAST, A, 101), ethernet(B, A, 101)) == {}
    assert chassis.receive_once(NIC1, ethernet(BROADCAST, T, 201, 7), ethernet(F, F)) == {}
    assert chassis.receive_once(NIC1, ethernet(B, "03:00:00:00:00:01", 101)) == {}
    assert packets(chassis, Band.REFLECTION) - reflected == 4
    assert packets(chassis, Band.NO_STATION) - grouped == 1


def test_rule_12_a_transparent_network_carries_inner_tags_with_their_priority(chassis: DummyChassis) -> None:
    for inner in ((), (7,), (PCP | 7,), (PCP | 201,), (8, 9), (8, 0), (7, 8, 9), (8, 4095)):
        for dst in (OUTSIDE, BROADCAST):
            sent = chassis.receive("t", ethernet(dst, T, *inner))
            assert sent.pop(NIC1) == [ethernet(dst, T, 201, *inner)]
            assert sent == ({"u": [ethernet(dst, T, *inner)]} if dst == BROADCAST else {})
        assert chassis.receive("t", ethernet(U, T, *inner)) == {"u": [ethernet(U, T, *inner)]}
        assert chassis.receive(NIC1, ethernet(T, OUTSIDE, 201, *inner)) == {
            "t": [ethernet(T, OUTSIDE, *inner)]
        }


def test_rule_12_a_transparent_flat_network_carries_tags_beside_none(chassis: DummyChassis) -> None:
    for tags in ((), (7,), (PCP | 7,), (101,), (8, 9), (7, 8), (8, 0), (101, 7, 8), (8, 4095)):
        copy, tagged = ethernet(BROADCAST, V, *tags), ethernet(BROADCAST, V, 9, *tags)
        assert chassis.receive("v", copy) == {"w": [copy], "p": [tagged], NIC2: [copy]}
        assert chassis.receive(NIC2, ethernet(V, OUTSIDE, *tags)) == {"v": [ethernet(V, OUTSIDE, *tags)]}
        assert chassis.receive("p", ethernet(V, S3, 9, *tags)) == {"v": [ethernet(V, S3, *tags)]}
        assert chassis.receive("v", ethernet(S3, V, *tags)) == {"p": [ethernet(S3, V, 9, *tags)]}
    assert chassis.receive(NIC2, ethernet(V, OUTSIDE, PCP)) == {"v": [ethernet(V, OUTSIDE)]}
    assert chassis.receive(NIC2, ethernet(W, V, 7)) == {}, "rule 7, tagged"


def with_inner_tpids(frame: bytes) -> list[bytes]:
    """Return *frame*, which has two tags or more, with a second tag of each kind."""
    return [frame[:16] + tpid + frame[18:] for tpid in (VLAN, SERVICE_VLAN, *OLD_VLANS)]


@pytest.mark.parametrize(
    ("port", "src", "to"), [("a", A, B), ("f", F, OUTSIDE), ("p", P, A), (NIC1, OUTSIDE, F)]
)
def test_rule_11_a_tag_that_only_some_physical_switches_know_is_dropped(
    chassis: DummyChassis, port: str, src: str, to: str
) -> None:
    """Open vSwitch takes it for the frame's type; a transparent network carries it like any other tag."""
    for dst in (BROADCAST, to):
        for tpid in OLD_VLANS:
            tagged = ethernet(dst, src, 300)
            assert chassis.receive(port, tagged[:12] + tpid + tagged[14:], after=[ethernet(dst, src)]) == {}
    for tpid in OLD_VLANS:
        tagged = ethernet(OUTSIDE, T, 201, 7)
        carried = tagged[:16] + tpid + tagged[18:]
        assert chassis.receive("t", carried[:12] + carried[16:]) == {NIC1: [carried]}


@pytest.mark.parametrize(
    ("port", "src", "to"),
    [
        ("a", A, B),
        ("f", F, OUTSIDE),
        ("p", P, A),
        ("t", T, U),
        ("v", V, W),
        (NIC1, OUTSIDE, F),
        (NIC2, OUTSIDE, V),
    ],
)
def test_rules_2_and_11_a_priority_tag_before_another_tag_is_dropped_by_everybody(
    chassis: DummyChassis, port: str, src: str, to: str
) -> None:
    """It comes off if it is alone; here, the frame would be another one."""
    stacks = ((0, 0), (0, 7), (PCP, 7), (0, 300), (0, 4095), (0, 0, 300), (0, 7, 8))
    for dst in (BROADCAST, to):
        frames = [frame for tags in stacks for frame in with_inner_tpids(ethernet(dst, src, *tags))]
        assert chassis.receive(port, *frames) == {}
        assert chassis.receive(port, ethernet(dst, src, PCP)), "alone, it comes off"


@pytest.mark.parametrize(
    ("port", "src", "tag", "to"),
    [("p", S1, 7, Q), ("p", S2, 8, OUTSIDE), (NIC1, OUTSIDE, 101, A), (NIC1, OUTSIDE, 102, S1)],
)
def test_rules_3_and_11_a_tag_behind_another_is_dropped_right_after_the_frame_without_it(
    chassis: DummyChassis, port: str, src: str, tag: int, to: str
) -> None:
    """What the datapath has cached for the frame with one tag must not carry the one with two."""
    stacks = ((300,), (101,), (7,), (0,), (PCP,), (4095,), (7, 8), (0, 300))
    for dst in (BROADCAST, to):
        frames = [frame for tags in stacks for frame in with_inner_tpids(ethernet(dst, src, tag, *tags))]
        assert chassis.receive(port, *frames) == {}
        assert chassis.receive(port, ethernet(dst, src, tag)), "without it, it passes"


def test_vlan_limit_is_kept_at_1_if_networks_are_transparent_and_put_back_at_once(
    chassis: DummyChassis,
) -> None:
    """DESIGN.md section 6, rule 12; what the switch cached before it parsed one tag carries no two later."""

    def limit() -> str:
        return chassis.get("Open_vSwitch", ".", "other_config:vlan-limit").strip('"')

    assert limit() in ("", "1"), "Open vSwitch parses one tag by default"
    one, two = ethernet(BROADCAST, F, 0), ethernet(BROADCAST, F, 0, 300)
    for wrong in ("2", "0", "many"):
        chassis.agent.process.send_signal(signal.SIGSTOP)
        chassis.switch.vsctl("set", "Open_vSwitch", ".", f"other_config:vlan-limit={wrong}")
        assert NIC1 in chassis.receive_once("f", one), "the switch caches it while it parses two tags"
        chassis.agent.process.send_signal(signal.SIGCONT)
        until(lambda: limit() == "1", "vlan-limit 1")
        chassis.agent.await_settled()
        assert f"set vlan-limit to 1, from {wrong}" in chassis.agent.log
        assert "vlan-limit" not in chassis.faults
        assert chassis.receive_once("f", two) == {}, "what was cached before does not carry it"
        assert chassis.receive("f", two, after=[one]) == {}
    chassis.switch.vsctl("remove", "Open_vSwitch", ".", "other_config", "vlan-limit")
    chassis.agent.await_settled()
    assert limit() == ""
    assert chassis.receive("f", two, after=[one]) == {}


def test_no_flow_is_sent_before_vlan_limit_is_1_and_it_is_a_fault_until_then(site: Site) -> None:
    chassis = site.chassis(is_running=False)
    chassis.switch.vsctl("set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
    with closing(SwitchReplica(chassis.switch.remote)) as switch:
        plumbing = Plumbing(switch)
        until(lambda: (switch.changes(switch.run()), switch.is_synced)[1], "synced")
        read = settings(switch.external_ids, None)
        switch.watch(read.wiring.bridge)
        plumbing.is_due = True
        plumbing.refusals.note("read only")
        plumbing.read(read)
        plumbing.write(read, are_flows_applied=False)
        assert "vlan-limit is 2" in plumbing.faults["vlan-limit"]
        assert plumbing.is_ready(read), "what the database refuses stops no flows"
        plumbing.refusals.over()

        def is_after_a_turn(is_so: Callable[[], bool]) -> bool:
            switch.changes(switch.run())
            plumbing.read(read)
            plumbing.write(read, are_flows_applied=False)
            return is_so()

        with chassis.switch.stopped():
            until(lambda: is_after_a_turn(lambda: "vlan-limit" not in plumbing.faults), "no fault")
            assert not plumbing.is_ready(read), "ovs-vswitchd does not do yet what its database says"
        until(lambda: is_after_a_turn(lambda: plumbing.is_ready(read)), "ready")
    assert chassis.get("Open_vSwitch", ".", "other_config:vlan-limit").strip('"') == "1"


def test_rule_12_a_trunk_sorts_frames_to_its_sub_ports_by_their_tags(chassis: DummyChassis) -> None:
    assert chassis.receive("p", ethernet(A, P)) == {"a": [ethernet(A, P)]}
    assert chassis.receive("p", ethernet(Q, S1, 7)) == {"q": [ethernet(Q, S1)]}
    assert chassis.receive("p", ethernet(REMOTE_SUB, S1, PCP | 7)) == {NIC1: [ethernet(REMOTE_SUB, S1, 102)]}
    assert chassis.receive("p", ethernet(OUTSIDE, S2, 8)) == {NIC1: [ethernet(OUTSIDE, S2, 103)]}
    assert chassis.receive("q", ethernet(S1, Q)) == {"p": [ethernet(S1, Q, 7)]}
    assert chassis.receive("a", ethernet(P, A)) == {"p": [ethernet(P, A)]}
    assert chassis.receive(NIC1, ethernet(S1, OUTSIDE, 102)) == {"p": [ethernet(S1, OUTSIDE, 7)]}
    assert chassis.receive(NIC1, ethernet(S2, OUTSIDE, 103)) == {"p": [ethernet(S2, OUTSIDE, 8)]}


def test_rule_12_broadcasts_reach_sub_ports_tagged_and_their_parent_untagged(chassis: DummyChassis) -> None:
    copy = ethernet(BROADCAST, OUTSIDE)
    assert chassis.receive(NIC1, ethernet(BROADCAST, OUTSIDE, 101)) == {name: [copy] for name in "abp"}
    assert chassis.receive(NIC1, ethernet(BROADCAST, OUTSIDE, 102)) == {
        "q": [copy],
        "p": [ethernet(BROADCAST, OUTSIDE, 7)],
    }
    assert chassis.receive("p", ethernet(BROADCAST, S1, 7)) == {
        "q": [ethernet(BROADCAST, S1)],
        NIC1: [ethernet(BROADCAST, S1, 102)],
    }
    assert chassis.receive("p", ethernet(BROADCAST, P)) == {
        "a": [ethernet(BROADCAST, P)],
        "b": [ethernet(BROADCAST, P)],
        NIC1: [ethernet(BROADCAST, P, 101)],
    }


@pytest.mark.parametrize("tags", [(6,), (101,), (102,), (4095,), (7, 8), (6, 7), (0, 7), (0, 6), (7, 4095)])
def test_rule_12_a_trunk_drops_tags_that_are_not_listed_both_ways(
    chassis: DummyChassis, tags: tuple[int, ...]
) -> None:
    for dst in (A, Q, OUTSIDE, BROADCAST):
        for src in (P, S1):
            assert chassis.receive("p", ethernet(dst, src, *tags)) == {}
    if tags[0] not in (0, 101, 102):
        assert chassis.receive(NIC1, ethernet(P, OUTSIDE, *tags), ethernet(S1, OUTSIDE, *tags)) == {}
    assert chassis.receive(NIC1, ethernet(P, OUTSIDE, 101, *tags)) == {}
    assert chassis.receive(NIC1, ethernet(S1, OUTSIDE, 102, *tags)) == {}


def test_rule_12_a_sub_port_is_up_when_its_parent_is(site: Site) -> None:
    chassis = site.chassis()
    site.network("vlan101", 101)
    site.network("vlan102", 102)
    site.port("p", "vlan101")
    site.port("s1", "vlan102", parent="p", parent_vlan=7)
    chassis.plug("p")
    site.await_up("p", "s1")
    assert site.bindings() == {"p": ("c1", True), "s1": ("c1", True)}
    site.nb.set_port("p", {"enabled": False})
    site.await_up("p", "s1", is_up=False)
    site.nb.set_port("p", {"enabled": True})
    site.await_up("p", "s1")
    chassis.unplug("p")
    site.await_up("p", "s1", is_up=False)
    site.sync()
    assert site.bindings() == {"p": (None, False), "s1": (None, False)}


def test_rule_12_a_network_that_turns_transparent_loses_its_trunks_sub_ports_and_says_so(site: Site) -> None:
    chassis = site.chassis()
    site.network("vlan101", 101)
    site.network("vlan102", 102)
    site.port("p", "vlan101")
    site.port("s1", "vlan102", parent="p", parent_vlan=7)
    chassis.plug("p")
    site.await_up("p", "s1")
    # The program refuses it; another client of the database writes it all the same.
    name = [["name", "==", "vlan101"]]
    site.transact({"op": "update", "table": "Network", "where": name, "row": {"vlan_transparent": True}})
    site.sync()
    assert "carries its VMs' tags" in chassis.faults["port s1"]
    assert chassis.receive(NIC1, ethernet(S1, OUTSIDE, 102)) == {}
    assert chassis.receive(NIC1, ethernet(P, OUTSIDE, 101, 7)) == {"p": [ethernet(P, OUTSIDE, 7)]}
    site.nb.set_network("vlan101", {"vlan_transparent": False})
    site.sync()
    assert "port s1" not in chassis.faults
    assert chassis.receive(NIC1, ethernet(S1, OUTSIDE, 102)) == {"p": [ethernet(S1, OUTSIDE, 7)]}


def test_a_wrong_sub_port_is_a_fault_and_the_others_go_on(site: Site) -> None:
    """Rows that the program refuses and that another client of the database writes all the same."""
    chassis = site.chassis()
    for vlan_id in (101, 102, 103, 104):
        site.network(f"vlan{vlan_id}", vlan_id)
    site.port("p", "vlan101")
    site.port("s1", "vlan102", parent="p", parent_vlan=7)
    site.port("s2", "vlan103")
    site.port("s3", "vlan104")
    site.port("x", "vlan104")
    site.port("o", "vlan104")
    spoil = {
        "o": {"parent": "o", "parent_vlan": 10},
        "s2": {"parent": "p", "parent_vlan": 7},
        "s3": {"parent": "s1", "parent_vlan": 9},
    }
    for name, row in spoil.items():
        site.transact({"op": "update", "table": "Port", "where": [["name", "==", name]], "row": row})
    for name in ("p", "x", "s1", "o"):
        chassis.plug(name)
    site.await_up("p", "s1", "x")
    site.sync()
    assert "it is its own parent" in chassis.faults["port o"]
    assert "s1 is a sub-port of p" in chassis.faults["vif s1"]
    assert (
        chassis.receive("s1", ethernet(BROADCAST, S1))
        == chassis.receive("o", ethernet(BROADCAST, mac_of("o")))
        == {}
    )
    assert "tag 7 of p belongs to port s1" in chassis.faults["port s2"]
    assert chassis.receive(NIC1, ethernet(S1, OUTSIDE, 102)) == {"p": [ethernet(S1, OUTSIDE, 7)]}
    assert chassis.receive(NIC1, ethernet(S2, OUTSIDE, 103)) == {}
    assert chassis.receive(NIC1, ethernet(mac_of("s3"), OUTSIDE, 104)) == {}
    assert site.bindings()["s3"] == (None, False)
