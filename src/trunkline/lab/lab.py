"""A whole lab: brought up from a topology, and taken down completely."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Self

from trunkline.core.amount import counted
from trunkline.lab import datapath
from trunkline.lab.chassis import Chassis
from trunkline.lab.error import LabError
from trunkline.lab.host import Host
from trunkline.lab.journal import Journal
from trunkline.lab.namespace import Namespace
from trunkline.lab.northbound import Northbound
from trunkline.lab.physical_switch import PhysicalSwitch
from trunkline.lab.ping import Probe, reached
from trunkline.lab.topology import check_name
from trunkline.lab.vm import Vm

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.lab.machine import Machine
    from trunkline.lab.topology import HostPlan, Network, Topology, VmPlan

STATE = Path("/run/trunkline-lab")
"""The directory with a directory for each lab, by name: its sockets, logs, and journal of what it created."""


class Lab:
    """A running lab; leaving its block, or `close`, takes it down.

    `chassis`, `vm` and `host` are its parts by their names in the topology, `switch` is the physical switch
    and `nb` the northbound. Namespaces are named `tl-<lab>-<part>`.

    >>> with Lab.up(topology) as lab:                                   # doctest: +SKIP
    ...     lab.chassis["c1"].kill_agent()
    ...     assert lab.vm["blue1"].ping(lab.vm["blue3"].ip, count=5).lost == 0
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.name = topology.name
        self.directory = _directory(topology.name)
        self._journal = Journal(self.directory)
        self.nb = Northbound(self.directory, self._journal)
        self.switch = PhysicalSwitch(
            *(topology.physnets, self._namespace("switch"), self.directory / "switch", self._journal),
            topology.datapath,
        )
        self.chassis = {
            plan.name: Chassis(
                *(plan, self._namespace(plan.name), self.directory / plan.name, self._journal),
                topology.datapath,
            )
            for plan in topology.chassis
        }
        self.vm = {
            plan.name: Vm(plan, self._namespace(plan.name), self.chassis[plan.chassis], self._journal)
            for plan in topology.vms
        }
        self.host = {
            plan.name: Host(plan, self._namespace(plan.name), self._journal) for plan in topology.hosts
        }

    @classmethod
    def up(
        cls,
        topology: Topology,
        *,
        agents: bool = True,
        report: Callable[[str], None] = lambda _: None,
        begin: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Bring *topology* up, and return when every VM's port is up.

        *begin* gets a line before each step, *report* one after it.

        Without *agents* there is neither agent nor northbound, and VMs are plugged into an integration bridge
        without flows. Raises LabError if a lab of that name exists, or if this machine does not have the
        datapath; or if a step fails, after what was created has been taken down.
        """
        datapath.check(topology.datapath)
        directory = _directory(topology.name)
        if directory.exists():
            raise LabError(
                f"a lab '{topology.name}' exists already; run 'trunkline lab down --name {topology.name}'"
            )
        directory.mkdir(parents=True)
        lab = cls(topology)
        try:
            lab._raise(agents, report, begin)
        except BaseException:
            lab.close()
            raise
        return lab

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the lab down; raises LabError if a part of it could not be removed."""
        down(self.name)

    def add_vm(self, plan: VmPlan) -> Vm:
        """Boot one more VM, with its VIF on its chassis but not yet plugged in."""
        vm = Vm(plan, self._namespace(plan.name), self.chassis[plan.chassis], self._journal)
        self.vm[plan.name] = vm
        vm.boot()
        return vm

    def add_host(self, plan: HostPlan) -> Host:
        """Wire one more bare-metal host to the physical switch."""
        host = self.host[plan.name] = Host(plan, self._namespace(plan.name), self._journal)
        host.wire(self.switch)
        return host

    @property
    def machine(self) -> dict[str, Machine]:
        """The VMs and hosts by name."""
        return {**self.vm, **self.host}

    def settle(self) -> None:
        """Wait until every frame under way has passed all switches on its way."""
        switches = [chassis.switch for chassis in self.chassis.values()]
        for switch in (*switches, self.switch.switch, *switches):
            switch.settle()

    def wait_revalidated(self) -> None:
        """Wait until all switches forward by their present flows and ports, and by no older cache."""
        switches = [self.switch.switch, *(chassis.switch for chassis in self.chassis.values())]
        with ThreadPoolExecutor(len(switches)) as pool:
            for done in [pool.submit(switch.wait_revalidated) for switch in switches]:
                done.result()

    def reach(self, *, timeout_s: float = 5.0) -> dict[tuple[str, str], bool]:
        """Ping between all ordered pairs of machines, and return for each whether it was answered."""
        machine = self.machine
        pairs = list(permutations(machine, 2))
        probes = [Probe(machine[source].namespace, machine[to].ip) for source, to in pairs]
        return dict(zip(pairs, reached(probes, timeout_s=timeout_s), strict=True))

    def expected_reach(self) -> dict[tuple[str, str], bool]:
        """Return for each ordered pair of machines whether the one should reach the other."""
        return self.topology.reach()

    def _namespace(self, part: str) -> Namespace:
        return Namespace(f"tl-{self.name}-{part}")

    def _raise(self, agents: bool, report: Callable[[str], None], begin: Callable[[str], None]) -> None:
        begin("starting the physical switch")
        self.switch.start()
        report(f"physical switch: {', '.join(self.topology.physnets)}")
        if agents:
            begin("starting the northbound, and creating its rows")
            self.nb.start()
            report(f"northbound: {self.nb.remote}")
            self._create_rows(report)
        for number, (name, chassis) in enumerate(self.chassis.items(), 1):
            begin(f"starting chassis {name}, {number} of {len(self.chassis)}")
            chassis.start(self.switch, self.nb.remote)
            if agents:
                chassis.start_agent()
            elif self.vm:
                chassis.add_integration_bridge()
            report(
                f"chassis {name}: {', '.join(f'{p} on {b}' for p, b in chassis.bridge_by_physnet.items())}"
            )
        for number, host in enumerate(self.host.values(), 1):
            begin(f"starting bare-metal host {host.name}, {number} of {len(self.host)}")
            host.wire(self.switch)
            on = "untagged" if host.plan.vlan is None else f"VLAN {host.plan.vlan}"
            report(f"bare-metal host {host.name}: {host.ip}, {on} on {host.plan.physnet}")
        for number, vm in enumerate(self.vm.values(), 1):
            begin(f"starting VM {vm.name}, {number} of {len(self.vm)}")
            vm.boot()
            if agents:
                vm.chassis.wait_integration_bridge()
            vm.plug()
            report(f"VM {vm.name}: {vm.ip}, {vm.mac}, network {vm.network}, on {vm.chassis.name}")
        if agents:
            begin(f"waiting until the ports of {counted(len(self.vm), 'VM')} are up")
            self.nb.wait_up(self.vm)
            self.nb.sync()
            self.wait_revalidated()
            report("every port is up, and every chassis has applied all that is committed")
            for fault in self.nb.faults():
                report(f"fault: {fault}")

    def _create_rows(self, report: Callable[[str], None]) -> None:
        self.nb.trunkline_all(_network_command(network) for network in self.topology.networks)
        self.nb.trunkline_all(_port_command(vm) for vm in self.topology.vms)
        networks, ports = len(self.topology.networks), len(self.topology.vms)
        report(f"{counted(networks, 'network')} and {counted(ports, 'port')} created")


def down(name: str, report: Callable[[int, int], None] = lambda done, total: None) -> bool:
    """Take down the lab *name*, even if its process crashed; return whether there was one.

    *report* is told how many daemons and processes have ended, of how many.

    Raises LabError if *name* is not a name of a lab, if its directory was not created by a lab, or if a part
    of it could not be removed; then this can be called again.
    """
    directory = _directory(name)
    if not directory.exists():
        return False
    journal = Journal(directory)
    if not journal.path.is_file():
        _remove_empty(directory)
        return True
    journal.undo(report)
    shutil.rmtree(directory)
    return True


def names() -> list[str]:
    """Return the names of all labs, sorted."""
    return sorted(path.name for path in STATE.iterdir()) if STATE.exists() else []


def _directory(name: str) -> Path:
    """Return the directory of the lab *name*, always a direct child of STATE.

    The whole directory is removed in the end, so its path must have no `..`, slash or symbolic link in it.
    """
    check_name(name)
    directory = STATE / name
    if directory.is_symlink():
        raise LabError(
            f"{directory} is a symbolic link, which no lab creates; check it and remove it by hand"
        )
    return directory


def _remove_empty(directory: Path) -> None:
    try:
        directory.rmdir()  # of a lab that was killed before it created anything
    except OSError as error:
        raise LabError(
            f"{directory} has no journal, so no lab created it; check it and remove it by hand"
        ) from error


def _network_command(network: Network) -> list[str]:
    tag = [] if network.segment is None else ["--segment", str(network.segment)]
    kind = ["--type", network.network_type, "--physical-network", network.physical_network]
    return ["network", "create", network.name, *kind, *tag]


def _port_command(vm: VmPlan) -> list[str]:
    return ["port", "create", vm.name, "--network", vm.network, "--mac", vm.mac, "--ip", str(vm.ip.ip)]
