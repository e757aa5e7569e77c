"""A finding: one thing that keeps frames from passing, or may, with what to do about it.

`CODES` says what each code means. A code never changes its meaning, so that a script can rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]

CODES: Mapping[str, str] = {
    # T1: the northbound
    "T101": "A chassis obeys another northbound.",
    "T102": "A chassis cannot read the northbound, because its tables or columns are others.",
    "T103": "The northbound refuses what a chassis reports.",
    "T104": "A chassis is not connected to the northbound.",
    "T105": "A member of the northbound's cluster cannot be used.",
    "T106": "A member of the northbound's cluster lags behind the others.",
    "T107": "The clock of a chassis differs from the clock here.",
    # T2: the way to the physical network
    "T201": "A bridge mapping is invalid, or contradicts another one.",
    "T202": "A network's physical network is not mapped on the chassis.",
    "T203": "Nothing gets out of a provider bridge: it has no NIC, or none that works.",
    "T204": "No chassis maps the physical network of a network.",
    "T205": "A provider bridge has no flows, so it drops every frame.",
    "T206": "The MTU of a NIC is smaller than a network needs.",
    "T207": "No NIC of a provider bridge carries a network's VLAN.",
    "T208": "One of several NICs of a provider bridge does not work.",
    "T209": "A provider bridge does not exist, or is not connected to the integration bridge.",
    "T210": "A chassis maps a name that no network uses, similar to one that it does not map.",
    "T211": "The name of a physical network cannot be mapped on any chassis.",
    "T212": "A flat network carries its VMs' tags, and its physical network also has VLAN networks.",
    "T213": "A network learns its remote ports, and drops the frames by which it would.",
    "T214": "The physical network loses frames between two chassis.",
    "T215": "Nothing comes from the physical network for a network that no other chassis has ports of.",
    "T216": "A probe found that the physical network loses, mixes up or cuts the frames of a network.",
    # T3: ports and their VIFs
    "T301": "No chassis holds a port, as there is no VIF with its iface-id.",
    "T302": "A VIF has an iface-id that no port has.",
    "T303": "Several VIFs have the same iface-id.",
    "T304": "A VIF is set down, or has no link.",
    "T305": "Open vSwitch cannot use the interface of a VIF.",
    "T306": "The MAC that a VIF says it has is not the MAC of its port.",
    "T307": "A VM sends frames from a MAC that its port may not use.",
    "T308": "A VM sends packets from an address that its port may not use.",
    "T309": "A VM sends ARP or neighbour discovery with an address or MAC that its port may not use.",
    "T310": "The MTU of a VIF is not the MTU of its network.",
    "T311": "A VM sends frames with a VLAN tag of its own.",
    "T312": "A VM sends DHCP answers, router advertisements or redirects.",
    "T313": "A port's VIF is here, but another chassis holds the port.",
    "T314": "A VIF is plugged into a provider bridge.",
    "T315": "A port has a value that this chassis cannot honour.",
    "T316": "A port is disabled.",
    "T317": "A port is requested on, or held by, a chassis that is not in the northbound.",
    "T318": "Two ports of a network have the same IP address.",
    "T319": "Two ports of a network have the same MAC.",
    "T320": "A sub-port cannot be used.",
    "T321": "A port's option, or a `trunkline-` key of `external_ids`, does not exist or is invalid.",
    "T322": "A port is down although a chassis holds it.",
    "T323": "The network of a sub-port has a larger MTU than the network of its parent.",
    "T324": "The northbound lets a chassis hold only ports that are requested on it.",
    "T325": "A port's setting needs port security off.",
    "T326": "Frames with the MAC of a port here come from the physical network.",
    "T327": "Two ports have the same iface-id.",
    "T328": "A probe found that somebody else uses an IP address of a port.",
    # T4: the switch and the agent of a chassis
    "T401": "The switch does not forward: there is no OpenFlow connection, or flows are not acknowledged.",
    "T402": "Open vSwitch waits for flows to be restored: it forwards nothing, or will after its next start.",
    "T403": "Open vSwitch reads more than one tag of a frame.",
    "T404": "The switch does not hold the flows that it should.",
    "T405": "Another program has flows on the integration bridge.",
    "T406": "A mirror copies frames of the integration bridge.",
    "T407": "The agent does not run.",
    "T408": "A chassis setting does not exist, or is invalid.",
    "T409": "Another program keeps changing flows or patch ports of the agent.",
    "T411": "The switch refused a flow.",
    "T412": "The switch could not create the integration bridge.",
    "T413": "The switch's own database refuses what the agent writes.",
    "T414": "Two rows need a flow with the same match.",
    "T415": "The OpenFlow connection to the switch does not last, or has invalid messages.",
    "T416": "Open vSwitch is of a release that is not supported, or has a known defect.",
    "T417": "A setting of the switch keeps frames from going where its flows send them.",
    # T5: the fleet
    "T501": "A chassis does not answer.",
    "T502": "A chassis answers, and has not applied all that is committed.",
    "T503": "It is not known whether a chassis answers: the northbound is too busy.",
    "T504": "Chassis run different versions of Trunkline.",
    "T505": "Two hosts have the same system-id.",
    "T506": "A chassis did not answer what `check` asked it.",
    "T599": "A chassis has a fault that this version of Trunkline does not know.",
}
"""What each code means: T1 the northbound, T2 the wire, T3 ports, T4 a switch, T5 the fleet."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with *subject*, called as that of a fault is: `port vm1`, `network blue`, `mapping p`.

    An `error` keeps frames from passing; a `warning` may. *chassis* is None if it is not about one chassis.
    *since* is None if nobody knows. *remedy* is what to do; it may name columns in backticks. *also* are
    further subjects of which the same thing is wrong. *wait_s* is after how long the chassis may know better,
    if it is too early to tell whether this is an error.
    """

    code: str
    severity: Severity
    subject: str
    chassis: str | None
    since: str | None
    text: str
    remedy: str
    also: tuple[str, ...] = ()
    wait_s: float | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """All that it is about."""
        return (self.subject, *self.also)

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = asdict(self)
        return found if self.wait_s is not None else {key: found[key] for key in found if key != "wait_s"}
