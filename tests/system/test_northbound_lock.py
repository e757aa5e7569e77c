"""A program that writes the northbound for others: it ends in time, prefers the leader, and works alone."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from nb_cluster import Cluster, Server, opened

from trunkline.lab.northbound import Northbound as Served
from trunkline.northbound.client import NetworkSpec, Northbound, UnreachableError
from trunkline.northbound.member import is_leader
from trunkline.northbound.step import Put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.northbound.lock import Lock

pytestmark = pytest.mark.system

NAME = "trunkline_test"
BLUE = Put(NetworkSpec(name="blue", network_type="flat", physical_network="p"))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as opened_cluster:
        opened_cluster.form()
        yield opened_cluster


def held(lock: Lock, timeout_s: float = 30.0) -> bool:
    """Return whether *lock* is held in the end, wherever its server goes meanwhile."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        try:
            if lock.is_held(timeout_s=0.2):
                return True
        except UnreachableError:
            continue
    return False


def test_calls_end_in_the_time_that_they_have_together_though_the_server_hangs(nb: Served) -> None:
    pid = nb.pid
    assert pid is not None
    with Northbound.connect(nb.remote) as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            with client.within(0.5):
                for _ in range(3):
                    with pytest.raises(UnreachableError):
                        client.write([BLUE])
            # Each of the three has 60 s without a limit.
            assert time.monotonic() - began_s < 60
        finally:
            os.kill(pid, signal.SIGCONT)
        # What the server got meanwhile may be done or not.
        with client.within(60):
            client.write([BLUE])
        assert [row["name"] for row in client.networks()] == ["blue"]


def test_a_limit_inside_another_ends_no_later_than_the_outer_one(nb: Served) -> None:
    with Northbound.connect(nb.remote) as client, client.within(0.0):
        with client.within(60), pytest.raises(UnreachableError, match="no time"):
            client.networks()
        with pytest.raises(UnreachableError, match="no time"):
            client.networks()
    assert client.networks() == []


def test_a_lock_has_one_holder_and_the_next_one_follows_when_it_ends(nb: Served) -> None:
    with Northbound.connect(nb.remote) as client:
        first, second = client.lock(NAME), client.lock(NAME)
        with second:
            with first:
                assert first.is_held()
                assert not second.is_held(timeout_s=0.1)
            assert second.is_held(timeout_s=30)
            with client.lock(NAME) as third:
                assert not third.is_held(timeout_s=0.1)


def test_the_leader_is_preferred_whatever_its_place_among_the_remotes(cluster: Cluster) -> None:
    leader = cluster.leader()
    others = [each for each in cluster.members if each is not leader]

    def chosen(*members: Server, prefers_leader: bool) -> str:
        remotes = ",".join(each.remote for each in members)
        with Northbound.connect(remotes, prefers_leader=prefers_leader) as client:
            assert is_leader(client.rpc, 5) == (client.rpc.remote == leader.remote)
            return client.rpc.remote

    assert chosen(*others, leader, prefers_leader=True) == leader.remote
    assert chosen(*others, leader, prefers_leader=False) == others[0].remote
    assert chosen(*others, prefers_leader=True) == others[0].remote


def test_a_lock_has_one_holder_again_soon_after_another_member_leads(cluster: Cluster) -> None:
    backwards = ",".join(each.remote for each in reversed(cluster.members))
    with (
        Northbound.connect(cluster.remotes, prefers_leader=True) as one,
        Northbound.connect(backwards, prefers_leader=True) as two,
        one.lock(NAME) as first,
        two.lock(NAME) as second,
    ):
        assert held(first)
        assert not held(second, 1.0)
        leader = cluster.leader()
        leader.appctl("cluster/failure-test", "transfer-leadership")
        end_s = time.monotonic() + 60
        while [held(lock, 1.0) for lock in (first, second)].count(True) != 1 or cluster.leader() is leader:
            assert time.monotonic() < end_s


def test_a_member_that_does_not_lead_grants_no_lock(cluster: Cluster) -> None:
    follower = next(each for each in cluster.members if each is not cluster.leader())
    with (
        Northbound.connect(follower.remote, prefers_leader=True) as client,
        client.lock(NAME) as lock,
        pytest.raises(UnreachableError, match="does not lead"),
    ):
        lock.is_held()
