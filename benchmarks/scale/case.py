"""Scale: what the sessions of many agents cost the northbound, served in several ways."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from load import Load, mac, network_name, port_name, vlan_id
from ours import fill
from process import BenchError, now_s
from series import Results

from scale.chassis import network_sight, port_sight
from scale.fleet import Counts, Fleet, raise_file_limit
from scale.question import Connect, Count, Lose, Make, Plug, Seen, Settled
from scale.server import DEPLOYMENTS, Deployment
from trunkline.core.error import TrunklineError
from trunkline.northbound import sync
from trunkline.northbound.client import Northbound, PortSpec

PROCESSES = 2
WRITERS = 4
LIMIT_S = 400.0
ONCE_S = 30.0
"""A sync that takes longer than this is asked for once."""
RETAG_VLAN_ID = 2000

Say = Callable[[str], None]


class Rounds(NamedTuple):
    """How many changes are followed, requests made, and ports created by each writer; how long it is idle."""

    changes: int
    requests: int
    creations: int
    idle_s: float


FULL_ROUNDS = Rounds(changes=20, requests=5, creations=50, idle_s=20.0)
QUICK_ROUNDS = Rounds(changes=5, requests=3, creations=25, idle_s=5.0)


class Site(NamedTuple):
    """*chassis* hosts with as many VIFs each, evenly over *networks* networks of *ports* ports in all.

    Each chassis has VIFs in *spread* networks, of which it therefore loads all ports. *networks* is a
    multiple of *spread*, and what each has of the other comes out even.
    """

    chassis: int
    ports: int
    networks: int
    spread: int

    @property
    def load(self) -> Load:
        """The load to fill the northbound with."""
        return Load(0, self.ports, self.networks)

    def networks_of(self, chassis: int) -> list[int]:
        """Return the networks that *chassis* has VIFs in."""
        return [(chassis * self.spread + place) % self.networks for place in range(self.spread)]

    def chassis_of(self, network: int) -> range:
        """Return the chassis that have VIFs in *network*."""
        return range(network // self.spread, self.chassis, self.networks // self.spread)

    def ports_of(self, chassis: int) -> list[int]:
        """Return the ports whose VIFs are on *chassis*."""
        count = self.ports // self.chassis // self.spread
        first = chassis * self.spread // self.networks * count
        return [
            self.load.of_network(network)[first + place]
            for network in self.networks_of(chassis)
            for place in range(count)
        ]


FULL = Site(1_000, 10_000, 100, 2)
QUICK = Site(100, 1_000, 10, 2)


def chassis_name(number: int) -> str:
    """Return the name of chassis *number*."""
    return f"chassis{number:04}"


@dataclass
class Cloud:
    """A northbound filled for *site*, and the sessions of all its chassis; *results* takes what they do."""

    deployment: Deployment
    site: Site
    fleet: Fleet
    results: Results
    next_number: int

    def record(
        self, what: str, unit: str, values: float | Sequence[float], *, is_rate: bool = False, note: str = ""
    ) -> None:
        """Take down *values* of *what* for this deployment."""
        work = f"{self.site.chassis:,} sessions"
        self.results.record(what, work, self.deployment.name, unit, values, is_rate=is_rate, note=note)

    def concerned(self, network: int) -> frozenset[str]:
        """Return the chassis that have a port of *network*."""
        return frozenset(map(chassis_name, self.site.chassis_of(network)))

    def spec(self, network: int) -> PortSpec:
        """Return a port that is not there yet."""
        self.next_number += 1
        return PortSpec(
            name=port_name(self.next_number), network=network_name(network), mac=mac(self.next_number)
        )

    def northbound(self) -> Northbound:
        """Return a connection as an operator has it."""
        return Northbound.connect(self.deployment.writer_remotes, 60)

    def seen_after(self, sight: str, network: int, started_s: float) -> list[float]:
        """Return how long after *started_s* each chassis that *network* concerns saw *sight*."""
        answers = self.fleet.ask(Seen(sight, self.concerned(network)), LIMIT_S)
        return [at_s - started_s for times in answers for at_s in times]

    def settled_after(self, started_s: float) -> list[float]:
        """Return how long after *started_s* each session settled."""
        return [at_s - started_s for times in self.fleet.ask(Settled(), LIMIT_S) for at_s in times]

    @property
    def counts(self) -> Counts:
        """What all sessions have had up to now."""
        return Counts(*(sum(values) for values in zip(*self.fleet.ask(Count()), strict=True)))

    @property
    def cpu_s(self) -> tuple[float, float, float]:
        """CPU seconds that members, relays and the fleet have used up to now."""
        members, relays = (
            sum(server.usage.cpu_s for server in servers)
            for servers in (self.deployment.members, self.deployment.relays)
        )
        return members, relays, self.fleet.usage.cpu_s

    @contextmanager
    def watched(self, what: str, per: int = 1) -> Iterator[None]:
        """Take down what CPU the block takes, of the servers and of the sessions."""
        before = self.cpu_s
        yield
        members, relays, fleet = (after - start for after, start in zip(self.cpu_s, before, strict=True))
        self.record(f"cpu, {what}: members", "ms of CPU", members / per * 1000)
        if self.deployment.relays:
            self.record(f"cpu, {what}: relays", "ms of CPU", relays / per * 1000)
        self.record(f"cpu, {what}: a session", "ms of CPU", fleet / per / self.site.chassis * 1000)


@contextmanager
def cloud(make: Callable[[Path], Deployment], site: Site, results: Results) -> Iterator[Cloud]:
    """Give a northbound that is filled for *site*, and sessions that have not connected."""
    folder = Path(tempfile.mkdtemp(prefix="tl-scale-"))
    deployment = make(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(deployment.kill)
        deployment.start()
        fill(deployment.writer_remotes, site.load)
        fleet = Fleet.start(PROCESSES)
        stack.callback(fleet.close)
        ports_by_chassis = [
            {
                chassis_name(host): tuple(map(port_name, site.ports_of(host)))
                for host in range(share, site.chassis, PROCESSES)
            }
            for share in range(PROCESSES)
        ]
        fleet.tell(lambda share: Make(deployment.agent_remotes, ports_by_chassis[share]))
        list(fleet.answers(LIMIT_S))
        yield Cloud(deployment, site, fleet, results, site.ports)


def scale(results: Results, say: Say, site: Site, rounds: Rounds) -> None:
    """Record what the sessions of all chassis of *site* cost each deployment."""
    raise_file_limit()
    for make in DEPLOYMENTS:
        with cloud(make, site, results) as made:
            name = made.deployment.name
            say(f"scale: {name} filled; {made.site.chassis:,} sessions to come")
            commit(made, "none attached", rounds.creations)
            for measure in (start, idle, fan_out, requests, commits, bind, outage):
                began_s = now_s()
                try:
                    measure(made, rounds)
                except (BenchError, TrunklineError) as error:
                    # What follows would wait for sessions that are not there.
                    made.record(measure.__name__, "s", [], note=str(error))
                    say(f"scale: {name}, {measure.__name__} given up: {error}")
                    break
                say(f"scale: {name}, {measure.__name__} in {now_s() - began_s:.1f} s")


def start(made: Cloud, _: Rounds) -> None:
    """All sessions connect at once, load, and report: the whole cloud after a power cut."""
    with made.watched("start"):
        began_s = now_s()
        made.fleet.ask(Connect())
        times = made.settled_after(began_s)
    counts = made.counts
    rows = f"{counts.rows / made.site.chassis:,.0f} rows a session"
    note = f"{rows}, {counts.received_bytes / 1e6:,.0f} MB sent, {counts.connections:,} connections"
    made.record("start", "s", times, note=note)
    if counts.refusals:
        raise BenchError(f"{counts.refusals} writes were refused")


def idle(made: Cloud, rounds: Rounds) -> None:
    """Nothing happens but probes; then the memory of the servers is read."""
    with made.watched(f"{rounds.idle_s:g} s idle"):
        # Time itself is what is measured here: there is nothing to wait for.
        time.sleep(rounds.idle_s)
    members, relays = made.deployment.members, made.deployment.relays
    made.record("memory: a member", "MB", [server.usage.rss_bytes / 1e6 for server in members])
    if relays:
        made.record("memory: a relay", "MB", [server.usage.rss_bytes / 1e6 for server in relays])


def fan_out(made: Cloud, rounds: Rounds) -> None:
    """One change at a time, until every session that it concerns has seen it."""
    with made.northbound() as nb, made.watched("a commit seen", 3 * rounds.changes):
        for turn in range(rounds.changes):
            network = turn % made.site.networks
            spec = made.spec(network)
            began_s = now_s()
            nb.create(ports=[spec])
            made.record("new port seen", "s", made.seen_after(port_sight(spec.name), network, began_s))
            tag = RETAG_VLAN_ID + turn
            began_s = now_s()
            nb.set_network(spec.network, {"segmentation_id": tag})
            sight = network_sight(spec.network, tag)
            made.record("VLAN id seen", "s", made.seen_after(sight, network, began_s))
            nb.set_network(spec.network, {"segmentation_id": vlan_id(network)})


def requests(made: Cloud, rounds: Rounds) -> None:
    """`trunkline sync`: the request that every chassis answers by a write of its own."""
    with made.northbound() as nb, made.watched("all syncs"):
        for _ in range(rounds.requests):
            began_s = now_s()
            asked = sync.request(nb)
            if len(asked.live) != made.site.chassis:
                raise BenchError(f"{len(asked.silent)} chassis are not live")
            sync.wait(nb, asked, LIMIT_S)
            took_s = now_s() - began_s
            made.record("sync", "s", took_s)
            if took_s > ONCE_S:
                break


def commits(made: Cloud, rounds: Rounds) -> None:
    """Ports created by several writers with all sessions attached."""
    with made.watched("a port created", WRITERS * rounds.creations):
        commit(made, "all attached", rounds.creations)


def commit(made: Cloud, what: str, creations: int) -> None:
    """Have `WRITERS` writers create *creations* ports each, one in each transaction."""
    networks = made.site.networks
    shares = [
        [made.spec((writer * creations + turn) % networks) for turn in range(creations)]
        for writer in range(WRITERS)
    ]

    def write(specs: list[PortSpec]) -> None:
        with made.northbound() as nb:
            for spec in specs:
                nb.create(ports=[spec])

    began_s = now_s()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, shares))
    ended_s = now_s()
    rate = WRITERS * creations / (ended_s - began_s)
    made.record(f"ports created, {what}", "ports/s", rate, is_rate=True)
    if what == "all attached":
        lags = [
            max(made.seen_after(port_sight(spec.name), int(spec.network.removeprefix("net")), ended_s))
            for specs in shares
            for spec in specs
        ]
        made.record("all seen after the last of them", "s", max(0.0, *lags))


def bind(made: Cloud, _: Rounds) -> None:
    """A VIF more is plugged into each chassis, into all at once, until every one is reported up."""
    specs = [made.spec(made.site.networks_of(host)[0]) for host in range(made.site.chassis)]
    with made.northbound() as nb:
        nb.create(ports=specs)
        sync.wait(nb, sync.request(nb), LIMIT_S)
    names: dict[str, tuple[str, ...]] = {chassis_name(host): (spec.name,) for host, spec in enumerate(specs)}
    with made.watched("a bind", made.site.chassis):
        began_s = now_s()
        made.fleet.ask(Plug(names))
        times = made.settled_after(began_s)
    made.record("bind, one on each at once", "s", times, note=f"{made.counts.connections:,} connections")
    made.record("ports bound", "ports/s", len(times) / max(times), is_rate=True)


def outage(made: Cloud, _: Rounds) -> None:
    """All servers are killed and started again, until every session is whole and has nothing to report."""
    before = made.counts.connections
    made.fleet.ask(Lose())
    began_s = now_s()
    made.deployment.kill()
    fleet_s = made.fleet.usage.cpu_s
    made.deployment.restart()
    back_s = now_s() - began_s
    times = made.settled_after(began_s)
    members, relays, fleet_after_s = made.cpu_s
    counts = made.counts
    note = (
        f"server back after {back_s:.1f} s, {counts.received_bytes / 1e6:,.0f} MB sent again, "
        f"{counts.connections - before:,} connections"
    )
    made.record("outage", "s", times, note=note)
    made.record("cpu, outage: members", "ms of CPU", members * 1000)
    if made.deployment.relays:
        made.record("cpu, outage: relays", "ms of CPU", relays * 1000)
    made.record("cpu, outage: a session", "ms of CPU", (fleet_after_s - fleet_s) / made.site.chassis * 1000)
