"""A network of 2,000 local ports: one broadcast reaches them all, by few tables and without a warning.

DESIGN.md sections 4 and 5, rules 5 and 10.
"""

from __future__ import annotations

import re

import pytest
from device import dummies_only
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet

from trunkline.northbound.client import PortSpec

pytestmark = pytest.mark.system

NIC = "nic-br-phys1"
OUTSIDE = "02:ee:00:00:00:01"
PORTS = 2000
LIMIT_S = 200
"""Open vSwitch answers nobody while it opens them all, and then the agent connects anew."""


def mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"


def plug_all(chassis: DummyChassis, names: list[str]) -> None:
    """Plug a VIF in for each of *names* in one transaction; what they receive is counted, not kept."""
    words: list[str] = []
    for name in names:
        words += ["--", "add-port", "br-int", name, "--", "set", "Interface", name]
        words += ["type=dummy", f"external_ids:iface-id={name}"]
    chassis.switch.vsctl(*words[1:], timeout_s=LIMIT_S)


def sent(chassis: DummyChassis) -> dict[str, int]:
    """Return how many frames have gone out of each port of the integration bridge, by its name."""
    chassis.vswitchd.await_revalidated()
    found = re.findall(
        r"port\s+\"?([\w-]+)\"?: rx .*\n\s+tx pkts=(\d+)",
        chassis.switch.ofctl("--names", "dump-ports", "br-int"),
    )
    return {name: int(count) for name, count in found}


@dummies_only
def test_one_broadcast_reaches_2000_local_ports_and_the_wire_once(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    names = [f"v{number}" for number in range(PORTS)]
    site.nb.create(
        ports=[
            PortSpec(name=name, network="net1", mac=mac(number), options={"announce": "false"})
            for number, name in enumerate(names)
        ]
    )
    plug_all(chassis, names)
    for start in range(0, PORTS, 200):
        site.served.wait_up(names[start : start + 200], timeout_s=LIMIT_S)
    site.sync(LIMIT_S)
    for sender, frame in ((NIC, ethernet(BROADCAST, OUTSIDE, 101)), ("v7", ethernet(BROADCAST, mac(7)))):
        before = sent(chassis)
        out = chassis.receive_once(sender, frame)
        got = {name: count - before[name] for name, count in sent(chassis).items()}
        assert [name for name in names if got[name] != 1] == ([] if sender == NIC else ["v7"])
        assert out == ({} if sender == NIC else {NIC: [ethernet(BROADCAST, mac(7), 101)]})
    log = (chassis.switch.rundir / "ovs-vswitchd.log").read_text()
    assert [line for line in log.splitlines() if "resubmit" in line or "too big" in line] == []
    assert_short_way(chassis, f"in_port={chassis.ofport('v7')},dl_src={mac(7)},dl_dst={BROADCAST}")
    assert_short_way(chassis, f"in_port=1,dl_vlan=101,dl_src={OUTSIDE},dl_dst={BROADCAST}")
    assert_short_way(chassis, f"in_port={chassis.ofport('v7')},dl_vlan=0,dl_src={mac(7)},dl_dst={mac(8)}")


def assert_short_way(chassis: DummyChassis, frame: str) -> None:
    """Hold that *frame* goes through at most 8 tables of the integration bridge, and is not dropped."""
    trace = chassis.switch.appctl("ofproto/trace", "br-int", frame)
    tables = re.findall(r"^ *\d+\. ", trace.partition('bridge("br-phys1")')[0], re.MULTILINE)
    assert 1 <= len(tables) <= 8, trace
    assert "Datapath actions: drop" not in trace
