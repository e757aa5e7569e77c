"""What the drop-in of ovs-vswitchd.service does before systemd starts ovs-vswitchd."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.lab.switchd import Switchd

_DROP_IN = Path(__file__).parents[2] / "packaging" / "systemd" / "ovs-vswitchd.service.d" / "trunkline.conf"


def prepare_start(switch: Switchd, agent_rundir: Path) -> None:
    """Run the drop-in's command on *switch*.

    *agent_rundir* exists while an agent runs or is being restarted.
    """
    (line,) = (line for line in _DROP_IN.read_text().splitlines() if line.startswith("ExecStartPre="))
    command = line.partition("=-")[2].replace("/run/trunkline-agent", str(agent_rundir))
    subprocess.run(shlex.split(command), env=switch.env, check=True)
