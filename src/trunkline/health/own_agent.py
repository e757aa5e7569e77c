"""The agent of this chassis, as a command on the chassis sees it: whether it runs, and what it says."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path
from typing import Any

from trunkline.host.rundir import RUNDIR, rundir
from trunkline.insight import daemon
from trunkline.insight.connection import SwitchError
from trunkline.insight.waiting import finished
from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import Rpc
from trunkline.ovsdb.vswitch import LOCK

PATIENCE_S = 3.0
"""How long the agent, and the switch's database, may take to answer."""

_PROGRAM = "trunkline-agent"

_OF_UNIT = "/run/trunkline-agent/agent.ctl"
"""The agent's control socket with the systemd unit that we ship; it works on the switch of this machine."""


def runs(remote: str) -> bool:
    """Return whether some agent holds the lock of the switch's database at *remote*: it does while it runs.

    Raises:
        UnreachableError: the database does not answer.
    """
    rpc = Rpc.connect(remote, PATIENCE_S, peer=SWITCH)
    try:
        # If nobody has it, it is ours until the connection ends. An agent that starts waits for it.
        return not rpc.request("lock", [LOCK], PATIENCE_S)["locked"]
    finally:
        rpc.close()


def state(where: str | None = None) -> dict[str, Any] | None:
    """Return what the agent says of itself (`trunkline.process.state`); None if it does not answer.

    *where* has the sockets of its Open vSwitch, and its own; by default that of this machine.
    """
    try:
        said = _asked(where or rundir(), "status")
    except SwitchError:
        return None
    return said if isinstance(said.get("faults"), dict) else None


def answer(kind: str) -> dict[str, Any]:
    """Return what the agent answers to a question of that *kind*, as others ask it through the northbound.

    Raises:
        SwitchError: no agent runs here, or it does not answer.
    """
    return _asked(rundir(), "answer", kind)


def _asked(where: str, *words: str) -> dict[str, Any]:
    paths = sorted(glob.glob(os.path.join(glob.escape(where), f"{_PROGRAM}.*.ctl")))
    if where == RUNDIR and os.path.exists(_OF_UNIT):
        paths.append(_OF_UNIT)
    why = f"no agent has a control socket in {where}"
    for path in paths:
        try:
            said = json.loads(finished(daemon.answer(_PROGRAM, Path(path), *words, timeout_s=PATIENCE_S)))
        except SwitchError as error:
            # Perhaps a socket that is left from an agent before.
            why = str(error)
            continue
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict):
            return said
        why = f"what answers at {path} is no agent"
    raise SwitchError(why)
