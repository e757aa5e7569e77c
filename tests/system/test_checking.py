"""What a chassis finds of itself when it is asked to `check`: a healthy one finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from trunkline.health.refused import SLACK_S, Counted, Kind, PortCounts
from trunkline.insight.connection import Connection
from trunkline.insight.waiting import finished
from trunkline.northbound.question import ask
from trunkline.openflow import tally

pytestmark = pytest.mark.system

A, PEER = mac_of("a"), mac_of("z")
OWN, OTHER = "192.0.2.11", "192.0.2.66"
NIC = "nic-br-phys1"


def who_has(address: str, mac: str = A) -> bytes:
    """Return the frame by which *address* asks for its peer."""
    return bytes(Ether(src=mac, dst=BROADCAST) / ARP(hwsrc=mac, psrc=address, pdst="192.0.2.99"))


def packet(address: str) -> bytes:
    return bytes(Ether(src=A, dst=PEER) / IP(src=address, dst="192.0.2.99") / UDP(sport=9, dport=9))


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """A site whose chassis has secured ports a and b in VLAN 101 of physnet1; each test leaves it so."""
    with opened() as site:
        chassis = site.chassis()
        site.network(mtu=1500)
        for number, port in enumerate(("a", "b"), start=11):
            site.port(port, port_security=True, addresses=[f"192.0.2.{number}"])
            chassis.plug(port)
        site.await_up("a", "b")
        yield site


@pytest.fixture
def chassis(shared: Site) -> DummyChassis:
    (chassis,) = shared.all
    return chassis


def checked(site: Site, **parameters: str) -> list[dict[str, Any]]:
    """Return what the chassis finds, of *parameters*."""
    site.sync()
    (answer,) = ask(site.nb, "check", ["c1"], parameters, timeout_s=30).by_chassis.values()
    assert answer.state == "done", answer
    assert answer.body["uncounted"] is None
    found: list[dict[str, Any]] = answer.body["findings"]
    return found


def codes(site: Site, **parameters: str) -> dict[str, str]:
    return {each["code"]: each["severity"] for each in checked(site, **parameters)}


def test_a_healthy_chassis_finds_nothing(shared: Site, chassis: DummyChassis) -> None:
    chassis.devices.receive("a", who_has(OWN), packet(OWN))
    chassis.devices.receive("b", who_has("192.0.2.12", mac_of("b")))
    assert checked(shared) == checked(shared, port="a") == checked(shared, network="net1") == []


@dataclass(frozen=True)
class Cause:
    """What is wrong, how it comes and goes, and what is found of it."""

    comes: Callable[[DummyChassis], object]
    goes: Callable[[DummyChassis], object]
    code: str
    subject: str
    text: str


def vsctl(*words: str) -> Callable[[DummyChassis], object]:
    return lambda chassis: chassis.switch.vsctl(*words)


CAUSES = {
    "flow-restore-wait": Cause(
        vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true"),
        vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait"),
        "T402",
        "switch",
        "flow-restore-wait is set: when ovs-vswitchd starts the next time, it forwards nothing",
    ),
    "mirror": Cause(
        vsctl("--id=@m", "create", "Mirror", "name=m", "--", "set", "Bridge", "br-int", "mirrors=@m"),
        vsctl("clear", "Bridge", "br-int", "mirrors"),
        "T406",
        "switch",
        "br-int has 1 mirror, which sends copies of frames past all flows of ours",
    ),
    "foreign flow": Cause(
        lambda chassis: chassis.switch.ofctl("add-flow", "br-int", "cookie=0xbad,priority=1,actions=drop"),
        lambda chassis: chassis.switch.ofctl("del-flows", "br-int", "cookie=0xbad/-1"),
        "T405",
        "switch",
        "another program has 1 flow on br-int, cookie 0xbad; they may take frames before ours do",
    ),
    "one NIC of two": Cause(
        lambda chassis: chassis.switch.vsctl(
            # Since Open vSwitch 4.0, ovs-vsctl fails if it waits for such an interface.
            *("--no-wait", "add-port", "br-phys1", "nic2"),
            *("--", "set", "Interface", "nic2", "type=bogus"),
        ),
        vsctl("del-port", "nic2"),
        "T208",
        "mapping physnet1",
        "br-phys1 has 2 NICs, and nic2 cannot be used: could not open network device nic2 "
        "(Address family not supported by protocol)",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_what_is_wrong_is_found_and_is_not_once_it_is_mended(
    shared: Site, chassis: DummyChassis, name: str
) -> None:
    cause = CAUSES[name]
    cause.comes(chassis)
    (found,) = until(lambda: checked(shared), "found")
    assert (found["code"], found["severity"], found["chassis"]) == (cause.code, "warning", "c1")
    assert (found["subject"], found["text"]) == (cause.subject, cause.text)
    assert found["remedy"]
    cause.goes(chassis)
    until(lambda: not checked(shared), "mended")


def test_a_bridge_that_has_just_lost_its_flows_is_found_at_once(shared: Site, chassis: DummyChassis) -> None:
    """The agent itself looks every 10 s, so the first answer would say nothing of it."""
    assert checked(shared) == []
    chassis.switch.vsctl("set", "Bridge", "br-phys1", "fail_mode=secure")
    chassis.switch.ofctl("del-flows", "br-phys1")
    (found,) = checked(shared, port="a")
    assert (found["code"], found["severity"], found["subject"]) == ("T205", "error", "mapping physnet1")
    chassis.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")
    assert checked(shared, port="a") == []
    chassis.switch.vsctl("clear", "Bridge", "br-phys1", "fail_mode")
    shared.await_up("a", "b")


@pytest.mark.parametrize(
    ("code", "frame"),
    [
        ("T307", who_has(OWN, PEER)),
        ("T309", who_has(OTHER)),
    ],
)
def test_a_vm_that_begins_to_send_what_its_port_may_not_is_found(site: Site, code: str, frame: bytes) -> None:
    """Its port has worked before, and others go on to work."""
    chassis = site.chassis()
    site.network()
    for number, port in enumerate(("a", "b"), start=11):
        site.port(port, port_security=True, addresses=[f"192.0.2.{number}"])
        chassis.plug(port)
    site.await_up("a", "b")
    chassis.devices.receive("a", *[who_has(OWN)] * 30)
    assert checked(site) == []

    def is_found() -> bool:
        chassis.devices.receive("a", frame)
        chassis.devices.receive("b", who_has("192.0.2.12", mac_of("b")))
        return codes(site) == {code: "error"}

    until(is_found, "found")
    assert [each["subject"] for each in checked(site, port="a")] == ["port a"]
    assert checked(site, port="b") == []

    # What it sends is right again, and so much that what was wrong before soon is no more than a tenth of it.
    def is_mended() -> bool:
        chassis.devices.receive("a", *[who_has(OWN)] * 50)
        return codes(site) == {}

    until(is_mended, "mended")


def test_one_arp_for_an_address_of_another_is_enough(site: Site) -> None:
    """The VM was given another address, and one ping of it failed."""
    chassis = site.chassis()
    site.network()
    site.port("a", port_security=True, addresses=[OWN])
    chassis.plug("a")
    site.await_up("a")
    chassis.devices.receive("a", *[who_has(OWN)] * 30)
    key = int(site.nb.port("a")["unique_key"])
    until(lambda: _idle_s(chassis, key) > 2 * SLACK_S, "the last frame that is right was a while ago")
    chassis.devices.receive("a", who_has(OTHER))
    (found,) = until(lambda: checked(site, port="a"), "found")
    assert (found["code"], found["severity"]) == ("T309", "error")
    assert "1 frame was refused" in found["text"]


def _idle_s(chassis: DummyChassis, key: int) -> float:
    """Return how long ago something of IPv4 was last taken from the port with *key*; 0 if nothing was."""
    found = PortCounts()
    with Connection(chassis.switch.rundir / "br-int.mgmt", versions=tally.VERSIONS) as bridge:
        finished(bridge.count(found.note))
    return found.of(key).get(Kind.OWN_IPV4, Counted()).idle_s or 0.0


@pytest.mark.parametrize(
    ("code", "severity", "frame"),
    [
        ("T307", "error", who_has(OWN, PEER)),
        ("T309", "error", who_has(OTHER)),
        ("T308", "error", packet(OTHER)),
        ("T311", "error", ethernet(BROADCAST, A, 7)),
    ],
)
def test_a_vm_of_which_nothing_is_taken_does_not_work(
    site: Site, code: str, severity: str, frame: bytes
) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a", port_security=True, addresses=[OWN])
    chassis.plug("a")
    site.await_up("a")
    assert checked(site) == []
    chassis.devices.receive("a", frame)
    assert until(lambda: codes(site), "found") == {code: severity}
    (found,) = checked(site, port="a")
    assert "1 frame was refused" in found["text"]
    assert found["text"].endswith("no other one was taken")
    assert "a" in found["remedy"].split()


def test_some_refused_frames_of_a_vm_that_works_are_no_finding(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a", port_security=True, addresses=[OWN])
    chassis.plug("a")
    site.await_up("a")
    chassis.devices.receive("a", *[packet(OWN)] * 20, *[packet(OTHER)] * 5)
    until(lambda: "n_packets=5," in "".join(chassis.flows()), "counted")
    assert checked(site) == []
    chassis.devices.receive("a", *[packet(OTHER)] * 20)
    assert until(lambda: codes(site), "found") == {"T308": "warning"}


def test_a_chassis_whose_switch_hangs_finds_what_it_can(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    CAUSES["mirror"].comes(chassis)
    with chassis.switch.stopped():
        (answer,) = ask(site.nb, "check", ["c1"], timeout_s=30).by_chassis.values()
    assert "no answer within 3 s" in answer.body["uncounted"]
    assert [each["code"] for each in answer.body["findings"]] == ["T406"]


def test_a_vif_whose_vm_has_another_mac_than_its_port_is_a_fault(shared: Site, chassis: DummyChassis) -> None:
    def faults() -> dict[str, str]:
        shared.sync()
        found: dict[str, str] = shared.nb.chassis("c1")["faults"]
        return found

    def attach(mac: str) -> None:
        chassis.switch.vsctl("set", "Interface", "a", f'external_ids:attached-mac="{mac}"')

    told = {
        "vif a": f"a is attached to a VM with MAC {PEER}, and its port has {A}; "
        "give the VM the MAC of its port, or change `mac`"
    }
    attach(A.upper())
    assert faults() == {}
    attach(PEER)
    assert faults() == told
    # It is one cause, so it is not found a second time.
    assert checked(shared) == []
    shared.nb.set_port("a", {"allowed_address_pairs": [PEER]})
    assert faults() == {}
    shared.nb.set_port("a", {"allowed_address_pairs": []})
    assert faults() == told
    attach("no MAC")
    assert faults() == {}
    assert shared.bindings()["a"] == ("c1", True)


@pytest.mark.parametrize("protocols", ["OpenFlow14", "OpenFlow10,OpenFlow14", "OpenFlow15,OpenFlow14"])
def test_counts_are_read_by_the_best_version_that_the_bridge_allows(
    shared: Site, chassis: DummyChassis, protocols: str
) -> None:
    """By 1.4, nobody knows when a frame was refused."""
    chassis.switch.vsctl("set", "Bridge", "br-int", f"protocols={protocols}")
    chassis.agent.await_settled()
    chassis.devices.receive("b", ethernet(BROADCAST, mac_of("b"), 7))
    (found,) = until(lambda: checked(shared, port="b"), "found")
    assert found["code"] == "T311"
    assert ("s ago" in found["text"]) is ("OpenFlow15" in protocols)
    chassis.unplug("b")
    shared.sync()
    chassis.plug("b")
    chassis.switch.vsctl("set", "Bridge", "br-int", "protocols=[]")
    shared.await_up("b")
    chassis.agent.await_settled()
