"""A Neutron with both drivers: a host of Neutron's Open vSwitch agent beside a chassis of Trunkline."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Listener
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from neutron_bus import SWITCH_AGENT, HostAgents, bus_opened
from neutron_server import BIN, START_S, until
from neutron_site import Site

from trunkline.lab import Lab
from trunkline.lab.command import PROGRAM
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAPPINGS = (("physnet1", "br-phys1"), ("physnet2", "br-phys2"))


class Mixed(NamedTuple):
    """A Neutron whose host c1 has the Open vSwitch agent, and whose host c2 is a chassis."""

    site: Site
    agents: HostAgents

    def agent(self, *words: str) -> tuple[int, str]:
        """Run `trunkline agent` on c1, and return its exit code and what it printed."""
        chassis = self.site.lab.chassis["c1"]
        argv = chassis.namespace.argv([*PROGRAM, "agent", "--ovs", chassis.switch.remote, *words])
        return typed(argv, chassis.switch.env)

    def adopt(self, *words: str) -> tuple[int, str]:
        """Run `trunkline-neutron adopt c1` on the controller."""
        return typed(
            [str(BIN / "trunkline-neutron"), "adopt", "c1", *words, *self.site.neutron.config_files()]
        )

    @contextmanager
    def through(self, instead: Callable[[str], int | None]) -> Iterator[str]:
        """Give a command that has c1 do its last word, as `ssh c1` does, with the agents as services.

        *instead* is asked first: what it returns is the exit code, and then nothing is done.
        """
        with tempfile.TemporaryDirectory() as folder:
            address, script = f"{folder}/host", Path(folder, "host.py")
            script.write_text(_SCRIPT)
            with Listener(address) as listener:
                Thread(target=self._serve, args=(listener, instead), daemon=True).start()
                yield f"{sys.executable} {script} {address}"

    def _serve(self, listener: Listener, instead: Callable[[str], int | None]) -> None:
        with suppress(OSError):
            while True:
                with listener.accept() as asker:
                    line = asker.recv()
                    code = instead(line)
                    asker.send(self.on_host(line) if code is None else (code, f"no {line}"))

    def on_host(self, line: str) -> tuple[int, str]:
        """Have a shell of c1 do *line*; return its exit code and what it printed."""
        chassis = self.site.lab.chassis["c1"]
        services = {
            "disable --now neutron-openvswitch-agent": lambda: self.agents.end(SWITCH_AGENT),
            "enable --now trunkline-agent": chassis.start_agent,
            "disable --now trunkline-agent": chassis.stop_agent,
            "enable --now neutron-openvswitch-agent": self._start_once,
        }
        if line.startswith("systemctl "):
            services[line.removeprefix("systemctl ")]()
            return 0, ""
        env = {**os.environ, **chassis.switch.env, "PATH": f"{BIN}:{os.environ['PATH']}"}
        return typed(chassis.namespace.argv(["bash", "-c", line]), env)

    def _start_once(self) -> None:
        if not self.agents.runs(SWITCH_AGENT):
            self.start()

    def alive(self) -> set[tuple[str, str]]:
        """Return the type and the host of each agent that lives."""
        return {(each.agent_type, each.host) for each in self.site.api.agents() if each.is_alive}

    def start(self) -> None:
        """Start the Open vSwitch agent of c1, and wait until it is at work."""
        before = self._heartbeat()
        self.agents.start(SWITCH_AGENT)

        def is_at_work() -> bool:
            self.agents.require()
            return self._heartbeat() not in (None, before)

        until(is_at_work, "the Open vSwitch agent")

    def _heartbeat(self) -> str | None:
        found = list(self.site.api.agents(agent_type="Open vSwitch agent", host="c1"))
        return str(found[0].last_heartbeat_at) if found else None

    def give_back(self) -> None:
        """Have the Open vSwitch agent serve c1 again, if it does not."""
        chassis = self.site.lab.chassis["c1"]
        if self.agents.runs(SWITCH_AGENT):
            return
        chassis.stop_agent()
        assert self.adopt("--back", "--yes")[0] == 0
        assert self.agent("--cleanup")[0] == 0
        self.start()

    def flows(self, bridge: str) -> list[str]:
        """Return the flows of a bridge of c1, without counters and cookies, sorted."""
        said = self.site.lab.chassis["c1"].switch.ofctl("--no-stats", "--no-names", "dump-flows", bridge)
        lines = (line.strip() for line in said.splitlines() if "actions=" in line)
        return sorted(line.partition(", ")[2] if line.startswith("cookie=") else line for line in lines)


_SCRIPT = """\
import sys
from multiprocessing.connection import Client

with Client(sys.argv[1]) as host:
    host.send(sys.argv[2])
    code, said = host.recv()
print(said, end="", file=sys.stderr if code else sys.stdout)
sys.exit(code)
"""
"""What stands for `ssh`: it sends what is to be done to the process of the tests."""


def typed(argv: list[str], env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run *argv*, and return its exit code and what it printed."""
    done = subprocess.run(
        argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=START_S
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def mixed_opened() -> Iterator[Mixed]:
    """Give such a Neutron; the Open vSwitch agent is at work."""
    plans = tuple(ChassisPlan(name, MAPPINGS) for name in ("c1", "c2"))
    topology = Topology(f"nt-{os.getpid()}", ("physnet1", "physnet2"), chassis=plans)
    with (
        Lab.up(topology) as lab,
        bus_opened(lab.nb.remote, "openvswitch,trunkline", "trunk,segments") as neutron,
        Northbound.connect(lab.nb.remote) as nb,
        closing(HostAgents(neutron, lab.chassis["c1"])) as agents,
    ):
        mixed = Mixed(Site(neutron, lab, nb), agents)
        lab.chassis["c1"].stop_agent()
        assert mixed.agent("--cleanup")[0] == 0
        mixed.start()
        until(lambda: ("Trunkline agent", "c2") in mixed.alive(), "the agent of the chassis")
        for agent in mixed.site.api.agents(agent_type="Trunkline agent", host="c1"):
            mixed.site.api.delete_agent(agent)
        yield mixed
