"""The physical switch that chassis and bare-metal hosts are wired to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.lab.namespace import ip
from trunkline.lab.switchd import Switchd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace


class PhysicalSwitch:
    """An Open vSwitch in the role of the physical network: a VLAN-aware learning bridge for each physnet."""

    def __init__(self, physnets: Sequence[str], namespace: Namespace, rundir: Path, journal: Journal) -> None:
        self.namespace = namespace
        self.switch = Switchd(namespace, rundir, journal)
        self.bridge_by_physnet = {physnet: f"br-{physnet}" for physnet in physnets}
        self._journal = journal

    def start(self) -> None:
        """Create the namespace, the switch, and a bridge for each physnet."""
        self._journal.add_namespace(self.namespace)
        ip([f"netns add {self.namespace.name}"])
        ip(["link set lo up"], self.namespace)
        self.switch.start()
        words: list[str] = []
        for bridge in self.bridge_by_physnet.values():
            words += ["--", "add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev"]
        if words:
            self.switch.vsctl(*words)

    def add_trunk(self, physnet: str, port: str) -> None:
        """Connect *port*, an interface of the namespace, to *physnet*, with all tags and untagged frames."""
        self._add(physnet, port)

    def add_access(self, physnet: str, port: str, vlan: int | None) -> None:
        """Connect *port* to VLAN *vlan* of *physnet*, without its tag; None stands for untagged frames."""
        if vlan is None:
            # A port without settings carries every tag; a trunk of VLAN 0 carries only untagged frames.
            self._add(physnet, port, "vlan_mode=trunk", "trunks=0")
        else:
            self._add(physnet, port, "vlan_mode=access", f"tag={vlan}")

    def add_tagged(self, physnet: str, port: str, vlan: int) -> None:
        """Connect *port* to VLAN *vlan* of *physnet* only, with its tag."""
        self._add(physnet, port, "vlan_mode=trunk", f"trunks={vlan}")

    def _add(self, physnet: str, port: str, *settings: str) -> None:
        ip([f"link set {port} up"], self.namespace)
        extra = ["--", "set", "Port", port, *settings] if settings else []
        self.switch.vsctl("add-port", self.bridge_by_physnet[physnet], port, *extra)
