"""Real chassis, a physical switch and VMs in network namespaces.

`Lab.up(topology)` brings a lab up; `topology.default()` and `topology.read(path)` say what it consists of.
"""

from __future__ import annotations

from trunkline.lab.error import CommandError, LabError, TopologyError, WaitError
from trunkline.lab.lab import Lab
from trunkline.lab.ping import PingResult, PingSeries
from trunkline.lab.topology import Topology

__all__ = [
    "CommandError",
    "Lab",
    "LabError",
    "PingResult",
    "PingSeries",
    "Topology",
    "TopologyError",
    "WaitError",
]
