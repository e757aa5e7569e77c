"""Work on the switch of a chassis while no agent runs there: its database, and waiting for both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import ovs.poller
import ovs.vlog

from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.process.daemon import DaemonError, Options, other_agents, require_socket

if TYPE_CHECKING:
    from trunkline.agent.tenure import Tenure
    from trunkline.ovsdb.replica import Replica

TIMEOUT_S = 10.0
"""How long each database and the switch may take to answer."""

PATIENCE_S = 1.0
"""How long an agent that was just stopped may take to end."""


def switch_alone(options: Options) -> SwitchReplica:
    """Return the switch's database with the lock of its agent, so that none can start meanwhile.

    Raises:
        DaemonError: an agent is running here, or the switch's database does not answer.
    """
    require_socket(options.remote)
    ovs.vlog.Vlog.init(options.log_file)
    ovs.vlog.Vlog.set_level("any", "console", "off")
    switch = SwitchReplica(options.remote)
    if not until(switch, lambda: switch.is_synced or switch.is_contended):
        raise DaemonError(f"{options.remote} does not answer; start ovsdb-server")
    if not until(switch, lambda: switch.is_synced, PATIENCE_S):
        raise DaemonError(f"an agent is running here (pid {other_agents(options.rundir)}); stop it first")
    if switch.root is None:
        raise DaemonError(f"{options.remote} has no Open_vSwitch row, and so no chassis; run: ovs-vsctl init")
    return switch


def block(waits: Iterable[Callable[[ovs.poller.Poller], None]], deadline_s: float) -> None:
    """Sleep until one of *waits* wakes, or time is up."""
    poller = ovs.poller.Poller()
    for wait in waits:
        wait(poller)
    poller.timer_wait(max(0, int((deadline_s - time.monotonic()) * 1000)))
    poller.block()


def until(
    replica: Replica,
    is_done: Callable[[], bool],
    timeout_s: float = TIMEOUT_S,
    tenure: Tenure | None = None,
) -> bool:
    """Run *replica* until *is_done* or time is up; return whether it is done."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        replica.run()
        if is_done():
            return True
        if time.monotonic() >= deadline_s:
            return False
        block([replica.wait, *([tenure.wait] if tenure is not None else [])], deadline_s)


def await_write(replica: Replica, done: str, failed: str) -> str:
    """Return *done* when the write under way is; raises `DaemonError`, which begins with *failed*, if not."""
    outcomes = []

    def is_over() -> bool:
        outcome = replica.outcome()
        if outcome is not None:
            outcomes.append(outcome)
        return bool(outcomes)

    if until(replica, is_over) and outcomes[0].value == "done":
        return done
    raise DaemonError(f"{failed}: {replica.error or 'the database refused the change'}; try again")
