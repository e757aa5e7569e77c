"""The chassis that a command runs on, asked for its hop of a trace without its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.insight import name
from trunkline.insight.flow import port_keys
from trunkline.insight.waiting import finished
from trunkline.ovsdb.reading import read_switch
from trunkline.path.hop import Entry, Place, hop

if TYPE_CHECKING:
    from collections.abc import Collection

    from trunkline.insight.chassis import Chassis
    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.name import Names
    from trunkline.northbound.client import Northbound


def local_hop(chassis: Chassis, nb: Northbound, entry: Entry) -> dict[str, Any]:
    """Return what *chassis*, the one of this machine, does with the frame of *entry*.

    Raises:
        SwitchError: its switch does not answer.
        UnreachableError: its database does not.
        SettingsError: a setting of the chassis is missing, or invalid.
    """

    def names(flows: Collection[InstalledFlow]) -> Names:
        return name.from_northbound(nb, chassis, port_keys(flows))

    switch, settings = read_switch(chassis.remote)
    try:
        return finished(hop(Place(switch, settings, chassis.rundir, names), entry))
    finally:
        switch.close()
