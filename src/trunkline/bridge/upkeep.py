"""Upkeep: what forwarding rests on besides flows; if somebody changes it on the switch, it is put back.

That is how the bridge handles fragments, and the flags of the ports that are ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial

from trunkline.openflow.event import Connected, Event, FragmentsRead, PortSeen
from trunkline.openflow.message import FRAGMENTS_SHOWN
from trunkline.openflow.port import Port, unblock
from trunkline.openflow.session import Session
from trunkline.runtime.log import Log

log = Log("upkeep")

INTERVAL_S = 4.0
"""How far apart questions for the handling of fragments are, at least: the switch does not report a change of
it. Until it is put back, frames whose ports the switch hides are dropped (`Band.HIDDEN_FRAGMENT`)."""

SLACK_S = 6.0
"""How long such a question may wait until something else wakes the loop: an idle loop wakes every 5 s, to ask
the switch for an echo."""

HOLD_S = 0.2
"""How far apart repairs of ports are, so that a program that blocks them again and again costs little."""


class Upkeep:
    """What is set on the bridge and its ports besides flows; *repairs* counts what was put back.

    Ours are the uplinks' patch ports and the VIFs, which *is_vif* knows by name and OpenFlow port. Other
    ports stay as they are. *clock* counts seconds.
    """

    def __init__(
        self, is_vif: Callable[[str, int], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.repairs = 0
        self._is_vif = is_vif
        self._clock = clock
        self._is_connected = False
        self._blocked: dict[int, Port] = {}
        self._repaired_s = 0.0
        self._asked_s = 0.0

    def on_event(self, event: Event, session: Session) -> None:
        """Note what the switch says; put back the handling of fragments."""
        match event:
            case Connected():
                self._blocked.clear()
                self.audit(session)
            case PortSeen(port, is_there):
                self._blocked.pop(port.ofport, None)
                if is_there and port.flags:
                    self._blocked[port.ofport] = port
            case FragmentsRead(handling) if handling != FRAGMENTS_SHOWN and session.is_ready:
                self.repairs += 1
                log.warning("fragment handling drifted", wanted=FRAGMENTS_SHOWN, found=handling)
                session.show_fragments()

    def audit(self, session: Session) -> None:
        """Have all of it read, if the switch is connected."""
        if session.is_ready:
            session.read_ports()
            self._ask(session)

    def _ask(self, session: Session) -> None:
        self._asked_s = self._clock()
        session.read_fragments()

    def run(self, session: Session, uplink_ofports: Collection[int]) -> None:
        """Ask what is due, and unblock the ports that are ours."""
        self._is_connected = session.is_ready
        if not session.is_ready:
            return
        now_s = self._clock()
        if now_s >= self._asked_s + INTERVAL_S:
            self._ask(session)
        if not self._blocked or now_s < self._repaired_s + HOLD_S:
            return
        for port in list(self._blocked.values()):
            if port.ofport in uplink_ofports or self._is_vif(port.name, port.ofport):
                del self._blocked[port.ofport]
                self.repairs += 1
                self._repaired_s = now_s
                log.warning("port drifted", port=port.name, ofport=port.ofport, found=port.words)
                session.order(partial(unblock, port=port))

    @property
    def next_s(self) -> float | None:
        """When the loop must run for this, by the clock; None if the switch is not connected."""
        if not self._is_connected:
            return None
        # A blocked port that is not ours may become so by a change of rows, not by the clock.
        due_s, wake_s = self._repaired_s + HOLD_S, self._asked_s + INTERVAL_S + SLACK_S
        return min(wake_s, due_s) if self._blocked and due_s > self._clock() else wake_s
