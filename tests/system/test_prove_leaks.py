"""`trunkline prove` finds each of many kinds of leaks on a real switch, and names the flow that makes it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from dummy_chassis import DummyChassis, Site, mac_of, opened
from every_feature import with_every_feature
from program import trunkline

pytestmark = pytest.mark.system

FOREIGN = "a flow of another program is on this way"
CHANGED = "somebody changed the flow"
GONE = "flows are missing"


class Switch(NamedTuple):
    """The chassis, whose agent repairs nothing, with the keys of its networks and ports by their names."""

    chassis: DummyChassis
    networks: dict[str, int]
    ports: dict[str, int]

    def ofctl(self, *words: str) -> None:
        self.chassis.switch.ofctl("-O", "OpenFlow14", *words)

    def at(self, interface: str) -> int:
        return self.chassis.ofport(interface)

    def add(self, flow: str) -> None:
        """Add *flow*, in which names in braces stand for ofports and keys: {r1}, {red:key}, {r1:key}."""
        self.ofctl("add-flow", "br-int", f"cookie=0x5,{self.filled(flow)}")

    def filled(self, words: str) -> str:
        for name, key in (self.networks | self.ports).items():
            words = words.replace(f"{{{name}:key}}", str(key))
        for name in ("r1", "r2", "r3", "b1", "f1", "o1", "n1", "off", *(f"int-br-phys{at}" for at in (1, 2))):
            if f"{{{name}}}" in words:
                words = words.replace(f"{{{name}}}", str(self.at(name)))
        return words


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened() as started:
        yield started


@pytest.fixture(scope="module")
def wired(site: Site) -> Iterator[Switch]:
    chassis = with_every_feature(site)
    networks = {row["name"]: int(row["unique_key"]) for row in site.nb.networks()}
    ports = {row["name"]: int(row["unique_key"]) for row in site.nb.ports()}
    chassis.agent.process.send_signal(signal.SIGSTOP)
    yield Switch(chassis, networks, ports)
    chassis.agent.process.send_signal(signal.SIGCONT)
    chassis.agent.ask("recompute")


@pytest.fixture
def switch(wired: Switch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    """The same; afterwards it has the flows again that it had."""
    monkeypatch.setenv("OVS_RUNDIR", str(wired.chassis.switch.rundir))
    file = wired.chassis.switch.rundir / "flows"
    dump = ("-O", "OpenFlow14", "--no-stats", "dump-flows", "br-int")
    file.write_text(wired.chassis.switch.ofctl(*dump))
    yield wired
    wired.ofctl("replace-flows", "br-int", str(file))


TO_LOOKUP = "resubmit(,50)"
LEAKS: dict[str, str] = {
    "a network goes to a port of another": "table=50,priority=900,metadata={red:key},actions=output:{b1}",
    "one source MAC does": (
        "table=50,priority=900,metadata={red:key},dl_src=02:00:00:00:00:99,actions=output:{b1}"
    ),
    "one IPv4 source does": (
        "table=50,priority=900,metadata={red:key},ip,nw_src=198.51.100.7,actions=output:{b1}"
    ),
    "one IPv6 destination does": (
        "table=50,priority=900,metadata={red:key},ipv6,ipv6_dst=2001:db8::7,actions=output:{b1}"
    ),
    "two ARP targets do": (
        "table=50,priority=900,metadata={red:key},arp,arp_tpa=192.0.2.8/31,actions=output:{b1}"
    ),
    "one bit of the network's key is ignored": (
        "table=50,priority=900,metadata={red:key}/0xfffffe,dl_dst=" + mac_of("r2") + ",actions=output:{r2}"
    ),
    "broadcast has one receiver more": (
        "table=50,priority=900,metadata={red:key},dl_dst=ff:ff:ff:ff:ff:ff,actions=output:{r2},output:{o1}"
    ),
    "broadcast goes to the bridge's own port": (
        "table=50,priority=900,metadata={red:key},dl_dst=ff:ff:ff:ff:ff:ff,actions=LOCAL"
    ),
    "DHCP answers from one odd port pass": (
        f"table=20,priority=900,reg6={{r1:key}},udp,tp_src=1067,tp_dst=68,actions={TO_LOOKUP}"
    ),
    "router advertisements pass": f"table=20,priority=900,icmp6,icmp_type=134,actions={TO_LOOKUP}",
    "a forged source MAC passes": (
        f"table=10,priority=900,reg6={{r1:key}},dl_src=02:00:00:00:00:99,actions={TO_LOOKUP}"
    ),
    "a forged IPv4 source passes": (
        f"table=10,priority=900,reg6={{r1:key}},ip,nw_src=203.0.113.9,actions={TO_LOOKUP}"
    ),
    "a forged neighbour advertisement passes": (
        f"table=20,priority=900,icmp6,icmp_type=136,nd_target=2001:db8::66,actions={TO_LOOKUP}"
    ),
    "a VM is in two networks by a tag of its own choice": (
        "table=0,priority=900,in_port={r2},dl_vlan=102,actions=pop_vlan,set_field:{blue:key}->metadata,resubmit(,50)"
    ),
    "a VLAN comes into another network": (
        "table=0,priority=900,in_port={int-br-phys1},dl_vlan=300,"
        "actions=pop_vlan,set_field:{red:key}->metadata,resubmit(,50)"
    ),
    "a VLAN of another physical network comes in": (
        "table=0,priority=900,in_port={int-br-phys2},dl_vlan=102,"
        "actions=pop_vlan,set_field:{blue:key}->metadata,resubmit(,50)"
    ),
    "untagged frames come into a VLAN network": (
        "table=0,priority=900,in_port={int-br-phys1},vlan_tci=0,actions=set_field:{red:key}->metadata,resubmit(,50)"
    ),
    "one uplink is joined to another": (
        "table=0,priority=900,in_port={int-br-phys1},dl_vlan=101,actions=output:{int-br-phys2}"
    ),
    "the bridge's own port is in a network": (
        "table=0,priority=900,in_port=LOCAL,actions=set_field:{red:key}->metadata,resubmit(,50)"
    ),
    "a disabled port is in its network": (
        "table=0,priority=900,in_port={off},actions=set_field:{red:key}->metadata,resubmit(,50)"
    ),
    "a network leaves with another's VLAN": (
        "table=70,priority=900,metadata={red:key},"
        "actions=push_vlan:0x8100,set_field:4198->vlan_vid,output:{int-br-phys1}"
    ),
    "a network leaves untagged": "table=70,priority=900,metadata={red:key},actions=output:{int-br-phys1}",
    "a network leaves by another uplink": (
        "table=70,priority=900,metadata={red:key},"
        "actions=push_vlan:0x8100,set_field:4197->vlan_vid,output:{int-br-phys2}"
    ),
    "a port gets what is for another": "table=80,priority=900,reg7={r2:key},actions=output:{b1}",
    "a port is sent everything twice": "table=80,priority=900,reg7={r2:key},actions=output:{r2},output:{r2}",
}
"""Flows that somebody adds, by what they do."""

Change = Callable[[Switch], None]
CHANGES: dict[str, tuple[Change, str]] = {
    "a VIF is put into another network": (
        lambda switch: switch.ofctl(
            *("mod-flows", "br-int"),
            switch.filled(
                "table=0,in_port={f1},actions=set_field:{blue:key}->metadata,set_field:{f1:key}->reg6,goto_table:50"
            ),
        ),
        CHANGED,
    ),
    "no flow drops tags inside others": (
        lambda switch: switch.ofctl(
            "--strict", "del-flows", "br-int", "table=50,priority=190,dl_type=0x8100,reg5=0"
        ),
        GONE,
    ),
    "no flow delivers to a port": (
        lambda switch: switch.ofctl("del-flows", "br-int", switch.filled("table=80,reg7={r2:key}")),
        GONE,
    ),
}
"""Changes of the agent's own flows, and what the remedy says of them."""


def remedies() -> set[str]:
    done = trunkline("prove", "-o", "json")
    assert (done.code, done.err) == (4, "")
    return {leak["remedy"] for leak in json.loads(done.out)["leaks"]}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_found_and_the_remedy_deletes_its_flow(switch: Switch, leak: str) -> None:
    switch.add(LEAKS[leak])
    flow = LEAKS[leak].partition(",")
    table, priority = flow[0], flow[2].partition(",")[0]
    found = remedies()
    assert any(each.startswith(FOREIGN) and f"{table},{priority}" in each for each in found), found


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_flow_of_ours_is_found_and_named(switch: Switch, change: str) -> None:
    make, said = CHANGES[change]
    make(switch)
    found = remedies()
    assert any(said in each for each in found), found
