"""`trunkline prove --megaflows`: what the datapath has cached does what flows say, or a frame is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened
from every_feature import held, with_every_feature
from program import trunkline

from trunkline.path.megaflow import Comparison, Unlike, compared, places

pytestmark = pytest.mark.system

STRANGER = "02:ee:00:00:00:01"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened() as started:
        yield started


class Busy(NamedTuple):
    """A chassis that has every feature; what it has cached of frames of all kinds."""

    chassis: DummyChassis
    lines: list[str]
    comparison: Comparison


@pytest.fixture(scope="module")
def busy(site: Site) -> Busy:
    chassis = with_every_feature(site)
    chassis.switch.vsctl("set", "Open_vSwitch", ".", "other_config:max-idle=3600000")
    own = mac_of("c2").replace(":", "")
    arp = bytes.fromhex(f"ffffffffffff{own}08060001080006040001{own}c0000203000000000000c0000209").ljust(
        60, b"\0"
    )
    for interface, *frames in (
        ("r2", ethernet(BROADCAST, mac_of("r2")), ethernet(mac_of("r1"), mac_of("r2"))),
        ("r2", ethernet(STRANGER, mac_of("r2")), ethernet(mac_of("r1"), mac_of("r2"), 5)),
        ("r1", ethernet(BROADCAST, mac_of("r1"), 7), ethernet(BROADCAST, STRANGER)),
        ("c1", ethernet(BROADCAST, mac_of("c1"), 5), ethernet(mac_of("c2"), mac_of("c1"), 5, 6)),
        ("c2", arp),
        ("nic-br-phys1", ethernet(BROADCAST, STRANGER, 101), ethernet(mac_of("r2"), STRANGER, 101)),
        ("nic-br-phys1", ethernet(BROADCAST, STRANGER), ethernet(BROADCAST, STRANGER, 103, 7)),
        ("nic-br-phys1", ethernet(BROADCAST, STRANGER, 0), ethernet(BROADCAST, STRANGER, 101, 7)),
    ):
        chassis.receive_once(interface, *frames)
    return Busy(chassis, listed(chassis), comparison(chassis))


def listed(chassis: DummyChassis) -> list[str]:
    text = chassis.vswitchd.ask("dpctl/dump-flows", "--names")
    return [line for line in text.splitlines() if ", actions:" in line]


def comparison(chassis: DummyChassis) -> Comparison:
    rules, _ = held(chassis)
    uplinks = {f"br-phys{number}": chassis.ofport(f"int-br-phys{number}") for number in (1, 2, 3)}
    return Comparison(rules, "br-int", uplinks, places(chassis.vswitchd.ask("dpif/show")))


def test_what_a_healthy_switch_has_cached_does_what_the_flows_say(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(busy.lines) >= 12
    assert compared(busy.lines, busy.comparison) == ([], 0)
    monkeypatch.setenv("OVS_RUNDIR", str(busy.chassis.switch.rundir))
    done = trunkline("prove", "--megaflows")
    assert (done.code, done.err) == (0, "")
    assert " megaflows of the datapath do what the flows say." in done.out
    found = json.loads(trunkline("prove", "--megaflows", "-o", "json").out)
    assert (found["is_proved"], found["cache"]["not_compared"], found["cache"]["wrong"]) == (True, 0, [])


def instead(old: str, new: str) -> Callable[[str], str]:
    return lambda line: line.replace(old, new)


R2 = "in_port(r2)", f"dst={mac_of('r1')}"
CHANGES: dict[str, tuple[tuple[str, ...], Callable[[str], str]]] = {
    "a frame reaches another network": (R2, instead("actions:r1", "actions:r1,b1")),
    "a frame is lost": (R2, instead("actions:r1", "actions:drop")),
    "a frame arrives twice": (R2, instead("actions:r1", "actions:r1,r1")),
    "a frame leaves with another VLAN": (("in_port(r2)", "vid=101"), instead("vid=101", "vid=102")),
    "a frame leaves by another uplink": (("in_port(r2)", "vid=101"), instead("nic-br-phys1", "nic-br-phys2")),
    "any receiver is taken for one": (R2, instead(f",dst={mac_of('r1')}", "")),
    "any sender may have this address": (
        ("eth_type(0x0806)",),
        instead("sip=192.0.2.3", "sip=192.0.2.0/255.255.255.0"),
    ),
    "a second tag passes": (
        ("in_port(nic-br-phys1)", "vid=101", "pop_vlan"),
        instead("encap(eth_type(0x88b5))", "encap()"),
    ),
    "a tag of the sender's own choice passes": (("in_port(r2)", "vlan(vid=5"), instead("drop", "r1")),
    "a VLAN reaches a port of another": (
        ("in_port(nic-br-phys1)", "vid=101", "pop_vlan"),
        instead("pop_vlan,", "pop_vlan,b1,"),
    ),
}
"""Which megaflow is changed, by what is in it, and how."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_megaflow_that_does_what_no_flow_does_is_found(busy: Busy, change: str) -> None:
    marks, doctored = CHANGES[change]
    lines = [line for line in busy.lines if all(mark in line for mark in marks)]
    assert lines
    changed = [doctored(line) for line in lines]
    assert changed != lines
    found, passed_over = compared(changed, busy.comparison)
    assert passed_over == 0
    assert found
    assert all(isinstance(each, Unlike) and each.megaflow.text in changed for each in found)
