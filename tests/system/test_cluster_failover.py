"""A leader dies and nobody notices: DESIGN.md section 6, rule 5, on a clustered northbound."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from dummy_chassis import DummyChassis, mac_of, until
from nb_cluster import Cluster, Server, opened

from trunkline.northbound import sync
from trunkline.northbound.client import (
    NetworkSpec,
    Northbound,
    PortSpec,
    RefusedError,
    UnreachableError,
)

pytestmark = pytest.mark.system

RATE = 50
"""Ports that are created in a second."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as started:
        started.form()
        yield started


def wire(cluster: Cluster, remotes: str, count: int = 3) -> None:
    """Start chassis with two VIFs each in one network, all up."""
    with Northbound.connect(cluster.remotes) as nb:
        nb.create([_network("net1", 101), _network("net2", 102)])
        for number in range(count):
            chassis = cluster.add_chassis(f"c{number}", remotes)
            for name in (f"a{number}", f"b{number}"):
                chassis.plug(name)
                nb.create(ports=[PortSpec(name=name, network="net1", mac=mac_of(name), options=SILENT)])
        until(lambda: all(port["up"] for port in nb.ports()), "all up")
    cluster.sync()


SILENT = {"announce": "false"}


def _network(name: str, vlan_id: int) -> NetworkSpec:
    return NetworkSpec(name=name, network_type="vlan", physical_network="physnet1", segmentation_id=vlan_id)


def ages(chassis: DummyChassis) -> dict[str, float]:
    """Return for how many seconds each flow has been there, by the rest of it."""
    found = {}
    for line in chassis.flows():
        duration = re.search(r"duration=([\d.]+)s, ", line)
        assert duration is not None
        found[re.sub(r"(duration|n_packets|n_bytes|idle_age)=[^,]+, ?", "", line)] = float(duration[1])
    return found


@dataclass
class Writer:
    """Creates ports one after the other, and connects again if it must, as an operator's program does."""

    cluster: Cluster
    created: list[str] = field(default_factory=list)
    longest_gap_s: float = 0.0
    lost: int = 0

    def write(self, first: Server, more: int) -> None:
        """Create *more* ports, `RATE` a second, through *first* for as long as that is there."""
        remotes = f"{first.remote},{self.cluster.remotes}"
        nb = Northbound.connect(remotes)
        acknowledged_s = time.monotonic()
        until = len(self.created) + more
        while len(self.created) < until:
            number = len(self.created)
            name = f"w{number}"
            spec = PortSpec(
                name=name, network="net2", mac=f"02:77:00:00:{number >> 8:02x}:{number & 255:02x}"
            )
            due_s = time.monotonic() + 1 / RATE
            try:
                nb.create(ports=[spec])
            except UnreachableError:
                self.lost += 1
                nb.close()
                nb = Northbound.connect(remotes, timeout_s=10)
                continue
            except RefusedError as error:
                # The answer to the same write got lost with the server that was to give it.
                if "already exists" not in str(error):
                    raise
            self.longest_gap_s = max(self.longest_gap_s, time.monotonic() - acknowledged_s)
            acknowledged_s = time.monotonic()
            self.created.append(name)
            time.sleep(max(0.0, due_s - time.monotonic()))
        nb.close()


@pytest.mark.parametrize("is_through_leader", [True, False], ids=["leader", "follower"])
def test_rule_5_a_killed_leader_costs_no_acknowledged_write_and_no_flow(
    cluster: Cluster, is_through_leader: bool
) -> None:
    wire(cluster, cluster.remotes)
    before = {chassis.name: ages(chassis) for chassis in cluster.chassis}
    began_s = time.monotonic()
    leader = cluster.leader()
    entry = leader if is_through_leader else next(m for m in cluster.members if m is not leader)
    writer = Writer(cluster)
    writer.write(entry, RATE)
    leader.kill()
    writer.write(entry, RATE)
    survivors = [member for member in cluster.members if member is not leader]
    for member in survivors:
        with Northbound.connect(member.remote) as nb:
            until(lambda nb=nb: {port["name"] for port in nb.ports()} >= set(writer.created), "all written")  # type: ignore[misc]
    assert sum(member.status()["cluster"]["role"] == "leader" for member in survivors) == 1
    cluster.members = survivors
    cluster.sync()
    passed_s = time.monotonic() - began_s
    for chassis in cluster.chassis:
        after = ages(chassis)
        assert after.keys() == before[chassis.name].keys()
        for flow, age_s in before[chassis.name].items():
            assert after[flow] > age_s + passed_s - 2, flow
        assert chassis.agent.status()["northbound"]
    print(f"figure: {len(writer.created)} writes, gap {writer.longest_gap_s:.2f} s, {writer.lost} lost")


def test_an_agent_follows_from_a_killed_member_to_another(cluster: Cluster) -> None:
    doomed, *others = cluster.members
    wire(cluster, doomed.remote, count=1)
    chassis = cluster.chassis[0]
    # Now on that member alone; it may use the others from here on, and has no reason to leave.
    doomed.kill()
    until(lambda: not chassis.agent.status()["northbound"], "cut off")
    before = ages(chassis)
    chassis.set(**{"trunkline-nb": cluster.remotes})
    until(lambda: chassis.agent.status()["northbound"], "followed")
    cluster.members = others
    cluster.sync()
    assert ages(chassis).keys() == before.keys()
    assert all(age_s >= before[flow] for flow, age_s in ages(chassis).items())


