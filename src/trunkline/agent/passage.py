"""Passage: whether frames can pass the switch at all, whatever its flows are, and why not."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.bridge.forwarding import Forwarding
from trunkline.ovsdb import restore_wait
from trunkline.ovsdb.datum import one
from trunkline.ovsdb.switch_row import RESTORE_WAIT, BridgeRow
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.runtime.log import Log

log = Log("passage")

PATIENCE_S = 3.0
"""How long no frame can pass before ports are reported down: a restarted switch is back within this time."""


class Passage:
    """Whether the bridge forwards; *fault* says why not, once it has not for `PATIENCE_S`.

    *clock* counts seconds.
    """

    def __init__(self, switch: SwitchReplica, clock: Callable[[], float] = time.monotonic) -> None:
        self.fault: str | None = None
        self._switch = switch
        self._clock = clock
        self._since_s: float | None = None
        self._was_connected = False
        self._is_held = False

    def update(self, forwarding: Forwarding, bridge: str, *, are_flows_due: bool) -> bool:
        """Look at the switch; return whether frames have begun to pass, or stopped, since the last time.

        *are_flows_due* says that the flows can be sent, or were.
        """
        self._hold(forwarding)
        reason = self._reason(forwarding, bridge, are_flows_due=are_flows_due)
        if reason is None:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = self._clock()
        fault = reason if self._is_over(self._since_s) else None
        old, self.fault = self.fault, fault
        if fault != old:
            log.warning("switch", fault=fault or "none")
        return (fault is None) != (old is None)

    def _hold(self, forwarding: Forwarding) -> None:
        """Note whether the switch is held by `RESTORE_WAIT`, which it reads only when it starts."""
        is_connected = forwarding.session.is_ready
        if not self._switch.waits_for_flows:
            self._is_held = False
        elif is_connected and not self._was_connected:
            self._is_held = True
        self._was_connected = is_connected

    def _reason(self, forwarding: Forwarding, bridge: str, *, are_flows_due: bool) -> str | None:
        row = self._switch.row("Bridge", bridge)
        if row is not None and one(row, BridgeRow.datapath_id) is None and self._switch.is_idle:
            kind = one(row, BridgeRow.datapath_type) or "system"
            return (
                f"ovs-vswitchd could not create {bridge} with datapath_type {kind}; its log says why; "
                f"run: ovs-vsctl set Bridge {bridge} datapath_type=TYPE (system needs the kernel's module)"
            )
        failure = forwarding.session.failure
        if failure is not None:
            return (
                f"no OpenFlow connection to {bridge}: {failure}; "
                "is ovs-vswitchd running, and does its log say more?"
            )
        if self._is_held and restore_wait.is_ours(self._switch):
            return (
                "ovs-vswitchd was restarted, and forwards only what it knew before, "
                f"until {bridge} has its flows; see the agent's log"
            )
        if self._is_held:
            return (
                f"ovs-vswitchd forwards nothing while {RESTORE_WAIT} is set; "
                f"run: ovs-vsctl remove Open_vSwitch . other_config {RESTORE_WAIT}"
            )
        if are_flows_due and forwarding.applied < 0:
            return f"{bridge} has not acknowledged its flows; see the agent's log"
        return None

    def _is_over(self, since_s: float | None) -> bool:
        return since_s is not None and self._clock() >= since_s + PATIENCE_S

    @property
    def next_s(self) -> float | None:
        """When the present reason becomes a fault, by the clock; None if there is none, or it is one."""
        return None if self._since_s is None or self.fault is not None else self._since_s + PATIENCE_S
