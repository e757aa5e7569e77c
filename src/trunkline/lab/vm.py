"""A virtual machine: a machine whose NIC ends in a chassis, where it is plugged as a VIF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.lab.interface import Interface
from trunkline.lab.machine import NIC, Machine
from trunkline.lab.namespace import LinkEnd, ip
from trunkline.lab.topology import INTEGRATION_BRIDGE

if TYPE_CHECKING:
    from trunkline.lab.chassis import Chassis
    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace
    from trunkline.lab.topology import VmPlan


class Vm(Machine):
    """A machine on a chassis, as *plan* says. Its port has the same name; `plug` connects its VIF."""

    def __init__(self, plan: VmPlan, namespace: Namespace, chassis: Chassis, journal: Journal) -> None:
        super().__init__(plan.name, namespace, plan.mac, plan.ip, journal)
        self.network = plan.network
        self.chassis = chassis
        self.vif = f"tap-{plan.name}"
        """The name of the VIF's interface in the chassis."""

    def boot(self) -> None:
        """Create the machine, with its VIF on the chassis but not yet in the integration bridge."""
        self.start(LinkEnd(self.chassis.namespace, self.vif), self.chassis.switch.datapath)

    def plug(self, iface_id: str | None = None) -> None:
        """Add the VIF to the integration bridge, for the port *iface_id* (default: the machine's name).

        Return when ovs-vswitchd has the interface; the port is up when the agent says so.
        """
        self.chassis.switch.vsctl(
            *("add-port", INTEGRATION_BRIDGE, self.vif, "--", "set", "Interface", self.vif),
            f"external_ids:iface-id={iface_id or self.name}",
        )

    def unplug(self) -> None:
        """Remove the VIF from the integration bridge; the machine itself goes on."""
        self.chassis.switch.vsctl("--if-exists", "del-port", INTEGRATION_BRIDGE, self.vif)

    def move(self, chassis: Chassis) -> None:
        """Unplug the VIF, move it to *chassis* and plug it there; addresses and running programs stay."""
        self.unplug()
        ip([f"link set {self.vif} netns {chassis.namespace.name}"], self.chassis.namespace)
        ip([f"link set {self.vif} up"], chassis.namespace)
        self.chassis = chassis
        self.interface = Interface(self.namespace, NIC, LinkEnd(chassis.namespace, self.vif))
        self.plug()

    @property
    def ofport(self) -> int:
        """The VIF's port number on the integration bridge; raises CommandError if it is unplugged."""
        return int(self.chassis.switch.vsctl("get", "Interface", self.vif, "ofport"))
