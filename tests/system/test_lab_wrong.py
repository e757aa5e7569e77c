"""The lab's physical switch does wrong what it is told, as real frames show, and is mended again."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from program import trunkline
from test_lab_wiring import use_normal_switching

from trunkline.lab import CommandError, Lab, LabError
from trunkline.lab.impairment import Impairment, Loss

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LabFactory
    from trunkline.lab.machine import Machine

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [p1]
networks:
  - {name: red, type: vlan, physical_network: p1, segment: 7}
  - {name: blue, type: vlan, physical_network: p1, segment: 8}
  - {name: flat, type: flat, physical_network: p1}
chassis:
  - {name: c1, mappings: {p1: br-p1}}
  - {name: c2, mappings: {p1: br-p1}}
  - {name: c3, mappings: {p1: br-p1}, vlans: {p1: [0, 7]}}
vms:
  - {name: a, chassis: c1, network: red, ip: 10.9.0.1/24}
  - {name: b, chassis: c2, network: red, ip: 10.9.0.2/24}
  - {name: c, chassis: c3, network: red, ip: 10.9.0.3/24}
  - {name: a8, chassis: c1, network: blue, ip: 10.9.0.11/24}
  - {name: b8, chassis: c2, network: blue, ip: 10.9.0.12/24}
  - {name: c8, chassis: c3, network: blue, ip: 10.9.0.13/24}
  - {name: a0, chassis: c1, network: flat, ip: 10.9.0.21/24}
  - {name: b0, chassis: c2, network: flat, ip: 10.9.0.22/24}
"""
HEALTHY = {"a": "b c", "b": "a c", "c": "a b", "a8": "b8", "b8": "a8", "a0": "b0", "b0": "a0"}
"""Who hears whom; c8 is cut off by the topology, whose switch does not carry VLAN 8 to its chassis."""


@pytest.fixture(scope="module")
def running(lasting_lab: LabFactory) -> Lab:
    running = lasting_lab(TOPOLOGY, agents=False)
    use_normal_switching(running)
    return running


@pytest.fixture
def wrong(running: Lab) -> Iterator[Lab]:
    """Yield the lab for a test that impairs its switch; afterwards it is mended, and everybody is heard."""
    assert heard(running) == HEALTHY
    yield running
    running.switch.mend()
    assert heard(running) == HEALTHY


def heard(running: Lab) -> dict[str, str]:
    """Return at which VMs a broadcast of each arrives, for those of whom one does."""
    running.wait_revalidated()
    by_frame = {
        bytes.fromhex("ffffffffffff" + vm.mac.replace(":", "")) + b"\x88\xb6" + name.encode().ljust(46): name
        for name, vm in running.vm.items()
    }
    found: dict[str, list[str]] = {}
    with ExitStack() as stack:
        captures = {name: stack.enter_context(vm.capture()) for name, vm in running.vm.items()}
        for frame, name in by_frame.items():
            running.vm[name].send(frame)
        running.settle()
        for to, capture in captures.items():
            for frame in capture.frames():
                if frame in by_frame:
                    found.setdefault(by_frame[frame], []).append(to)
    return {name: " ".join(to) for name, to in found.items()}


def passes(source: Machine, to: Machine, size: int) -> bool:
    """Whether an IPv4 packet of *size* bytes is answered: 8 of them are ICMP's, 20 IPv4's."""
    try:
        source.run(["ping", "-c", "3", "-W", "2", "-M", "do", "-s", str(size - 28), to.ip])
    except CommandError:
        return False
    return True


def test_a_port_lacks_a_vlan(wrong: Lab) -> None:
    port = wrong.switch.trunk("p1", "c2")
    wrong.switch.impair(port, Impairment(lacks=frozenset({7})))
    assert heard(wrong) == {"a": "c", "c": "a", "a8": "b8", "b8": "a8", "a0": "b0", "b0": "a0"}
    assert not passes(wrong.vm["a"], wrong.vm["b"], 100)
    wrong.switch.impair(port, Impairment(lacks=frozenset({0, 8})))
    assert heard(wrong) == {"a": "b c", "b": "a c", "c": "a b"}
    wrong.switch.impair(wrong.switch.trunk("p1", "c3"), Impairment(lacks=frozenset({7, 0})))
    assert heard(wrong) == {"a": "b", "b": "a"}


