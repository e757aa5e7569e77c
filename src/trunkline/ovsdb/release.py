"""Releases of Open vSwitch with a known defect that concerns what Trunkline promises."""

from __future__ import annotations

import re

_FIRST_FIXED = {(2, 17): 8, (3, 0): 5, (3, 1): 3}
"""By series, the first release with the commit "dpif-netdev: Fix dpif_netdev_flow_put" (21410ff80, 3.3.0).

Series before 2.17 do not have it, later ones all do.
"""

_SINCE = (2, 8)
"""The series that brought the defect (beb75a40f)."""


def fault(version: str, datapath_type: str) -> str | None:
    """Return the known defect of that release with that datapath, and the remedy; None if there is none.

    A version that nobody has written, or that is not of the form of a release, has no known fault.

    >>> fault("3.1.0", "system"), fault("3.1.3", "netdev"), fault("", "netdev")
    (None, None, None)
    >>> fault("3.1.0", "netdev")
    'Open vSwitch 3.1.0 may keep to cached flows that are wrong ...; upgrade it to 3.1.3 or later'
    """
    release = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if release is None or datapath_type != "netdev":
        return None
    major, minor, patch = map(int, release.groups())
    series = (major, minor)
    if not _SINCE <= series <= max(_FIRST_FIXED) or patch >= _FIRST_FIXED.get(series, patch + 1):
        return None
    remedy = f"{major}.{minor}.{_FIRST_FIXED[series]}" if series in _FIRST_FIXED else "2.17.8"
    return (
        f"Open vSwitch {release[0]} may keep to cached flows that are wrong after a change of flows, in its "
        f"userspace datapath and for up to 20 s; upgrade it to {remedy} or later"
    )
