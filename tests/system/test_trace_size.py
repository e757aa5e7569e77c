"""`trunkline trace --size`: a packet that an MTU on its way does not let pass is not delivered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, opened, until
from program import trunkline

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """A site with port a on c1 and r on c2; no wire joins them."""
    with opened() as started:
        started.network()
        for name, port in {"c1": "a", "c2": "r"}.items():
            chassis = started.chassis(name)
            started.port(port)
            chassis.plug(port)
        started.await_up("a", "r")
        started.sync()
        yield started


def traced(site: Site, code: int, size: int, *words: str) -> dict[str, Any]:
    done = trunkline("trace", "--from", *words, "--size", str(size), "-o", "json", nb=site.served.remote)
    assert (done.code, done.err) == (code, ""), done
    found: dict[str, Any] = json.loads(done.out)
    return found


def request_mtu(chassis: DummyChassis, interface: str, mtu: int) -> None:
    chassis.switch.vsctl("set", "Interface", interface, f"mtu_request={mtu}")
    until(lambda: chassis.get("Interface", interface, "mtu") == str(mtu), f"{interface} has MTU {mtu}")
    chassis.agent.await_settled()


def test_a_packet_that_the_senders_nic_does_not_take_is_not_delivered(shared: Site) -> None:
    found = traced(shared, 4, 1501, "a", "--to", "r")
    assert "longer than the MTU of" in found["text"]
    assert found["remedy"] in (f"ip link set {interface} mtu 1501" for interface in (NIC, "a"))


@pytest.mark.parametrize("start", [("a",), ("physnet1", "--vlan", "101")], ids=str)
def test_a_packet_that_the_receivers_nic_does_not_take_is_not_delivered(
    shared: Site, start: tuple[str, ...]
) -> None:
    c2 = shared.all[1]
    request_mtu(c2, NIC, 1400)
    try:
        found = traced(shared, 4, 1401, *start, "--to", "r")
        assert f"on c2: a packet of 1401 bytes is longer than the MTU of {NIC}, 1400" in found["text"]
        assert found["remedy"] == f"ip link set {NIC} mtu 1401"
        assert traced(shared, 0, 1400, *start, "--to", "r")["verdict"] == "DELIVERED"
    finally:
        request_mtu(c2, NIC, 1500)


def test_a_bond_takes_what_its_smallest_member_does_and_a_patch_port_what_the_nic_behind_it_does(
    site: Site,
) -> None:
    c1, c2 = site.chassis("c1"), site.chassis("c2")
    site.network()
    for port, chassis in {"a": c1, "r": c2}.items():
        site.port(port)
        chassis.plug(port)
    c1.switch.vsctl(
        *("del-port", NIC, "--", "add-bond", "br-phys1", "bond1", "n1", "n2"),
        *(word for each in ("n1", "n2") for word in ("--", "set", "Interface", each, *c1.devices.add(each))),
    )
    patched = ("--", "set", "Interface", "to-nic", "type=patch", "options:peer=to-phys")
    c2.switch.vsctl(
        *("del-port", NIC, *c2.bridge("br-nic"), *c2.device("br-nic", "far")),
        *("--", "add-port", "br-phys1", "to-nic", *patched, "--", "add-port", "br-nic", "to-phys"),
        *("--", "set", "Interface", "to-phys", "type=patch", "options:peer=to-nic"),
    )
    request_mtu(c1, "n2", 1400)
    request_mtu(c2, "far", 1450)
    for end, interface, mtu in (("a", "n2", 1400), ("r", "far", 1450)):
        way = ("physnet1", "--vlan", "101", "--to", end)
        assert f"longer than the MTU of {interface}, {mtu}" in traced(site, 4, mtu + 1, *way)["text"]
        assert traced(site, 0, mtu, *way)["verdict"] == "DELIVERED"
