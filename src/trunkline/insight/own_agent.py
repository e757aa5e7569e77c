"""The agent of this chassis, as a command on the chassis sees it: whether it runs, and what it says."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path
from typing import Any

from trunkline.host.rundir import rundir
from trunkline.insight.connection import SwitchError
from trunkline.insight.vswitchd import answer_at
from trunkline.insight.waiting import finished
from trunkline.northbound.rpc import Rpc
from trunkline.ovsdb.vswitch import LOCK

PATIENCE_S = 3.0
"""How long the agent, and the switch's database, may take to answer."""

_OF_UNIT = "/run/trunkline-agent/agent.ctl"
"""The agent's control socket with the systemd unit that we ship."""


def runs(remote: str) -> bool:
    """Return whether some agent holds the lock of the switch's database at *remote*: it does while it runs.

    Raises:
        UnreachableError: the database does not answer.
    """
    rpc = Rpc.connect(remote, PATIENCE_S)
    try:
        # If nobody has it, it is ours until the connection ends. An agent that starts waits for it.
        return not rpc.request("lock", [LOCK], PATIENCE_S)["locked"]
    finally:
        rpc.close()


def state() -> dict[str, Any] | None:
    """Return what the agent says of itself (`trunkline.process.state`); None if it does not answer."""
    own = glob.glob(os.path.join(glob.escape(rundir()), "trunkline-agent.*.ctl"))
    for path in (*sorted(own), _OF_UNIT):
        try:
            said = json.loads(finished(answer_at(Path(path), "status", timeout_s=PATIENCE_S)))
        except (SwitchError, ValueError):
            continue  # a socket that is left from an agent before, or of another user
        if isinstance(said, dict) and isinstance(said.get("faults"), dict):
            return said
    return None
