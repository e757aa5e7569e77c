"""Migration: a VM that arrives sends a frame, and by that its port wakes up here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from trunkline.core.cookie import Subject, cookie, cookie_parts
from trunkline.core.flow import Resubmit
from trunkline.core.inventory import Inventory
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.openflow.event import PacketIn
from trunkline.openflow.session import Session
from trunkline.runtime.log import Log

log = Log("migration")


class _Held(NamedTuple):
    revision: int
    in_port: int
    frame: bytes


class Migration:
    """The frames that woke a port up; each is held until the port's flows are in place, and then sent on."""

    def __init__(self) -> None:
        self._held_by_port: dict[UUID, _Held] = {}

    def on_packet_in(self, event: PacketIn, inventory: Inventory) -> None:
        """Wake the port that the flow of *event* belongs to, if it sleeps."""
        parts = cookie_parts(event.cookie)
        if parts is None or parts.subject is not Subject.PORT or event.in_port is None:
            return
        port_id = inventory.relations.port_id_by_key.get(parts.key)
        if port_id is not None and inventory.is_sleeping(port_id):
            log.info("port wakes", port=inventory.ports[port_id].name)
            inventory.wake(port_id)
            self._held_by_port[port_id] = _Held(inventory.revision, event.in_port, event.frame)

    def recover(self, installed: Mapping[bytes, bytes], inventory: Inventory) -> None:
        """Wake the ports whose flows are *installed*: they woke up before the agent was started again."""
        sleeping = {
            cookie(Owner.CLASSIFIER, Subject.PORT, inventory.ports[port_id].key): port_id
            for port_id in inventory.sleeping()
        }
        if not sleeping:
            return
        for key, body in installed.items():
            table, priority, value = key[0], int.from_bytes(key[1:3]), int.from_bytes(body[:8])
            if (table, priority) != (Band.VIF.table, Band.VIF.priority):
                continue
            if value in sleeping:
                inventory.wake(sleeping[value])

    def run(self, applied: int, session: Session) -> None:
        """Send on the held frames whose port's flows are in place; *applied* is the revision that is."""
        for port_id, held in list(self._held_by_port.items()):
            if held.revision <= applied and session.is_ready:
                del self._held_by_port[port_id]
                session.packet_out(held.frame, (Resubmit(Table.CLASSIFY),), held.in_port)
