"""What the northbound should hold by what Neutron's database says: a pure function."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.core.model import MAX_PAIRS
from trunkline.neutron.desired import Row, desired
from trunkline.neutron.host import Hosts
from trunkline.neutron.resource import UNBOUND, Binding, Port, Resources, Segment


def hosts(*rows: tuple[str, str], ready: tuple[str, ...] = ()) -> Hosts:
    return Hosts([{"name": name, "hostname": hostname, "ready_ports": ready} for name, hostname in rows])


HOSTS = hosts(("c1", "compute-1.example"), ("c2", "compute-2"))
BLUE = Segment("s1", "n1", "blue", "vlan", "physnet1", 101, 1500)
MAC = "fa:16:3e:00:00:01"


def bound(host: str = "compute-1.example", segment: str | None = "s1", **changes: Any) -> Binding:
    return Binding(host, is_active=True, vif_type="ovs", segment_id=segment)._replace(**changes)


def port(*bindings: Binding, **changes: Any) -> Port:
    return Port("p1", MAC, "DOWN", bindings=bindings)._replace(**changes)


def rows(*ports: Port, segments: tuple[Segment, ...] = (BLUE,)) -> dict[Row, dict[str, Any]]:
    found = desired(Resources(list(segments), list(ports)), HOSTS)
    assert not found.faults
    assert not found.omissions
    return {row: spec.row() for row, spec in found.specs.items()}


def test_a_segment_is_a_network_that_says_whose_it_is() -> None:
    row = rows()[Row("Network", "s1")]
    assert (row["network_type"], row["physical_network"], row["segmentation_id"], row["mtu"]) == (
        "vlan",
        "physnet1",
        101,
        1500,
    )
    assert row["external_ids"] == {
        "trunkline-set": "neutron",
        "neutron:network": "n1",
        "neutron:name": "blue",
    }


@pytest.mark.parametrize("changes", [{"network_type": "vxlan"}, {"physical_network": None}])
def test_a_segment_that_no_chassis_carries_has_no_row(changes: dict[str, Any]) -> None:
    assert rows(segments=(BLUE._replace(**changes),)) == {}


@pytest.mark.parametrize(("mtu", "managed"), [(67, None), (68, 68), (65535, 65535), (65536, None)])
def test_an_mtu_that_no_frame_can_have_is_not_managed(mtu: int, managed: int | None) -> None:
    assert rows(segments=(BLUE._replace(mtu=mtu),))[Row("Network", "s1")]["mtu"] == managed


def test_a_bound_port_is_requested_on_the_chassis_of_its_host() -> None:
    row = rows(port(bound(), addresses=("192.0.2.7",), pairs=("FA:16:3E:00:00:02,192.0.2.0/25",)))[
        Row("Port", "p1")
    ]
    assert (row["network"], row["requested_chassis"], row["addresses"]) == ("s1", "c1", ["192.0.2.7"])
    assert row["allowed_address_pairs"] == ["fa:16:3e:00:00:02,192.0.2.0/25"]
    assert (row["enabled"], row["port_security"]) == (True, True)


@pytest.mark.parametrize(
    "wrong",
    ["127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::ffff:192.0.2.1", "224.0.0.1", "fe80::1%eth0", "x"],
)
def test_a_pair_that_no_chassis_can_allow_is_left_out_and_its_port_is_as_it_should_be(wrong: str) -> None:
    pairs = (f"{MAC},{wrong}", f"{MAC},198.51.100.7")
    found = desired(Resources([BLUE], [port(bound(), pairs=pairs, is_enabled=False)]), HOSTS)
    row = found.specs[Row("Port", "p1")].row()
    assert (row["enabled"], row["allowed_address_pairs"]) == (False, [f"{MAC},198.51.100.7"])
    assert not found.faults
    assert found.omissions[Row("Port", "p1")].startswith("1 of its allowed address pairs left out: ")


def test_a_pair_with_bits_beyond_its_length_is_the_prefix() -> None:
    row = rows(port(bound(), pairs=(f"{MAC},198.51.100.7/24", f"{MAC},0.0.0.0/0")))[Row("Port", "p1")]
    assert row["allowed_address_pairs"] == [f"{MAC},0.0.0.0/0", f"{MAC},198.51.100.0/24"]


def test_more_pairs_than_a_port_may_have_are_cut() -> None:
    pairs = tuple(f"{MAC},198.51.{number >> 8}.{number & 255}" for number in range(MAX_PAIRS + 3))
    found = desired(Resources([BLUE], [port(bound(), pairs=pairs)]), HOSTS)
    assert len(found.specs[Row("Port", "p1")].row()["allowed_address_pairs"]) == MAX_PAIRS
    assert found.omissions[Row("Port", "p1")].startswith("3 of its allowed address pairs left out: ")


@pytest.mark.parametrize(
    "each",
    [
        port(),
        port(bound(segment=None)),
        port(bound(is_active=False)),
        port(bound(segment="s9")),
    ],
    ids=["no binding", "another driver's", "inactive", "a segment that no chassis carries"],
)
def test_a_port_that_is_not_the_drivers_has_no_row(each: Port) -> None:
    assert Row("Port", "p1") not in rows(each)


def test_a_port_between_two_bindings_stays_as_it_is() -> None:
    found = desired(Resources([BLUE], [port(bound(segment=None, vif_type=UNBOUND))]), HOSTS)
    assert found.held == {Row("Port", "p1")}
    assert Row("Port", "p1") not in found.specs
    # Without a host it is not bound anew.
    found = desired(Resources([BLUE], [port(bound(host="", segment=None, vif_type=UNBOUND))]), HOSTS)
    assert not found.held


def test_a_port_that_migrates_is_requested_on_both_chassis_once_the_other_is_bound() -> None:
    here = bound(migrating_to="compute-2")
    there = bound("compute-2", is_active=False)
    assert rows(port(here))[Row("Port", "p1")]["requested_chassis"] == "c1"
    row = rows(port(here, there))[Row("Port", "p1")]
    assert (row["requested_chassis"], row["options"]) == ("c1,c2", {"first-chassis": "c1"})
    # The binding of an earlier migration is not what Nova migrates to.
    assert rows(port(bound(), there))[Row("Port", "p1")]["requested_chassis"] == "c1"


def test_a_sub_port_has_its_parent_and_its_tag() -> None:
    row = rows(port(bound(), parent_id="p0", parent_vlan=7))[Row("Port", "p1")]
    assert (row["parent"], row["parent_vlan"]) == ("p0", 7)


def test_a_host_that_is_no_chassis_is_a_fault_of_its_port_alone() -> None:
    good = port(bound(), id="p2")
    found = desired(Resources([BLUE], [port(bound("compute-9")), good]), HOSTS)
    assert "compute-9" in found.faults[Row("Port", "p1")]
    assert (Row("Port", "p1") in found.held, Row("Port", "p2") in found.specs) == (True, True)


def test_a_segment_that_cannot_be_is_a_fault_and_its_rows_stay_as_they_are() -> None:
    found = desired(Resources([BLUE._replace(segmentation_id=4095)], [port(bound())]), HOSTS)
    assert found.faults.keys() == {Row("Network", "s1")}
    assert found.held == {Row("Network", "s1"), Row("Port", "p1")}


def test_a_host_is_found_by_its_hostname_its_chassis_name_or_its_short_name() -> None:
    for host in ("compute-1.example", "compute-1", "Compute-1.other", "c1"):
        assert HOSTS.chassis_of(host) == "c1", host
    assert HOSTS.chassis_of("compute-3") is None
    assert (HOSTS.host_of("c1"), HOSTS.host_of("c9")) == ("compute-1.example", None)


def test_hosts_that_share_a_name_are_told_apart_by_their_chassis_names() -> None:
    twins = hosts(("c1", "localhost"), ("c2", "localhost"))
    assert (twins.chassis_of("localhost"), twins.host_of("c1"), twins.chassis_of("c2")) == (None, "c1", "c2")
    alike = hosts(("c1", "node.c1"), ("c2", "node.c2"))
    assert (alike.chassis_of("node"), alike.chassis_of("node.c2")) == (None, "c2")


def test_a_chassis_without_a_hostname_is_known_by_its_name() -> None:
    nameless = hosts(("c1", ""), ("c2", ""))
    assert (nameless.host_of("c1"), nameless.chassis_of(""), nameless.chassis_of("c2")) == ("c1", None, "c2")
