"""A physical switch that is wrong, in each way that a lab's can be: a probe finds it, and says what to do."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from dummy_chassis import until
from program import trunkline

from trunkline.lab.impairment import Impairment, Loss

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LabFactory
    from trunkline.lab import Lab

pytestmark = pytest.mark.system

CHASSIS = ("c1", "c2", "c3", "c4")
NETWORKS = {"blue": 101, "red": 102, "office": None}

TOPOLOGY = "\n".join(
    [
        "physnets: [physnet1]",
        "networks:",
        "  - {name: blue, type: vlan, physical_network: physnet1, segment: 101}",
        "  - {name: red, type: vlan, physical_network: physnet1, segment: 102}",
        "  - {name: office, type: flat, physical_network: physnet1}",
        "chassis:",
        *(f"  - {{name: {name}, mappings: {{physnet1: br-phys1}}}}" for name in CHASSIS),
        "vms:",
        *(
            f"  - {{name: {network}-{name}, chassis: {name}, network: {network}, ip: 10.{at}.0.{name[1]}/24}}"
            for at, network in enumerate(NETWORKS)
            for name in CHASSIS
        ),
    ]
)


@pytest.fixture(scope="module")
def started(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


@pytest.fixture
def wrong(started: Lab) -> Iterator[Lab]:
    """Yield the lab for a test that impairs its switch; before, and when it is mended, nothing is found."""
    assert probe(started) == []
    yield started
    started.switch.mend()
    started.wait_revalidated()
    assert probe(started) == []


class Found(NamedTuple):
    """What is wrong: fault, network, chassis (the first is where it is), in words, and what to do."""

    fault: str
    network: str
    chassis: list[str]
    text: str
    remedy: str


def probe(lab: Lab, *options: str) -> list[Found]:
    """Return what a probe finds in all networks; if a chassis has not answered in time, it is made again."""
    lab.wait_revalidated()
    words = ("probe", "--full", "--timeout", "120", *options, "-o", "json")

    def whole() -> dict[str, Any] | None:
        done = trunkline(*words, nb=lab.nb.remote)
        assert done.err == "", done
        found: dict[str, Any] = json.loads(done.out)
        print(f"figure: probe: {found['took_s']} s, {found['frames']} frames, silent: {found['silent']}")
        assert (done.code == 4) == bool(found["verdicts"])
        return found if found["complete"] else None

    verdicts = until(whole, "all chassis have answered", 120)["verdicts"]
    return [Found(*(each[key] for key in Found._fields)) for each in verdicts]


def mend_sizes(lab: Lab) -> None:
    """Mend the switch, and have a probe find that large packets pass: one without sizes does not know."""
    lab.switch.mend()
    assert probe(lab, "--sizes") == []


def port(lab: Lab, chassis: str) -> str:
    return lab.switch.trunk("physnet1", chassis)


def of_all(found: list[Found], fault: str) -> dict[str, Found]:
    """Return what is wrong by network; each network has this *fault*, and no other."""
    assert {(each.fault, each.network) for each in found} == {(fault, network) for network in NETWORKS}, found
    assert len(found) == len(NETWORKS), found
    return {each.network: each for each in found}


def test_a_port_lacks_a_vlan(wrong: Lab) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(lacks=frozenset({101})))
    (found,) = probe(wrong)
    assert found[:3] == ("lost", "blue", ["c3"])
    assert found.remedy == "allow VLAN 101 on the switch port of c3"


def test_a_port_lacks_untagged_frames(wrong: Lab) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(lacks=frozenset({0})))
    (found,) = probe(wrong)
    assert found[:3] == ("lost", "office", ["c3"])
    assert "the switch port of c3: does it carry untagged frames?" in found.remedy


def test_a_port_carries_nothing(wrong: Lab) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(lacks=frozenset({0, 101, 102})))
    for found in of_all(probe(wrong), "lost").values():
        assert found.chassis == ["c3"]
        assert "look at the NIC and the switch port of c3" in found.remedy


def test_a_port_has_a_smaller_mtu(wrong: Lab) -> None:
    assert probe(wrong, "--sizes") == []
    wrong.switch.impair(port(wrong, "c3"), Impairment(mtu=1400))
    for found in of_all(probe(wrong, "--sizes"), "size").values():
        assert found.chassis[0] == "c3"
        (size,) = map(int, re.findall(r"packets over (\d+) bytes are lost in both directions", found.text))
        # A kernel may let 4 bytes more pass for a tag, also where there is none.
        assert 1400 <= size <= 1404
        assert "set the MTU of the switch port of c3 and its NIC" in found.remedy
    mend_sizes(wrong)


def test_a_trace_knows_what_size_a_probe_has_found_to_be_lost(wrong: Lab) -> None:
    """Whether a larger packet comes no counter tells, so only another probe takes that back."""

    def traced(size: int) -> tuple[int, str]:
        where = ("--from", "blue-c1", "--to", "blue-c3", "--size", str(size))
        done = trunkline("trace", *where, "-o", "json", nb=wrong.nb.remote)
        (found,) = json.loads(done.out)["outcomes"]
        return done.code, f"{found['text']}; {found['remedy']}"

    wrong.switch.impair(port(wrong, "c3"), Impairment(mtu=1400))
    probe(wrong, "--sizes", "--network", "blue")
    assert wrong.vm["blue-c1"].ping(wrong.vm["blue-c3"].ip, count=3).lost == 0
    assert traced(1300)[0] == 0
    code, text = traced(1500)
    assert code == 4
    assert "the physical network loses packets over 1400 bytes between them" in text
    assert text.endswith("if that is not done yet; then probe again: trunkline probe --sizes")
    checked = trunkline("check", "--port", "blue-c1", nb=wrong.nb.remote)
    assert (checked.code, "T216" in checked.out) == (4, True)
    mend_sizes(wrong)
    assert traced(1500)[0] == 0


def test_two_ports_have_a_smaller_mtu_and_each_is_named_with_its_own(wrong: Lab) -> None:
    for chassis, mtu in (("c2", 1400), ("c3", 1300)):
        wrong.switch.impair(port(wrong, chassis), Impairment(mtu=mtu))
    found = probe(wrong, "--sizes", "--network", "blue")
    assert [(each.fault, each.chassis) for each in found] == [("size", ["c2"]), ("size", ["c3"])]
    assert ["over 1400 bytes" in found[0].text, "over 1300 bytes" in found[1].text] == [True, True]
    mend_sizes(wrong)


def test_two_vlans_are_joined(wrong: Lab) -> None:
    wrong.switch.join("physnet1", 101, 102)
    (found,) = probe(wrong)
    assert found[:2] == ("joined", "blue")
    sender, receiver = found.chassis
    assert sender != receiver
    both = f"what {sender} sends in blue (101) arrives at {receiver} in red (102), and the other way round"
    assert found.text == both
    assert found.remedy == f"look for a switch that joins or translates VLANs between {sender} and {receiver}"
    # Nobody can say that no frame goes from one network to the other, until they are apart again.
    words = ("trace", "--from", "blue-c1", "--to", "red-c3", "-o", "json")
    done = trunkline(*words, nb=wrong.nb.remote)
    traced = json.loads(done.out)
    assert (done.code, traced["verdict"]) == (3, "INCOMPLETE")
    assert "but the physical network may: a probe, " in traced["text"]
    assert traced["text"].endswith(both)
    assert traced["remedy"] == f"{found.remedy}; then probe again: trunkline probe"
    wrong.switch.mend()
    assert probe(wrong) == []
    done = trunkline(*words, nb=wrong.nb.remote)
    assert done.code == 4
    assert "no frame crosses networks" in json.loads(done.out)["text"]


def test_a_native_vlan_that_is_joined_with_another_one_is_two_findings(wrong: Lab) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(native=101))
    wrong.switch.join("physnet1", 101, 102)
    found = probe(wrong)
    assert [each.fault for each in found] == ["native VLAN", "joined"]
    assert found[0].chassis == ["c3"]
    assert found[0].text.startswith("at the switch port of c3, VLAN 101 (blue) is the native VLAN")
    assert " in blue (101) arrives at " in found[1].text


def test_a_vlan_is_joined_with_untagged_frames(wrong: Lab) -> None:
    wrong.switch.join("physnet1", 0, 102)
    (found,) = probe(wrong)
    assert found[:2] == ("joined", "office")
    sender, receiver = found.chassis
    assert sender != receiver
    assert f"sends in office (untagged) arrives at {receiver} in red (102)" in found.text
    assert found.remedy == f"look for a native VLAN mismatch between {sender} and {receiver}"


def test_a_port_has_another_native_vlan(wrong: Lab) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(native=101))
    (found,) = probe(wrong)
    assert found[:3] == ("native VLAN", "blue", ["c3"])
    assert found.text.startswith("at the switch port of c3, VLAN 101 (blue) is the native VLAN")
    assert found.remedy.startswith("set the native VLAN of the switch port of c3 to that of the others")
    checked = json.loads(trunkline("check", "-o", "json", nb=wrong.nb.remote).out)
    (by_check,) = [each for each in checked if each["code"] == "T216"]
    assert (by_check["subject"], by_check["also"], by_check["chassis"]) == (
        "network blue",
        ["network office"],
        "c3",
    )
    shown = trunkline("check", nb=wrong.nb.remote).out
    assert " ✗ T216 networks blue, office on c3: a probe, " in shown
    for network in ("blue", "office"):
        assert (
            " ✗ T216 networks blue, office on c3: "
            in trunkline("check", "--network", network, nb=wrong.nb.remote).out
        )


def test_a_port_has_another_native_vlan_and_another_lacks_a_vlan(wrong: Lab) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(native=101))
    wrong.switch.impair(port(wrong, "c2"), Impairment(lacks=frozenset({102})))
    found = {each.fault: each for each in probe(wrong)}
    assert found.keys() == {"lost", "native VLAN"}
    assert (found["lost"].network, found["lost"].chassis) == ("red", ["c2"])
    assert found["native VLAN"].chassis == ["c3"]


@pytest.mark.parametrize(
    ("loss", "says", "direction"),
    [
        (Loss.SENT, "c3 hears, is not heard", "in the direction from the chassis"),
        (Loss.RECEIVED, "c3 is heard, hears nothing", "in the direction to the chassis"),
    ],
)
def test_a_port_loses_one_direction(wrong: Lab, loss: Loss, says: str, direction: str) -> None:
    wrong.switch.impair(port(wrong, "c3"), Impairment(loses=loss))
    for found in of_all(probe(wrong), "one way").values():
        assert found.chassis == ["c3"]
        assert says in found.text
        assert "look at the switch port of c3 for what loses " in found.remedy
        assert direction in found.remedy
    working = ("blue-c1", "blue-c3") if loss is Loss.SENT else ("blue-c3", "blue-c1")
    assert trunkline("trace", "--from", working[0], "--to", working[1], nb=wrong.nb.remote).code == 0
    assert trunkline("trace", "--from", working[1], "--to", working[0], nb=wrong.nb.remote).code == 4


def test_the_switch_is_cut_in_two(wrong: Lab) -> None:
    for chassis in ("c3", "c4"):
        wrong.switch.impair(port(wrong, chassis), Impairment(is_apart=True))
    for network, found in of_all(probe(wrong), "islands").items():
        assert found.chassis == list(CHASSIS)
        assert found.text.startswith("c1, c2 | c3, c4 do not reach one another")
        carried = f"VLAN {NETWORKS[network]}" if NETWORKS[network] else "untagged frames"
        assert found.remedy == f"carry {carried} of physnet1 between the switches of c1 and c3"
