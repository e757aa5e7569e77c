"""A finding: one thing that keeps frames from passing, or may, with what to do about it.

`CODES` says what each code means. A code never changes its meaning, so that a script can rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]

CODES: Mapping[str, str] = {
    # T2: the way to the physical network
    "T201": "A bridge mapping is invalid, or contradicts another one.",
    "T202": "A network's physical network is not mapped on the chassis.",
    "T203": "Nothing gets out of a provider bridge: it has no NIC, or none that works.",
    "T205": "A provider bridge has no flows, so it drops every frame.",
    "T206": "The MTU of a NIC is smaller than a network needs.",
    "T207": "No NIC of a provider bridge carries a network's VLAN.",
    "T208": "One of several NICs of a provider bridge does not work.",
    "T209": "A provider bridge does not exist, or is not connected to the integration bridge.",
    # T3: ports and their VIFs
    "T302": "A VIF has an iface-id that no port has.",
    "T303": "Several VIFs have the same iface-id.",
    "T304": "A VIF is set down, or has no link.",
    "T305": "Open vSwitch cannot use the interface of a VIF.",
    "T306": "The MAC that a VIF says it has is not the MAC of its port.",
    "T307": "A VM sends frames from a MAC that its port may not use.",
    "T308": "A VM sends packets from an address that its port may not use.",
    "T309": "A VM answers or asks in ARP or neighbour discovery for an address or MAC of another.",
    "T310": "The MTU of a VIF is not the MTU of its network.",
    "T311": "A VM sends frames with a VLAN tag of its own.",
    "T312": "A VM sends DHCP answers, router advertisements or redirects.",
    "T313": "A port's VIF is here, but another chassis holds the port.",
    "T314": "A VIF is plugged into a provider bridge.",
    "T315": "A port has a value that this chassis cannot honour.",
    # T4: the switch and the agent of a chassis
    "T401": "The switch does not forward: there is no OpenFlow connection, or flows are not acknowledged.",
    "T402": "Open vSwitch waits for flows to be restored, and forwards nothing.",
    "T403": "Open vSwitch reads more than one tag of a frame.",
    "T404": "The switch does not hold the flows that it should.",
    "T405": "Another program has flows on the integration bridge.",
    "T406": "A mirror copies frames of the integration bridge.",
    "T407": "The agent does not run.",
    "T408": "A chassis setting does not exist, or is invalid.",
    "T409": "Another program keeps changing flows or patch ports of the agent.",
    "T410": "This version of Open vSwitch is older than the agent needs.",
    "T411": "The switch refused a flow of a network.",
}
"""What each code means: T1 the northbound, T2 the wire, T3 ports, T4 a switch, T5 the fleet."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with *subject*, called as that of a fault is: `port vm1`, `network blue`, `mapping p`.

    An `error` keeps frames from passing; a `warning` may. *chassis* is None if it is not about one chassis.
    *since* is None if nobody knows. *remedy* is what to do; it may name columns in backticks.
    """

    code: str
    severity: Severity
    subject: str
    chassis: str | None
    since: str | None
    text: str
    remedy: str

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)
