"""Releases of Open vSwitch that are not supported, or have a defect that concerns what Trunkline promises."""

from __future__ import annotations

import re

_FIRST_SUPPORTED = (3, 0)
"""With 2.17.9, the agent is not told of flows that somebody else changes."""

_FIRST_FIXED = {(3, 0): 5, (3, 1): 3}
"""By series, the first release with the commit "dpif-netdev: Fix dpif_netdev_flow_put" (21410ff80, 3.3.0).

Later series all have it.
"""


def fault(version: str, datapath_type: str) -> str | None:
    """Return what is known against that release with that datapath, and the remedy; None if there is nothing.

    A version that nobody has written, or that is not of the form of a release, has no known fault.

    >>> fault("3.1.0", "system"), fault("3.1.3", "netdev"), fault("", "netdev")
    (None, None, None)
    >>> fault("3.1.0", "netdev")
    'Open vSwitch 3.1.0 may keep to cached flows that are wrong ...; upgrade it to 3.1.3 or later'
    >>> fault("2.17.9", "system")
    'Open vSwitch 2.17.9 is not supported: flows that ...; upgrade it to 3.1.3 or later'
    """
    release = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if release is None:
        return None
    major, minor, patch = map(int, release.groups())
    series = (major, minor)
    if series < _FIRST_SUPPORTED:
        return (
            f"Open vSwitch {release[0]} is not supported: flows that another program changes may not be put "
            "back; upgrade it to 3.1.3 or later"
        )
    if datapath_type != "netdev" or patch >= _FIRST_FIXED.get(series, 0):
        return None
    remedy = f"{major}.{minor}.{_FIRST_FIXED[series]}"
    return (
        f"Open vSwitch {release[0]} may keep to cached flows that are wrong after a change of flows, in its "
        f"userspace datapath and for up to 20 s; upgrade it to {remedy} or later"
    )
