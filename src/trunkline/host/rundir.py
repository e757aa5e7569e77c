"""Where Open vSwitch keeps its sockets on this machine."""

from __future__ import annotations

import os

RUNDIR = "/var/run/openvswitch"
"""The default directory."""


def rundir(built: str | None = None) -> str:
    """Return `$OVS_RUNDIR` or `RUNDIR`; or *built*, a package's own directory, if only that one exists."""
    is_built = built is not None and os.path.isdir(built) and not os.path.isdir(RUNDIR)
    return os.environ.get("OVS_RUNDIR") or (built if is_built and built is not None else RUNDIR)