def test_a_port_loses_packets_above_an_mtu(wrong: Lab) -> None:
    a, b, c = (wrong.vm[name] for name in "abc")
    assert passes(a, b, 1500)
    wrong.switch.impair(wrong.switch.trunk("p1", "c2"), Impairment(mtu=1400))
    assert passes(a, b, 1400)
    assert not passes(a, b, 1428)
    assert not passes(b, a, 1428)
    assert passes(a, c, 1500)
    wrong.switch.mend()
    assert passes(a, b, 1500)


def test_two_vlans_are_joined(wrong: Lab) -> None:
    wrong.switch.join("p1", 7, 8)
    joined = {"a": "b c a8 b8", "b": "a c a8 b8", "c": "a b a8 b8", "a8": "a b c b8", "b8": "a b c a8"}
    assert heard(wrong) == joined | {"a0": "b0", "b0": "a0"}
    with pytest.raises(LabError, match="two VLANs of physical network 'p1' are joined already"):
        wrong.switch.join("p1", 0, 7)
    wrong.switch.mend()
    wrong.switch.join("p1", 0, 8)
    red = {"a": "b c", "b": "a c", "c": "a b"}
    assert heard(wrong) == red | {
        "a8": "b8 a0 b0",
        "b8": "a8 a0 b0",
        "a0": "a8 b8 b0",
        "b0": "a8 b8 a0",
    }


def test_a_port_has_another_native_vlan_than_its_chassis(wrong: Lab) -> None:
    wrong.switch.impair(wrong.switch.trunk("p1", "c2"), Impairment(native=7))
    # What c2 sends with the tag arrives; what is sent to it arrives without, and so elsewhere.
    red = {"a": "c b0", "b": "a c", "c": "a b0"}
    assert heard(wrong) == red | {"a8": "b8", "b8": "a8", "b0": "a c"}


def test_a_port_loses_one_direction(wrong: Lab) -> None:
    port = wrong.switch.trunk("p1", "c2")
    wrong.switch.impair(port, Impairment(loses=Loss.SENT))
    assert heard(wrong) == {"a": "b c", "c": "a b", "a8": "b8", "a0": "b0"}
    wrong.switch.impair(port, Impairment(loses=Loss.RECEIVED))
    assert heard(wrong) == {"a": "c", "b": "a c", "c": "a", "b8": "a8", "b0": "a0"}


def test_the_switch_is_cut_in_two(wrong: Lab) -> None:
    for chassis in ("c2", "c3"):
        wrong.switch.impair(wrong.switch.trunk("p1", chassis), Impairment(is_apart=True))
    assert heard(wrong) == {"b": "c", "c": "b"}
    wrong.switch.impair(wrong.switch.trunk("p1", "c2"), Impairment(frozenset({7}), is_apart=True))
    assert heard(wrong) == {}


def test_it_is_told_by_commands_from_any_process(wrong: Lab) -> None:
    def typed(*words: str) -> tuple[int, str]:
        done = trunkline("lab", *words, "--name", wrong.name)
        return done.code, done.out or done.err.splitlines()[-1]

    said = typed("impair", "c2", "--without-vlan", "7", "--without-vlan", "0")
    assert said == (0, "impaired: the port of c2 in p1 (p0-c2)\n")
    assert heard(wrong) == {"a": "c", "c": "a", "a8": "b8", "b8": "a8"}
    assert typed("mend") == (0, f"the physical switch of lab '{wrong.name}' is mended\n")
    assert typed("join", "7", "0") == (0, "joined in p1: VLANs 7 and 0\n")
    assert heard(wrong)["c"] == "a b a0 b0"
    assert typed("mend")[0] == 0
    assert typed("impair", "c3", "--loses", "sent", "--apart")[0] == 0
    assert heard(wrong)["a"] == "b"
    assert typed("impair", "c9", "--mtu", "1400") == (
        1,
        "trunkline: chassis 'c9' has no port in physical network 'p1'",
    )
    assert typed("join", "7", "8", "--physical-network", "p2")[0] == 1
    code, error = typed("impair", "c2")
    assert (code, "say what is wrong" in error) == (2, True)
