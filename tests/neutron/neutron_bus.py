"""A Neutron with a message bus, and Neutron's own agents on hosts of the lab.

RabbitMQ, an RPC server, and on a host the agents that distributions install there: Open vSwitch, DHCP,
metadata, L3. They run in the network namespace of the host's chassis, and reach the bus by a link of their
own.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import Program
from neutron_server import BIN, Neutron, _write, until

from model.tcp_port import free_port
from trunkline.lab.namespace import ip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.chassis import Chassis

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The program itself: the one on the path wants to become another user."""

SWITCH_AGENT = "openvswitch"

_ALONE = [
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-c", 'mount -t tmpfs none /run/netns && exec "$@"', "sh"),
]
"""Agents make network namespaces and start programs that outlive them; here both end with the agent."""

_LINKS = list(IPv4Network("198.18.0.0/15").subnets(new_prefix=30))
"""Networks for links between this machine and its namespaces (RFC 2544); each test run uses its own."""


class Bus:
    """RabbitMQ below *folder*, with everything it needs to be alone on the machine."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir()
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            "\n".join(
                [
                    f"listeners.tcp.1 = 0.0.0.0:{self.port}",
                    "loopback_users = none",
                    "vm_memory_high_watermark.absolute = 512MB",
                    "log.console = true",
                    "",
                ]
            )
        )
        epmd = free_port()
        environment = {
            "HOME": folder,
            "ERL_EPMD_PORT": epmd,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"neutron{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": folder / "pid",
            # One scheduler that sleeps when it is idle: the machine has more to do.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        words = [f"{key}={value}" for key, value in environment.items()]
        names = [Program("epmd", ["epmd", "-port", str(epmd), "-address", "127.0.0.1"], folder / "epmd.log")]
        self._programs = [
            *names,
            Program("rabbitmq", ["env", *words, str(RABBITMQ)], folder / "rabbitmq.log"),
        ]

    def start(self) -> None:
        """Start it; return when it takes connections."""
        for each in self._programs:
            each.start()
        until(self._is_there, "RabbitMQ")

    def _is_there(self) -> bool:
        for each in self._programs:
            each.require()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def end(self) -> None:
        """End it at once: there is nothing to keep."""
        for each in reversed(self._programs):
            each.kill_all()

    def url(self, address: str = "127.0.0.1") -> str:
        """Return the `transport_url` of who reaches this machine by *address*."""
        return f"rabbit://guest:guest@{address}:{self.port}/"


class BusNeutron(Neutron):
    """A Neutron whose servers and agents talk over a bus, with the mechanism drivers *drivers*.

    *plugins* are its service plugins.
    """

    def __init__(self, folder: Path, remote: str, drivers: str, plugins: str, **options: str) -> None:
        self.bus = Bus(folder / "bus")
        self._drivers = drivers
        main = {
            "transport_url": self.bus.url(),
            "service_plugins": plugins,
            "rpc_workers": "1",
            # Agents count as alive also while they start on a busy machine.
            "agent_down_time": "600",
            "rpc_state_report_workers": "0",
        }
        super().__init__(folder, remote, options, main)
        # dnsmasq reads what the DHCP agent writes there as the user `nobody`.
        folder.chmod(0o755)
        self.rpc = self._program("rpc", str(BIN / "neutron-rpc-server"), *self._files("ctl1"))

    def start(self, controllers: int = 1) -> None:
        self.bus.start()
        super().start(controllers)
        self.rpc.start()

    def _configure(self, name: str) -> None:
        super()._configure(name)
        # A later section of a name adds to an earlier one, and its values win.
        with (self.folder / name / "ml2.ini").open("a") as file:
            file.write(f"\n[ml2]\nmechanism_drivers = {self._drivers}\n")

    def end(self) -> None:
        self.rpc.kill_all()
        super().end()
        self.bus.end()


@contextmanager
def bus_opened(
    remote: str, drivers: str = "trunkline", plugins: str = "trunk,segments,router", **options: str
) -> Iterator[BusNeutron]:
    """Give a Neutron with a bus and the northbound at *remote*; `[trunkline]` has these *options*."""
    neutron = BusNeutron(Path(tempfile.mkdtemp(prefix="tl-neutron-")), remote, drivers, plugins, **options)
    try:
        neutron.start()
        yield neutron
    finally:
        neutron.end()
        shutil.rmtree(neutron.folder, ignore_errors=True)


class HostAgents:
    """Neutron's own agents on the host of *chassis*, which Neutron calls by the name of the chassis.

    *number* is another one for each host of a test run. The metadata agent asks this machine at *nova_port*.
    """

    def __init__(self, neutron: BusNeutron, chassis: Chassis, number: int = 0, nova_port: int = 8775) -> None:
        self.chassis = chassis
        self.folder = neutron.folder / f"host-{chassis.name}"
        (self.folder / "lock").mkdir(parents=True)
        self._programs: dict[str, Program] = {}
        near, far = map(str, _LINKS[(os.getpid() * 4 + number) % len(_LINKS)].hosts())
        self._link(near, far, f"bus{number}-{os.getpid()}"[:15])
        self._config = self.folder / "agent.conf"
        self._configure(neutron.bus.url(near), {"nova_metadata_host": near, "nova_metadata_port": nova_port})

    def _link(self, near: str, far: str, name: str) -> None:
        namespace = self.chassis.namespace
        ip(
            [
                f"link add {name} type veth peer name bus netns {namespace.name}",
                f"addr add {near}/30 dev {name}",
                f"link set {name} up",
            ]
        )
        ip([f"addr add {far}/30 dev bus", "link set bus up"], namespace)

    def _configure(self, transport: str, more: dict[str, Any]) -> None:
        bridges = self.chassis.bridge_by_physnet.items()
        agent = {"root_helper": "/usr/bin/env", "report_interval": "5"}
        switch = {
            "ovsdb_connection": self.chassis.switch.remote,
            "integration_bridge": "br-int",
            "datapath_type": "netdev",
            "bridge_mappings": ",".join(f"{physnet}:{bridge}" for physnet, bridge in bridges),
        }
        _write(
            self._config,
            {
                "DEFAULT": {
                    "host": self.chassis.name,
                    "state_path": str(self.folder),
                    "transport_url": transport,
                    "use_stderr": "true",
                    "interface_driver": "openvswitch",
                    "enable_isolated_metadata": "true",
                    "force_metadata": "true",
                    "metadata_workers": "1",
                    "resync_interval": "5",
                    **more,
                },
                "agent": {**agent, "use_helper_for_ns_read": "false"},
                "ovs": switch,
                "securitygroup": {"enable_security_group": "false", "firewall_driver": "noop"},
                "oslo_concurrency": {"lock_path": str(self.folder / "lock")},
            },
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which programs of the host run."""
        return {**self.chassis.switch.env, "PATH": f"{BIN}:{os.environ['PATH']}"}

    def start(self, name: str) -> None:
        """Start the agent whose program is `neutron-<name>-agent`."""
        words = [str(BIN / f"neutron-{name}-agent"), "--config-file", str(self._config)]
        own = [f"{key}={value}" for key, value in self.environment.items() if os.environ.get(key) != value]
        argv = self.chassis.namespace.argv(["env", *own, *([] if name == SWITCH_AGENT else _ALONE), *words])
        program = self._programs[name] = Program(name, argv, self.folder / f"{name}.log")
        program.start()

    def runs(self, name: str) -> bool:
        """Return whether that agent was started here, and has not been ended."""
        return name in self._programs

    def require(self) -> None:
        """Fail if one of the agents has ended by itself."""
        for each in self._programs.values():
            each.require()

    def log(self, name: str) -> str:
        """Return what the agent has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def end(self, name: str) -> None:
        """End the agent; that of the switch as its service does, any other one with all that it runs."""
        self._programs.pop(name).end(kill=name != SWITCH_AGENT)

    def close(self) -> None:
        """End the agents."""
        for name in list(self._programs):
            self.end(name)
