"""`trunkline trace`: where a frame goes, by what each chassis' own switch says, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, ethernet, mac_of, opened, until
from program import Done, refusal, trunkline
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether

from trunkline.northbound.operation import select, update
from trunkline.path.evidence import LAG_S

pytestmark = pytest.mark.system

A, B, R = mac_of("a"), mac_of("b"), mac_of("r")
ADDRESS = {name: f"192.0.2.{ord(name)}" for name in "abr"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One site for all: a and b on c1, r on c2, u without a VIF, t in another network. No wire joins them."""
    with opened() as started:
        chassis = {"a": started.chassis("c1"), "r": started.chassis("c2")}
        started.network("blue")
        started.network("red", 102)
        for name in "abr":
            started.port(name, "blue", port_security=True, addresses=(ADDRESS[name],))
            chassis.get(name, chassis["a"]).plug(name)
        started.port("u", "blue")
        started.port("t", "red")
        chassis["a"].plug("t")
        started.await_up("a", "b", "r", "t")
        started.sync()
        yield started


@pytest.fixture
def c1(site: Site) -> DummyChassis:
    return site.all[0]


@pytest.fixture
def c2(site: Site) -> DummyChassis:
    return site.all[1]


class Tracer:
    """The program as it is run elsewhere, where there is no Open vSwitch."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._site = site
        monkeypatch.setenv("OVS_RUNDIR", "/nonexistent")

    def run(self, *words: str) -> Done:
        return trunkline("trace", *words, nb=self._site.served.remote)

    def data(self, code: int, *words: str) -> dict[str, Any]:
        done = self.run(*words, "-o", "json")
        assert (done.code, done.err) == (code, ""), done
        found: dict[str, Any] = json.loads(done.out)
        assert found["version"] == 1
        return found


@pytest.fixture
def tracer(site: Site, monkeypatch: pytest.MonkeyPatch) -> Tracer:
    return Tracer(site, monkeypatch)


def bands(found: dict[str, Any]) -> list[str]:
    return [step["band"] for hop in found["hops"] for step in hop["steps"] if step["band"]]


# -- delivered -----------------------------------------------------------------------------------------


def test_a_frame_to_a_port_of_the_chassis_is_delivered_there(tracer: Tracer) -> None:
    found = tracer.data(0, "--from", "a", "--to", "b")
    assert (found["verdict"], found["text"]) == ("DELIVERED", "to b (c1, b), untagged")
    assert [hop["chassis"] for hop in found["hops"]] == ["c1"]
    assert bands(found) == ["VIF", "SOURCE_MAC", "NOT_ND", "ADDRESS", "LOCAL_MAC", "LOCAL", "DELIVER"]
    assert found["frame"].startswith(f"a sends ping {ADDRESS['a']} → {ADDRESS['b']}")


@pytest.mark.parametrize(
    "kind", [(), ("--icmp",), ("--arp",), ("--tcp", "80"), ("--udp", "53"), ("--size", "1500")], ids=str
)
def test_a_frame_of_any_kind_goes_on_at_the_chassis_that_holds_its_receiver(
    tracer: Tracer, kind: tuple[str, ...]
) -> None:
    found = tracer.data(0, "--from", "a", "--to", "r", *kind)
    assert [(hop["chassis"], hop["enters"]) for hop in found["hops"]] == [
        ("c1", "a"),
        ("c2", "physnet1 [101]"),
    ]
    (wire,) = [each for each in found["hops"][0]["out"] if each["kind"] == "wire"]
    assert (wire["interface"], wire["physnet"], wire["vlans"]) == ("nic-br-phys1", "physnet1", [101])
    if kind != ("--arp",):
        assert found["text"] == "to r (c2, r), untagged"
        assert bands(found)[-4:] == ["UPLINK", "LOCAL_MAC", "LOCAL", "DELIVER"]


def test_both_ways_are_followed(tracer: Tracer) -> None:
    found = tracer.data(0, "--from", "a", "--to", ADDRESS["r"], "--tcp", "22", "--both")
    assert [hop["chassis"] for hop in found["back"]["hops"]] == ["c2", "c1"]
    assert found["back"]["text"] == "to a (c1, a), untagged"
    assert found["back"]["frame"].startswith("r sends TCP 22 answer")


def test_a_broadcast_reaches_each_port_with_a_vif(tracer: Tracer) -> None:
    found = tracer.data(0, "--from", "a", "--to", "ff:ff:ff:ff:ff:ff")
    assert {each["port"]: each["verdict"] for each in found["outcomes"]} == {
        "b": "DELIVERED",
        "r": "DELIVERED",
    }
    assert found["text"] == "to 2 of 2 ports"


NONSENSE: list[dict[str, Any]] = [
    {"mac": "x" * 17},
    {"addresses": ["192.0.2.0/24", "foo"]},
    {"allowed_address_pairs": ["x,y"]},
]


@pytest.mark.parametrize("columns", NONSENSE)
def test_a_row_of_nonsense_ends_no_trace_between_others(
    site: Site, tracer: Tracer, columns: dict[str, Any]
) -> None:
    """Another client may write what is no address: a fault of that port alone."""
    ((before,),) = site.nb.read(select("Port", ("name", "==", "u"), only=tuple(columns)))
    site.nb.transact([update("Port", ("name", "==", "u"), row={"chassis": "c1", **columns})])
    try:
        for target in ("ff:ff:ff:ff:ff:ff", "192.0.2.99", "02:00:00:00:00:99", "u"):
            done = tracer.run("--from", "a", "--to", target)
            assert "b: " not in done.out, done
            if target == "u" and "mac" in columns:
                assert "port u: 'xxxxxxxxxxxxxxxxx' is not a MAC address" in refusal(done, 1)
                assert "trunkline port set u --mac MAC" in done.err
            else:
                assert (done.code in (0, 4), done.err) == (True, ""), done
    finally:
        site.nb.transact([update("Port", ("name", "==", "u"), row={**before, "chassis": None})])


def test_a_frame_from_the_wire_enters_by_the_nic(tracer: Tracer) -> None:
    found = tracer.data(0, "--from", "physnet1", "--vlan", "101", "--to", "r")
    assert [hop["in"] for hop in found["hops"]] == ["nic-br-phys1"]
    assert found["verdict"] == "DELIVERED"


def test_a_mac_of_no_port_that_comes_from_the_wire_goes_nowhere(tracer: Tracer) -> None:
    found = tracer.data(4, "--from", "physnet1", "--vlan", "101", "--to", "02:00:00:00:00:fe")
    assert (found["verdict"], found["rule"]) == ("DROPPED", 6)


def test_an_address_of_no_port_is_resolved_as_arp_would(tracer: Tracer) -> None:
    done = tracer.run("--from", "a", "--to", "192.0.2.250", "--tcp", "80")
    assert done.code == 0
    assert "no port has the address 192.0.2.250, so this is where the ARP request goes that asks" in done.out
    assert f"a sends ARP {ADDRESS['a']} → 192.0.2.250" in done.out


def test_a_port_without_an_ipv6_address_asks_from_its_link_local_one(tracer: Tracer) -> None:
    done = tracer.run("--from", "a", "--to", "fe80::1")
    assert done.code == 0, done
    assert "a sends neighbour discovery fe80::" in done.out
    assert "this is where the neighbour solicitation goes that asks for it" in done.out
    assert "stands for one" not in done.out


def test_a_mac_of_no_port_leaves_for_the_wire(tracer: Tracer) -> None:
    found = tracer.data(0, "--from", "a", "--to", "02:00:00:00:00:fe")
    assert found["text"] == "to physnet1 [101]; what is behind it is not known"
    assert "UNKNOWN" in bands(found)


# -- dropped -------------------------------------------------------------------------------------------


def _hex(frame: Any) -> str:
    return bytes(frame).hex()


REFUSED: dict[str, tuple[Any, str]] = {
    "another MAC": (Ether(src=R, dst=B) / IP(src=ADDRESS["a"]) / UDP(), "MAC_REFUSED"),
    "another address": (
        Ether(src=A, dst=B) / IP(src="192.0.2.99", dst=ADDRESS["b"]) / UDP(),
        "ADDRESS_REFUSED",
    ),
    "another's solicitation": (
        Ether(src=A, dst="33:33:ff:00:00:99") / IPv6(src="2001:db8::99") / ICMPv6ND_NS(tgt="2001:db8::1"),
        "ADDRESS_REFUSED",
    ),
    "a question whether an address of another is free": (
        Ether(src=A, dst="33:33:ff:00:00:99") / IPv6(src="::") / ICMPv6ND_NS(tgt="2001:db8::99"),
        "ADDRESS_REFUSED",
    ),
    "another's advertisement": (
        Ether(src=A, dst=B) / IPv6(src="2001:db8::99", dst="2001:db8::1") / ICMPv6ND_NA(tgt="2001:db8::99"),
        "NEIGHBOUR_REFUSED",
    ),
    "another's ARP": (Ether(src=A, dst=B) / ARP(hwsrc=A, psrc="192.0.2.99"), "NEIGHBOUR_REFUSED"),
    "another MAC in ARP": (Ether(src=A, dst=B) / ARP(hwsrc=R, psrc=ADDRESS["a"]), "NEIGHBOUR_REFUSED"),
    "a DHCP answer": (
        Ether(src=A, dst=B) / IP(src=ADDRESS["a"], dst=ADDRESS["b"]) / UDP(sport=67, dport=68),
        "SERVER_REFUSED",
    ),
    "a tag": (ethernet(B, A, 0x65), "TAGGED"),
    "a control frame": (ethernet("01:80:c2:00:00:0e", A), "CONTROL_REFUSED"),
    "no station": (ethernet(B, "00:00:00:00:00:00"), "NO_SENDER"),
}


@pytest.mark.parametrize(("frame", "band"), REFUSED.values(), ids=REFUSED.keys())
def test_a_frame_that_is_dropped_names_the_table_the_rule_and_what_to_do(
    tracer: Tracer, frame: Any, band: str
) -> None:
    found = tracer.data(4, "--from", "a", "--frame", _hex(frame))
    assert found["verdict"] == "DROPPED"
    assert bands(found)[-1] == band
    assert found["rule"] in (11, 13, 17)
    assert found["remedy"]
    assert found["hops"][-1]["out"] == []


def test_the_remedy_is_a_command_with_the_values_of_the_frame(tracer: Tracer) -> None:
    frame = Ether(src=A, dst=B) / IP(src="192.0.2.99", dst=ADDRESS["b"]) / UDP()
    done = tracer.run("--from", "a", "--to", "b", "--frame", _hex(frame))
    assert done.code == 4
    assert f"trunkline port set a --allowed-address {A},192.0.2.99" in done.out


def test_a_tag_that_the_vm_puts_on_is_dropped(tracer: Tracer) -> None:
    assert bands(tracer.data(4, "--from", "a", "--to", "b", "--vlan", "7"))[-1] == "TAGGED"


def test_no_frame_crosses_networks(tracer: Tracer) -> None:
    found = tracer.data(4, "--from", "a", "--to", "t")
    assert (found["rule"], found["hops"]) == (4, [])
    assert "t is in network red, a in blue" in found["text"]


def test_what_was_dropped_of_the_senders_other_frames_is_told_as_well(
    c1: DummyChassis, tracer: Tracer
) -> None:
    c1.receive_once("b", *[ethernet(A, R)] * 3)
    c1.vswitchd.await_revalidated()
    done = tracer.run("--from", "b", "--to", "a")
    # It has sent nothing else, so nothing of it arrives.
    assert done.code == 4
    assert "NOT DELIVERED this frame would be delivered, but the VM sends others: b sends " in done.out
    assert re.search(
        r"but 3 frames of b were dropped \(rule 13, the last one \d s ago\), from a MAC that its port ",
        done.out,
    )
    assert "→ give the VM the MAC of its port (trunkline port show b)" in done.out


# -- what is broken ------------------------------------------------------------------------------------


def _link(chassis: DummyChassis, interface: str, state: str) -> None:
    chassis.devices.set_link(interface, state)
    until(lambda: chassis.get("Interface", interface, "admin_state") == state, f"{interface} {state}")
    chassis.agent.await_settled()


@pytest.mark.parametrize("ends", [("a", "r"), ("r", "a")], ids=str)
@pytest.mark.parametrize("interface", ["nic-br-phys1", "r"])
def test_a_link_that_is_down_is_the_reason(
    c2: DummyChassis, tracer: Tracer, interface: str, ends: tuple[str, str]
) -> None:
    _link(c2, interface, "down")
    try:
        found = tracer.data(4, "--from", ends[0], "--to", ends[1])
        assert found["verdict"] == "NOT DELIVERED"
        assert f"{interface} is set down" in found["text"]
        assert found["text"].startswith("on c2: ")
        assert found["remedy"] == f"ip link set {interface} up"
    finally:
        _link(c2, interface, "up")


@pytest.mark.parametrize("ends", [("a", "r"), ("r", "a")], ids=str)
def test_a_provider_bridge_that_drops_everything_is_the_reason(
    c2: DummyChassis, tracer: Tracer, ends: tuple[str, str]
) -> None:
    c2.switch.ofctl("del-flows", "br-phys1")
    try:
        found = tracer.data(4, "--from", ends[0], "--to", ends[1])
        assert "br-phys1 has no flows, so it drops every frame" in found["text"]
        assert found["remedy"].startswith("ovs-ofctl add-flow br-phys1 actions=NORMAL")
    finally:
        c2.switch.ofctl("add-flow", "br-phys1", "priority=9,actions=FLOOD")


@pytest.mark.parametrize("ends", [("a", "r"), ("r", "a")], ids=str)
def test_a_nic_that_is_missing_is_the_reason(c2: DummyChassis, tracer: Tracer, ends: tuple[str, str]) -> None:
    c2.switch.vsctl("del-port", "nic-br-phys1")
    try:
        found = tracer.data(4, "--from", ends[0], "--to", ends[1])
        assert found["text"] == "on c2: nothing gets out of br-phys1: it has no NIC"
        assert found["remedy"] == "ovs-vsctl add-port br-phys1 NIC"
    finally:
        c2.add_nic("br-phys1")


@pytest.mark.parametrize("ends", [("a", "r"), ("r", "a")], ids=str)
def test_a_physical_network_that_is_not_mapped_is_the_reason(
    site: Site, c2: DummyChassis, tracer: Tracer, ends: tuple[str, str]
) -> None:
    c2.set(**{"trunkline-bridge-mappings": "physnetX:br-phys1"})
    try:
        site.sync()
        found = tracer.data(4, "--from", ends[0], "--to", ends[1])
        assert "trunkline-bridge-mappings=physnet1:BRIDGE,physnetX:br-phys1" in found["remedy"]
    finally:
        c2.set(**{"trunkline-bridge-mappings": "physnet1:br-phys1"})
        site.await_up("r")
        site.sync()


# -- the wire between ----------------------------------------------------------------------------------


def _age_s(chassis: DummyChassis, *words: str) -> float:
    """Return for how long the one flow that has *words* has been there."""
    (line,) = [line for line in chassis.flows() if all(word in line for word in words)]
    return float(line.split("duration=")[1].split("s,")[0])


def test_a_wire_that_loses_a_vlan_is_told_by_the_counters_at_its_ends(
    c1: DummyChassis, c2: DummyChassis, tracer: Tracer
) -> None:
    until(lambda: _age_s(c2, "dl_vlan=101", "pop_vlan") > 2 * LAG_S, "a flow that is old enough")
    frame = Ether(src=A, dst=R) / IP(src=ADDRESS["a"], dst=ADDRESS["r"]) / UDP()
    c1.receive_once("a", bytes(frame))
    c1.vswitchd.await_revalidated()
    found = tracer.data(4, "--from", "a", "--to", "r")
    assert found["verdict"] == "NOT DELIVERED"
    assert "the physical network loses VLAN 101 between them: c1 has sent 1 frame" in found["text"]
    assert "c2 has received none of that VLAN" in found["text"]
    assert found["text"].endswith("s ago")
    assert found["remedy"].startswith("allow VLAN 101 on the switch ports of c2 and c1")
    c2.receive_once("nic-br-phys1", ethernet(R, A, 101))
    c2.vswitchd.await_revalidated()
    found = tracer.data(0, "--from", "a", "--to", "r")
    assert "c2 has received 1 frame" in found["wires"][0]


def test_a_chassis_that_is_silent_leaves_the_trace_incomplete(
    c2: DummyChassis, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(c2.agent.process.pid, signal.SIGSTOP)
    try:
        found = tracer.data(3, "--from", "a", "--to", "r")
        assert (found["verdict"], found["text"]) == (
            "INCOMPLETE",
            "ends here: c2 has not answered for 10 s",
        )
        assert [hop["chassis"] for hop in found["hops"]] == ["c1"]
        # On the chassis itself its switch is asked, and nobody else is needed for it.
        monkeypatch.setenv("OVS_RUNDIR", str(c2.switch.rundir))
        assert tracer.data(0, "--from", "a", "--to", "r")["text"] == "to r (c2, r), untagged"
    finally:
        os.kill(c2.agent.process.pid, signal.SIGCONT)


def test_a_chassis_that_refuses_questions_leaves_the_trace_incomplete(
    c2: DummyChassis, tracer: Tracer
) -> None:
    c2.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-answers=false")
    try:
        until(lambda: "answers no questions" in tracer.run("--from", "a", "--to", "r").out, "refused")
    finally:
        c2.switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-answers")


def test_a_switch_that_is_stopped_leaves_the_trace_incomplete(c2: DummyChassis, tracer: Tracer) -> None:
    with c2.switch.stopped():
        found = tracer.data(3, "--from", "a", "--to", "r")
    assert found["text"].startswith("ends here: c2 cannot say: ")
    assert "is ovs-vswitchd stopped or very busy?" in found["text"]
    assert found["remedy"].startswith("there, see whether ovs-vswitchd runs ")


def test_a_port_without_a_vif_is_a_reason_or_an_error(tracer: Tracer) -> None:
    assert refusal(tracer.run("--from", "u", "--to", "a"), 1) == (
        "trunkline: u has no VIF: no chassis holds it; plug in an interface with external_ids:iface-id=u"
    )
    found = tracer.data(4, "--from", "a", "--to", "u")
    assert found["text"] == "u has no VIF: no chassis holds it"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from", "nobody", "--to", "a"), 1, "no port and no physical network is called 'nobody'"),
        (("--from", "a", "--to", "nobody"), 1, "no port is called 'nobody'"),
        (("--from", "physnet1", "--vlan", "9", "--to", "a"), 1, "no network has VLAN 9 on physnet1"),
        (
            (
                "--from",
                "a",
            ),
            2,
            "say whom the frame is for",
        ),
        (("--from", "a", "--to", "b", "--frame", "xyz"), 2, "is not a frame in hex digits"),
        (("--from", "a", "--to", "b", "--frame", "00"), 2, "a frame has 14 to 9728 bytes, not 1"),
        (("--from", "a", "--to", "b", "--tcp", "80", "--arp"), 2, "give one of"),
        (("--from", "a", "--to", "b", "--tcp", "0"), 2, "0 is not in the range"),
        (("--from", "a", "--to", "b", "--size", "7"), 2, "not 7"),
        (("--from", "a", "--to", "ff:ff:ff:ff:ff:ff", "--both"), 2, "only one port can answer"),
        (("--from", "a", "--to", "a"), 2, "what a port sends to itself does not leave the VM"),
        (("--from", "a", "--to", "b", "--ovs", "unix:/nonexistent"), 1, "cannot open /nonexistent"),
    ],
)
def test_wrong_input_is_one_line(tracer: Tracer, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in refusal(tracer.run(*words), code)


def test_a_trace_sends_nothing_and_counts_nothing(site: Site, tracer: Tracer) -> None:
    for chassis in site.all:
        chassis.vswitchd.await_revalidated()
        chassis.devices.new()
    before = [[line for line in chassis.flows() if "priority=100" in line] for chassis in site.all]
    counts = [[line.split("n_packets=")[1].split(",")[0] for line in lines] for lines in before]
    tracer.data(0, "--from", "a", "--to", "r")
    tracer.data(0, "--from", "a", "--to", "ff:ff:ff:ff:ff:ff")
    for chassis, known in zip(site.all, counts, strict=True):
        chassis.vswitchd.await_revalidated()
        lines = [line for line in chassis.flows() if "priority=100" in line]
        assert [line.split("n_packets=")[1].split(",")[0] for line in lines] == known
        assert chassis.devices.new() == {}
