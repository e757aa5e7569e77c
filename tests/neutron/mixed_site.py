"""A Neutron with both drivers: a host of Neutron's Open vSwitch agent beside a chassis of Trunkline."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from neutron_bus import SWITCH_AGENT, HostAgents, bus_opened
from neutron_server import BIN, until
from neutron_site import Site

from trunkline.lab import Lab
from trunkline.lab.command import PROGRAM
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def typed(argv: list[str], env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run *argv*, and return its exit code and what it printed."""
    done = subprocess.run(
        argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=120
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
