"""`trunkline probe --addresses` in a lab: somebody outside who uses an address of a port is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import until
from program import Done, trunkline

from trunkline.core.probe import Secret
from trunkline.lab.namespace import ip
from trunkline.northbound import question
from trunkline.northbound.client import Northbound
from trunkline.probe.order import KIND, Order, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import LabFactory
    from trunkline.lab import Lab

pytestmark = pytest.mark.system

COOKIE = "cookie=0x7470050000000000"
OWN_MAC, OTHER_MAC = "02:aa:00:00:00:11", "02:bb:00:00:00:99"
ADDRESS, ADDRESS_6 = "10.0.0.11", "2001:db8::11"

TOPOLOGY = f"""
physnets: [physnet1]
networks:
  - {{name: blue, type: vlan, physical_network: physnet1, segment: 101}}
chassis:
  - {{name: c1, mappings: {{physnet1: br-phys1}}}}
  - {{name: c2, mappings: {{physnet1: br-phys1}}}}
vms:
  - {{name: web1, chassis: c1, network: blue, ip: {ADDRESS}/24, mac: "{OWN_MAC}"}}
  - {{name: web2, chassis: c1, network: blue, ip: 10.0.0.12/24}}
  - {{name: web3, chassis: c2, network: blue, ip: 10.0.0.13/24}}
hosts:
  - {{name: other, physnet: physnet1, vlan: 101, ip: 10.0.0.99/24, mac: "{OTHER_MAC}"}}
"""


@pytest.fixture(scope="module")
def started(lasting_lab: LabFactory) -> Lab:
    lab = lasting_lab(TOPOLOGY)
    options = ("--ip", ADDRESS, "--ip", ADDRESS_6)
    assert trunkline("port", "set", "web1", *options, "--wait", nb=lab.nb.remote).code == 0
    return lab


@pytest.fixture
def lab(started: Lab) -> Iterator[Lab]:
    """The lab, in which a host uses what it must not; afterwards it does not, and nothing is found."""
    yield started
    other = started.host["other"].namespace
    for address in (f"{ADDRESS}/24", f"{ADDRESS_6}/64"):
        if address in other.run(["ip", "address", "show", "dev", "eth0"]):
            ip([f"address del {address} dev eth0"], other)
    ip([f"link set eth0 address {OTHER_MAC}"], other)
    assert data(started, 0)["duplicates"] == []
    assert "T328" not in trunkline("check", nb=started.nb.remote).out


def take(lab: Lab, *commands: str) -> None:
    ip(list(commands), lab.host["other"].namespace)


def probe(lab: Lab, *options: str) -> Done:
    return trunkline("probe", "--addresses", "--timeout", "60", *options, nb=lab.nb.remote)


def data(lab: Lab, code: int, *options: str) -> dict[str, Any]:
    done = probe(lab, *options, "-o", "json")
    assert (done.code, done.err) == (code, ""), done
    found: dict[str, Any] = json.loads(done.out)
    return found


def traced(lab: Lab, one: str, other: str) -> tuple[int, list[str]]:
    """Return how a trace from *one* to the *other* ends, and what to do about what a probe has found."""
    words = ("trace", "--from", one, "--to", other)
    done = trunkline(*words, "-o", "json", nb=lab.nb.remote)
    found = [each for each in json.loads(done.out)["notes"] if "but a probe of addresses, " in each["text"]]
    shown = trunkline(*words, nb=lab.nb.remote).out
    assert ("but a probe of addresses, " in shown) == bool(found)
    return done.code, [each["remedy"] for each in found]


def test_nothing_is_found_in_a_healthy_lab_and_nothing_is_left(lab: Lab) -> None:
    found = data(lab, 0)
    assert (found["addresses"], found["unasked"], found["duplicates"]) == (4, 0, [])
    assert probe(lab).out.startswith("4 addresses in 1 network: nobody else uses one\n")
    for chassis in lab.chassis.values():
        assert COOKIE not in chassis.switch.ofctl("dump-flows", "br-int")


def test_a_foreign_user_of_an_ipv4_address_is_named_by_its_mac(lab: Lab) -> None:
    take(lab, f"address add {ADDRESS}/24 dev eth0")
    (found,) = data(lab, 4, "--port", "web1")["duplicates"]
    assert (found["use"], found["port"], found["chassis"]) == ("address", "web1", "c1")
    assert (found["address"], found["mac"], found["owner"]) == (ADDRESS, OTHER_MAC, None)
    assert f"look in the physical switches for where {OTHER_MAC} is learnt" in found["remedy"]
    (row,) = probe(lab, "-o", "csv").out.splitlines()[1:]
    assert probe(lab, "-o", "name") == (4, "web1\n", "")
    assert row == f"address,blue,physnet1,101,web1,c1,{ADDRESS},{OTHER_MAC},"

    checked = json.loads(trunkline("check", "-o", "json", nb=lab.nb.remote).out)
    (by_check,) = [each for each in checked if each["code"] == "T328"]
    assert (by_check["subject"], by_check["severity"], by_check["chassis"]) == ("port web1", "error", "c1")
    again = "; then ask again: trunkline probe --addresses --port web1"
    assert by_check["remedy"].endswith(again)
    assert traced(lab, "web3", "web1") == traced(lab, "web1", "web3") == (0, [by_check["remedy"]])
    assert traced(lab, "web3", "web2") == (0, [])
    # Others were not asked for, so what is known of web1 stays.
    assert data(lab, 0, "--port", "web3")["duplicates"] == []
    assert "T328" in trunkline("check", nb=lab.nb.remote).out


def test_a_foreign_user_of_an_ipv6_address_is_named_by_its_mac(lab: Lab) -> None:
    take(lab, f"address add {ADDRESS_6}/64 dev eth0 nodad")
    (found,) = data(lab, 4)["duplicates"]
    assert (found["use"], found["port"]) == ("address", "web1")
    assert (found["address"], found["mac"]) == (ADDRESS_6, OTHER_MAC)


def test_a_machine_with_the_mac_of_a_port_too_is_told_apart(lab: Lab) -> None:
    take(lab, f"link set eth0 address {OWN_MAC}", f"address add {ADDRESS}/24 dev eth0")
    (found,) = data(lab, 4)["duplicates"]
    assert (found["use"], found["address"], found["mac"]) == ("machine", ADDRESS, OWN_MAC)


# -- as the lab does it -------------------------------------------------------------------------------


def typed(lab: Lab, *words: str) -> Done:
    return trunkline("lab", *words, "--name", lab.name)


def taken(*what: str) -> list[str]:
    return [word for each in what for word in ("--takes", each)]


def nic(lab: Lab) -> dict[str, Any]:
    """Return what the host's NIC has: MAC, alias and addresses."""
    (found,) = json.loads(lab.host["other"].run(["ip", "-j", "address", "show", "dev", "eth0"]))
    addresses = sorted((each["local"], each["prefixlen"]) for each in found["addr_info"])
    return {"mac": found["address"], "alias": found.get("ifalias"), "addresses": addresses}


