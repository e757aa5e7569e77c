"""The difference between what is wanted and what there is, without a server."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from trunkline.cli.difference import MOST_LINES, data, lines, summary
from trunkline.manifest.complaint import Complaint
from trunkline.manifest.difference import Difference, difference
from trunkline.manifest.document import documents as read
from trunkline.manifest.export import documents, text
from trunkline.manifest.form import SPECS, Kind
from trunkline.manifest.obstacle import obstacles
from trunkline.manifest.present import Present
from trunkline.manifest.source import Source
from trunkline.manifest.wanted import Wanted, cleared
from trunkline.northbound.client import Change, Delete, NetworkSpec, PortSpec
from trunkline.northbound.schema import SET
from trunkline.northbound.step import Insert


def network(name: str, set_: str | None = "s", **columns: Any) -> dict[str, Any]:
    values = {"name": name, "network_type": "vlan", "physical_network": "p", "segmentation_id": 1, **columns}
    return row("Network", set_, values)


def port(name: str, set_: str | None = "s", **columns: Any) -> dict[str, Any]:
    return row("Port", set_, {"name": name, "network": "blue", "mac": "02:00:00:00:00:01", **columns})


def row(kind: Kind, set_: str | None, values: dict[str, Any]) -> dict[str, Any]:
    marked = values.get("external_ids", {}) | ({} if set_ is None else {SET: set_})
    spec = SPECS[kind](**{**values, "external_ids": marked})
    return cleared(kind) | spec.row() | {"_uuid": values["name"], "unique_key": 1}


def there(*rows: dict[str, Any], has_all_ports: bool = True) -> Present:
    by_kind: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for each in rows:
        by_kind["mac" in each][each["name"]] = each
    return Present(by_kind[False], by_kind[True], has_all_ports)


def want(kind: Kind, name: str, **columns: Any) -> Wanted:
    return Wanted(kind, name, {"name": name, **columns})


def found(wanted: list[Wanted], present: Present, **how: Any) -> Difference:
    return difference(wanted, present, "s", **how)


def refusals(wanted: list[Wanted], present: Present, **how: Any) -> list[str]:
    """Return what is said if all ports are known, so that no server is asked."""
    nobody: Any = None
    return [str(each) for each in obstacles(nobody, found(wanted, present, **how), present)]


BLUE = network("blue")
A_NETWORK: dict[str, Any] = {"network_type": "vlan", "physical_network": "p"}


def test_what_is_not_there_is_added_with_the_mark_of_the_set() -> None:
    asked: dict[str, Any] = {"network": "blue", "mac": "02:00:00:00:00:01", "requested_chassis": "c1,c2"}
    mark = {SET: "s"}
    wanted = [
        want("Port", "vm1", **asked),
        want("Network", "red", **A_NETWORK, segmentation_id=7),
    ]
    assert list(found(wanted, there(BLUE)).steps) == [
        Insert("Network", NetworkSpec(name="red", **A_NETWORK, segmentation_id=7, external_ids=mark).row()),
        Insert("Port", PortSpec(name="vm1", **asked, external_ids=mark).row()),
    ]


def test_what_is_left_out_is_left_alone_and_what_is_seen_is_guarded() -> None:
    present = there(BLUE, port("vm1", addresses=("192.0.2.1",), enabled=False))
    (step,) = found([want("Port", "vm1", addresses=["192.0.2.2"], network="blue")], present).steps
    assert step == Change(
        "Port",
        "vm1",
        {"addresses": ["192.0.2.2"]},
        {"addresses": ["192.0.2.1"], "network": "blue", "external_ids": {SET: "s"}},
    )


def test_what_is_as_wanted_is_left() -> None:
    present = there(BLUE, port("vm1", None, options={"announce": "false"}, requested_chassis="a,b"))
    wanted = [
        want("Network", "blue", segmentation_id=1, mtu=None, external_ids={}),
        want("Port", "vm1", options={"announce": "false"}, requested_chassis="a,b"),
    ]
    difference_ = found(wanted, present)
    assert difference_.changes == []
    assert difference_.counts == {"add": 0, "change": 0, "delete": 0, "unchanged": 2}


def test_a_row_of_others_is_changed_only_if_it_is_adopted() -> None:
    wanted = [want("Network", "blue", mtu=1400), want("Port", "vm1", enabled=False, mac="02:00:00:00:00:02")]
    present = there(network("blue", "prod", external_ids={"by": "me"}), port("vm1", None))
    remedy = "; use `adopts` to take it over, or leave it out"
    assert [line.removesuffix(remedy) for line in refusals(wanted, present)] == [
        'network blue: it is in set "prod", and its `mtu` differs',
        "port vm1: it is in no set, and its `enabled`, `mac` differ",
    ]
    changes = found(wanted, present, adopts=True).changes
    assert [change.new and change.new["external_ids"] for change in changes] == [
        {"by": "me", SET: "s"},
        {SET: "s"},
    ]
    assert found([want("Network", "blue", mtu=None)], present).changes == []
    assert len(found([want("Network", "blue", mtu=None)], present, adopts=True).changes) == 1


def test_external_ids_and_options_take_the_place_of_what_there_was() -> None:
    present = there(
        BLUE, port("vm1", external_ids={"a": "1"}, options={"announce": "false"}, requested_chassis="x,y")
    )
    wanted = want("Port", "vm1", external_ids={"b": "2"}, options={})
    (change,) = found([wanted], present).changes
    assert change.new is not None
    assert change.new["external_ids"] == {"b": "2", SET: "s"}
    assert change.new["options"] == {"first-chassis": "x"}


def test_pruning_deletes_what_is_of_the_set_alone() -> None:
    present = there(
        BLUE,
        network("red", "prod", segmentation_id=2),
        port("vm1"),
        port("vm2", None, mac="02:00:00:00:00:02"),
    )
    wanted = [want("Network", "blue")]
    assert found(wanted, present).changes == []
    (change,) = found(wanted, present, prunes=True).changes
    assert isinstance(change.step, Delete)
    assert change.step[:2] == ("Port", "vm1")
    assert change.step.given.keys() == SPECS["Port"].__dataclass_fields__.keys() - {"name", "_row"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (want("Port", "vm9"), "port vm9: it does not exist yet, and a new port needs `network` and `mac`"),
        (want("Network", "red"), "a new network needs `network_type` and `physical_network`"),
        (want("Network", "red", **A_NETWORK), "network red: a vlan network needs a VLAN id"),
        (want("Network", "red", **A_NETWORK, segmentation_id=1), "network red: network 'blue' already uses "),
        (want("Network", "a,b", **A_NETWORK, segmentation_id=2), "'a,b' cannot name a network"),
        (want("Network", "blue", network_type="vlan", segmentation_id=None), "a vlan network needs a VLAN i"),
        (want("Port", "vm9", network="blu", mac="02:00:00:00:00:09"), "port vm9: there is no network 'blu';"),
        (want("Port", "vm9", network="x", mac="02:00:00:00:00:09"), "there is no network 'x'; see `trunklin"),
        (want("Port", "vm9", network="blue", mac="02:00:00:00:00:01"), "port vm9: port 'vm1' already has MA"),
        (want("Port", "vm1", unknown_macs=True), "port vm1: `unknown_macs` needs port security off"),
        (want("Port", "vm1", parent="vm2"), "port vm1: a sub-port has both a parent and a tag"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(wanted: Wanted, said: str) -> None:
    line, *others = refusals([wanted], there(BLUE, port("vm1"), port("vm2", network="x")))
    assert (said in line, others) == (True, [])


def test_a_port_is_not_put_into_a_network_that_is_pruned() -> None:
    port_ = want("Port", "vm9", network="blue", mac="02:00:00:00:00:09")
    assert refusals([port_], there(BLUE), prunes=True) == [
        "port vm9: network 'blue' is in no file, and so it would be deleted; add it to the files"
    ]


def test_all_that_cannot_be_is_said_at_once() -> None:
    wanted = [
        want("Port", "vm9"),
        want("Network", "red"),
        want("Port", "vm8", network="x", mac="02:00:00:00:00:08"),
    ]
    assert len(refusals(wanted, there(BLUE))) == 3


def test_two_wanted_rows_that_cannot_both_be_are_refused() -> None:
    wanted = [want("Network", name, **A_NETWORK, segmentation_id=5) for name in "ab"]
    assert "network b: network 'a' already uses VLAN 5 on p" in refusals(wanted, there())[0]


def test_tags_and_macs_may_go_round_in_a_ring() -> None:
    present = there(
        BLUE, network("red", segmentation_id=2), port("vm1"), port("vm2", mac="02:00:00:00:00:02")
    )
    wanted = [
        want("Network", "blue", segmentation_id=2),
        want("Network", "red", segmentation_id=1),
        want("Port", "vm1", mac="02:00:00:00:00:02"),
        want("Port", "vm2", mac="02:00:00:00:00:01"),
    ]
    assert len(found(wanted, present).changes) == 4


def test_a_rename_frees_the_tag_when_the_old_name_is_pruned() -> None:
    wanted = [want("Network", "green", **A_NETWORK, segmentation_id=1), want("Port", "vm1", network="green")]
    present = there(BLUE, port("vm1"))
    assert [change.verb for change in found(wanted, present, prunes=True).changes] == [
        "add",
        "change",
        "delete",
    ]
    assert refusals(wanted, present)


# --- how it is shown ---


def plain(difference_: Difference, **how: Any) -> list[str]:
    return [re.sub(r"\x1b\[\d+m", "", line) for line in lines(difference_, {}, **how)]


def test_a_line_says_what_changes_and_nothing_else() -> None:
    present = there(
        BLUE,
        port("vm1", addresses=("192.0.2.1",), external_ids={"a": "1"}),
        port("vm3", mac="02:00:00:00:00:03"),
    )
    wanted = [
        want("Network", "blue", segmentation_id=121, mtu=1400),
        want("Port", "vm1", addresses=["192.0.2.2"], external_ids={"a": "2"}, enabled=False),
        want("Port", "vm9", network="blue", mac="02:00:00:00:00:09", addresses=["192.0.2.19"]),
    ]
    difference_ = found(wanted, present, prunes=True)
    assert plain(difference_) == [
        "  + port vm9      network blue  mac 02:00:00:00:00:09  addresses 192.0.2.19",
        "  ~ network blue  segmentation_id 1 → 121  mtu none → 1400",
        "  ~ port vm1      addresses +192.0.2.2 −192.0.2.1  enabled yes → no  external_ids +a=2 −a=1",
        "  - port vm3",
    ]
    assert summary(difference_) == "1 to add, 2 to change, 1 to delete, 0 unchanged."


def test_many_lines_of_a_kind_are_one_unless_all_are_asked_for() -> None:
    wanted = [
        want("Port", f"vm{n}", network="blue", mac=f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}")
        for n in range(1, 1022)
    ]
    difference_ = found(wanted, there(BLUE))
    assert len(plain(difference_)) == MOST_LINES + 1
    assert plain(difference_)[-1] == "  + 1,001 more ports"
    assert len(plain(difference_, is_full=True)) == 1021


def test_nothing_of_a_name_or_a_value_reaches_the_terminal_as_a_command() -> None:
    present = there(port("vm\x1b[2J1".replace("\x1b", "x")), BLUE)
    wanted = [want("Network", "blue", external_ids={"a\x1b[2J": "b\n"})]
    assert not any("\x1b" in line or "\n" in line for line in plain(found(wanted, present)))


def test_a_program_gets_the_columns_before_and_after() -> None:
    present = there(BLUE, port("vm1"))
    shown = data(found([want("Network", "blue", mtu=1400)], present, prunes=True))
    assert shown["changes"][0] == {
        "verb": "change",
        "table": "Network",
        "name": "blue",
        "old": {"mtu": None},
        "new": {"mtu": 1400},
        "file": None,
        "line": None,
    }
    assert (shown["changes"][1]["old"]["mac"], shown["changes"][1]["new"]) == ("02:00:00:00:00:01", None)
    assert (shown["version"], shown["set"], shown["counts"]["delete"]) == (1, "s", 1)


def test_an_exported_text_is_the_same_to_readers_of_yaml_1_1_and_1_2() -> None:
    names = {
        "no": "10:20:30:40:50:10",
        "1e3": "0o17",
        "0x1": "1_0",
        "~": "2001-01-01",
        ".5": "=",
        "a: b": "'",
    }
    present = there(network("blue", external_ids=names))
    (document,) = text(documents(present))

    complaints: list[Complaint] = []
    (ours,) = read(Source("x", document), complaints)
    assert ours.value["external_ids"] == names == yaml.safe_load(document)["external_ids"]
