"""What commands say while members of the northbound's cluster do not work, and that none of them hangs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest
from dummy_chassis import until
from nb_cluster import Cluster, opened
from program import Done, trunkline

from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import insert

pytestmark = pytest.mark.system

COMMANDS = (
    ("status", "--check"),
    ("check",),
    ("chassis", "state"),
    ("network", "list"),
    ("network", "create", "blue", "--type", "flat", "--physical-network", "physnet1"),
)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as started:
        started.form()
        yield started


def test_commands_of_a_cluster_without_a_majority_end_with_one_line_that_names_the_dead_members(
    cluster: Cluster,
) -> None:
    survivor, *others = cluster.members
    for member in others:
        member.kill()
    # Until the last member knows that it is alone, it takes requests that it never commits.
    first = trunkline("status", nb=cluster.remotes)
    assert "unknown whether the change" not in first.err
    assert first.err.count("\n") == 1

    def is_told() -> Done | None:
        done = trunkline("network", "list", nb=cluster.remotes)
        return done if done.code == 1 else None

    until(is_told, "known to be alone")
    dead = [f"{member.remote}: nobody listens there" for member in others]
    why = (
        "trunkline: the northbound has no leader, as most members of its cluster do not work: "
        f"{survivor.remote} is cut off from it; {'; '.join(dead)}. "
        "Start these members; see `trunkline nb status` on each\n"
    )
    for words in COMMANDS:
        assert trunkline(*words, nb=cluster.remotes) == (1, "", why), words
    for member in others:
        member.start()
    until(lambda: trunkline("network", "list", nb=cluster.remotes).code == 0, "a leader")
    assert trunkline("network", "list", "-o", "name", nb=cluster.remotes) == (0, "", "")


def test_a_member_that_hangs_is_found_before_the_chassis_that_do_not_answer(cluster: Cluster) -> None:
    """The chassis is a row alone: it answers nobody."""
    with Northbound.connect(cluster.remotes) as northbound:
        northbound.transact([insert("Chassis", {"name": "c1"})])
    hung = next(each for each in cluster.members if each != cluster.leader())
    pid = hung.daemon.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        done = trunkline("check", "-o", "json", nb=cluster.remotes)
    finally:
        os.kill(pid, signal.SIGCONT)
    found = json.loads(done.out)
    assert [(each["code"], each["severity"]) for each in found] == [("T105", "error"), ("T501", "error")]
    assert (found[0]["subject"], done.code) == (f"northbound {hung.remote}", 4)