def test_agents_on_a_relay_see_nothing_of_a_killed_leader(cluster: Cluster) -> None:
    relay = cluster.server("r", *(word for member in cluster.members for word in ("--relay", member.remote)))
    relay.start()
    wire(cluster, relay.remote, count=1)
    before = ages(cluster.chassis[0])
    leader = cluster.leader()
    leader.kill()
    with Northbound.connect(relay.remote) as nb:
        nb.create(ports=[PortSpec(name="late", network="net1", mac=mac_of("late"))])
        cluster.chassis[0].plug("late")
        until(lambda: nb.port("late")["up"], "up through the relay")
    cluster.members.remove(leader)
    cluster.sync()
    assert cluster.chassis[0].agent.status()["northbound"]
    assert all(age_s >= before[flow] for flow, age_s in ages(cluster.chassis[0]).items() if flow in before)


def followed(chassis: DummyChassis) -> str:
    """Return the northbound's remote that the agent of *chassis* connected to last."""
    connected = re.findall(r"\| (unix:\S+/r\d\.sock): connected", chassis.agent.log)
    return str(connected[-1])


def test_agents_follow_from_a_killed_relay_to_another_and_change_no_flow(cluster: Cluster) -> None:
    """DESIGN.md section 6, rule 5: on return only differences are applied."""
    upstream = [word for member in cluster.members for word in ("--relay", member.remote)]
    relays = [cluster.server(f"r{number}", *upstream) for number in range(2)]
    for relay in relays:
        relay.start()
    wire(cluster, ",".join(relay.remote for relay in relays))
    before = {chassis.name: ages(chassis) for chassis in cluster.chassis}
    began_s = time.monotonic()
    # Agents choose at random; in the end both relays have died once.
    places = [followed(chassis) for chassis in cluster.chassis]
    one, other = sorted(relays, key=lambda relay: places.count(relay.remote))
    for number, (doomed, remaining) in enumerate([(other, one), (one, other)]):
        doomed.kill()
        taken_s = await_all_on(cluster, remaining)
        print(f"figure: relay killed: all agents on the other after {taken_s:.1f} s")
        with Northbound.connect(remaining.remote) as nb:
            name = f"late{number}"
            nb.create(ports=[PortSpec(name=name, network="net2", mac=mac_of(name), options=SILENT)])
            cluster.chassis[number].plug(name)
            until(lambda nb=nb, name=name: nb.port(name)["up"], "up through the other relay")  # type: ignore[misc]
            sync.wait(nb, sync.request(nb), 20)
        doomed.start()
    passed_s = time.monotonic() - began_s
    for chassis in cluster.chassis:
        after = ages(chassis)
        for flow, age_s in before[chassis.name].items():
            assert after[flow] > age_s + passed_s - 2, flow


def await_all_on(cluster: Cluster, relay: Server) -> float:
    """Return after how many seconds every agent has read the northbound from *relay*."""
    start_s = time.monotonic()
    for chassis in cluster.chassis:
        until(lambda chassis=chassis: followed(chassis) == relay.remote, "followed")  # type: ignore[misc]
        until(lambda chassis=chassis: chassis.agent.status()["northbound"], "northbound read")  # type: ignore[misc]
    return time.monotonic() - start_s


def test_status_tells_each_members_standing(cluster: Cluster) -> None:
    standings = [member.status()["cluster"] for member in cluster.members]
    assert sorted(each["role"] for each in standings) == ["follower", "follower", "leader"]
    assert len({(each["term"], each["leader"], each["cluster_id"]) for each in standings}) == 1
    for each in standings:
        assert each["lag"] == 0
        assert [peer["is_connected"] for peer in each["peers"]] == [True, True]
    leader = cluster.leader()
    gone = next(member for member in cluster.members if member is not leader)
    gone.kill()
    with Northbound.connect(leader.remote) as nb:
        nb.create([_network("net1", 101)])
    address = gone.options[1]

    def peer() -> dict[str, object]:
        found: dict[str, object]
        (found,) = (p for p in leader.status()["cluster"]["peers"] if p["address"] == address)
        return found

    until(lambda: not peer()["is_connected"] and peer()["lag"], "seen as gone, and behind")
    gone.start()
    until(lambda: peer()["is_connected"] and peer()["lag"] == 0, "caught up")


def test_a_member_alone_starts_and_says_what_it_waits_for(cluster: Cluster) -> None:
    for member in cluster.members:
        member.stop()
    said = cluster.members[0].start()
    assert said.endswith("waits for enough others to elect a leader\n")
    seen = cluster.members[0].status()
    assert seen["cluster"]["leader"] is None
    assert cluster.members[1].start() == ""
    until(lambda: cluster.members[0].status()["cluster"]["leader"], "elected")


def test_two_hosts_of_one_name_on_different_members_find_each_other(cluster: Cluster) -> None:
    """Rule 10: each server of a cluster has locks of its own, so the rows must tell."""
    first = cluster.add_chassis("c1", cluster.members[1].remote)
    cluster.sync()
    second = DummyChassis(
        "c1", cluster.folder / "clone", cluster.journal, cluster.members[2].remote, {"physnet1": "br-phys1"}
    )
    try:
        second.start_agent(is_settled=False)
        until(lambda: "system-id" in second.faults, "denied")
        with Northbound.connect(cluster.remotes) as nb:
            until(lambda: "system-id" in nb.chassis("c1")["faults"], "fault reported")
        assert first.agent.status()["settled"]
    finally:
        second.close()
