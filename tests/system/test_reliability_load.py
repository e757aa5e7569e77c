"""Load and hostile input: nothing crashes, nothing is injected, memory settles (DESIGN.md section 6, rule 9).

`TRUNKLINE_LOAD_SECONDS` says how long the flapping lasts: short unless it is set.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import trunkline

from model.process import cpu_s, resident_bytes
from trunkline.northbound.client import PortSpec

pytestmark = pytest.mark.system

SECONDS = float(os.environ.get("TRUNKLINE_LOAD_SECONDS", "5"))
A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"
VIFS = 200
CHANGES_PER_S = 50
SETTLED_GROWTH_BYTES = 4 << 20
"""How much more memory the second half of a load may leave behind than the first did."""

ANSWER_S = 2.0
"""How much processor time the agent uses at most, under that load, before it answers."""

ODD = (
    "tab\tnewline\nbell\x07escape\x1b]0;owned\x07\x1b[2J quote\" ' back\\ "
    "$(id) `id` {x} %s \u2028 \u202e \u00e9 \U0001f600 \x7f"
)
NAMES = {
    "10 kB": "x" * 10_000,
    "10 kB of odd": (ODD * 200)[:10_000],
    "flow text": "a,actions=output:1\ncookie=0x7472,table=0,priority=65535,actions=NORMAL",
    "line of a log": "a\n2026-01-01T00:00:00.000000Z|00001|agent|INFO|exiting",
}


def works(chassis: DummyChassis) -> bool:
    return chassis.receive_once("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 101)]}


def flap(chassis: DummyChassis, *, are_there: bool) -> None:
    """Plug 200 VIFs in, or all out, in one transaction."""
    words: list[str] = []
    for number in range(VIFS):
        name = f"v{number}"
        words += ["--", "--if-exists", "del-port", name]
        if are_there:
            words += ["--", "add-port", "br-int", name, "--", "set", "Interface", name]
            words += [f"external_ids:iface-id={name}", *chassis.devices.add(name)]
    chassis.switch.vsctl(*words[1:])


@pytest.mark.timeout(300 + SECONDS * 4)
def test_200_vifs_that_flap_cost_nobody_else_anything_and_memory_settles(
    site: Site, chassis: DummyChassis
) -> None:
    ports = [
        PortSpec(name=f"v{n}", network="net1", mac=f"02:88:00:00:00:{n:02x}", port_security=n % 2 == 0)
        for n in range(VIFS)
    ]
    site.nb.create(ports=ports)
    resident: list[int] = []
    pid = chassis.agent.process.pid
    flaps, longest_s = 0, 0.0
    for _ in range(2):
        deadline = time.monotonic() + SECONDS / 2
        while time.monotonic() < deadline:
            flap(chassis, are_there=True)
            flap(chassis, are_there=False)
            flaps += 2
            before_s = cpu_s(pid)
            chassis.agent.status()
            longest_s = max(longest_s, cpu_s(pid) - before_s)
        site.sync()
        resident.append(resident_bytes(pid))
    print(
        f"figure: {VIFS} VIFs, {flaps} flaps in {SECONDS:g} s: resident {resident} bytes, "
        f"answer after {longest_s:.2f} s of CPU"
    )
    assert resident[1] - resident[0] < SETTLED_GROWTH_BYTES
    assert longest_s < ANSWER_S
    assert works(chassis)
    # What is announced of them for half a minute would be taken for what comes out because of a frame.
    site.nb.delete_ports([port.name for port in ports])
    ports = [replace(port, options={"announce": "false"}) for port in ports]
    site.nb.create(ports=ports)
    flap(chassis, are_there=True)
    site.await_up(*(port.name for port in ports))
    site.sync()
    assert len(chassis.receive("a", HELLO)) == VIFS + 1


@pytest.mark.timeout(300 + SECONDS * 4)
def test_50_network_changes_a_second_are_followed_and_memory_settles(
    site: Site, chassis: DummyChassis
) -> None:
    site.network("net2", 102)
    site.port("b", "net2")
    chassis.plug("b")
    site.await_up("b")
    pid = chassis.agent.process.pid
    resident, changes, late_s = [], 0, 0.0
    for _ in range(2):
        start = time.monotonic()
        for number in range(int(SECONDS / 2 * CHANGES_PER_S)):
            site.nb.set_network("net2", {"segmentation_id": 200 + changes % 1000})
            changes += 1
            due_s = start + (number + 1) / CHANGES_PER_S - time.monotonic()
            # The pace is the point here: nothing is waited for.
            time.sleep(max(0.0, due_s))
        before_s = cpu_s(pid)
        site.sync()
        late_s = max(late_s, cpu_s(pid) - before_s)
        resident.append(resident_bytes(pid))
    print(
        f"figure: {changes} changes at {CHANGES_PER_S}/s: resident {resident} bytes, "
        f"in place after {late_s * 1000:.0f} ms more of CPU"
    )
    assert resident[1] - resident[0] < SETTLED_GROWTH_BYTES
    assert late_s < ANSWER_S
    assert works(chassis)
    b = mac_of("b")
    last = 200 + (changes - 1) % 1000
    assert chassis.receive("b", ethernet(BROADCAST, b)) == {NIC: [ethernet(BROADCAST, b, last)]}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_hostile_names_reach_neither_flows_nor_terminals_nor_the_log(
    site: Site, chassis: DummyChassis, name: str
) -> None:
    """DESIGN.md, Lifecycle 9: one bad row never holds up the others; the log and flow text are lines."""
    rows = [
        {"op": "insert", "table": "Network", "uuid-name": "n", "row": {
            "name": name, "unique_key": 5001, "network_type": "vlan", "segmentation_id": 105,
            "physical_network": "physnet1", "external_ids": ["map", [[name, name]]]}},
        {"op": "insert", "table": "Port", "row": {
            "name": name, "unique_key": 5001, "network": ["named-uuid", "n"], "mac": "02:00:00:00:99:01",
            "external_ids": ["map", [[name, name]]]}},
    ]  # fmt: skip
    site.transact(*rows)
    chassis.plug(name, "vif1")
    until(lambda: site.bindings()[name] == ("c1", True), "up")
    chassis.plug(name + "?", "vif2")
    until(lambda: f"vif {name}?" in chassis.faults, "fault")
    site.sync()
    assert works(chassis)
    for line in (*chassis.flows(), *chassis.agent.ask("flows").splitlines()):
        assert re.match(r"(cookie=0x7472|table=\d+, |table=\d+,|# |\")", line.strip()), line
    for command in ("network list", "port list", "chassis list", "status", "chassis show c1"):
        shown = trunkline(*command.split(), nb=site.served.remote)
        assert (shown.code, shown.err) == (0, ""), command
        assert all(char.isprintable() for char in shown.out.replace("\n", "")), command
        data = trunkline(*command.split(), "-o", "json", nb=site.served.remote)
        assert data.out.isascii(), command
        json.loads(data.out)
    for noun in ("network", "port"):
        shown = trunkline(noun, "show", "--", name, nb=site.served.remote)
        assert (shown.code, shown.err) == (0, "")
        assert all(char.isprintable() for char in shown.out.replace("\n", ""))
        missing = trunkline(noun, "show", "--", name + "?", nb=site.served.remote)
        assert missing.code == 1
        assert missing.err.count("\n") == 1
        assert missing.err[:-1].isprintable()
    # When the site is closed, the shape of each log line is checked.
    assert not [line for line in chassis.agent.log.splitlines() if line.startswith("2026-01-01")]
