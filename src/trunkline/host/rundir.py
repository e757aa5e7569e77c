"""Where Open vSwitch keeps its sockets on this machine."""

from __future__ import annotations

import os

RUNDIR = "/var/run/openvswitch"
"""Where they are unless somebody says otherwise."""


def rundir(built: str | None = None) -> str:
    """Return `$OVS_RUNDIR`, or `RUNDIR`; or *built*, by which a package was built, if that alone is there."""
    is_built = built is not None and os.path.isdir(built) and not os.path.isdir(RUNDIR)
    return os.environ.get("OVS_RUNDIR") or (built if is_built and built is not None else RUNDIR)
