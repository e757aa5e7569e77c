"""`trunkline status --topology`: the picture of what a northbound holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from program import refusal, trunkline

from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import insert, update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    """Yield a northbound with two networks, three chassis that have written no answer, and ports."""
    with Northbound.connect(nb.remote) as connected:
        # The order is neither that of names nor that of people.
        red = NetworkSpec(name="red", network_type="flat", physical_network="physnet2")
        blue = NetworkSpec(name="blue", network_type="vlan", physical_network="physnet1", segmentation_id=101)
        names = enumerate(("vm10", "vm2", "vm1", "vm3", "vm4", "vm5"))
        ports = [PortSpec(name=name, network="blue", mac=f"02:00:00:00:00:0{n}") for n, name in names]
        connected.create([red, blue], ports)
        for name in ("c10", "c2", "c1"):
            row = {"name": name, "bridge_mappings": {"physnet1": "br-ex", "physnet3": "br-x"}}
            connected.transact([insert("Chassis", row)])
        held = [("vm10", {"chassis": "c10", "up": True}), ("vm2", {"chassis": "c2", "up": True})]
        held += [("vm1", {"requested_chassis": "c2"}), ("vm3", {"requested_chassis": "c9"})]
        held += [("vm4", {"chassis": "c2", "enabled": False})]
        connected.transact([update("Port", ("name", "==", name), row=row) for name, row in held])
        yield connected


def test_text_has_each_network_with_its_chassis_as_people_count(northbound: Northbound) -> None:
    done = trunkline("status", "--topology", "--no-ask", nb=northbound.rpc.remote)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "physnet1 ─ blue 101, 1 unbound ─ c2 1/2 ! · c9 0/1 ✗ not registered · c10 1/1",
        "physnet2 ✗ no chassis maps it ─ red untagged ─ no chassis",
        "physnet3 ─ no network",
        "",
        "✗ ports down: c2",
        "✗ not registered: c9",
    ]


def test_chassis_are_asked_and_the_silent_ones_named(northbound: Northbound) -> None:
    out = trunkline("status", "--topology", nb=northbound.rpc.remote).out
    assert "✗ silent: c1, c2, c10\n" in out


def test_data_has_everything_and_pictures_are_what_they_say(northbound: Northbound) -> None:
    command = ("status", "--topology", "--no-ask", "-o")
    found = json.loads(trunkline(*command, "json", nb=northbound.rpc.remote).out)
    assert found["version"] == 1
    assert [physnet["name"] for physnet in found["physical_networks"]] == ["physnet1", "physnet2", "physnet3"]
    (blue,) = found["physical_networks"][0]["networks"]
    assert blue == {
        "name": "blue",
        "segmentation_id": 101,
        "unbound": 1,
        "chassis": [
            {"name": "c2", "ports": 2, "up": 1},
            {"name": "c9", "ports": 1, "up": 0},
            {"name": "c10", "ports": 1, "up": 1},
        ],
    }
    assert [(row["name"], row["state"]) for row in found["chassis"]] == [
        ("c1", "current"),
        ("c2", "current"),
        ("c9", "not registered"),
        ("c10", "current"),
    ]
    pictures = [trunkline(*command, "svg", nb=northbound.rpc.remote) for _ in range(2)]
    assert pictures[0] == pictures[1]
    assert ElementTree.fromstring(pictures[0].out).tag == "{http://www.w3.org/2000/svg}svg"
    assert trunkline(*command, "dot", nb=northbound.rpc.remote).out.startswith("graph trunkline {\n")


def test_a_northbound_without_anything_says_so(nb: Served) -> None:
    done = trunkline("status", "--topology", nb=nb.remote)
    assert done == (0, "there is no chassis, and no network\n", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "svg"), "trunkline status: -o svg is a picture; give --topology too"),
        (
            ("--topology", "--check"),
            "trunkline status: --check prints one line, and --topology a picture;",
        ),
    ],
)
def test_what_cannot_go_together_is_refused(nb: Served, options: tuple[str, ...], said: str) -> None:
    assert refusal(trunkline("status", *options, nb=nb.remote), 2).startswith(said)
