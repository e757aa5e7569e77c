"""The announcer: tells the physical networks, several times with growing gaps, which ports came up here."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from uuid import UUID

from trunkline.agent.log import Log
from trunkline.core.announcement import GAPS_S, frames
from trunkline.core.flow import Action, Output, PushVlan
from trunkline.core.view import LocalPortView
from trunkline.openflow.session import Session

log = Log("announcer")


@dataclass(frozen=True)
class _Announcement:
    """What to send for a port, and by which actions."""

    frames: tuple[bytes, ...]
    actions: tuple[Action, ...]


class Announcer:
    """Announces ports; the clock is the caller's, in seconds that only grow.

    A port is announced first once the switch has acknowledged its flows, and again after each of `GAPS_S`.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._announcement_by_port: dict[UUID, _Announcement] = {}
        self._waiting: dict[UUID, int] = {}
        self._turn_by_port: dict[UUID, int] = {}
        self._due: list[tuple[float, int, UUID, int]] = []
        self._turns = itertools.count()
        self._is_held = False

    def say(self, port_id: UUID, view: LocalPortView | None, generation: int) -> None:
        """Announce the port as *view* says once the flows of *generation* are in place; None: no longer.

        A port whose MAC, addresses and wire did not change goes on as it was.
        """
        announcement = _announcement(view)
        if announcement == self._announcement_by_port.get(port_id):
            return
        self._waiting.pop(port_id, None)
        self._turn_by_port.pop(port_id, None)
        if announcement is None:
            self._announcement_by_port.pop(port_id, None)
        else:
            self._announcement_by_port[port_id] = announcement
            self._waiting[port_id] = generation

    def repeat(self, generation: int) -> None:
        """Announce every port anew once the flows of *generation* are in place: the switch was away."""
        self._turn_by_port.clear()
        self._due.clear()
        self._waiting = dict.fromkeys(self._announcement_by_port, generation)

    def run(self, now_s: float, applied: int, session: Session) -> None:
        """Send what is due at *now_s*; *applied* is the generation of flows that the switch has in place."""
        ready = [port_id for port_id, generation in self._waiting.items() if generation <= applied]
        for port_id in ready:
            del self._waiting[port_id]
            turn = next(self._turns)
            self._turn_by_port[port_id] = turn
            heapq.heappush(self._due, (now_s, turn, port_id, 0))
        while self._due and self._due[0][0] <= now_s and session.is_ready:
            _, turn, port_id, times = heapq.heappop(self._due)
            if self._turn_by_port.get(port_id) != turn:
                continue
            announcement = self._announcement_by_port[port_id]
            for frame in announcement.frames:
                session.packet_out(frame, announcement.actions)
                self.sent += 1
            if times < len(GAPS_S):
                heapq.heappush(self._due, (now_s + GAPS_S[times], turn, port_id, times + 1))
            else:
                del self._turn_by_port[port_id]
        self._is_held = not session.is_ready

    @property
    def next_s(self) -> float | None:
        """When `run` has something to do next, by the caller's clock.

        None while nothing is due, and while the switch is away: what is due waits for it, not for a time.
        """
        return self._due[0][0] if self._due and not self._is_held else None


def _announcement(view: LocalPortView | None) -> _Announcement | None:
    if view is None or view.wire is None or not view.is_announced:
        return None
    tag: tuple[Action, ...] = () if view.wire.vlan_id is None else (PushVlan(view.wire.vlan_id),)
    return _Announcement(frames(view.mac, view.addresses), (*tag, Output(view.wire.ofport)))
