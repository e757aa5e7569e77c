"""What a probe has found stays known until another one has looked there, and is gone then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from dummy_chassis import until
from program import Done, trunkline

from trunkline.lab.impairment import Impairment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LabFactory
    from trunkline.lab import Lab

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [physnet1]
networks:
  - {name: blue, type: vlan, physical_network: physnet1, segment: 101}
  - {name: red, type: vlan, physical_network: physnet1, segment: 102}
chassis:
  - {name: c1, mappings: {physnet1: br-phys1}}
  - {name: c2, mappings: {physnet1: br-phys1}}
  - {name: c3, mappings: {physnet1: br-phys1}}
vms:
  - {name: blue1, chassis: c1, network: blue, ip: 10.0.0.1/24}
  - {name: blue2, chassis: c2, network: blue, ip: 10.0.0.2/24}
  - {name: blue3, chassis: c3, network: blue, ip: 10.0.0.3/24}
  - {name: red1, chassis: c1, network: red, ip: 10.1.0.1/24}
  - {name: red2, chassis: c2, network: red, ip: 10.1.0.2/24}
"""


@pytest.fixture(scope="module")
def started(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


@pytest.fixture
def wrong(started: Lab) -> Iterator[Lab]:
    """Yield the lab, of which nothing wrong is known; nor is it afterwards, mended and probed."""
    assert known(started) == []
    yield started
    started.switch.mend()
    assert (probe(started, "--sizes"), known(started)) == (0, [])


def run(lab: Lab, *words: str) -> Done:
    return trunkline(*words, nb=lab.nb.remote)


def probe(lab: Lab, *options: str) -> int:
    """Return how a probe ends; if a chassis has not answered in time, it is made again."""
    lab.wait_revalidated()

    def whole() -> Done | None:
        done = run(lab, "probe", "--timeout", "120", *options, "-o", "json")
        assert done.err == "", done
        return done if json.loads(done.out)["complete"] else None

    done: Done = until(whole, "all chassis have answered", 120)
    return done.code


class Known(NamedTuple):
    """What `check` says of a probe."""

    subject: str
    chassis: str | None
    text: str
    remedy: str


def known(lab: Lab) -> list[Known]:
    found = json.loads(run(lab, "check", "-o", "json").out)
    return [Known(*(each[name] for name in Known._fields)) for each in found if each["code"] == "T216"]


def traced(lab: Lab, one: str, other: str, *options: str) -> tuple[int, str]:
    """Return how a trace from *one* VM to the *other* ends, and what it says of the wire."""
    done = run(lab, "trace", "--from", one, "--to", other, *options, "-o", "json")
    return done.code, " ".join(json.loads(done.out)["wires"])


def status(lab: Lab, network: str) -> dict[str, Any]:
    found = json.loads(run(lab, "status", "-o", "json").out)
    return next(each for each in found["networks"] if each["name"] == network)


def test_an_mtu_that_a_probe_of_sizes_has_found_outlasts_a_probe_without_sizes(wrong: Lab) -> None:
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c3"), Impairment(mtu=1400))
    assert probe(wrong, "--sizes") == 4
    assert probe(wrong) == 0
    (found,) = known(wrong)
    assert (found.subject, found.chassis) == ("network blue", "c3")
    assert "c3: packets over 140" in found.text
    assert found.remedy.endswith("; then probe again: trunkline probe --sizes")
    assert "T216" in run(wrong, "check", "--port", "blue3").out
    code, wire = traced(wrong, "blue1", "blue3", "--size", "1500")
    assert code == 4
    assert " reached by the probe " in wire
    assert ", up to 140" in wire
    assert " bytes by the one " in wire
    assert traced(wrong, "blue1", "blue3", "--size", "1300")[0] == 0
    of_blue = status(wrong, "blue")
    assert of_blue["probe_faults"] == 1
    assert of_blue["probe_oldest_fault_s"] > of_blue["probe_age_s"]
    assert ", 1 fault found " in run(wrong, "status").out
    # Nor does one of the others tell anything of c3.
    assert probe(wrong, "--sizes", "--network", "red") == 0
    assert known(wrong)[0][:2] == found[:2]

    wrong.switch.mend()
    assert probe(wrong, "--sizes") == 0
    assert known(wrong) == []
    assert traced(wrong, "blue1", "blue3", "--size", "1500")[0] == 0
    assert status(wrong, "blue")["probe_faults"] == 0


def test_what_a_probe_of_one_chassis_has_not_looked_at_stays(wrong: Lab) -> None:
    """Without c2, one of c1 finds nothing wrong; that c3 passes large packets again, it does find."""
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c3"), Impairment(mtu=1400))
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c2"), Impairment(mtu=1300))
    assert probe(wrong, "--sizes") == 4
    wrong.switch.mend()
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c2"), Impairment(mtu=1300))
    out_of_probes(wrong, "c2", is_out=True)
    assert probe(wrong, "--sizes", "--chassis", "c1") == 0
    out_of_probes(wrong, "c2", is_out=False)
    assert {each.chassis for each in known(wrong)} == {"c2"} | {None}
    assert traced(wrong, "blue1", "blue3", "--size", "1500")[0] == 0
    assert traced(wrong, "blue1", "blue2", "--size", "1400")[0] == 4


def out_of_probes(lab: Lab, chassis: str, *, is_out: bool) -> None:
    vsctl = lab.chassis[chassis].switch.vsctl
    if is_out:
        vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-probe=false")
    else:
        vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-probe")
    lab.nb.sync()


def test_a_chassis_that_takes_no_part_any_longer_is_still_known_to_be_cut_off(wrong: Lab) -> None:
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c3"), Impairment(lacks=frozenset({101})))
    assert probe(wrong) == 4
    out_of_probes(wrong, "c3", is_out=True)
    try:
        assert probe(wrong) == 0
        (found,) = known(wrong)
        assert (found.subject, found.chassis) == ("network blue", "c3")
        assert "c3 alone: hears nothing" in found.text
        code, wire = traced(wrong, "blue1", "blue3")
        assert (code, "c1 → c3 LOST by the probe " in wire) == (4, True), wire
        # Of the others the last probe tells.
        age_s = status(wrong, "blue")["probe_age_s"]
        assert status(wrong, "blue")["probe_oldest_fault_s"] > age_s
    finally:
        out_of_probes(wrong, "c3", is_out=False)
    wrong.switch.mend()
    assert probe(wrong, "--chassis", "c1") == 0
    assert known(wrong) == []
    assert traced(wrong, "blue2", "blue3")[0] == 0


def test_what_was_wrong_at_a_chassis_without_ports_of_the_network_is_not_told(wrong: Lab) -> None:
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c2"), Impairment(lacks=frozenset({102})))
    assert probe(wrong) == 4
    assert [each.subject for each in known(wrong)] == ["network red"]
    port = run(wrong, "port", "show", "red2", "-o", "json")
    assert run(wrong, "port", "delete", "red2").code == 0
    try:
        assert known(wrong) == []
        assert status(wrong, "red")["probe_faults"] == 0
    finally:
        shown = json.loads(port.out)
        ip = [word for address in shown["addresses"] for word in ("--ip", address)]
        words = ("port", "create", "red2", "--network", "red", "--mac", shown["mac"], *ip)
        assert run(wrong, *words).code == 0
        wrong.nb.sync()
