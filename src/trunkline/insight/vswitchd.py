"""ovs-vswitchd, asked by its control socket what `ovs-appctl` asks it (ovs-vswitchd(8))."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from trunkline.insight import daemon
from trunkline.insight.connection import SwitchError
from trunkline.insight.daemon import PATIENCE_S
from trunkline.insight.waiting import Work, finished

_PROGRAM = "ovs-vswitchd"


def ask(rundir: str, *words: str, timeout_s: float = PATIENCE_S) -> str:
    """Return what ovs-vswitchd, whose files are in *rundir*, answers to the command *words*.

    Raises:
        SwitchError: it does not run, may not be asked by this user, does not answer in time, or refuses.
    """
    return finished(answer(rundir, *words, timeout_s=timeout_s))


def answer(rundir: str, *words: str, timeout_s: float = PATIENCE_S) -> Work[str]:
    """Do what `ask` does, and yield what is waited for instead of waiting."""
    return (yield from daemon.answer(_PROGRAM, _path(rundir), *words, timeout_s=timeout_s))


def await_revalidated(rundir: str) -> None:
    """Return when the datapath has cached nothing that is older than the present flows and ports.

    By then the flows have also counted all that the cache has taken before. What was acknowledged a turn ago
    concerns the revalidators only now. Then `revalidator/wait` ends with the present look at the cache, which
    may have begun before that; so the next one has to end, too.

    Raises:
        SwitchError: as `ask` says.
    """
    finished(revalidation(rundir))


def revalidation(rundir: str) -> Work[None]:
    """Do what `await_revalidated` does, and yield what is waited for instead of waiting."""
    for command in ("version", "revalidator/wait", "revalidator/wait"):
        yield from answer(rundir, command)


def _path(rundir: str) -> Path:
    """Return the control socket of the ovs-vswitchd of *rundir*: its pid file says which."""
    folder = Path(rundir)
    try:
        pid = (folder / "ovs-vswitchd.pid").read_text().strip()
        if pid.isdecimal():
            return folder / f"ovs-vswitchd.{pid}.ctl"
    except (OSError, ValueError):
        pass  # no pid file that can be read: perhaps there is just one socket
    found = glob.glob(os.path.join(glob.escape(rundir), "ovs-vswitchd.*.ctl"))
    if len(found) != 1:
        raise SwitchError(
            f"{rundir} does not say which ovs-vswitchd runs there; start Open vSwitch, "
            "or say where it is with $OVS_RUNDIR"
        )
    return Path(found[0])
