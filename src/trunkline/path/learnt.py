"""What a bridge has learnt: which MACs frames have come from, by which port, in which VLAN, and how long ago.

A bridge learns as a plain switch does, by its flows with NORMAL. A provider bridge mostly has one, and then
this is all that tells from whom frames have come: flows count the frames of a VLAN, whoever sent them. A
bridge with other flows learns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.address import mac_text
from trunkline.insight import vswitchd

if TYPE_CHECKING:
    from collections.abc import Collection

    from trunkline.insight.waiting import Work

_COLUMNS = 4
"""Port, VLAN, MAC and age."""


def age_s(rundir: str, bridge: str, ofports: Collection[int], vlan_id: int, mac: int) -> Work[float | None]:
    """Return how long ago a frame from *mac* in that VLAN (0: none) came to *bridge* by one of *ofports*.

    None if that is not known. Open vSwitch forgets a MAC after 5 minutes unless told otherwise, and counts
    in whole seconds.

    Raises:
        SwitchError: ovs-vswitchd cannot be asked.
    """
    text = yield from vswitchd.answer(rundir, "fdb/show", bridge)
    ports = {str(each) for each in ofports}
    wanted = [str(vlan_id), mac_text(mac)]
    for line in text.splitlines()[1:]:
        words = line.split()
        # A MAC that an operator has entered has no age.
        if len(words) == _COLUMNS and words[0] in ports and words[1:3] == wanted and words[3].isdecimal():
            return float(words[3])
    return None
