"""The quarantine: networks whose flows the switch refused, so that the others go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from trunkline.core.pipeline import Subject
from trunkline.core.snapshot import Changes, MacId, Snapshot, SubjectId
from trunkline.core.view import View
from trunkline.runtime.log import Log

log = Log("quarantine")


class Quarantine:
    """Which networks have no flows here, and why; *pipeline_fault* is why the chassis itself has none."""

    def __init__(self) -> None:
        self.reason_by_network: dict[UUID, str] = {}
        self.pipeline_fault: str | None = None

    def isolate(self, refused: Mapping[SubjectId, str], snapshot: Snapshot) -> set[SubjectId]:
        """Take in the networks of the *refused* subjects; return every subject that is to have no flows."""
        withdrawn: set[SubjectId] = set()
        for subject, reason in refused.items():
            network_id = network_of(subject, snapshot)
            if network_id is None:
                withdrawn.add(subject)
                self.pipeline_fault = reason
                continue
            network = snapshot.networks.get(network_id)
            log.error("network quarantined", network=network.name if network else network_id, reason=reason)
            self.reason_by_network[network_id] = reason
            withdrawn.add(subject)
            withdrawn.update(snapshot.subjects_of_network(network_id))
        return withdrawn

    def release(self, changes: Changes, snapshot: Snapshot) -> None:
        """Let out networks whose rows are among *changes*, to try again; *snapshot* is from before them."""
        if not self.reason_by_network:
            return
        touched = set(changes.networks)
        for port_id, port in changes.ports.items():
            old = snapshot.ports.get(port_id)
            touched |= {each.network_id for each in (old, port) if each is not None}
        for network_id in touched & self.reason_by_network.keys():
            del self.reason_by_network[network_id]
            snapshot.mark_network(network_id)

    def clear(self, snapshot: Snapshot) -> None:
        """Let everything out, to try again: another process of the switch may take what one refused."""
        for network_id in list(self.reason_by_network):
            del self.reason_by_network[network_id]
            snapshot.mark_network(network_id)
        if self.pipeline_fault is not None:
            self.pipeline_fault = None
            snapshot.mark_chassis()

    def admitted(
        self, view_by_subject: Mapping[SubjectId, View | None], snapshot: Snapshot
    ) -> Mapping[SubjectId, View | None]:
        """Return the views, without those of networks in quarantine."""
        if not self.reason_by_network:
            return view_by_subject
        return {
            subject: None if network_of(subject, snapshot) in self.reason_by_network else view
            for subject, view in view_by_subject.items()
        }

    def faults(self, snapshot: Snapshot) -> Iterable[tuple[str, str]]:
        """Yield the faults to show, as (subject, reason)."""
        if self.pipeline_fault is not None:
            yield "pipeline", self.pipeline_fault
        for network_id, reason in self.reason_by_network.items():
            network = snapshot.networks.get(network_id)
            if network is not None:
                yield f"network {network.name}", reason


def network_of(subject: SubjectId, snapshot: Snapshot) -> UUID | None:
    """Return the id of the network that *subject* belongs to, None where it belongs to none."""
    kind, id_ = subject
    if isinstance(id_, MacId):
        return id_.network_id
    if not isinstance(id_, UUID):
        return None
    if kind is Subject.NETWORK:
        return id_
    port = snapshot.ports.get(id_)
    return port.network_id if port is not None else None
