"""The quarantine: networks whose flows the switch refused; all others work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from trunkline.core.inventory import Changes, Inventory
from trunkline.core.subject import MacSubject, NetworkSubject, PortSubject, SubjectId
from trunkline.core.view import View
from trunkline.runtime.log import Log

log = Log("quarantine")


class Quarantine:
    """Which networks have no flows here, and why; *pipeline_fault*: why the chassis itself has none."""

    def __init__(self) -> None:
        self.reason_by_network: dict[UUID, str] = {}
        self.pipeline_fault: str | None = None

    def isolate(self, refused: Mapping[SubjectId, str], inventory: Inventory) -> set[SubjectId]:
        """Put the networks of the *refused* subjects in quarantine; return all subjects that lose flows."""
        withdrawn: set[SubjectId] = set()
        for subject, reason in refused.items():
            network_id = network_of(subject, inventory)
            if network_id is None:
                withdrawn.add(subject)
                self.pipeline_fault = reason
                continue
            network = inventory.networks.get(network_id)
            log.error("network quarantined", network=network.name if network else network_id, reason=reason)
            self.reason_by_network[network_id] = reason
            withdrawn.add(subject)
            withdrawn.update(inventory.subjects_of_network(network_id))
        return withdrawn

    def release(self, changes: Changes, inventory: Inventory) -> None:
        """Try networks again whose rows are among *changes*; *inventory* is from before these."""
        if not self.reason_by_network:
            return
        touched = set(changes.networks)
        for port_id, port in changes.ports.items():
            old = inventory.ports.get(port_id)
            touched |= {each.network_id for each in (old, port) if each is not None}
        for network_id in touched & self.reason_by_network.keys():
            del self.reason_by_network[network_id]
            inventory.mark_network(network_id)

    def clear(self, inventory: Inventory) -> None:
        """Try everything again: the switch was restarted, and may take what it refused before."""
        for network_id in list(self.reason_by_network):
            del self.reason_by_network[network_id]
            inventory.mark_network(network_id)
        if self.pipeline_fault is not None:
            self.pipeline_fault = None
            inventory.mark_chassis()

    def admitted(
        self, view_by_subject: Mapping[SubjectId, View | None], inventory: Inventory
    ) -> Mapping[SubjectId, View | None]:
        """Return the views, with None in place of those of networks in quarantine."""
        if not self.reason_by_network:
            return view_by_subject
        return {
            subject: None if network_of(subject, inventory) in self.reason_by_network else view
            for subject, view in view_by_subject.items()
        }

    def faults(self, inventory: Inventory) -> Iterable[tuple[str, str]]:
        """Yield the faults to show, as (subject, reason)."""
        if self.pipeline_fault is not None:
            yield "pipeline", self.pipeline_fault
        for network_id, reason in self.reason_by_network.items():
            network = inventory.networks.get(network_id)
            if network is not None:
                yield f"network {network.name}", reason


def network_of(subject: SubjectId, inventory: Inventory) -> UUID | None:
    """Return the id of the network that *subject* belongs to, None if it belongs to none."""
    match subject:
        case NetworkSubject(network_id) | MacSubject(network_id):
            return network_id
        case PortSubject(port_id):
            port = inventory.ports.get(port_id)
            return port.network_id if port is not None else None
        case _:
            return None
