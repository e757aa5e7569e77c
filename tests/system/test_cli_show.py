"""Networks, ports and chassis as `show` and `list` print them, with several names and with defaults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from program import refusal, trunkline, typed

from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import insert

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

PORT = "port create {} --network blue --mac 02:00:00:00:00:{}"


@pytest.fixture
def remote(nb: Served) -> str:
    """A northbound with the networks blue, red and green, the trunk vm1 with two sub-ports, and vm2."""
    for command in (
        "network create blue --type vlan --physical-network physnet1 --segment 101",
        "network create red --type vlan --physical-network physnet1 --segment 102 --unknown-unicast drop",
        PORT.format("vm1", "01"),
        PORT.format("vm2", "02") + " --disable",
        "network create green --type vlan --physical-network physnet1 --segment 103",
        "port create inner9 --network red --mac 02:00:00:00:00:09 --parent vm1 --parent-vlan 9",
        "port create inner10 --network green --mac 02:00:00:00:00:10 --parent vm1 --parent-vlan 10",
    ):
        assert typed(command, nb.remote) == (0, "", "")
    return nb.remote


def shown(command: str, remote: str) -> Any:
    done = typed(f"{command} -o json", remote)
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)


def test_one_name_is_an_object_and_several_are_an_array_in_their_order(remote: str) -> None:
    one, several = shown("port show vm1", remote), shown("port show vm2 vm1 vm2", remote)
    assert [row["name"] for row in several] == ["vm2", "vm1"]
    assert several[1] == one
    networks = shown("network show red blue", remote)
    assert [row["segmentation_id"] for row in networks] == [102, 101]
    assert yaml.safe_load(typed("network show red blue -o yaml", remote).out) == networks


def test_several_are_shown_to_a_person_one_after_the_other(remote: str) -> None:
    first, second = typed("port show vm2 vm1", remote).out.split("\n\n")
    assert first.splitlines()[0].split() == ["name", "vm2"]
    assert second.splitlines()[0].split() == ["name", "vm1"]


def test_chassis_are_shown_together(nb: Served) -> None:
    with Northbound.connect(nb.remote) as northbound:
        northbound.transact([insert("Chassis", {"name": name}) for name in ("c1", "c2", "c10")])
    rows = shown("chassis show c10 c2 --no-ask", nb.remote)
    assert [row["name"] for row in rows] == ["c10", "c2"]
    assert shown("chassis show c1 --no-ask", nb.remote)["name"] == "c1"
    assert "'c3'" in refusal(typed("chassis show c1 c3", nb.remote), 1)


@pytest.mark.parametrize("noun", ["port", "network"])
def test_a_name_that_is_not_there_is_said_and_nothing_else_is_shown(noun: str, remote: str) -> None:
    names = ("vm1", "vm7") if noun == "port" else ("blue", "vm7")
    line = refusal(trunkline(noun, "show", *names, nb=remote), 1)
    assert f"no {noun} is called 'vm7'; see `trunkline {noun} list`" in line
    assert "it is empty; give a value" in refusal(trunkline(noun, "show", "", nb=remote), 2)


def test_several_are_set_in_one_transaction_or_none_is(remote: str) -> None:
    assert typed("port set vm1 vm2 --no-port-security", remote) == (0, "", "")
    assert [row["port_security"] for row in shown("port show vm1 vm2", remote)] == [False, False]
    refusal(typed("port set vm1 vm7 --port-security", remote), 1)
    assert shown("port show vm1", remote)["port_security"] is False
    assert typed("network set blue red --mtu 1400", remote) == (0, "", "")
    assert [row["mtu"] for row in shown("network show blue red", remote)] == [1400, 1400]
    refusal(typed("network set blue red --segment 7", remote), 1)
    assert [row["segmentation_id"] for row in shown("network show blue red", remote)] == [101, 102]


def test_several_are_deleted_in_one_transaction_or_none_is(remote: str) -> None:
    refusal(typed("port delete vm2 vm7", remote), 1)
    assert shown("port show vm2", remote)["name"] == "vm2"
    assert typed("port delete vm1 vm2 inner9 inner10", remote) == (0, "", "")
    assert shown("port list", remote) == []
    refusal(typed("network delete blue red green violet", remote), 1)
    assert typed("network delete blue red green", remote) == (0, "", "")


def test_defaults_are_values_and_raw_rows_are_as_they_are(remote: str) -> None:
    port, raw = shown("port show vm1", remote), shown("port show vm1 --raw", remote)
    columns = ("enabled", "port_security", "up", "requested_chassis")
    assert [port[column] for column in columns] == [True, True, False, None]
    assert [raw[column] for column in columns] == [None, None, None, None]
    assert shown("port show vm2", remote)["enabled"] is False
    assert port == {
        **raw,
        "enabled": True,
        "port_security": True,
        "up": False,
        "sub_ports": port["sub_ports"],
    }
    red, blue = shown("network show red blue", remote)
    assert (red["unknown_unicast"], blue["unknown_unicast"], blue["mtu"]) == ("drop", "forward", None)
    assert shown("network show blue --raw", remote) == {**blue, "unknown_unicast": None, "remote_ports": None}


def test_lists_have_the_same_values_as_show(remote: str) -> None:
    listed = {row["name"]: row for row in shown("port list", remote)}
    for name in ("vm1", "vm2"):
        port = shown(f"port show {name}", remote)
        del port["sub_ports"]
        assert listed[name] == port
    assert shown("network list", remote)[0] == shown("network show blue", remote)
    assert {row["name"]: row["enabled"] for row in shown("port list --raw", remote)} == {
        "vm1": None,
        "vm2": False,
        "inner9": None,
        "inner10": None,
    }


def test_defaults_do_not_get_into_what_export_writes(remote: str) -> None:
    documents = list(yaml.safe_load_all(typed("export", remote).out))
    assert {"enabled", "port_security", "up", "unknown_unicast"}.isdisjoint(documents[0])
    vm1 = next(each for each in documents if each["name"] == "vm1")
    assert vm1 == {"kind": "Port", "name": "vm1", "network": "blue", "mac": "02:00:00:00:00:01"}


def test_a_trunk_shows_its_sub_ports_with_their_vlans(remote: str) -> None:
    trunk, plain = shown("port show vm1 vm2", remote)
    assert trunk["sub_ports"] == [
        {"name": "inner9", "network": "red", "parent_vlan": 9},
        {"name": "inner10", "network": "green", "parent_vlan": 10},
    ]
    assert plain["sub_ports"] == []
    lines = typed("port show vm1", remote).out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("sub_ports"))
    assert [" ".join(line.split()) for line in lines[at:]] == [
        "sub_ports inner9: VLAN 9, network red",
        "inner10: VLAN 10, network green",
    ]
