"""DESIGN.md section 3: the tables and columns of the northbound."""

from __future__ import annotations

import json

from trunkline.northbound.operation import Uuid, decoded_row, encoded_row
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH, Column, Shape, columns, version

SCHEMA = json.loads(SCHEMA_PATH.read_text())


def test_the_schema_file_names_the_database_and_its_version() -> None:
    assert (SCHEMA["name"], SCHEMA["version"]) == (DATABASE, version())


def test_the_schema_has_the_tables_of_design_section_3() -> None:
    standard = {"Connection", "SSL", "RBAC_Role", "RBAC_Permission"}
    assert (
        set(SCHEMA["tables"])
        == {"NB_Global", "Network", "Port", "Chassis", "Request", "Answer", "Probe"} | standard
    )


def test_names_and_unique_keys_are_indexes() -> None:
    assert SCHEMA["tables"]["Network"]["indexes"] == [
        ["name"],
        ["unique_key"],
        ["physical_network", "segmentation_id"],
    ]
    assert SCHEMA["tables"]["Port"]["indexes"] == [["name"], ["unique_key"], ["network", "mac"]]
    assert SCHEMA["tables"]["Chassis"]["indexes"] == [["name"]]


def test_a_port_holds_its_network_by_a_strong_reference() -> None:
    key = SCHEMA["tables"]["Port"]["columns"]["network"]["type"]["key"]
    assert key == {"type": "uuid", "refTable": "Network", "refType": "strong"}


def test_columns_know_their_shapes() -> None:
    port = columns("Port")
    assert port["mac"] == Column(Shape.ONE, None)
    assert port["up"] == Column(Shape.OPTIONAL, None)
    assert port["addresses"] == Column(Shape.SET, None)
    assert port["options"] == Column(Shape.MAP, None)
    assert port["network"] == Column(Shape.ONE, "Network")


def test_a_row_survives_its_way_to_json_and_back() -> None:
    row = {
        "name": "web1",
        "network": Uuid("00000000-0000-0000-0000-000000000001"),
        "addresses": ["192.0.2.1", "2001:db8::1"],
        "enabled": None,
        "up": True,
        "parent_vlan": 5,
        "options": {"b": "2", "a": "1"},
    }
    assert decoded_row("Port", encoded_row(row)) == row


def test_a_set_of_one_may_come_bare_and_is_a_list_all_the_same() -> None:
    assert decoded_row("Port", {"addresses": "192.0.2.1", "up": True}) == {
        "addresses": ["192.0.2.1"],
        "up": True,
    }
