"""The form of documents: a JSON Schema of the northbound's, and a sentence for each fault, all at once."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import fastjsonschema
import pytest
from fastjsonschema import JsonSchemaValueException

from trunkline.manifest.form import SPECS, Kind, columns, form, schema
from trunkline.manifest.wanted import Manifest, ManifestError, read
from trunkline.northbound import schema as northbound
from trunkline.northbound.port_option import VALUES, WRITTEN

PUBLISHED = Path(__file__).parents[2] / "docs" / "manifest.schema.json"
PORT = "kind: Port\nname: vm1\n"
NETWORK = "kind: Network\nname: blue\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manifest(folder: Path, text: str) -> Manifest:
    (folder / "a.yaml").write_text(text)
    return read(["a.yaml"])


def complaints(folder: Path, text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest(folder, text)
    return [str(each) for each in caught.value.complaints]


def test_the_published_schema_is_the_one_that_documents_are_held_to() -> None:
    published: dict[str, Any] = json.loads(PUBLISHED.read_text())

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(item) for key, item in value.items() if key not in ("description", "$comment")}
        return [bare(item) for item in value] if isinstance(value, list) else value

    assert bare(published) == json.loads(json.dumps(schema()))


def test_the_published_schema_tells_documents_from_others() -> None:
    validate = fastjsonschema.compile(json.loads(PUBLISHED.read_text()))
    for document in (
        {"kind": "Network", "name": "blue", "network_type": "vlan", "segmentation_id": 1},
        {"kind": "Port", "name": "vm1", "mac": "02:00:00:00:00:01", "addresses": None, "enabled": False},
    ):
        validate(document)
        for wrong in ({"kind": "Router"}, {"name": ""}, {"name": 5}, {"macs": 1}, {"mtu": 5, "mac": None}):
            with pytest.raises(JsonSchemaValueException):
                validate(document | wrong)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_document_has_the_columns_that_people_write_and_no_others(kind: Kind) -> None:
    written = {field.name for field in fields(SPECS[kind])} - {"_row"}
    assert set(columns(kind)) == written <= northbound.columns(kind).keys()
    assert set(form(kind)["properties"]) == {"kind", *columns(kind)}
    assert SPECS.keys() == set(get_args(Kind))


def test_a_port_may_be_given_the_options_that_there_are() -> None:
    assert form("Port")["properties"]["options"]["properties"].keys() == VALUES.keys() - WRITTEN


FAULTS = [
    (PORT + "macc: x\n", '3:1: port vm1: "macc" is not a column; did you mean mac?'),
    (PORT + "<<: {mac: x}\n", '3:1: port vm1: "<<" is not a column; there are: addresses, '),
    (PORT + "up: true\n", '3:1: port vm1: "up" is written by Trunkline itself; leave it out'),
    (PORT + "network: 5\n", "3:10: port vm1: `network` is 5, which is not a text; put it in quotes"),
    (PORT + "network: ''\n", "3:10: port vm1: `network` is empty; give it a value"),
    (PORT + "mac: ~\n", "3:6: port vm1: `mac` is empty; give it a value"),
    (PORT + "mac: zz\n", "3:6: port vm1: 'zz' is not a MAC address; write it as 02:00:00:00:00:01"),
    (PORT + "mac: 33:33:00:00:00:01\n", "3:6: port vm1: 33:33:00:00:00:01 is a multicast MAC"),
    (PORT + "addresses: 192.0.2.1\n", "3:12: port vm1: `addresses` is a list; write [192.0.2.1]"),
    (PORT + "addresses: [1]\n", "3:13: port vm1: `addresses` has 1, which is not a text; put it in quotes"),
    (PORT + "addresses: [192.0.2.1, ~]\n", "3:24: port vm1: `addresses` has null, which is not a text"),
    (PORT + "addresses: [192.0.2.999]\n", "3:13: port vm1: '192.0.2.999' is not an IP address"),
    (PORT + "enabled: yes\n", '3:10: port vm1: `enabled` is "yes", which is not true or false'),
    (PORT + "parent_vlan: 4095\n", "3:14: port vm1: `parent_vlan` is 4095, which is not within 1–4094"),
    (PORT + "parent_vlan: 1.5\n", '3:14: port vm1: `parent_vlan` is "1.5", which is not a whole number'),
    (PORT + "parent_vlan: true\n", "3:14: port vm1: `parent_vlan` is true, which is not a whole number"),
    (PORT + "external_ids: []\n", "3:15: port vm1: `external_ids` has to be a map, such as {key: value}, an"),
    (PORT + "external_ids: {a: 1}\n", "3:16: port vm1: `external_ids:a` is 1, which is not a text"),
    (PORT + 'external_ids: {a: "\\0"}\n', '3:16: port vm1: `external_ids:a` is "\x00", which has a characte'),
    (PORT + "external_ids: {trunkline-set: x}\n", "3:15: port vm1: `external_ids:trunkline-set` is written "),
    (PORT + "options: {anounce: x}\n", '3:11: port vm1: there is no option "anounce"; did you mean announce'),
    (PORT + "options: {announce: no}\n", '3:11: port vm1: `options:announce` is "no", which is not true or '),
    (PORT + "options: {announce: true}\n", "3:11: port vm1: `options:announce` is true, which is not a text"),
    (PORT + f"network: {'x' * 300}\n", "which is longer than 255 characters"),
    (NETWORK + "segmentation_id: 5000\n", "3:18: network blue: `segmentation_id` is 5000, which is not with"),
    (NETWORK + f"mtu: {'9' * 5000}\n", "3:6: network blue: `mtu` is 99999999999999999999, which is not with"),
    (NETWORK + "mtu: 1500B\n", '3:6: network blue: `mtu` is "1500B", which is not a whole number'),
    (NETWORK + "mtu: [1500]\n", "3:6: network blue: `mtu` is a list, which is not a whole number"),
    (NETWORK + "network_type: gre\n", '3:15: network blue: `network_type` is "gre", which is not vlan or fl'),
    ("kind: Network\n", "1:1: a network has a name; add `name`"),
    ("name: x\n", "1:1: a document needs a `kind`: Network or Port"),
    ("kind: network\n", '1:7: "network" is not a kind; did you mean Network?'),
    ("kind: [Port]\n", "1:7: "),
    ("kind: ~\n", "1:7: "),
    (f"{PORT}---\n{PORT}", "5:7: port vm1: this name is in a.yaml:1 already"),
    ("", "the files contain no document, so there is nothing to apply"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["", "null", "''"])
def test_a_row_without_a_name_is_called_so(folder: Path, name: str) -> None:
    text = f"kind: Port\nname: {name}\nmac: 5\n"
    assert {line.split(": ")[1] for line in complaints(folder, text)} == {"port (without a name)"}


@pytest.mark.parametrize(("text", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_each_fault_has_a_sentence_and_a_place(folder: Path, text: str, said: str) -> None:
    (line,) = complaints(folder, text)
    assert said in line


def test_all_faults_are_said_at_once(folder: Path) -> None:
    text = PORT + "macc: x\nenabled: 5\noptions: {a: b, announce: c}\n---\n- x\n---\n" + NETWORK + "mtu: 1\n"
    assert [line.split(":")[1:3] for line in complaints(folder, text)] == [
        ["3", "1"],
        ["4", "10"],
        ["5", "11"],
        ["5", "17"],
        ["7", "1"],
        ["11", "6"],
    ]


def test_names_of_several_files_are_said(folder: Path) -> None:
    (folder / "a.yaml").write_text(PORT)
    (folder / "b.yaml").write_text(f"{PORT}mac: x\n")
    (folder / "c.yaml").write_text(PORT)
    with pytest.raises(ManifestError) as caught:
        read(["."])
    said = [str(each).split(":")[0] for each in caught.value.complaints]
    assert said == ["b.yaml", "b.yaml", "c.yaml"]
    assert "(and 2 other errors)" in str(caught.value)


def test_what_is_cleared_is_empty_and_addresses_are_canonical(folder: Path) -> None:
    text = PORT + "mac: 02-00-00-00-00-0A\naddresses: ['2001:DB8::01', 192.0.2.1, 192.0.2.1]\n"
    text += "enabled: ~\nallowed_address_pairs: ~\nexternal_ids: ~\nunknown_macs: ~\n"
    (row,) = manifest(folder, text).rows
    assert row.columns == {
        "name": "vm1",
        "mac": "02:00:00:00:00:0a",
        "addresses": ["192.0.2.1", "2001:db8::1"],
        "enabled": None,
        "allowed_address_pairs": [],
        "external_ids": {},
        "unknown_macs": False,
    }


def test_too_many_documents_are_refused_before_they_are_all_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.manifest.wanted.MOST_ROWS", 2)
    text = "---\n".join(f"kind: Port\nname: vm{n}\n" for n in range(5))
    assert complaints(folder, text) == ["a.yaml: more than 2 documents; apply fewer at a time"]
