"""A restart of ovs-vswitchd: it is to go on with the kernel's cached flows until it has ours again.

ADR 70 says when the wait is set, and why it is never left set.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.bridge.forwarding import Forwarding
from trunkline.ovsdb import restore_wait
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.runtime.log import Log

log = Log("restart")

LONGEST_WAIT_S = 10.0
"""How long an ovs-vswitchd that is back waits for its flows: 36,000 take it 0.3 s."""

LONGEST_ABSENCE_S = 600.0
"""How long the wait stays set for an ovs-vswitchd that does not come back. Upgrades take less."""


class SwitchRestart:
    """Sets the restore wait when ovs-vswitchd goes, and takes it away once the switch has all flows again.

    The userspace datapath ends with ovs-vswitchd, so nothing is set for it. What the database says decides:
    an agent also ends a wait that the agent before it has left. *clock* counts seconds.
    """

    def __init__(self, switch: SwitchReplica, clock: Callable[[], float] = time.monotonic) -> None:
        self._switch = switch
        self._clock = clock
        self._connected: Forwarding | None = None
        self._is_lost = False
        self._has_begun = False
        self._end_s: float | None = None
        self._is_back = False

    def run(self, forwarding: Forwarding, are_flows_applied: bool, *, may_write: bool) -> None:
        """Set the wait, or take it away, if that is due.

        *are_flows_applied* says that the switch has all flows, *may_write* that its database accepts writes.
        """
        switch = self._switch
        self._note(forwarding)
        if not may_write or not switch.is_connected or switch.is_writing or switch.root is None:
            return
        if restore_wait.is_marked(switch):
            reason = self._reason_to_end(are_flows_applied)
            if reason is not None:
                log.info("ovs-vswitchd no longer has to wait for its flows", reason=reason)
                restore_wait.end(switch)
        else:
            self._has_begun, self._end_s = False, None
            if self._is_lost and not switch.waits_for_flows:
                log.info("ovs-vswitchd is gone; once it is back, it waits for its flows")
                self._has_begun = True
                restore_wait.begin(switch)
        self._is_lost = False

    def _note(self, forwarding: Forwarding) -> None:
        """Note whether the connection to the bridge in use was lost."""
        if forwarding.session.is_ready:
            self._connected, self._is_lost = forwarding, False
        elif self._connected is not None:
            is_cached = self._switch.datapath_type(self._switch.bridge) != "netdev"
            self._is_lost = is_cached and self._connected is forwarding
            self._connected = None

    def _reason_to_end(self, are_flows_applied: bool) -> str | None:
        """Return why the wait has to go now; None if it is to stay."""
        if not restore_wait.is_ours(self._switch):
            return "somebody else has changed it"
        if are_flows_applied:
            return "they are in place"
        now_s = self._clock()
        if self._end_s is None:
            self._is_back, self._end_s = False, now_s + LONGEST_ABSENCE_S
        if self._switch.is_realized and not self._is_back:
            # What comes and goes after that does not give it more time.
            self._is_back, self._end_s = True, min(self._end_s, now_s + LONGEST_WAIT_S)
        if now_s < self._end_s:
            return None
        return "it is back, and they are not in place" if self._is_back else "it does not come back"

    @property
    def next_s(self) -> float | None:
        """When the wait ends at the latest, by the clock; None if none is set."""
        return self._end_s

    @property
    def has_wait(self) -> bool:
        """Whether a wait of ours is set, which nobody would take away if the agent ended now."""
        return self._has_begun or restore_wait.is_marked(self._switch)
