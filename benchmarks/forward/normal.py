"""The switch without a controller as a contender: bridges that learn, and nothing else."""

from __future__ import annotations

from pathlib import Path

from load import Load, port_name, vlan_id
from process import do
from switch import PROVIDER_BRIDGE, MakeSwitch, Switch

CHUNK = 100


class Normal:
    """A switch in *folder* whose br-int does `NORMAL`: the VIFs are access ports, and the patch pair a trunk.

    The bridges, devices and patch ports are the same as the others'.
    """

    name = "normal"

    def __init__(self, folder: Path, load: Load, make_switch: MakeSwitch = Switch) -> None:
        folder.mkdir()
        self.load = load
        self.switch = make_switch(folder / "switch")
        names = [port_name(number) for number in range(load.local)]
        self.switch.plug(names)
        tags = [
            f"-- set Port {name} tag={vlan_id(load.network_of(number))}" for number, name in enumerate(names)
        ]
        for start in range(0, len(tags), CHUNK):
            self.switch.vsctl(*" ".join(tags[start : start + CHUNK]).split())
        self.bridge = f"unix:{self.switch.folder}/br-int.mgmt"
        self.patch = f"int-{PROVIDER_BRIDGE}"
        self.switch.vsctl(*_patch("br-int", "int", "phy"), *_patch(PROVIDER_BRIDGE, "phy", "int"))

    def start(self) -> None:
        """Have br-int forward."""
        do(["ovs-ofctl", "add-flow", self.bridge, "priority=0,actions=NORMAL"], self.switch.environment)

    def settle(self, timeout_s: float) -> None:
        """Return when the switch has acted upon all."""
        self.switch.settle()

    def close(self) -> None:
        """End everything."""
        self.switch.close()


def _patch(bridge: str, near: str, far: str) -> list[str]:
    name, peer = f"{near}-{PROVIDER_BRIDGE}", f"{far}-{PROVIDER_BRIDGE}"
    columns = ["type=patch", f"options:peer={peer}"]
    return ["--", "add-port", bridge, name, "--", "set", "Interface", name, *columns]
