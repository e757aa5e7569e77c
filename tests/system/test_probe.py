"""`trunkline probe` in a lab of three chassis: what the physical switch loses is found, and named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from program import Done, trunkline

from trunkline.lab.impairment import Impairment
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import select

if TYPE_CHECKING:
    from conftest import LabFactory
    from trunkline.lab import Lab

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [physnet1]
networks:
  - {name: blue, type: vlan, physical_network: physnet1, segment: 101}
  - {name: red, type: vlan, physical_network: physnet1, segment: 102}
  - {name: office, type: flat, physical_network: physnet1}
chassis:
  - {name: c1, mappings: {physnet1: br-phys1}}
  - {name: c2, mappings: {physnet1: br-phys1}}
  - {name: c3, mappings: {physnet1: br-phys1}, vlans: {physnet1: [0, 101, 102]}}
vms:
"""
VMS = "".join(
    f"  - {{name: {network}{chassis}, chassis: c{chassis}, network: {network}, "
    f"ip: 10.{number}.0.{chassis}/24}}\n"
    for number, network in enumerate(("blue", "red", "office"))
    for chassis in (1, 2, 3)
)


@pytest.fixture(scope="module")
def started(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY + VMS)


def probe(lab: Lab, *options: str) -> Done:
    return trunkline("probe", *options, nb=lab.nb.remote)


def data(lab: Lab, code: int, *options: str) -> dict[str, Any]:
    done = probe(lab, *options, "-o", "json")
    assert (done.code, done.err) == (code, ""), done
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_where_nothing_is_wrong_each_chassis_hears_each_in_each_network(started: Lab) -> None:
    found = data(started, 0)
    assert {(cell["network"], cell["from"], cell["to"]) for cell in found["cells"]} == {
        (network, one, other)
        for network in ("blue", "red", "office")
        for one in ("c1", "c2", "c3")
        for other in ("c1", "c2", "c3")
        if one != other
    }
    assert {cell["state"] for cell in found["cells"]} == {"ok"}
    assert found["verdicts"] == []


def test_a_vlan_that_a_switch_port_does_not_carry_is_named_with_its_chassis(started: Lab) -> None:
    lossy = Impairment(lacks=frozenset({101}))
    started.switch.impair(started.switch.trunk("physnet1", "c3"), lossy)
    try:
        found = data(started, 4)
        (wrong,) = found["verdicts"]
        assert (wrong["fault"], wrong["network"], wrong["chassis"]) == ("lost", "blue", ["c3"])
        assert wrong["remedy"] == "allow VLAN 101 on the switch port of c3"
        assert found["islands"]["blue"] == [["c1", "c2"], ["c3"]]
        lost = {(cell["from"], cell["to"]) for cell in found["cells"] if cell["state"] != "ok"}
        assert lost == {("c1", "c3"), ("c2", "c3"), ("c3", "c1"), ("c3", "c2")}
        assert {cell["network"] for cell in found["cells"] if cell["state"] != "ok"} == {"blue"}
        shown = probe(started).out
        assert "c3 alone: hears nothing, is not heard; its office works" in shown
    finally:
        started.switch.mend()
    data(started, 0)


def test_nothing_is_left_of_a_session_on_a_chassis_and_in_the_northbound(started: Lab) -> None:
    data(started, 0)
    for chassis in started.chassis.values():
        assert "88b5" not in chassis.switch.ofctl("dump-flows", "br-int")
    with Northbound.connect(started.nb.remote) as nb:
        assert nb.read(select("Request"), select("Answer")) == [[], []]
