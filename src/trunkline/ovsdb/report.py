"""What a chassis reports to the northbound: of itself, and of each port that it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """What a chassis says of itself in its `Chassis` row, by column.

    If *ready_ports*, *faults*, *nb_cfg* or *nb_cfg_heard* is None, that column stays as it is.
    """

    hostname: str
    version: str
    bridge_mappings: dict[str, str]
    integration_bridge: str
    datapath_type: str
    iface_types: frozenset[str]
    ready_ports: frozenset[str] | None = None
    faults: dict[str, str] | None = None
    nb_cfg: int | None = None
    nb_cfg_heard: int | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """Which *chassis* holds a port (None: nobody), and whether the port is up there."""

    chassis: str | None
    is_up: bool
