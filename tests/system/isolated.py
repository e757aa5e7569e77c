"""At the end of a test: by the flows that a chassis' switch holds, all frames go where they should."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from trunkline.cli.prove import lines
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.insight import chassis
from trunkline.insight.connection import Connection
from trunkline.insight.name import Names
from trunkline.ovsdb.reading import Reading
from trunkline.path.isolation import Asked, answer

if TYPE_CHECKING:
    from pathlib import Path


def assert_isolated(ovs_remote: str, rundir: Path, nb_remote: str | None = None) -> None:
    """Prove the chassis whose database is at *ovs_remote*, with the northbound *nb_remote* if it is given.

    If a test has left flows of its own there, these are what it is about, and nothing is proved.
    """
    there = chassis.read(ovs_remote)
    with (
        closing(Reading(ovs_remote, nb_remote)) as reading,
        Connection(rundir / f"{there.bridge}.mgmt") as bridge,
    ):
        if any(flow.cookie & COOKIE_OURS_MASK != COOKIE_OURS for flow in bridge.flows()):
            return
        names = Names(interface_by_ofport=there.interface_by_ofport)
        found = answer(Asked(reading, bridge, str(rundir), names))
    assert found["is_proved"], "\n".join(lines(found))