@pytest.mark.parametrize(
    ("what", "use", "address", "mac"),
    [
        ((ADDRESS,), "address", ADDRESS, OTHER_MAC),
        ((ADDRESS_6,), "address", ADDRESS_6, OTHER_MAC),
        ((ADDRESS, OWN_MAC), "machine", ADDRESS, OWN_MAC),
    ],
)
def test_what_a_lab_has_a_host_take_is_found_and_gone_when_it_is_mended(
    lab: Lab, what: tuple[str, ...], use: str, address: str, mac: str
) -> None:
    before = nic(lab)
    # It takes nothing else of what it took before.
    for each in (("10.0.0.12",), what):
        done = typed(lab, "impair", "other", *taken(*each))
        assert (done.code, done.out) == (0, f"impaired: other takes {', '.join(each)}\n"), done
    (found,) = data(lab, 4)["duplicates"]
    assert (found["use"], found["port"], found["address"], found["mac"]) == (use, "web1", address, mac)
    assert f"look in the physical switches for where {mac} is learnt" in found["remedy"]
    assert typed(lab, "mend").code == 0
    assert data(lab, 0)["duplicates"] == []
    assert nic(lab) == before


def test_a_mac_that_a_host_takes_is_found_when_it_sends(lab: Lab) -> None:
    assert typed(lab, "impair", "other", *taken(OWN_MAC)).code == 0

    def is_found() -> bool:
        # Nobody has that address, so it is asked for by broadcasts, which come to all chassis.
        lab.host["other"].ping("10.0.0.200", timeout_s=1)
        checked = json.loads(trunkline("check", "--port", "web1", "-o", "json", nb=lab.nb.remote).out)
        return "T326" in {each["code"] for each in checked}

    until(is_found, "its frames are dropped and counted", 120)
    assert typed(lab, "mend").code == 0
    assert nic(lab)["mac"] == OTHER_MAC


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("c1", *taken(ADDRESS)), 1, "has no bare-metal host 'c1'; it has: other"),
        (("other", *taken("web1")), 2, "'web1' is not an IP address"),
        (("other", *taken("ff:00:00:00:00:01")), 2, "is a multicast MAC"),
        (("other", *taken(ADDRESS), "--mtu", "1400"), 2, "--takes is about a bare-metal host"),
    ],
)
def test_what_cannot_be_taken_is_refused(lab: Lab, words: tuple[str, ...], code: int, says: str) -> None:
    before = nic(lab)
    done = typed(lab, "impair", *words)
    assert (done.code, says in done.err, nic(lab)) == (code, True, before), done


