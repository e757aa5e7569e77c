"""What a busy machine does to every bridge of a switch alike, seen at a plain one that no fault touches."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import TYPE_CHECKING, NamedTuple

from trunkline.lab.machine import Machine
from trunkline.lab.namespace import LinkEnd, Namespace, ip
from trunkline.lab.vm import Vm

if TYPE_CHECKING:
    from trunkline.lab import Lab
    from trunkline.lab.switchd import Switchd

BRIDGE = "br-plain"
PHYSICAL = "switch"
"""What the physical switch is called among the names of chassis."""


class Pair(NamedTuple):
    """Two machines, the first of which sends to the second."""

    source: Machine
    to: Machine


def plain_pairs(running: Lab) -> dict[str, Pair]:
    """Give every switch of *running* a bridge without flows of ours, and a pair of machines on it.

    No agent looks at that bridge. But the same ovs-vswitchd forwards its frames, so that whatever keeps that
    process from running is seen there, too. They go by the name of the chassis, or `PHYSICAL`.
    """
    switches = {name: chassis.switch for name, chassis in running.chassis.items()}
    switches[PHYSICAL] = running.switch.switch
    return {name: _plain_pair(running, name, switch) for name, switch in switches.items()}


def switches_between(source: Machine, to: Machine) -> frozenset[str]:
    """Return the names of the switches through which *source* reaches *to*, as `plain_pairs` names them."""
    ends = [machine.chassis.name if isinstance(machine, Vm) else PHYSICAL for machine in (source, to)]
    return frozenset(ends if ends[0] == ends[1] else [*ends, PHYSICAL])


def _plain_pair(running: Lab, name: str, switch: Switchd) -> Pair:
    switch.vsctl("add-br", BRIDGE, "--", "set", "Bridge", BRIDGE, f"datapath_type={switch.datapath}")
    source, to = (_machine(running, name, switch, number) for number in (1, 2))
    return Pair(source, to)


def _machine(running: Lab, name: str, switch: Switchd, number: int) -> Machine:
    machine = Machine(
        f"{name}-{number}",
        Namespace(f"tl-{running.name}-{name}-{number}"),
        f"02:aa:00:00:00:{number:02x}",
        IPv4Interface(f"10.8.0.{number}/24"),
        running._journal,
    )
    far_end = LinkEnd(switch.namespace, f"plain-{number}")
    machine.start(far_end, switch.datapath)
    ip([f"link set {far_end.name} up"], far_end.namespace)
    switch.vsctl("add-port", BRIDGE, far_end.name)
    return machine
