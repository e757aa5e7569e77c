"""A bare-metal host: a machine connected directly to the physical switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.lab.machine import Machine
from trunkline.lab.namespace import LinkEnd
from trunkline.lab.physical_switch import HOST_PORT

if TYPE_CHECKING:
    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace
    from trunkline.lab.physical_switch import PhysicalSwitch
    from trunkline.lab.topology import HostPlan


class Host(Machine):
    """A machine on a VLAN, or on the untagged frames, of a physnet, as *plan* says."""

    def __init__(self, plan: HostPlan, namespace: Namespace, journal: Journal) -> None:
        tagged_vlan = plan.vlan if plan.is_tagged else None
        super().__init__(plan.name, namespace, plan.mac, plan.ip, journal, vlan=tagged_vlan)
        self.plan = plan

    def wire(self, physical: PhysicalSwitch) -> None:
        """Create the host, and its port at the physical switch."""
        port = LinkEnd(physical.namespace, f"{HOST_PORT}{self.name}")
        self.start(port, physical.switch.datapath)
        if self.vlan is not None:
            physical.add_tagged(self.plan.physnet, port.name, self.vlan)
        else:
            physical.add_access(self.plan.physnet, port.name, self.plan.vlan)
