"""The physical switch that chassis and bare-metal hosts are wired to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from trunkline.lab.error import LabError
from trunkline.lab.impairment import HEALTHY, Loss
from trunkline.lab.namespace import LinkEnd, ip, veth
from trunkline.lab.switchd import Switchd

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from trunkline.lab.impairment import Impairment
    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace

_NO_VLAN = 4095
"""A VLAN id that no frame has: IEEE 802.1Q reserves it."""

_MTU = 1500
"""The MTU of a new veth pair, and so that of a healthy port."""

HOST_PORT = "h-"
"""What the name of the port of a bare-metal host begins with; the host's follows."""

_BRIDGE, _APART = "br-", "b2-"
"""What the names of a physnet's bridge, and of the second one for what is apart, begin with."""

_CARRIES = "carries"
"""The external id of a Port with the VLANs that a topology gives to it; without it, all."""

_TRUNK = re.compile(r"p\d+-(?P<chassis>.+)")
_JOINT = re.compile(r"j\d+-(near|far)")


class PhysicalSwitch:
    """An Open vSwitch in the role of the physical network: a VLAN-aware learning bridge for each physnet.

    It can be wrong in the ways that physical networks are: `impair` a port, `join` two VLANs, and `mend` it.
    What is wrong is kept in the Open vSwitch alone, so any process can change it.
    """

    def __init__(
        self, physnets: Sequence[str], namespace: Namespace, rundir: Path, journal: Journal, datapath: str
    ) -> None:
        self.namespace = namespace
        self.switch = Switchd(namespace, rundir, journal, datapath=datapath)
        self.bridge_by_physnet = {physnet: _BRIDGE + physnet for physnet in physnets}
        self._journal = journal

    @classmethod
    def running(cls, namespace: Namespace, rundir: Path, journal: Journal, datapath: str) -> Self:
        """Return the one that runs already, with files in *rundir*."""
        bridges = cls((), namespace, rundir, journal, datapath).switch.vsctl("list-br").split()
        physnets = [name.removeprefix(_BRIDGE) for name in bridges if name.startswith(_BRIDGE)]
        return cls(physnets, namespace, rundir, journal, datapath)

    def start(self) -> None:
        """Create the namespace, the switch, and a bridge for each physnet."""
        self._journal.add_namespace(self.namespace)
        ip([f"netns add {self.namespace.name}"])
        ip(["link set lo up"], self.namespace)
        self.switch.start()
        words: list[str] = []
        for bridge in self.bridge_by_physnet.values():
            words += self._bridge(bridge)
        if words:
            self.switch.vsctl(*words)

    def add_trunk(self, physnet: str, port: str, vlans: Collection[int] | None = None) -> None:
        """Connect *port* of a chassis to *physnet*; it carries *vlans*, 0 for untagged frames; None: all.

        Its name is that of the NIC's number and the chassis: `p0-c1`.
        """
        told = [] if vlans is None else [f'external_ids:{_CARRIES}="{" ".join(map(str, vlans))}"']
        self._add(physnet, port, *told, *_trunk_settings(vlans))

    def add_access(self, physnet: str, port: str, vlan: int | None) -> None:
        """Connect *port* to VLAN *vlan* of *physnet*, without its tag; None stands for untagged frames."""
        if vlan is None:
            # A port without settings carries every tag; a trunk of VLAN 0 carries only untagged frames.
            self._add(physnet, port, *_trunk_settings([0]))
        else:
            self._add(physnet, port, "vlan_mode=access", f"tag={vlan}")

    def add_tagged(self, physnet: str, port: str, vlan: int) -> None:
        """Connect *port* to VLAN *vlan* of *physnet* only, with its tag."""
        self._add(physnet, port, *_trunk_settings([vlan]))

    @property
    def hosts(self) -> list[str]:
        """The bare-metal hosts that are connected, sorted."""
        ports = (port for physnet in self.bridge_by_physnet for port in self._ports(physnet))
        return sorted(port.removeprefix(HOST_PORT) for port in ports if port.startswith(HOST_PORT))

    def trunk(self, physnet: str, chassis: str) -> str:
        """Return the port of *chassis* in *physnet*; raises LabError if there is none."""
        for port in self._ports(physnet):
            if (found := _TRUNK.fullmatch(port)) and found["chassis"] == chassis:
                return port
        raise LabError(f"chassis '{chassis}' has no port in physical network '{physnet}'")

    def impair(self, port: str, impairment: Impairment = HEALTHY) -> None:
        """Have *port* of a chassis do wrong what *impairment* says and nothing else; by default, mend it."""
        bridge = self.switch.vsctl("port-to-br", port).strip()
        physnet = bridge[len(_BRIDGE) :]
        target = (_APART if impairment.is_apart else _BRIDGE) + physnet
        settings = _trunk_settings(impairment.carried(self._wanted(port)))
        if impairment.native is not None:
            settings = [*settings, "vlan_mode=native-untagged", f"tag={impairment.native}"]
        words = ["clear", "Port", port, "trunks", "tag", "vlan_mode"]
        if settings:
            words += ["--", "set", "Port", port, *settings]
        words += ["--", "set", "Interface", port, f"mtu_request={impairment.mtu or _MTU}"]
        if target != bridge:
            uuid = self.switch.vsctl("get", "Port", port, "_uuid").strip()
            words += self._bridge(target)
            words += ["--", "remove", "Bridge", bridge, "ports", uuid]
            words += ["--", "add", "Bridge", target, "ports", uuid]
        self.switch.vsctl(*words)
        for loss in Loss:
            flag = loss.value if impairment.loses is loss else loss.value.removeprefix("no-")
            self.switch.ofctl("mod-port", target, port, flag)

    def join(self, physnet: str, vlan: int, other: int) -> None:
        """Join two VLANs of *physnet*, 0 for untagged frames, as a cable between an access port of each does.

        Raises LabError if two are joined already: a third cable could close a loop.
        """
        if any(map(_JOINT.fullmatch, self._ports(physnet))):
            raise LabError(f"two VLANs of physical network '{physnet}' are joined already; mend that first")
        number = sorted(self.bridge_by_physnet).index(physnet)
        near, far = (LinkEnd(self.namespace, f"j{number}-{end}") for end in ("near", "far"))
        ip([veth(near, far)])
        self.add_access(physnet, near.name, vlan or None)
        self.add_access(physnet, far.name, other or None)

    def mend(self) -> None:
        """Have all ports healthy, and no VLANs joined."""
        for physnet in self.bridge_by_physnet:
            for port in self._ports(physnet):
                if _TRUNK.fullmatch(port):
                    self.impair(port)
                elif _JOINT.fullmatch(port):
                    self.switch.vsctl("del-port", port)
                    if port.endswith("near"):
                        ip([f"link del {port}"], self.namespace)

    def _ports(self, physnet: str) -> list[str]:
        """Return the ports of *physnet*, those of its second switch included."""
        bridges = {_BRIDGE + physnet, _APART + physnet} & set(self.switch.vsctl("list-br").split())
        return [
            port for bridge in sorted(bridges) for port in self.switch.vsctl("list-ports", bridge).split()
        ]

    def _wanted(self, port: str) -> frozenset[int] | None:
        told = self.switch.vsctl("--if-exists", "get", "Port", port, f"external_ids:{_CARRIES}").strip()
        return frozenset(map(int, told.strip('"').split())) if told else None

    def _add(self, physnet: str, port: str, *settings: str) -> None:
        ip([f"link set {port} up"], self.namespace)
        extra = ["--", "set", "Port", port, *settings] if settings else []
        self.switch.vsctl("add-port", self.bridge_by_physnet[physnet], port, *extra)

    def _bridge(self, name: str) -> list[str]:
        """Return the words of `ovs-vsctl` that create the bridge *name* if it does not exist."""
        kind = f"datapath_type={self.switch.datapath}"
        return ["--", "--may-exist", "add-br", name, "--", "set", "Bridge", name, kind]


def _trunk_settings(vlans: Collection[int] | None) -> list[str]:
    """Return the settings of a Port that carries *vlans*, 0 for untagged frames; None stands for all."""
    if vlans is None:
        return []
    # `trunks` without a VLAN in it would be every VLAN (ovs-vswitchd.conf.db(5)).
    return ["vlan_mode=trunk", f"trunks={','.join(map(str, sorted(vlans) or [_NO_VLAN]))}"]
