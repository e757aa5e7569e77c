"""A chassis: a namespace with an Open vSwitch, its provider bridges and an agent."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from trunkline.lab.command import PROGRAM
from trunkline.lab.interface import Interface
from trunkline.lab.journal import Daemon, end_surely
from trunkline.lab.namespace import LinkEnd, ip, veth
from trunkline.lab.switchd import Switchd
from trunkline.lab.topology import INTEGRATION_BRIDGE

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from trunkline.lab.journal import Journal
    from trunkline.lab.namespace import Namespace
    from trunkline.lab.physical_switch import PhysicalSwitch
    from trunkline.lab.topology import ChassisPlan

AGENT = "trunkline-agent"
"""The program of an agent, as its files are called."""

DAEMONS = ("agent", "ovs-vswitchd", "ovsdb-server")
"""What can be restarted, in the order in which it is ended."""


class Chassis:
    """A host that runs Open vSwitch and one agent, as *plan* says.

    Its provider bridge of the n-th mapping holds the NIC `eth<n>`, which is wired to the physical switch.
    """

    def __init__(
        self, plan: ChassisPlan, namespace: Namespace, rundir: Path, journal: Journal, datapath: str
    ) -> None:
        self.name = plan.name
        self.namespace = namespace
        self.bridge_by_physnet = dict(plan.mappings)
        self._vlans_by_physnet = dict(plan.vlans)
        self.switch = Switchd(namespace, rundir, journal, datapath=datapath)
        self._journal = journal
        self._agent = Daemon(rundir / f"{AGENT}.pid")
        self._far_end_by_physnet: dict[str, LinkEnd] = {}

    @property
    def _datapath_type(self) -> str:
        return f"datapath_type={self.switch.datapath}"

    @property
    def rundir(self) -> Path:
        """The directory of the switch's sockets and of all logs of the chassis."""
        return self.switch.rundir

    def start(self, physical: PhysicalSwitch, nb_remote: str) -> None:
        """Create the namespace, the switch and the provider bridges, and write the settings; no agent yet."""
        self._journal.add_namespace(self.namespace)
        ip([f"netns add {self.namespace.name}"])
        ip(["link set lo up"], self.namespace)
        self.switch.start()
        self._journal.add_daemon(self._agent)
        for number, (physnet, bridge) in enumerate(self.bridge_by_physnet.items()):
            nic = LinkEnd(self.namespace, f"eth{number}")
            far_end = LinkEnd(physical.namespace, f"p{number}-{self.name}")
            self._far_end_by_physnet[physnet] = far_end
            self._journal.add_link(nic)
            ip([veth(nic, far_end)])
            ip([f"link set {nic.name} up"], self.namespace)
            physical.add_trunk(physnet, far_end.name, self._vlans_by_physnet.get(physnet))
            self.add_provider_bridge(bridge, nic.name)
        self.configure(nb_remote)

    def nic(self, physnet: str) -> LinkEnd:
        """Return the NIC through which the chassis reaches *physnet*."""
        return LinkEnd(self.namespace, f"eth{list(self.bridge_by_physnet).index(physnet)}")

    def switch_port(self, physnet: str) -> str:
        """Return the port of the physical switch to which the NIC of *physnet* is wired."""
        return self._far_end_by_physnet[physnet].name

    def wire(self, physnet: str) -> Interface:
        """Return the far end of the NIC of *physnet*.

        It captures what the chassis sends. What it sends, the chassis receives from the physical network.
        """
        far_end = self._far_end_by_physnet[physnet]
        return Interface(far_end.namespace, far_end.name, self.nic(physnet))

    def add_provider_bridge(self, bridge: str, nic: str) -> None:
        """Create the provider bridge *bridge* with *nic*; it learns and forwards like any switch."""
        self.switch.vsctl(
            *("--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, self._datapath_type),
            *("--", "--may-exist", "add-port", bridge, nic),
        )

    def configure(self, nb_remote: str) -> None:
        """Write the chassis settings: name, northbound, bridge mappings and the kind of datapath."""
        mappings = ",".join(f"{physnet}:{bridge}" for physnet, bridge in self.bridge_by_physnet.items())
        settings = {
            "system-id": self.name,
            "hostname": self.name,
            "trunkline-nb": nb_remote,
            "trunkline-bridge-mappings": mappings,
            "trunkline-datapath-type": self.switch.datapath,
        }
        self.switch.vsctl(
            "set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in settings.items())
        )

    def add_integration_bridge(self) -> None:
        """Create the integration bridge as the agent would, for tests of the lab without an agent."""
        bridge = INTEGRATION_BRIDGE
        self.switch.vsctl(
            *("--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, self._datapath_type),
            *("fail_mode=secure",),
        )

    def wait_integration_bridge(self, timeout_s: int = 15) -> None:
        """Wait until the integration bridge exists; raises CommandError if it does not in time."""
        self.switch.vsctl("wait-until", "Bridge", INTEGRATION_BRIDGE, timeout_s=timeout_s)

    @property
    def agent_pid(self) -> int | None:
        """The agent's process id, or None if it does not run."""
        return self._agent.pid

    def start_agent(self) -> None:
        """Start the agent; returns when it runs in the background."""
        files = [
            "--pidfile",
            str(self._agent.pidfile),
            "--log-file",
            str(self.rundir / "trunkline-agent.log"),
        ]
        argv = [*PROGRAM, "agent", "--ovs", self.switch.remote, "--detach", *files]
        self.namespace.run(argv, env=self.switch.env)

    def stop_agent(self) -> None:
        """End the agent with SIGTERM and wait until it has exited."""
        self._agent.end(signal.SIGTERM)

    def kill_agent(self) -> None:
        """End the agent with SIGKILL and wait until it has exited."""
        self._agent.end(signal.SIGKILL)

    def restart(self, daemons: Collection[str] = DAEMONS) -> None:
        """End those of `DAEMONS` that run, if necessary with SIGKILL, and start them."""
        start_by_daemon = {
            "agent": (self._agent, self.start_agent),
            "ovs-vswitchd": (self.switch.vswitchd, self.switch.start_vswitchd),
            "ovsdb-server": (self.switch.database, self.switch.start_ovsdb_server),
        }
        chosen = [start_by_daemon[name] for name in DAEMONS if name in daemons]
        for daemon, _ in chosen:
            end_surely(daemon)
        for _, start in reversed(chosen):
            start()

    def restart_agent(self) -> None:
        """End the agent with SIGTERM and start another."""
        self.stop_agent()
        self.start_agent()

    def flows(self, bridge: str = INTEGRATION_BRIDGE) -> list[str]:
        """Return the flows of *bridge* as `ovs-ofctl` prints them without counters, sorted."""
        lines = self.switch.ofctl("--no-stats", "--no-names", "dump-flows", bridge).splitlines()
        return sorted(line.strip() for line in lines if "actions=" in line)
