"""The case `narrow`: what one more VIF costs in the northbound session, for the agent and for the server.

A replica as the agent has it, and a real ovsdb-server; no switch. "comes": a VIF whose port the agent has not
met as its own; "goes" and "is back": the same VIF, unplugged and plugged in again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import ovs.poller
from series import Results

from trunkline.lab.journal import Journal
from trunkline.lab.northbound import Northbound as Served
from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.ovsdb.nb_replica import NorthboundReplica

NETWORKS = 20
PORTS_AT_ONCE = 5000
TIMEOUT_S = 120


class Size(NamedTuple):
    """A northbound of *ports* ports, of which *local* have a VIF here."""

    ports: int
    local: int


SIZES = (Size(2_000, 200), Size(10_000, 1_000), Size(50_000, 2_000))


class Cost(NamedTuple):
    """Seconds: of CPU in `narrow`, of the replica in all, and of the server; and until all is loaded."""

    narrow: float
    agent: float
    server: float
    elapsed: float


def narrow(results: Results, say: Callable[[str], None], sizes: Sequence[Size], times: int) -> None:
    """Let *times* VIFs come, go and come back in a northbound of each of *sizes*."""
    for size in sizes:
        for remote_ports in ("explicit", "learned"):
            with served(size, remote_ports) as northbound:
                for what, costs in measure(northbound, size, times).items():
                    work = f"{size.local:,} of {size.ports:,}, {remote_ports}, a VIF {what}"
                    for name, values in zip(Cost._fields, zip(*costs, strict=True), strict=True):
                        results.record("narrow", f"{work}: {name}", "trunkline", "s", values)
                say(f"narrow: {size.ports:,} ports, {remote_ports}")


@contextmanager
def served(size: Size, remote_ports: str) -> Iterator[Served]:
    """Serve a northbound of that size for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="tl-narrow-") as folder:
        journal = Journal(Path(folder))
        northbound = Served(Path(folder), journal)
        try:
            northbound.start()
            with Northbound.connect(northbound.remote) as nb:
                nb.create([network(number, remote_ports) for number in range(NETWORKS)])
                for first in range(0, size.ports, PORTS_AT_ONCE):
                    numbers = range(first, min(first + PORTS_AT_ONCE, size.ports))
                    nb.create(ports=[port(number) for number in numbers])
            yield northbound
        finally:
            journal.undo()


def network(number: int, remote_ports: str) -> NetworkSpec:
    """Return the network of that number."""
    return NetworkSpec(
        name=f"net{number}",
        network_type="vlan",
        physical_network="physnet1",
        segmentation_id=100 + number,
        remote_ports=remote_ports,
    )


def port(number: int) -> PortSpec:
    """Return the port of that number, named as Neutron does."""
    mac = ":".join(f"{byte:02x}" for byte in (0x020000000000 + number).to_bytes(6))
    return PortSpec(name=iface_id(number), network=f"net{number % NETWORKS}", mac=mac)


def iface_id(number: int) -> str:
    """Return the name of the port of that number."""
    return str(UUID(int=number))


def measure(northbound: Served, size: Size, times: int) -> dict[str, list[Cost]]:
    """Return what VIFs cost that come to a chassis, one after the other, go and are back."""
    nb = NorthboundReplica(northbound.remote, "c1")
    for number in range(size.local):
        nb.set_vif(iface_id(number), is_here=True)
    nb.request_rows()
    settle(nb)
    costs: dict[str, list[Cost]] = {"comes": [], "goes": [], "is back": []}
    for number in range(size.local, size.local + times):
        for what in costs:
            costs[what].append(cost(northbound, nb, iface_id(number), is_here=what != "goes"))
    nb.close()
    return costs


def cost(northbound: Served, nb: NorthboundReplica, name: str, *, is_here: bool) -> Cost:
    """Let a VIF come or go, and return what that cost."""
    server, agent, started = server_cpu_s(northbound), time.thread_time(), time.perf_counter()
    nb.set_vif(name, is_here=is_here)
    narrowed = time.thread_time()
    nb.request_rows()
    narrow = time.thread_time() - narrowed
    settle(nb)
    agent, elapsed = time.thread_time() - agent, time.perf_counter() - started
    return Cost(narrow, agent, server_cpu_s(northbound) - server, elapsed)


def settle(nb: NorthboundReplica) -> None:
    """Go on as the agent does until all rows that are needed are loaded."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        nb.changes(nb.run())
        if nb.is_synced and nb.are_conditions_met and not nb.request_rows():
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the rows were not loaded within {TIMEOUT_S} s")
        poller = ovs.poller.Poller()
        nb.wait(poller)
        poller.block()


def server_cpu_s(northbound: Served) -> float:
    """Return the CPU time that the server has used (proc(5), schedstat: nanoseconds)."""
    return int(Path(f"/proc/{northbound.pid}/schedstat").read_text().split()[0]) / 1e9
