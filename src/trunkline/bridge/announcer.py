"""The announcer: tells the physical networks, several times at growing intervals, which ports are here."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from trunkline.bridge.pace import Pace
from trunkline.core.announcement import GAPS_S, frames
from trunkline.core.flow import Action, Output, PushVlan
from trunkline.core.view import LocalPortView
from trunkline.openflow.session import Session

FRAMES_PER_S, BURST = 200, 10
"""How many frames are sent, for all ports together: 1,000 ports take 5 s; one port that moves does not wait.
Each frame is a broadcast, and all machines of its network have to look at it."""


@dataclass(frozen=True)
class _Announcement:
    """What to send for a port, and by which actions."""

    frames: tuple[bytes, ...]
    actions: tuple[Action, ...]


class Announcer:
    """Announces ports; the clock is the caller's, in seconds that only grow.

    A port is announced once the switch has acknowledged its flows, and again after each of `GAPS_S`. All
    ports share one pace. If more is due than it allows, every port's first frame goes before any port's
    second one, so that no port waits for one with many addresses. New ports go before those that are
    announced again.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._pace = Pace(rate=FRAMES_PER_S, burst=BURST)
        self._announcement_by_port: dict[UUID, _Announcement] = {}
        self._waiting: dict[UUID, int] = {}
        self._first_revision = 0
        """The least revision that a port waits for, or less."""
        self._turn_by_port: dict[UUID, int] = {}
        self._due: list[tuple[float, int, UUID, int]] = []
        """When a port is announced next: time, turn, port, and how often it has been."""
        self._ready: list[tuple[int, int, int, UUID]] = []
        """Whose frame is sent next: its number, how often the port has been announced, turn, port."""
        self._turns = itertools.count()
        self._is_held = False
        self._said_s_by_port: dict[UUID, float] = {}

    def schedule(self, port_id: UUID, view: LocalPortView | None, revision: int) -> None:
        """Announce the port as *view* says once the flows of *revision* are in place; None: not any more.

        A port whose MAC, addresses and wire did not change goes on as it was.
        """
        announcement = _announcement(view)
        if announcement == self._announcement_by_port.get(port_id):
            return
        self._waiting.pop(port_id, None)
        self._turn_by_port.pop(port_id, None)
        self._said_s_by_port.pop(port_id, None)
        if announcement is None:
            self._announcement_by_port.pop(port_id, None)
        else:
            self._announcement_by_port[port_id] = announcement
            self._wait(port_id, revision)

    def repeat_all(self, revision: int) -> None:
        """Announce every port again once the flows of *revision* are in place: the switch was away."""
        self._turn_by_port.clear()
        self._due.clear()
        self._ready.clear()
        self._waiting = dict.fromkeys(self._announcement_by_port, revision)
        self._first_revision = revision

    def repeat(self, port_ids: Iterable[UUID], revision: int) -> None:
        """Announce these ports again, if they are announced at all: their frames can pass again."""
        for port_id in port_ids:
            if port_id in self._announcement_by_port:
                self._turn_by_port.pop(port_id, None)
                self._wait(port_id, revision)

    def is_announced(self, port_id: UUID) -> bool:
        """Return whether the port is announced at all: it is here, and its frames leave by a wire."""
        return port_id in self._announcement_by_port

    def is_unsaid(self, port_id: UUID) -> bool:
        """Return whether the port waits to be announced for the first time since it came, or was repeated."""
        turn = self._turn_by_port.get(port_id)
        is_ready = any(each[1] == 0 and each[2] == turn and each[3] == port_id for each in self._ready)
        return is_ready or port_id in self._waiting

    def said_s(self, port_id: UUID) -> float | None:
        """Return when the port was last announced as it is now, by the clock of `run`; None if not yet."""
        return self._said_s_by_port.get(port_id)

    def run(self, now_s: float, applied: int, session: Session) -> None:
        """Send what is due at *now_s*; *applied* is the revision of the flows that the switch has."""
        self._start_due(applied)
        while self._due and self._due[0][0] <= now_s:
            _, turn, port_id, times = heapq.heappop(self._due)
            heapq.heappush(self._ready, (0, times, turn, port_id))
        while session.is_ready and self._drop_stale() and self._pace.take(now_s):
            self._send(now_s, session)
        self._is_held = not session.is_ready

    @property
    def next_s(self) -> float | None:
        """When `run` has something to do next, by the caller's clock.

        None while nothing is due, and while the switch is away. Frames that wait for their pace go out
        several at a time, so that the caller does not wake for each of them.
        """
        if self._is_held:
            return None
        if self._ready:
            return self._pace.next_s(len(self._ready))
        return self._due[0][0] if self._due else None

    def _wait(self, port_id: UUID, revision: int) -> None:
        """Have the port wait for the flows of *revision*."""
        self._first_revision = min(self._first_revision, revision) if self._waiting else revision
        self._waiting[port_id] = revision

    def _start_due(self, applied: int) -> None:
        """Let the ports whose flows are in place, as of *applied*, have their first turn."""
        if not self._waiting or applied < self._first_revision:
            return
        for port_id in [id_ for id_, revision in self._waiting.items() if revision <= applied]:
            del self._waiting[port_id]
            self._turn_by_port[port_id] = turn = next(self._turns)
            heapq.heappush(self._ready, (0, 0, turn, port_id))
        self._first_revision = min(self._waiting.values(), default=0)

    def _drop_stale(self) -> bool:
        """Drop turns of ports that are announced otherwise by now, or not any more; return if one is left."""
        while self._ready and self._turn_by_port.get(self._ready[0][3]) != self._ready[0][2]:
            heapq.heappop(self._ready)
        return bool(self._ready)

    def _send(self, now_s: float, session: Session) -> None:
        number, times, turn, port_id = heapq.heappop(self._ready)
        announcement = self._announcement_by_port[port_id]
        session.packet_out(announcement.frames[number], announcement.actions)
        self.sent += 1
        self._said_s_by_port[port_id] = now_s
        if number + 1 < len(announcement.frames):
            heapq.heappush(self._ready, (number + 1, times, turn, port_id))
        elif times < len(GAPS_S):
            heapq.heappush(self._due, (now_s + GAPS_S[times], turn, port_id, times + 1))
        else:
            del self._turn_by_port[port_id]


def _announcement(view: LocalPortView | None) -> _Announcement | None:
    if view is None or view.wire is None or not view.is_announced:
        return None
    tag: tuple[Action, ...] = () if view.wire.vlan_id is None else (PushVlan(view.wire.vlan_id),)
    return _Announcement(frames(view.mac, view.addresses), (*tag, Output(view.wire.ofport)))
