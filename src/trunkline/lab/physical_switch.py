"""The physical switch that chassis and bare-metal hosts are wired to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.lab.namespace import ip
from trunkline.lab.switchd import Switchd

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace

_NO_VLAN = 4095
"""A VLAN id that no frame has: IEEE 802.1Q reserves it."""


class PhysicalSwitch:
    """An Open vSwitch in the role of the physical network: a VLAN-aware learning bridge for each physnet."""

    def __init__(
        self, physnets: Sequence[str], namespace: Namespace, rundir: Path, journal: Journal, datapath: str
    ) -> None:
        self.namespace = namespace
        self.switch = Switchd(namespace, rundir, journal, datapath=datapath)
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
            kind = f"datapath_type={self.switch.datapath}"
            words += ["--", "add-br", bridge, "--", "set", "Bridge", bridge, kind]
        if words:
            self.switch.vsctl(*words)

    def add_trunk(self, physnet: str, port: str, vlans: Collection[int] | None = None) -> None:
        """Connect *port*, an interface of the namespace, to *physnet*; it carries *vlans* as `carry` says."""
        self._add(physnet, port)
        if vlans is not None:
            self.carry(port, vlans)

    def add_access(self, physnet: str, port: str, vlan: int | None) -> None:
        """Connect *port* to VLAN *vlan* of *physnet*, without its tag; None stands for untagged frames."""
        if vlan is None:
            # A port without settings carries every tag; a trunk of VLAN 0 carries only untagged frames.
            self._add(physnet, port, "vlan_mode=trunk", "trunks=0")
        else:
            self._add(physnet, port, "vlan_mode=access", f"tag={vlan}")

    def carry(self, port: str, vlans: Collection[int] | None) -> None:
        """Have the trunk *port* carry only *vlans*, both ways, 0 for untagged frames; None: all, as at first.

        For tests of a physical network that lacks a VLAN: `carry(chassis.switch_port("physnet1"), [102])`.
        """
        words = ["clear", "Port", port, "trunks", "vlan_mode"]
        if vlans is not None:
            # `trunks` without a VLAN in it would be every VLAN (ovs-vswitchd.conf.db(5)).
            trunks = ",".join(map(str, sorted(vlans) or [_NO_VLAN]))
            words += ["--", "set", "Port", port, "vlan_mode=trunk", f"trunks={trunks}"]
        self.switch.vsctl(*words)

    def set_mtu(self, port: str, mtu: int) -> None:
        """Have *port* carry packets of at most *mtu* bytes, both ways; larger ones are lost without a word.

        A tag does not count: the kernel lets 4 more bytes pass for it, also without one.
        """
        self.switch.vsctl("set", "Interface", port, f"mtu_request={mtu}")

    def add_tagged(self, physnet: str, port: str, vlan: int) -> None:
        """Connect *port* to VLAN *vlan* of *physnet* only, with its tag."""
        self._add(physnet, port, "vlan_mode=trunk", f"trunks={vlan}")

    def _add(self, physnet: str, port: str, *settings: str) -> None:
        ip([f"link set {port} up"], self.namespace)
        extra = ["--", "set", "Port", port, *settings] if settings else []
        self.switch.vsctl("add-port", self.bridge_by_physnet[physnet], port, *extra)
