"""Interceptions: frames that Open vSwitch takes for itself before any flow sees them, by its own database.

The agent's replica has none of this: it would be read again with each of 10,000 interfaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.insight.chassis import as_items, as_map
from trunkline.northbound import member
from trunkline.northbound.operation import select
from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import Rpc, sensible

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT_S = 5.0


class Interception(NamedTuple):
    """The frames *what* that come in by *interface* go no further, because of its *column*."""

    interface: str
    what: str
    column: str


class MirrorOutput(NamedTuple):
    """The port with the id *port_id* gets what *mirror* copies, so nothing that comes in by it goes on."""

    mirror: str
    port_id: str


def interceptions(remote: str) -> tuple[list[Interception], list[MirrorOutput]]:
    """Return what the `Open_vSwitch` database at *remote* has Open vSwitch take for itself.

    Raises:
        UnreachableError: the database does not answer.
    """
    rpc = Rpc.connect(remote, _TIMEOUT_S, peer=SWITCH)
    try:
        asked = [
            select("Interface", only=("name", "cfm_mpid", "bfd", "lldp")),
            select("Mirror", only=("name", "output_port")),
        ]
        interfaces, mirrors = member.transact(rpc, "Open_vSwitch", asked, _TIMEOUT_S)
    finally:
        rpc.close()
    with sensible(remote):
        taken = [each for row in interfaces["rows"] for each in _of(row)]
        outputs = [
            MirrorOutput(str(row["name"]), str(port_id))
            for row in mirrors["rows"]
            for port_id in as_items(row["output_port"])
        ]
        return taken, outputs


def _of(row: dict[str, Any]) -> Iterator[Interception]:
    """Yield what is taken at the interface with that *row* (`process_special` in `ofproto-dpif-xlate.c`)."""
    name = str(row["name"])
    if as_items(row["cfm_mpid"]):
        yield Interception(name, "CFM frames (type 0x8902)", "cfm_mpid")
    if _is_on(row["bfd"]):
        yield Interception(name, "BFD packets (UDP port 3784)", "bfd")
    if _is_on(row["lldp"]):
        yield Interception(name, "LLDP frames (type 0x88cc)", "lldp")


def _is_on(value: Any) -> bool:
    return as_map(value).get("enable", "").lower() == "true"
