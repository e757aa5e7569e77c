"""The datapath that the bridges of a lab have: Open vSwitch's own, in userspace, or the kernel's."""

from __future__ import annotations

import os
import platform

from trunkline.lab import command
from trunkline.lab.error import CommandError, LabError

NETDEV = "netdev"
"""The userspace datapath, in ovs-vswitchd itself."""

SYSTEM = "system"
"""The datapath of the kernel's module `openvswitch`; each network namespace has one of its own."""

DATAPATHS = (NETDEV, SYSTEM)

VARIABLE = "TRUNKLINE_LAB_DATAPATH"
"""The environment variable that says which datapath a lab has if nothing else does; the tests' labs too."""


def default() -> str:
    """Return the datapath that `VARIABLE` names, or `NETDEV`; raises LabError if there is no such one.

    >>> default() in DATAPATHS
    True
    """
    chosen = os.environ.get(VARIABLE) or NETDEV
    if chosen not in DATAPATHS:
        raise LabError(f"{VARIABLE}: there is no datapath '{chosen}'; set it to {' or '.join(DATAPATHS)}")
    return chosen


def check(datapath: str) -> None:
    """Raise LabError if this machine does not have *datapath*."""
    if datapath == SYSTEM:
        try:
            command.run(["ovs-dpctl", "dump-dps"])  # asking for it has the kernel load its module
        except CommandError as error:
            raise LabError(
                f"the kernel (Linux {platform.release()}) has no datapath for Open vSwitch: its module "
                f"'openvswitch' is missing or cannot be loaded; load it, or use the datapath {NETDEV}"
            ) from error
