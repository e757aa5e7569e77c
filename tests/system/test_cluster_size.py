"""A transaction that would keep a cluster from its elections is refused before it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from nb_cluster import opened
from program import trunkline

from trunkline.lab.northbound import Northbound as Served
from trunkline.northbound import client
from trunkline.northbound.client import Create, NetworkSpec, Northbound, RefusedError

pytestmark = pytest.mark.system


def networks(count: int) -> list[Create]:
    return [
        Create(NetworkSpec(name=f"net{number}", network_type="flat", physical_network=f"p{number}"))
        for number in range(count)
    ]


def test_a_cluster_is_given_so_many_rows_at_a_time_and_one_server_more(
    nb: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_STEPS_CLUSTERED", 3)
    with Northbound.connect(nb.remote) as alone:
        alone.write(networks(4))
    with opened() as cluster:
        cluster.form(1)
        with Northbound.connect(cluster.remotes) as clustered:
            for write in (clustered.write, clustered.rehearse):
                with pytest.raises(
                    RefusedError, match=r"4 rows in one transaction .*; write at most 3 at a time"
                ):
                    write(networks(4))
            assert clustered.networks() == []
            clustered.write(networks(3))


def test_a_file_that_is_too_large_for_a_cluster_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = "kind: Network\nname: net{0}\nnetwork_type: flat\nphysical_network: p{0}\n"
    count = client.MOST_STEPS_CLUSTERED + 1
    Path("all.yaml").write_text("---\n".join(network.format(number) for number in range(count)))
    with opened() as cluster:
        cluster.form(1)
        for how in ("--dry-run", "--yes"):
            done = trunkline("apply", "-f", "all.yaml", how, nb=cluster.remotes)
            assert done.code == 1
            assert done.err.splitlines() == [
                f"trunkline: {count:,} rows in one transaction are too many for a cluster; "
                f"write at most {count - 1:,} at a time",
                "nothing was applied",
            ]
