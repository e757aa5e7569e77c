"""A restart of ovs-vswitchd: it is to go on with the kernel's cached flows until it has ours again.

ADR 70 says when the wait is set, and why it is never left set.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.agent.standing import Standing
from trunkline.bridge.forwarding import Forwarding
from trunkline.ovsdb import restore_wait
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.runtime.log import Log

log = Log("restart")

PATIENCE_S = 10.0
"""How long an ovs-vswitchd that is back waits while nothing brings its flows nearer."""

LONGEST_WAIT_S = 120.0
"""How long it waits in any case. 36,000 flows take it 0.3 s; a host that has no time left is slower."""

LONGEST_ABSENCE_S = 600.0
"""How long the wait stays set for an ovs-vswitchd that does not come back. Upgrades take less."""

STEP_S = 1.0
"""The most that counts of the time between two turns: what an agent that got no CPU has missed is no sign."""


class SwitchRestart:
    """Sets the restore wait when ovs-vswitchd goes, and takes it away once the switch has all flows again.

    The userspace datapath ends with ovs-vswitchd, so nothing is set for it. What the database says decides:
    an agent also ends a wait that the agent before it, or the unit of ovs-vswitchd, has set. *clock* counts
    seconds.
    """

    def __init__(self, switch: SwitchReplica, clock: Callable[[], float] = time.monotonic) -> None:
        self._switch = switch
        self._clock = clock
        self._connected: Forwarding | None = None
        self._is_lost = False
        self._is_asked = False
        """Whether ovs-vswitchd acts upon a write of this agent once it is back: only that tells."""
        self._is_noticed = False
        self._is_back = False
        self._turn_s = self._left_s = self._patience_s = 0.0
        self.next_s: float | None = None
        """When the wait may end, by the clock, if nothing happens before; None if none is set."""

    def run(self, forwarding: Forwarding, standing: Standing, *, is_busy: bool) -> None:
        """Set the wait, or take it away, if that is due; *is_busy*: the last turn brought something on."""
        switch = self._switch
        self._note(forwarding)
        self.next_s = None
        may_write = switch.is_connected and not switch.is_writing and not standing.plumbing.is_refused
        if not may_write or switch.root is None:
            return
        if restore_wait.is_marked(switch):
            self._is_lost = False
            is_progressing = (is_busy or forwarding.is_awaited) and not forwarding.faults
            self._attend(standing.are_flows_applied, is_progressing=is_progressing)
            return
        self._is_noticed = self._is_asked = False
        if self._is_lost and not switch.waits_for_flows:
            log.info("ovs-vswitchd is gone; once it is back, it waits for its flows")
            self._is_asked = True
            restore_wait.begin(switch)
        else:
            self._is_lost = False

    def _attend(self, are_flows_applied: bool, *, is_progressing: bool) -> None:
        """End the wait that the database shows, if that is due."""
        if not self._is_noticed:
            self._is_noticed, self._is_back = True, False
            self._turn_s, self._left_s, self._patience_s = self._clock(), LONGEST_ABSENCE_S, PATIENCE_S
        self._count(is_progressing=is_progressing)
        reason = self._reason_to_end(are_flows_applied)
        if reason is not None:
            log.info("ovs-vswitchd no longer has to wait for its flows", reason=reason)
            restore_wait.end(self._switch)
        elif not self._is_asked:
            self._is_asked = True
            restore_wait.ask(self._switch)

    def _note(self, forwarding: Forwarding) -> None:
        """Note whether the connection to the bridge in use was lost."""
        if forwarding.session.is_ready:
            self._connected, self._is_lost = forwarding, False
        elif self._connected is not None:
            is_cached = self._switch.datapath_type(self._switch.bridge) != "netdev"
            self._is_lost = is_cached and self._connected is forwarding
            self._connected = None

    def _count(self, *, is_progressing: bool) -> None:
        """Count the time since the last turn."""
        now_s = self._clock()
        spent_s, self._turn_s = min(now_s - self._turn_s, STEP_S), now_s
        if self._is_asked and self._switch.is_realized and not self._is_back:
            # What comes and goes after that does not give it more time.
            self._is_back, self._left_s = True, min(self._left_s, LONGEST_WAIT_S)
        elif self._is_back:
            self._patience_s = PATIENCE_S if is_progressing else self._patience_s - spent_s
        self._left_s -= spent_s
        self.next_s = now_s + min(STEP_S, max(0.0, self._left_s), max(0.0, self._patience_s))

    def _reason_to_end(self, are_flows_applied: bool) -> str | None:
        """Return why the wait has to go now; None if it is to stay."""
        if not restore_wait.is_ours(self._switch):
            return "somebody else has changed it"
        if are_flows_applied:
            return "they are in place"
        if self._left_s > 0 and self._patience_s > 0:
            return None
        return "it is back, and they are not in place" if self._is_back else "it does not come back"

    @property
    def has_wait(self) -> bool:
        """Whether a wait of ours is set, which nobody would take away if the agent ended now."""
        return self._is_asked or restore_wait.is_marked(self._switch)
