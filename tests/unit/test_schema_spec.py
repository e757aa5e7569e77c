"""What is wrong with a network or a port by itself is said before any database is asked."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.core.address import AddressError
from trunkline.core.error import InvalidValueError, Place
from trunkline.northbound.spec import NetworkSpec, PortSpec, refuse_duplicates


def a_network(**changes: Any) -> NetworkSpec:
    named: dict[str, Any] = {"name": "web", "network_type": "vlan", "physical_network": "physnet1"}
    return NetworkSpec(**(named | {"segmentation_id": 101} | changes))


def a_port(**changes: Any) -> PortSpec:
    return PortSpec(**({"name": "web1", "network": "web", "mac": "02:00:00:00:00:01"} | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"segmentation_id": None}, "a vlan network needs a VLAN id; give `segmentation_id` 1–4094"),
        ({"segmentation_id": 0}, "0 is not a VLAN id; use 1–4094"),
        ({"segmentation_id": 4095}, "4095 is not a VLAN id; use 1–4094"),
        (
            {"network_type": "flat"},
            "a flat network has no VLAN id; leave out `segmentation_id`, or use `network_type=vlan`",
        ),
        ({"network_type": "gre"}, "'gre' is not a network type; use vlan or flat"),
        ({"physical_network": ""}, "a network needs a physical network; give `physical_network`"),
        ({"name": ""}, "a network needs a name that is not empty"),
        ({"mtu": 67}, "67 is not an MTU; use 68–65535"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_itself(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        a_network(**changes)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unknown_macs": True}, "`unknown_macs` needs port security off; add `port_security=false`"),
        (
            {"options": {"control-frames": "true"}},
            "`options:control-frames=true` needs port security off; add `port_security=false`",
        ),
        ({"options": {"anounce": "false"}}, "there is no option 'anounce'; did you mean announce?"),
        ({"options": {"announce": "no"}}, "option announce is 'no'; use true or false"),
        (
            {"parent": "trunk"},
            "a sub-port has both a parent and a tag; give `parent` and `parent_vlan` together",
        ),
        (
            {"parent_vlan": 5},
            "a sub-port has both a parent and a tag; give `parent` and `parent_vlan` together",
        ),
        (
            {"parent": "web1", "parent_vlan": 5},
            "a port cannot be its own parent; give the trunk's port as `parent`",
        ),
        (
            {"parent": "vm", "parent_vlan": 5, "iface_id": "09b1"},
            "a sub-port uses the VIF of its parent; leave out `iface_id`, or clear `parent`",
        ),
        ({"iface_id": "a,b"}, "'a,b' cannot name a VIF; leave out the comma, which separates names"),
        ({"name": "a\nb"}, "'a\\nb' cannot name a port; use printable characters only"),
        ({"network": ""}, "a port is in a network; give `network`"),
        (
            {"requested_chassis": "c1, c1"},
            "`requested_chassis` has a chassis twice, or an empty name between commas",
        ),
        (
            {"requested_chassis": "c1,"},
            "`requested_chassis` has a chassis twice, or an empty name between commas",
        ),
    ],
)
def test_a_port_that_cannot_be_is_refused_by_itself(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        a_port(**changes)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"name": "a\nb"}, "name"),
        ({"mac": "zz"}, "mac"),
        ({"addresses": ("192.0.2.1", "x")}, "addresses"),
        ({"allowed_address_pairs": ("x",)}, "allowed_address_pairs"),
        ({"unknown_macs": True}, "port_security"),
        ({"options": {"anounce": "false"}}, "options"),
        ({"parent": "trunk"}, "parent"),
        ({"parent": "trunk", "parent_vlan": 4095}, "parent_vlan"),
        ({"requested_chassis": ",".join(map(str, range(1000)))}, "requested_chassis"),
    ],
)
def test_what_is_wrong_of_a_port_is_said_by_its_place_too(changes: dict[str, Any], column: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        a_port(**changes)
    assert caught.value.place == Place("Port", changes.get("name", "web1"), column)


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"name": " "}, "name"),
        ({"segmentation_id": None}, "segmentation_id"),
        ({"segmentation_id": 4095}, "segmentation_id"),
        ({"network_type": "gre"}, "network_type"),
        ({"physical_network": ""}, "physical_network"),
        ({"physical_network": "a:b"}, "physical_network"),
        ({"mtu": 67}, "mtu"),
        ({"remote_ports": "learned", "unknown_unicast": "drop"}, "unknown_unicast"),
    ],
)
def test_what_is_wrong_of_a_network_is_said_by_its_place_too(changes: dict[str, Any], column: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        a_network(**changes)
    assert caught.value.place == Place("Network", changes.get("name", "web"), column)


def test_addresses_are_written_in_one_way_so_that_the_database_finds_duplicates() -> None:
    row = a_port(
        mac="02-00-00-00-00-0A",
        addresses=("2001:DB8:0::1", "192.0.2.1", "192.0.2.1"),
        allowed_address_pairs=("02-00-00-00-00-0B,192.0.2.7/32", "02:00:00:00:00:0C"),
    ).row()
    assert row["mac"] == "02:00:00:00:00:0a"
    assert row["addresses"] == ["192.0.2.1", "2001:db8::1"]
    assert row["allowed_address_pairs"] == ["02:00:00:00:00:0b,192.0.2.7", "02:00:00:00:00:0c"]


def test_a_port_of_a_bad_address_is_refused() -> None:
    with pytest.raises(AddressError, match=r"'192.0.2.300' is not an IP address"):
        a_port(addresses=("192.0.2.300",))


def test_two_rows_of_one_request_are_refused_before_the_database_is_asked() -> None:
    with pytest.raises(
        InvalidValueError, match="two of the networks asked for are with VLAN 101 on physnet1"
    ):
        refuse_duplicates([a_network().row(), a_network(name="db").row()], [])
    with pytest.raises(InvalidValueError, match="two of the ports asked for have MAC 02:00:00:00:00:01"):
        refuse_duplicates([], [a_port().row(), a_port(name="web2").row()])
    refuse_duplicates([a_network().row()], [a_port().row(), a_port(name="web2", network="db").row()])
