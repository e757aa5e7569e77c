"""What a topology file may say, and the error for each mistake in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.lab import LabError, TopologyError, datapath, topology

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
GOOD = """
name: tiny
physnets: [p1]
networks:
  - {name: red, type: vlan, physical_network: p1, segment: 7}
  - {name: bare, type: flat, physical_network: p1}
chassis:
  - {name: c1, mappings: {p1: br-p1}}
vms:
  - {name: a, chassis: c1, network: red, ip: 10.0.0.1/24}
hosts:
  - {name: h, physnet: p1, vlan: 7, ip: 10.0.0.2/24}
"""


def test_a_topology_reads_as_written() -> None:
    found = topology.parse(GOOD, "tiny.yaml")
    assert found.name == "tiny"
    assert [network.wire for network in found.networks] == [("p1", 7), ("p1", None)]
    assert found.chassis[0].mappings == (("p1", "br-p1"),)
    assert str(found.vms[0].ip) == "10.0.0.1/24"
    assert found.wire_by_machine() == {"a": ("p1", 7), "h": ("p1", 7)}


def test_the_topology_that_the_page_shows_is_one() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = topology.parse(shown, "tiny.yaml")
    assert found.name == "tiny"
    assert len(found.chassis) == 2


def test_a_machine_without_a_mac_gets_the_same_unicast_one_each_time() -> None:
    first, second = (topology.parse(GOOD, "tiny.yaml") for _ in range(2))
    assert first == second
    assert first.vms[0].mac == "02:01:0a:00:00:01"
    assert first.hosts[0].mac == "02:f0:0a:00:00:02"


def test_a_mac_that_is_given_is_kept() -> None:
    text = GOOD.replace("network: red, ip", "network: red, mac: '02:00:00:00:00:aa', ip")
    assert topology.parse(text, "tiny.yaml").vms[0].mac == "02:00:00:00:00:aa"


def test_the_topology_that_ships_has_what_the_demo_promises() -> None:
    found = topology.default()
    assert len(found.chassis) == 3
    assert [network.network_type for network in found.networks] == ["vlan", "vlan", "flat"]
    assert len(found.vms) >= 6
    assert len(found.hosts) == 2
    macs = [*(vm.mac for vm in found.vms), *(host.mac for host in found.hosts)]
    assert len(set(macs)) == len(macs)
    assert len({vm.ip.network for vm in found.vms} | {host.ip.network for host in found.hosts}) == 1


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (
            "name: tiny",
            "name: Tiny!",
            "x.yaml: name: give 1 to 10 of a-z, 0-9 and inner '-'; 'Tiny!' is not that",
        ),
        ("name: tiny", "nome: tiny", "x.yaml: there is no key 'nome' here"),
        ("name: tiny", "", "x.yaml: name: give .*; it is missing"),
        (
            "segment: 7",
            "segment: 4095",
            r"x.yaml: networks\[0\].segment: give a VLAN id of 1 to 4094; '4095'",
        ),
        ("segment: 7", "segment: 0", r"x.yaml: networks\[0\].segment: give a VLAN id"),
        ("segment: 7", "segment: true", r"x.yaml: networks\[0\].segment: give a VLAN id"),
        (", segment: 7", "", r"x.yaml: networks\[0\].segment: a vlan network has one"),
        ("type: flat", "type: flat, segment: 9", r"x.yaml: networks\[1\].segment: a flat network has none"),
        ("type: flat", "type: vxlan", r"x.yaml: networks\[1\].type: no type 'vxlan' in types \(vlan, flat\)"),
        ("type: flat", "type: vlan, segment: 7", "x.yaml: networks: VLAN 7 of p1 belongs to two networks"),
        ("chassis: c1, n", "chassis: c9, n", r"x.yaml: vms\[0\].chassis: no chassis 'c9' in chassis \(c1\)"),
        (
            "network: red",
            "network: blue",
            r"x.yaml: vms\[0\].network: no network 'blue' in networks \(red, bare\)",
        ),
        (
            "10.0.0.1/24",
            "10.0.0.1",
            r"x.yaml: vms\[0\].ip: give an IPv4 address .* the prefix length is missing",
        ),
        ("10.0.0.1/24", "10.0.0.300/24", r"x.yaml: vms\[0\].ip: give an IPv4 address"),
        (
            "name: a,",
            "name: a, mac: '03:00:00:00:00:01',",
            r"x.yaml: vms\[0\].mac: .* is a multicast address",
        ),
        ("name: a,", "name: a, mac: nonsense,", r"x.yaml: vms\[0\].mac: give a MAC"),
        ("name: a,", "name: c1,", "x.yaml: the name 'c1' is used twice in chassis, vms and hosts"),
        (
            "br-p1}",
            "br-int}",
            r"x.yaml: chassis\[0\].mappings.p1: br-int is the bridge that the agent creates",
        ),
        ("name: a,", "name: switch,", "x.yaml: the name 'switch' is reserved for the physical switch"),
        ("{p1: br-p1}", "{p2: br-p1}", r"x.yaml: chassis\[0\].mappings: no physnet 'p2'"),
        ("{p1: br-p1}", "{p1: br/p1}", r"x.yaml: chassis\[0\].mappings.p1: give a bridge name"),
        ("{p1: br-p1}", "none", r"x.yaml: chassis\[0\].mappings: give a mapping of physnet to bridge"),
        ("physnet: p1", "physnet: p3", r"x.yaml: hosts\[0\].physnet: no physnet 'p3'"),
        ("vlan: 7, ip", "tagged: true, ip", r"x.yaml: hosts\[0\].tagged: a host that tags needs a vlan"),
        ("[p1]", "p1", "x.yaml: physnets: give a list"),
        ("[p1]", "[p1", "x.yaml: not YAML: "),
    ],
)
def test_a_mistake_is_one_line_with_the_file_and_the_key(before: str, after: str, complaint: str) -> None:
    assert before in GOOD
    with pytest.raises(TopologyError, match=complaint) as caught:
        topology.parse(GOOD.replace(before, after), "x.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "vms: 3", "vms: [3]", "{name: x, vms: [{}]}"])
def test_a_file_of_another_shape_is_refused_without_a_traceback(text: str) -> None:
    with pytest.raises(TopologyError, match=r"x\.yaml: "):
        topology.parse(text, "x.yaml")


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"absent\.yaml: cannot be read"):
        topology.read(tmp_path / "absent.yaml")


@pytest.mark.parametrize("text", ["name: x", "{name: x, physnets: [p1], chassis: []}"])
def test_a_lab_without_a_chassis_is_refused(text: str) -> None:
    with pytest.raises(TopologyError, match="chassis: give one or more"):
        topology.parse(text, "x.yaml")


def test_one_bridge_for_two_physnets_is_refused() -> None:
    text = "{name: x, physnets: [p1, p2], chassis: [{name: c1, mappings: {p1: br-p, p2: br-p}}]}"
    with pytest.raises(TopologyError, match="br-p has two physnets"):
        topology.parse(text, "x.yaml")


TWO_SIDES = """
name: sides
physnets: [p1]
networks: [{name: red, type: vlan, physical_network: p1, segment: 7}]
chassis:
  - {name: c1, mappings: {p1: br-p1}}
  - {name: c2, mappings: {p1: br-p1}, vlans: {p1: [8, 0]}}
