"""Lists: which rows, which columns, in which order, and in which form."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from program import refusal, trunkline, typed
from terminal import Terminal

from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.filter import parse
from trunkline.northbound.listing import matching
from trunkline.northbound.operation import insert, update

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system


def a_port(number: int, network: str = "blue", **columns: Any) -> PortSpec:
    row = {"name": f"vm{number}", "network": network, "mac": f"02:00:00:00:00:{number:02x}"}
    return PortSpec(**(row | columns))


PORTS = [
    a_port(1, addresses=("192.0.2.1", "2001:db8::1")),
    a_port(2, "red", enabled=False, external_ids={"owner": "a=b", "tier": "1"}),
    a_port(9, enabled=True, port_security=False, requested_chassis="c1"),
    a_port(10, addresses=("192.0.2.10",), external_ids={"owner": "anna"}),
    a_port(11, "red"),
]
NETWORKS = [
    NetworkSpec(name="red", network_type="vlan", physical_network="physnet1", segmentation_id=102),
    NetworkSpec(name="blue", network_type="flat", physical_network="physnet1", unknown_unicast="drop"),
    NetworkSpec(
        name="net10",
        network_type="vlan",
        physical_network="physnet1",
        segmentation_id=9,
        unknown_unicast="forward",
        mtu=1400,
    ),
]


@pytest.fixture
def served(nb: Served) -> Iterator[Northbound]:
    """A northbound with ports of which vm1 and vm11 are up on c1, vm10 is down there, and two chassis."""
    with Northbound.connect(nb.remote) as northbound:
        chassis = [
            {"name": "c1", "faults": {"network blue": "no mapping", "port x": "no VIF"}, "version": "1.10"},
            {"name": "c2", "bridge_mappings": {"physnet1": "br-ex"}, "version": "1.9"},
        ]
        northbound.transact([insert("Chassis", row) for row in chassis])
        northbound.create(NETWORKS, PORTS)
        for name, is_up in (("vm1", True), ("vm10", False), ("vm11", True)):
            northbound.transact([update("Port", ("name", "==", name), row={"chassis": "c1", "up": is_up})])
        yield northbound


def names(nb: Northbound, *words: str) -> list[str]:
    done = trunkline(*words, "-o", "name", nb=nb.rpc.remote)
    assert (done.code, done.err) == (0, ""), done
    return done.out.splitlines()


CHOSEN = [
    (["--network", "red"], [2, 11]),
    (["--chassis", "c1"], [1, 10, 11]),
    (["--chassis", "c2"], []),
    (["--up"], [1, 11]),
    (["--down"], [9, 10]),
    (["--down", "--raw"], [9, 10]),
    (["--mac", "02-00-00-00-00-0A"], [10]),
    (["--ip", "2001:0db8:0::1"], [1]),
    (["--network", "red", "--chassis", "c1"], [11]),
    (["--filter", "network=blue"], [1, 9, 10]),
    (["--filter", "network!=blue"], [2, 11]),
    (["--filter", "network~^bl"], [1, 9, 10]),
    (["--filter", "name=vm9"], [9]),
    (["--filter", "name~vm1.$"], [10, 11]),
    (["--filter", "enabled=true"], [1, 9, 10, 11]),
    (["--filter", "enabled!=yes"], [2]),
    (["--filter", "enabled=false"], [2]),
    (["--filter", "enabled=", "--raw"], [1, 10, 11]),
    (["--filter", "up=false"], [2, 9, 10]),
    (["--filter", "up!=false"], [1, 11]),
    (["--filter", "chassis="], [2, 9]),
    (["--filter", "chassis!="], [1, 10, 11]),
    (["--filter", "addresses=192.0.2.10"], [10]),
    (["--filter", "addresses!=192.0.2.10"], [1, 2, 9, 11]),
    (["--filter", "addresses="], [2, 9, 11]),
    (["--filter", "external_ids:owner=a=b"], [2]),
    (["--filter", "external_ids:owner!=anna"], [1, 2, 9, 11]),
    (["--filter", "external_ids:owner!="], [2, 10]),
    (["--filter", "external_ids:owner~^a"], [2, 10]),
    (["--filter", "external_ids=tier:1"], [2]),
    (["--filter", "unique_key=2", "--filter", "name!=vm9"], [2]),
    (["--filter", "parent_vlan=7"], []),
]


def test_ports_are_chosen_by_filters_and_their_short_forms(served: Northbound) -> None:
    found = {" ".join(words): names(served, "port", "list", *words) for words, _ in CHOSEN}
    assert found == {" ".join(words): [f"vm{number}" for number in numbers] for words, numbers in CHOSEN}


def test_what_the_database_rules_out_is_not_read(served: Northbound) -> None:
    read: list[int] = []

    class Counted(Northbound):
        def transact(self, operations: Any) -> list[Any]:
            results = super().transact(operations)
            read.extend(
                len(each["rows"])
                for op, each in zip(operations, results, strict=True)
                if op["table"] == "Port"
            )
            return results

    with Counted.connect(served.rpc.remote) as counted:
        for text in ("mac=02:00:00:00:00:0a", "addresses=192.0.2.1", "name=vm1", "enabled=false"):
            assert len(matching(counted, "Port", [parse("Port", text)])) == 1
        assert len(matching(counted, "Port", [parse("Port", "up=true"), parse("Port", "network=red")])) == 1
    assert read == [1] * 5


def test_of_rows_that_the_database_cannot_choose_only_what_is_looked_at_is_read(served: Northbound) -> None:
    asked: list[tuple[int, int]] = []

    class Counted(Northbound):
        def transact(self, operations: Any) -> list[Any]:
            results = super().transact(operations)
            asked.extend(
                (len(each["rows"]), len(op["columns"]))
                for op, each in zip(operations, results, strict=True)
                if op["table"] == "Port"
            )
            return results

    with Counted.connect(served.rpc.remote) as counted:
        (row,) = matching(counted, "Port", [parse("Port", "name~^vm9")])
        assert (row["name"], row["network"], row["requested_chassis"]) == ("vm9", "blue", "c1")
        assert matching(counted, "Port", [parse("Port", "name~^x")]) == []
    # The UUIDs and names of all five, then all of the one; and of none, nothing more.
    assert [rows for rows, _ in asked] == [5, 1, 5]
    assert [columns for _, columns in asked][0::2] == [2, 2]


def test_networks_and_chassis_are_chosen_too(served: Northbound) -> None:
    assert names(served, "network", "list", "--filter", "unknown_unicast=forward") == ["net10", "red"]
    assert names(served, "network", "list", "--filter", "segmentation_id=") == ["blue"]
    chassis = ("chassis", "list", "--no-ask")
    assert names(served, *chassis, "--filter", "faults!=") == ["c1"]
    assert names(served, *chassis, "--filter", "fault_count=0") == ["c2"]
    assert names(served, *chassis, "--filter", "bridge_mappings:physnet1=br-ex") == ["c2"]
    assert names(served, *chassis, "--filter", "state=silent") == []


def test_names_are_in_natural_order_and_a_column_sorts_them(served: Northbound) -> None:
    assert names(served, "port", "list") == ["vm1", "vm2", "vm9", "vm10", "vm11"]
    assert names(served, "port", "list", "--sort", "-name") == ["vm11", "vm10", "vm9", "vm2", "vm1"]
    assert names(served, "port", "list", "--sort", "network") == ["vm1", "vm9", "vm10", "vm2", "vm11"]
    assert names(served, "port", "list", "--sort", "-up") == ["vm1", "vm11", "vm2", "vm9", "vm10"]
    assert names(served, "network", "list", "--sort", "segmentation_id") == ["blue", "net10", "red"]
    assert names(served, "chassis", "list", "--no-ask", "--sort", "version") == ["c2", "c1"]


def test_whatever_names_rows_has_them_in_natural_order(served: Northbound, tmp_path: Path) -> None:
    served.transact([insert("Chassis", {"name": "c10"})])
    seen = json.loads(typed("status --no-ask -o json", served.rpc.remote).out)
    assert seen["version"] == 1
    assert [row["name"] for row in seen["chassis"]] == ["c1", "c2", "c10"]
    exported = typed("export --network blue", served.rpc.remote).out
    assert re.findall(r"^name: (vm.*)", exported, re.MULTILINE) == ["vm1", "vm9", "vm10"]
    file = tmp_path / "more.yaml"
    document = "---\nkind: Port\nname: new{0}\nnetwork: red\nmac: 02:00:00:00:01:{0}\n"
    file.write_text(
        "".join(map(document.format, (10, 22, 11))) + document.format("02").replace("new02", "new2")
    )
    done = trunkline("apply", "-f", str(file), "--dry-run", nb=served.rpc.remote)
    assert re.findall(r"\+ port (\w+)", done.out) == ["new2", "new10", "new11", "new22"], done
    data = json.loads(
        trunkline("apply", "-f", str(file), "--dry-run", "-o", "json", nb=served.rpc.remote).out
    )
    assert [change["name"] for change in data["changes"]] == ["new2", "new10", "new11", "new22"]
    line = refusal(typed("network delete red", served.rpc.remote), 1)
    assert "(vm2, vm11)" in line


def test_columns_are_chosen_in_every_form(served: Northbound) -> None:
    remote = served.rpc.remote
    command = "port list --columns mac,requested_chassis,name --filter name=vm9"
    row = {"mac": "02:00:00:00:00:09", "requested_chassis": "c1", "name": "vm9"}
    assert json.loads(typed(f"{command} -o json", remote).out) == [row]
    head, _, line = typed(command, remote).out.splitlines()
    assert head.split("  ")[0:3:2] == ["MAC", ""]
    assert "REQUESTED CHASSIS" in head
    assert line.split() == list(row.values())
    assert typed(f"{command} -o csv", remote).out.splitlines() == [",".join(row), ",".join(row.values())]


def test_an_item_of_a_map_is_a_column_wherever_a_column_is_asked_for(served: Northbound) -> None:
    remote = served.rpc.remote
    command = "port list --columns name,external_ids:owner,external_ids:tier --sort -external_ids:owner"
    assert [json.loads(typed(f"{command} -o json", remote).out)[at] for at in (0, 1, 4)] == [
        {"name": "vm10", "external_ids": {"owner": "anna"}},
        {"name": "vm2", "external_ids": {"owner": "a=b", "tier": "1"}},
        {"name": "vm11", "external_ids": {}},
    ]
    rows = typed(f"{command} -o csv", remote).out.splitlines()
    assert rows[:3] == ["name,external_ids:owner,external_ids:tier", "vm10,anna,", "vm2,a=b,1"]
    head, _, *lines = typed(command, remote).out.splitlines()
    assert head.split("  ") == ["NAME", "EXTERNAL IDS:owner", "EXTERNAL IDS:tier"]
    assert [line.split() for line in lines[:2]] == [["vm10", "anna"], ["vm2", "a=b", "1"]]
    hosts = (
        "chassis list --no-ask --columns bridge_mappings:physnet1,name --sort bridge_mappings:physnet1 -o csv"
    )
    assert typed(hosts, remote).out.splitlines()[1:] == [",c1", "br-ex,c2"]


def test_a_long_address_is_whole_and_puts_nothing_out_of_its_column_in_a_terminal(served: Northbound) -> None:
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    served.set_port("vm9", {"addresses": [address]})
    terminal = Terminal(served.rpc.remote, command=("port", "list"))
    assert terminal.end() == 0
    head, _, *lines = terminal.said.splitlines()
    assert head.index("ADDRESSES") < 80
    assert [line[: head.index("ADDRESSES")].split()[-1] for line in lines] == [
        "yes",
        "yes",
        "no",
        "yes",
        "yes",
    ]
    assert lines[2][head.index("ADDRESSES") :] == address


def test_csv_has_a_head_and_a_line_for_each_row(served: Northbound) -> None:
    text = typed("port list -o csv", served.rpc.remote).out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["vm1", "vm2", "vm9", "vm10", "vm11"]
    assert rows[0]["addresses"] == "192.0.2.1, 2001:db8::1"
    assert [row["enabled"] for row in rows[:2]] == ["true", "false"]
    assert rows[1]["chassis"] == ""
    chassis = typed("chassis list --no-ask -o csv", served.rpc.remote).out.splitlines()
    assert chassis[0].startswith("name,state,answer_age_s,hostname,")
    assert typed("chassis state -o csv", served.rpc.remote).out.startswith("chassis,version,")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("port list --columns name,macc", "a port has no column 'macc'; did you mean mac?"),
        ("port list --columns name,mac:x", "mac is no map, and has no item 'x'; leave out the colon"),
        ("chassis list --sort state:x", "state is no map, and has no item 'x'; leave out the colon"),
        ("network list --sort -segmentation", "a network has no column 'segmentation'; did you mean seg"),
        ("chassis list --filter stat=live", "a chassis has no column 'stat'; did you mean state?"),
        ("port list --filter name", "'name' is not COLUMN=VALUE, COLUMN!=VALUE or COLUMN~REGEX"),
        ("port list --filter name~[", "'[' is not a regular expression: unterminated character set"),
        ("port list --filter enabled=maybe", "enabled is true or false, and not 'maybe'"),
        ("network list --filter segmentation_id=blue", "segmentation_id is a number, and not 'blue'"),
        ("network list --filter segmentation_id=5000", "segmentation_id is never 5000; it is within 1–4094"),
        ("network list --filter network_type=flatt", "network_type is never 'flatt'; did you mean flat?"),
        ("port list --filter name:a=b", "name is no map, and has no item 'a'; leave out the colon"),
        ("port list --mac 02:00", "'02:00' is not a MAC address"),
        ("port list --ip 192.0.2", "'192.0.2' is not an IP address"),
        ("port list --columns mac -o name", "-o name prints names alone; leave out --columns"),
        ("port list --columns=", "it is empty; give a value, or leave out the option"),
    ],
)
def test_what_cannot_be_asked_for_is_said_before_anything_is_read(command: str, line: str) -> None:
    assert line in refusal(typed(command, "unix:/nonexistent"), 2)


@pytest.mark.parametrize("what", ["network", "chassis"])
def test_a_name_that_nothing_has_is_no_empty_list(what: str, served: Northbound) -> None:
    assert f"no {what} is called 'x'" in refusal(typed(f"port list --{what} x", served.rpc.remote), 1)
