"""Interceptions: frames that Open vSwitch takes for itself before any flow sees them, by its own database.

The agent's replica has none of this: it would be read again with each of 10,000 interfaces.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.insight import daemon
from trunkline.insight.chassis import as_items, as_map
from trunkline.insight.connection import SwitchError
from trunkline.northbound.operation import select
from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import sensible
from trunkline.ovsdb.lookup import by_address, were_all_tried

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trunkline.insight.waiting import Work

_DATABASE = "Open_vSwitch"
_COLUMNS = ("name", "cfm_mpid", "bfd", "lldp")

_ASKED = (
    # The server chooses the rows: of 10,000 interfaces, it is usual that none has any of these.
    *(
        select("Interface", (column, "!=", nothing), only=_COLUMNS)
        for column, nothing in (("cfm_mpid", None), ("bfd", {}), ("lldp", {}))
    ),
    select("Mirror", only=("name", "output_port")),
)


class Interception(NamedTuple):
    """The frames *what* that come in by *interface* go no further, because of its *column*."""

    interface: str
    what: str
    column: str


class MirrorOutput(NamedTuple):
    """The port with the id *port_id* gets what *mirror* copies, so nothing that comes in by it goes on."""

    mirror: str
    port_id: str


def interceptions(
    remote: str, timeout_s: float = daemon.PATIENCE_S
) -> Work[tuple[list[Interception], list[MirrorOutput]]]:
    """Return what the `Open_vSwitch` database at *remote* has Open vSwitch take for itself.

    Yields what is waited for. All addresses of a host name are tried.

    Raises:
        SwitchError, UnreachableError: the database does not answer.
    """
    end_s, tries, reply = time.monotonic() + timeout_s, 0, None
    while reply is None:
        place, left_s = _by_address(remote), max(0.0, end_s - time.monotonic())
        try:
            reply = yield from daemon.replied(
                "ovsdb-server", place, "transact", [_DATABASE, *_ASKED], left_s, SWITCH.remedy
            )
        except SwitchError:
            tries += 1
            if were_all_tried(remote, tries):
                raise
    with sensible(remote):
        if reply["error"] is not None:
            raise SwitchError(f"{remote} refused the question: {reply['error']}")
        return _found(reply["result"])


def _by_address(remote: str) -> str:
    kind, _, suffix = remote.partition(":")
    place = suffix if kind == "unix" else by_address(suffix)
    if place is None:
        raise SwitchError(f"{remote}: the address of this host is not known yet; run this again")
    return f"{kind}:{place}"


def _found(results: Iterable[Any]) -> tuple[list[Interception], list[MirrorOutput]]:
    *some, mirrors = (result["rows"] for result in results)
    interfaces = {row["name"]: row for rows in some for row in rows}
    taken = [each for row in interfaces.values() for each in _of(row)]
    outputs = [
        MirrorOutput(str(row["name"]), str(port_id))
        for row in mirrors
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
