"""The reporter: writes to the northbound which ports are up here, what is applied, and the faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from uuid import UUID

from trunkline.core.inventory import Inventory
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.report import Binding, Report
from trunkline.ovsdb.write import FIRST_RETRY_S, LONGEST_RETRY_S, Outcome
from trunkline.runtime.log import Log
from trunkline.runtime.trouble import Trouble

log = Log("reporter")

MOST_BINDINGS = 500
"""How many ports one write covers at most: some 30 ms, in which all else waits."""

NOBODY = Binding(None, is_up=False)


class Reporter:
    """What is still to be reported of ports; each waits until its revision of flows is in place.

    What is written follows from the present state alone, so that a write that was lost, or that another
    writer came before, is made again.
    """

    def __init__(self) -> None:
        self._revision_by_port: dict[UUID, int] = {}
        self._unseen: set[UUID] = set()
        self._seen_by: tuple[int, bool] | None = None
        self._withheld: dict[UUID, str] = {}
        self.refusals = Trouble(
            lambda error: log.error("the northbound refused a write", error=error),
            lambda times: log.info("the northbound accepts writes again", refused=times),
            first_s=FIRST_RETRY_S,
            longest_s=LONGEST_RETRY_S,
        )

    def mark(self, port_ids: Collection[UUID], revision: int) -> None:
        """Report the ports again once the flows of *revision* are in place."""
        self._revision_by_port.update(dict.fromkeys(port_ids, revision))
        self._unseen.update(port_ids)
        for port_id in self._withheld.keys() & port_ids if self._withheld else ():
            del self._withheld[port_id]

    def bindings(
        self,
        nb: NorthboundReplica,
        inventory: Inventory,
        applied: int,
        is_working: Callable[[UUID], bool],
        *,
        are_others_known: bool = True,
    ) -> dict[UUID, Binding]:
        """Return what the database should say of the marked ports, if it says something else now.

        A port is up if the switch has acknowledged its flows (*applied* is the revision that it has), its VIF
        has a link, and its network is working (*is_working*). That a port is not up is reported only if
        *are_others_known*, which says that all rows are there. A port that is reported right is unmarked.
        Marked ports are looked at again when the switch has acknowledged more, all rows have come, or a write
        has ended. There are at most `MOST_BINDINGS`; the others are for the next write.
        """
        bindings: dict[UUID, Binding] = {}
        seen_by = (applied, are_others_known)
        port_ids = self._unseen if seen_by == self._seen_by else set(self._revision_by_port)
        self._unseen, self._seen_by = set(), seen_by
        for port_id in port_ids:
            if _is_elsewhere(port_id, inventory):
                del self._revision_by_port[port_id]
                continue
            revision = self._revision_by_port[port_id]
            current = nb.binding(port_id)
            wanted = NOBODY if current is None else _binding(port_id, current, inventory, is_working)
            if current is None or wanted == current:
                del self._revision_by_port[port_id]
            elif nb.is_restricted and not nb.may_bind(port_id):
                del self._revision_by_port[port_id]
                self._withheld[port_id] = inventory.ports[port_id].name if port_id in inventory.ports else ""
            elif applied >= revision if wanted.is_up else are_others_known:
                bindings[port_id] = wanted
        return dict(islice(bindings.items(), MOST_BINDINGS))

    @property
    def faults(self) -> dict[str, str]:
        """What the northbound does not let this chassis report, and why, by subject."""
        reason = (
            "the northbound lets this chassis hold only ports that are requested on it; "
            "set `requested_chassis`"
        )
        faults = {f"port {name}": reason for name in self._withheld.values() if name}
        if self.refusals.reason is not None:
            faults["report"] = f"the northbound refuses what this chassis reports: {self.refusals.reason}"
        return faults

    def is_done_by(self, bindings: Mapping[UUID, Binding]) -> bool:
        """Return whether every port is reported right once *bindings* are written."""
        return self._revision_by_port.keys() <= bindings.keys()

    def write(self, nb: NorthboundReplica, bindings: dict[UUID, Binding], report: Report) -> None:
        """Begin to write *bindings* and *report*, unless the database says all that already."""
        if not bindings and nb.is_reported(report):
            return
        log.each(
            "port",
            bindings,
            lambda id_: {"port_id": id_, "chassis": bindings[id_].chassis or "", "up": bindings[id_].is_up},
        )
        nb.write(report, bindings, int(time.time() * 1000))

    def settle(self, nb: NorthboundReplica) -> None:
        """Note how the last write ended."""
        outcome = nb.outcome()
        if outcome is not None:
            self._seen_by = None
        if outcome is Outcome.FAILED:
            self.refusals.note(nb.error or "no reason")
        elif outcome is Outcome.DONE:
            self.refusals.over()


def _is_elsewhere(port_id: UUID, inventory: Inventory) -> bool:
    """Return whether the port is another chassis' alone: in an explicit network, most are."""
    port = inventory.ports.get(port_id)
    return port is not None and port.chassis != inventory.chassis and not inventory.is_local(port_id)


def _binding(
    port_id: UUID, current: Binding, inventory: Inventory, is_working: Callable[[UUID], bool]
) -> Binding:
    """Return the binding that the port should have, as far as it concerns this chassis."""
    port, chassis = inventory.ports.get(port_id), inventory.chassis
    if port is not None and inventory.is_local(port_id):
        requested = inventory.carrier(port).requested_chassis
        if requested and requested[0] != chassis:
            return current
        is_up = inventory.has_link(port) and is_working(port.network_id)
        return Binding(chassis, is_up=is_up)
    return NOBODY if current.chassis == chassis else current
