"""`trunkline probe` in a lab of three chassis: what the physical switch loses is found, and named."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import until
from program import Done, trunkline

from trunkline.bridge.prober import BEACONS
from trunkline.core.address import mac_text
from trunkline.core.pipeline import Band
from trunkline.core.probe import Kind, Probe, Secret, frame, member_id
from trunkline.lab import datapath
from trunkline.lab.impairment import Impairment
from trunkline.northbound import question
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import select
from trunkline.probe.order import KIND, Order, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LabFactory
    from trunkline.lab import Lab
    from trunkline.lab.interface import Capture
    from trunkline.lab.vm import Vm

pytestmark = pytest.mark.system

CAUGHT = "cookie=0x747005"
FRAME = bytes.fromhex("8035 0001 0800 06 04 0018")
"""How the frames of a probe begin, behind their MACs and their tag."""

TAG = b"\x81\x00"
LIFETIME_S = 5

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
    assert probe(started, "-o", "name") == (0, "", "")


@pytest.fixture
def wrong(started: Lab) -> Iterator[Lab]:
    """The lab, whose switch may be impaired; it is mended afterwards."""
    yield started
    started.switch.mend()


def test_a_vlan_that_a_switch_port_does_not_carry_is_named_with_its_chassis(wrong: Lab) -> None:
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c3"), Impairment(lacks=frozenset({101})))
    found = data(wrong, 4)
    (verdict,) = found["verdicts"]
    assert (verdict["fault"], verdict["network"], verdict["chassis"]) == ("lost", "blue", ["c3"])
    assert verdict["remedy"] == "allow VLAN 101 on the switch port of c3"
    assert found["islands"]["blue"] == [["c1", "c2"], ["c3"]]
    lost = {(cell["from"], cell["to"]) for cell in found["cells"] if cell["state"] != "ok"}
    assert lost == {("c1", "c3"), ("c2", "c3"), ("c3", "c1"), ("c3", "c2")}
    assert {cell["network"] for cell in found["cells"] if cell["state"] != "ok"} == {"blue"}
    assert "c3 alone: hears nothing, is not heard; its office works" in probe(wrong).out
    assert probe(wrong, "-o", "name") == (4, "blue\n", "")

    # The others know of it.
    done = trunkline("trace", "--from", "blue1", "--to", "blue3", nb=wrong.nb.remote)
    assert (done.code, "c1 → c3 LOST by the probe" in done.out) == (4, True), done
    assert "allow VLAN 101 on the switch port of c3" in done.out
    checked = json.loads(trunkline("check", "-o", "json", nb=wrong.nb.remote).out)
    (found_by_check,) = [each for each in checked if each["code"] == "T216"]
    assert (found_by_check["subject"], found_by_check["chassis"]) == ("network blue", "c3")
    status = json.loads(trunkline("status", "-o", "json", nb=wrong.nb.remote).out)
    assert {each["name"]: each["probe_faults"] for each in status["networks"]} == {
        "blue": 1,
        "office": 0,
        "red": 0,
    }

    wrong.switch.mend()
    one, other = (wrong.vm[name] for name in ("blue1", "blue3"))

    def is_over() -> bool:
        # Somebody uses the network again, and nobody has probed again.
        one.ping(other.ip)
        found = json.loads(trunkline("check", "-o", "json", nb=wrong.nb.remote).out)
        return [each["severity"] for each in found if each["code"] == "T216"] == ["warning"]

    until(is_over, "frames have come since")
    data(wrong, 0)
    done = trunkline("trace", "--from", "blue1", "--to", "blue3", nb=wrong.nb.remote)
    assert (done.code, "c1 → c3 reached by the probe" in done.out) == (0, True), done


def test_the_largest_packet_that_passes_is_found_in_both_directions(wrong: Lab) -> None:
    wrong.switch.impair(wrong.switch.trunk("physnet1", "c2"), Impairment(mtu=1400))
    found = data(wrong, 4, "--sizes", "--network", "blue")
    # Linux lets 4 more bytes in, for a tag. With the kernel's datapath, the tag is beside the frame.
    from_c2 = 1404 if datapath.default() == datapath.SYSTEM else 1400
    assert {(cell["from"], cell["to"]): cell["mtu"] for cell in found["cells"]} == {
        (one, other): from_c2 if one == "c2" else 1400 if other == "c2" else 1500
        for one in ("c1", "c2", "c3")
        for other in ("c1", "c2", "c3")
        if one != other
    }
    (verdict,) = found["verdicts"]
    assert (verdict["fault"], verdict["chassis"][0]) == ("size", "c2")


def test_joined_vlans_are_found_and_with_wide_also_those_that_no_chassis_uses(wrong: Lab) -> None:
    for chassis in wrong.chassis.values():
        chassis.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-vlan-pruning=true")
    wrong.nb.sync()
    try:
        wrong.switch.join("physnet1", 101, 900)
        assert [each["fault"] for each in data(wrong, 0)["verdicts"]] == []
        (verdict,) = data(wrong, 4, "--wide")["verdicts"]
        assert (verdict["fault"], verdict["network"]) == ("joined", "blue")
        assert "in blue (101) arrives at" in verdict["text"]
        assert verdict["text"].endswith(" as 900")
        # The uplinks are narrow again.
        wrong.nb.sync()
        for chassis in wrong.chassis.values():
            trunks = chassis.switch.vsctl("get", "Port", "phy-br-phys1", "trunks").strip()
            assert trunks == "[0, 101, 102]"
    finally:
        for chassis in wrong.chassis.values():
            chassis.switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-vlan-pruning")
        wrong.nb.sync()


def test_nothing_is_left_of_a_session_on_a_chassis_and_in_the_northbound(started: Lab) -> None:
    data(started, 0)
    for chassis in started.chassis.values():
        assert CAUGHT not in chassis.switch.ofctl("dump-flows", "br-int")
    with Northbound.connect(started.nb.remote) as nb:
        assert nb.read(select("Request"), select("Answer")) == [[], []]


def test_two_probes_at_once_both_end_well_one_after_the_other(started: Lab) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(data, started, 0, "--timeout", "60") for _ in range(2)]
        sessions = {each.result()["session"] for each in waiting}
    assert len(sessions) == 2


def test_a_chassis_that_takes_no_part_is_named_and_the_others_are_probed(started: Lab) -> None:
    switch = started.chassis["c3"].switch
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-probe=false")
    started.nb.sync()
    try:
        found = data(started, 0, "--network", "blue")
        assert list(found["off"]) == ["c3"]
        assert {cell["from"] for cell in found["cells"]} == {"c1", "c2"}
    finally:
        switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-probe")
        started.nb.sync()


def test_a_chassis_whose_agent_is_gone_is_named_and_its_catch_flow_goes_by_itself(started: Lab) -> None:
    """Whoever opened a session is killed, and so is the agent: the switch takes the flow away."""
    chassis = started.chassis["c3"]
    order = Order(Step.OPEN, Secret(bytes(8), bytes(16)), seconds=LIFETIME_S)
    with Northbound.connect(started.nb.remote) as nb:
        question.ask(nb, KIND, ["c3"], order.parameters(), timeout_s=30)
    assert CAUGHT in chassis.switch.ofctl("dump-flows", "br-int")
    chassis.kill_agent()
    try:
        found = data(started, 3, "--timeout", "10")
        assert list(found["silent"]) == ["c3"]
        assert {cell["state"] for cell in found["cells"]} == {"ok"}
        until(lambda: CAUGHT not in chassis.switch.ofctl("dump-flows", "br-int"), "the flow is gone")
    finally:
        chassis.start_agent()
        started.nb.sync()


def dropped(lab: Lab, chassis: str) -> int:
    """Return how many frames of probes the chassis has dropped."""
    listed = lab.chassis[chassis].switch.ofctl("dump-flows", "br-int").splitlines()
    (flow,) = (line for line in listed if f" priority={Band.UNCAUGHT.priority}," in line)
    return int(flow.partition("n_packets=")[2].partition(",")[0])


@pytest.fixture
def apart(started: Lab) -> Iterator[Lab]:
    """The lab, in which c2 takes no part in probes, and the agent of c3 is dead."""
    switch, killed = started.chassis["c2"].switch, started.chassis["c3"]
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-probe=false")
    started.nb.sync()
    killed.kill_agent()
    yield started
    killed.start_agent()
    switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-probe")
    started.nb.sync()


def test_rule_18_no_vm_gets_a_frame_of_a_probe_wherever_it_is(apart: Lab) -> None:
    """What c1 sends to all arrives at chassis that do not wait for it, and so does what is sent to one VM."""
    secret, blue = Secret(bytes(8), bytes(16)), 101
    order = Order(Step.OPEN, secret, seconds=60)
    tag = bytes.fromhex("8100") + blue.to_bytes(2)
    with ExitStack() as stack:
        nb = stack.enter_context(Northbound.connect(apart.nb.remote))
        captures = {name: stack.enter_context(vm.capture()) for name, vm in apart.vm.items()}
        close = order._replace(step=Step.CLOSE).parameters()
        stack.callback(question.ask, nb, KIND, ["c1"], close, timeout_s=30)
        before = {name: dropped(apart, name) for name in apart.chassis}
        assert list(question.ask(nb, KIND, ["c1"], order.parameters(), timeout_s=30).by_chassis) == ["c1"]
        members = frozenset({member_id(secret, "c1")})
        key = int(nb.network("blue")["unique_key"])

        def have_come(to: str) -> bool:
            return dropped(apart, to) >= before[to] + BEACONS

        beacon = order._replace(step=Step.BEACON, round=1, beacons={key: members})
        question.ask(nb, KIND, ["c1"], beacon.parameters(), timeout_s=30)
        for name in ("c2", "c3"):
            until(partial(have_come, name), "the beacons of c1 have come")
        for vm in (apart.vm[f"blue{number}"] for number in (1, 2, 3)):
            to = int(vm.mac.replace(":", ""), 16)
            for data in (
                frame(secret, Probe(Kind.ANSWER, 1, 0, 7, key), 0x02FEEDBEEF01, to),
                # Of a session that is over, or of nobody.
                frame(Secret(b"x" * 8, b"y" * 16), Probe(Kind.SIZED, 1, 1400, 7, key), 0x02FEEDBEEF01, to),
                bytes.fromhex(vm.mac.replace(":", "") + "02feedbeef01" + "88b5") + b"another's".ljust(46),
            ):
                apart.switch.switch.ofctl(
                    "packet-out",
                    "br-physnet1",
                    f"in_port=local packet={(data[:12] + tag + data[12:]).hex()} actions=flood",
                )
        for name, capture in captures.items():
            # Frames keep their order, so what came before it has come.
            found = capture.until(lambda got: b"\x88\xb5another's" in got) if name.startswith("blue") else []
            assert not [got for got in (*found, *capture.frames()) if _is_of_probe(got)], name


def test_no_vm_gets_a_frame_and_no_switch_learns_a_new_mac(started: Lab) -> None:
    """The switch knows each MAC that a probe's frames have, at the very port where they come."""
    switch = started.switch.switch

    def learnt() -> set[tuple[str, int, str]]:
        shown = [line.split() for line in switch.appctl("fdb/show", "br-physnet1").splitlines()[1:]]
        return {(port_by_number[port], int(vlan), mac) for port, vlan, mac, *_ in shown if port != "LOCAL"}

    ports = [started.switch.trunk("physnet1", name) for name in started.chassis]
    port_by_number = {switch.vsctl("get", "Interface", port, "ofport").strip(): port for port in ports}
    for name, vm in started.vm.items():
        other = started.vm[name[:-1] + ("1" if name[-1] != "1" else "2")]
        until(partial(_is_answered, vm, other), "the switch has seen a frame of it")
    with ExitStack() as captures:
        wires = {
            chassis.switch_port("physnet1"): captures.enter_context(chassis.wire("physnet1").capture())
            for chassis in started.chassis.values()
        }
        vms = [captures.enter_context(vm.capture()) for vm in started.vm.values()]
        known = learnt()
        data(started, 0)
        sent = {(port, *_source(frame)) for port, wire in wires.items() for frame in _of_probe(wire)}
        assert not [frame for vm in vms for frame in _of_probe(vm)]
    assert {(port, vlan_id) for port, vlan_id, _ in sent} == {(p, v) for p in ports for v in (0, 101, 102)}
    assert sent <= known


def _is_answered(vm: Vm, other: Vm) -> bool:
    return bool(vm.ping(other.ip).received)


def _of_probe(capture: Capture) -> list[bytes]:
    return list(filter(_is_of_probe, capture.frames()))


def _is_of_probe(frame: bytes) -> bool:
    return frame[16 if frame[12:14] == TAG else 12 :].startswith(FRAME)


def _source(frame: bytes) -> tuple[int, str]:
    """Return the VLAN of *frame*, 0 if it has no tag, and the MAC that it has as its source."""
    vlan_id = int.from_bytes(frame[14:16]) & 0xFFF if frame[12:14] == TAG else 0
    return vlan_id, mac_text(int.from_bytes(frame[6:12]))