# -- who may ------------------------------------------------------------------------------------------


def test_a_port_that_may_use_the_address_of_another_is_no_finding(lab: Lab) -> None:
    vm = lab.vm["web3"]
    take_vm = [f"address add {ADDRESS}/24 dev eth0"]
    pair = f"{vm.mac},{ADDRESS}"
    try:
        done = trunkline("port", "set", "web3", "--no-port-security", "--wait", nb=lab.nb.remote)
        assert done.code == 0, done
        ip(take_vm, vm.namespace)
        (found,) = data(lab, 4)["duplicates"]
        assert (found["port"], found["owner"], found["mac"]) == ("web1", "web3", vm.mac)
        done = trunkline("port", "set", "web3", "--allowed-address", pair, "--wait", nb=lab.nb.remote)
        assert done.code == 0, done
        assert data(lab, 0)["duplicates"] == []
    finally:
        ip([f"address del {ADDRESS}/24 dev eth0"], vm.namespace)
        words = ("port", "set", "web3", "--port-security", "--allowed-address", "", "--wait")
        assert trunkline(*words, nb=lab.nb.remote).code == 0


def test_the_question_has_the_mac_of_another_port_here_and_no_vm_here_gets_it_or_the_reply(lab: Lab) -> None:
    take(lab, f"address add {ADDRESS}/24 dev eth0")
    about_it = bytes(map(int, ADDRESS.split(".")))
    with (
        lab.host["other"].capture() as outside,
        lab.vm["web1"].capture() as first,
        lab.vm["web2"].capture() as second,
    ):
        data(lab, 4, "--port", "web1")
        asked = [frame for frame in outside.frames() if frame[28:32] == bytes(4) and about_it in frame]
        here = [*first.frames(), *second.frames()]
    # A physical switch knows it to be at this chassis.
    assert {frame[6:12].hex(":") for frame in asked} == {lab.vm["web2"].mac}
    assert not [frame for frame in here if frame[12:14] == b"\x08\x06" and about_it in frame]


def test_a_reply_to_somebody_else_goes_on_to_the_vm(lab: Lab) -> None:
    """A VM that asks whether it may take an address hears that it is in use, during a probe, too."""
    order = Order(Step.OPEN, Secret(bytes(8), bytes(16)), is_for_addresses=True)
    vm = lab.vm["web2"]
    own, theirs = bytes.fromhex(vm.mac.replace(":", "")), bytes.fromhex(OTHER_MAC.replace(":", ""))
    reply = own + theirs + bytes.fromhex("08060001080006040002")
    reply += theirs + bytes([10, 0, 0, 77]) + own + bytes(4)
    with Northbound.connect(lab.nb.remote) as nb:
        question.ask(nb, KIND, ["c1"], order.parameters(), timeout_s=30)
        assert COOKIE in lab.chassis["c1"].switch.ofctl("dump-flows", "br-int")
        try:
            with vm.capture() as capture:
                lab.host["other"].send(reply)
                capture.until(lambda frame: frame[: len(reply)] == reply)
        finally:
            question.ask(nb, KIND, ["c1"], order._replace(step=Step.CLOSE).parameters(), timeout_s=30)


def test_a_chassis_that_takes_no_part_is_named_and_its_ports_are_not_asked_for(lab: Lab) -> None:
    switch = lab.chassis["c1"].switch
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-probe=false")
    lab.nb.sync()
    try:
        found = data(lab, 0)
        assert (list(found["off"]), found["addresses"]) == (["c1"], 1)
    finally:
        switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-probe")
        lab.nb.sync()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--addresses", "--sizes"), "--addresses goes with"),
        (("--port", "web1"), "--port goes with --addresses"),
    ],
)
def test_options_that_do_not_go_together_are_refused(lab: Lab, words: tuple[str, ...], says: str) -> None:
    done = trunkline("probe", *words, nb=lab.nb.remote)
    assert (done.code, says in done.err) == (2, True), done


def test_a_port_that_does_not_exist_is_named(lab: Lab) -> None:
    done = probe(lab, "--port", "nobody")
    assert (done.code, done.err.count("\n")) == (1, 1), done
    assert "no port is called 'nobody'" in done.err