vms:
  - {name: a, chassis: c1, network: red, ip: 10.0.0.1/24}
  - {name: b, chassis: c2, network: red, ip: 10.0.0.2/24}
  - {name: c, chassis: c2, network: red, ip: 10.0.0.3/24}
hosts: [{name: h, physnet: p1, vlan: 7, ip: 10.0.0.4/24}]
"""


def test_a_vlan_that_the_physical_switch_does_not_carry_parts_a_network() -> None:
    found = topology.parse(TWO_SIDES, "sides.yaml")
    reached = {frozenset(pair) for pair, does_reach in found.reach().items() if does_reach}
    assert reached == {frozenset(pair) for pair in ("ah", "bc")}
    whole = topology.parse(TWO_SIDES.replace("[8, 0]", "[8, 7]"), "sides.yaml")
    assert all(whole.reach().values())
    flat = topology.parse(TWO_SIDES.replace("type: vlan", "type: flat").replace(", segment: 7", ""), "s")
    assert flat.reach()["a", "b"]


@pytest.mark.parametrize(
    ("vlans", "complaint"),
    [
        ("{p2: [7]}", "sides.yaml: chassis[1].vlans: no mapping 'p2' in mappings (p1)"),
        ("[7]", "sides.yaml: chassis[1].vlans: give a mapping of physnet to a list of VLAN ids"),
        ("{p1: 7}", "sides.yaml: chassis[1].vlans.p1: give a list"),
        ("{p1: [4095]}", "sides.yaml: chassis[1].vlans.p1[0]: give a VLAN id of 1 to 4094"),
        (
            "{p1: [null]}",
            "sides.yaml: chassis[1].vlans.p1[0]: give a VLAN id of 1 to 4094, or 0 for untagged",
        ),
        ("{p1: [false]}", "sides.yaml: chassis[1].vlans.p1[0]: give a VLAN id of 1 to 4094"),
    ],
)
def test_what_no_port_can_carry_is_refused(vlans: str, complaint: str) -> None:
    with pytest.raises(TopologyError, match=re.escape(complaint)):
        topology.parse(TWO_SIDES.replace("{p1: [8, 0]}", vlans), "sides.yaml")


def test_a_lab_has_the_datapath_that_the_environment_names_else_that_of_userspace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(datapath.VARIABLE, raising=False)
    assert topology.parse(GOOD, "tiny.yaml").datapath == "netdev"
    monkeypatch.setenv(datapath.VARIABLE, "system")
    assert topology.parse(GOOD, "tiny.yaml").datapath == "system"


def test_a_datapath_that_there_is_not_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(datapath.VARIABLE, "kernel")
    with pytest.raises(LabError, match="no datapath 'kernel'; set it to netdev or system"):
        topology.parse(GOOD, "tiny.yaml")
