"""What docs/cluster.md tells an operator to do with a cluster's files, done."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from dummy_chassis import until
from nb_cluster import Cluster, Server, opened
from program import refusal, trunkline, typed

from model.certificate import Authority
from model.tcp_port import free_port
from trunkline.northbound.access import ROLES
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import select
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH, version

pytestmark = pytest.mark.system

CREATE = "network create {} --type vlan --physical-network p --segment {}"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as started:
        yield started


def names(nb: str) -> list[str]:
    done = trunkline("network", "list", "-o", "json", nb=nb)
    return [network["name"] for network in json.loads(done.out)]


def test_a_backup_of_a_cluster_restores_into_the_running_cluster(cluster: Cluster) -> None:
    cluster.form(3)
    assert typed(CREATE.format("kept", 101), cluster.remotes) == (0, "", "")
    copy = cluster.folder / "copy"
    assert trunkline("nb", "backup", str(copy), nb=cluster.remotes) == (0, "", "")
    assert typed(CREATE.format("later", 102), cluster.remotes) == (0, "", "")
    with copy.open() as file:
        restore = ["ovsdb-client", "restore", cluster.members[1].remote, DATABASE]
        subprocess.run(restore, stdin=file, check=True, capture_output=True)
    for member in cluster.members:
        until(lambda member=member: names(member.remote) == ["kept"], "restored")  # type: ignore[misc]
    # Keys go on from where they were at the backup.
    assert typed(CREATE.format("again", 103), cluster.remotes) == (0, "", "")


def test_a_backup_of_a_cluster_starts_as_a_standalone_northbound(cluster: Cluster) -> None:
    cluster.form(1)
    typed(CREATE.format("kept", 101), cluster.remotes)
    alone = cluster.server("alone")
    assert trunkline("nb", "backup", str(alone.db), nb=cluster.remotes) == (0, "", "")
    alone.start()
    assert names(alone.remote) == ["kept"]


def test_a_lost_cluster_is_formed_again_from_a_backup(cluster: Cluster) -> None:
    cluster.form(3)
    typed(CREATE.format("kept", 101), cluster.remotes)
    copy = cluster.folder / "copy"
    trunkline("nb", "backup", str(copy), nb=cluster.remotes)
    for member in cluster.members:
        member.kill()
        member.db.unlink()
    first, *others = cluster.members
    create = ["ovsdb-tool", "create-cluster", str(first.db), str(copy), first.options[1]]
    subprocess.run(create, check=True, capture_output=True)
    for member in (first, *others):
        member.start()
    for member in cluster.members:
        assert names(member.remote) == ["kept"]


def test_a_standalone_file_becomes_the_first_member_of_a_cluster(cluster: Cluster) -> None:
    alone = cluster.server("m0")
    alone.start()
    typed(CREATE.format("kept", 101), alone.remote)
    alone.stop()
    address = f"tcp:127.0.0.1:{free_port()}"
    place = ["--db", str(alone.db), "--remote", f"p{alone.remote}", "--detach"]
    line = refusal(trunkline("nb", "start", *place, "--cluster-local", address), 1)
    # What the refusal says to do is what works.
    subprocess.run(line.partition("run: ")[2], shell=True, check=True, capture_output=True)
    alone.start()
    assert alone.status()["cluster"]["role"] == "leader"
    joining = cluster.server(
        "m1", "--cluster-local", f"tcp:127.0.0.1:{free_port()}", "--cluster-remote", address
    )
    joining.start()
    assert names(joining.remote) == ["kept"]


def older(cluster: Cluster, *names: str, kind: str = "tcp") -> list[Server]:
    """Return members, yet to be started, of a cluster whose schema is older and that knows no roles."""
    schema = json.loads(SCHEMA_PATH.read_text())
    schema["version"] = "0.9.0"
    del schema["tables"]["Network"]["columns"]["mtu"]
    path, draft = cluster.folder / "old.ovsschema", cluster.folder / "draft"
    path.write_text(json.dumps(schema))
    subprocess.run(["ovsdb-tool", "create", draft, path], check=True)
    row = {"op": "insert", "table": "NB_Global", "row": {"next_network_key": 1, "next_port_key": 1}}
    subprocess.run(["ovsdb-tool", "transact", draft, json.dumps([DATABASE, row])], check=True)
    addresses = [f"{kind}:127.0.0.1:{free_port()}" for _ in names]
    members = [cluster.server(name) for name in names]
    subprocess.run(["ovsdb-tool", "create-cluster", members[0].db, draft, addresses[0]], check=True)
    for member, address in zip(members[1:], addresses[1:], strict=True):
        join = ["ovsdb-tool", "join-cluster", str(member.db), DATABASE, address, addresses[0]]
        subprocess.run(join, check=True)
    return members


def has_role(member: Server) -> bool:
    """Whether the northbound has the role of chassis: as of *member*, listen with it."""
    listener = f"pssl:{free_port()}:127.0.0.1"
    return trunkline("nb", "listen", listener, "--role", "trunkline-chassis", nb=member.remote).code == 0


def is_converted(member: Server) -> bool:
    return bool(member.status().get("schema_version") == version())


def test_a_cluster_of_an_older_schema_is_converted_by_the_first_member_that_starts(cluster: Cluster) -> None:
    first, second = older(cluster, "m0", "m1")
    first.start()
    second.start()
    assert is_converted(first)
    assert is_converted(second)
    kept = Path(f"{first.db}.0.9.0.backup")
    shown = subprocess.run(["ovsdb-tool", "db-version", kept], check=True, capture_output=True, text=True)
    assert shown.stdout == "0.9.0\n"
    # A role that older versions had not is there, too.
    assert has_role(first)
    assert typed(f"{CREATE.format('web', 101)} --mtu 1400", second.remote) == (0, "", "")


def test_members_in_the_foreground_convert_a_cluster_once_they_are_enough(cluster: Cluster) -> None:
    members = older(cluster, "m0", "m1")
    # The first has to wait for the other: each is there already when there is a leader.
    with ExitStack() as stack:
        for member in members:
            process = stack.enter_context(member.foreground())
            stack.callback(process.terminate)
        for member in members:
            until(lambda member=member: is_converted(member), "converted")  # type: ignore[misc]
        until(lambda: has_role(members[0]), "roles")
        assert typed(f"{CREATE.format('web', 101)} --mtu 1400", members[1].remote) == (0, "", "")
        with Northbound.connect(members[0].remote) as nb:
            (roles,) = nb.read(select("RBAC_Role"))
        assert {role["name"] for role in roles} == ROLES.keys()
        for member in members:
            until(lambda member=member: len(started_by(member)) == 1, "nothing is left but the server")  # type: ignore[misc]


def started_by(member: Server) -> list[str]:
    """Return the processes that have *member*'s file on their command line."""
    lines = subprocess.run(["ps", "-ewwo", "args"], check=True, capture_output=True, text=True).stdout
    return [line for line in lines.splitlines() if str(member.db) in line and not line.startswith("ps ")]


def test_a_member_that_speaks_tls_alone_is_converted(cluster: Cluster) -> None:
    (member,) = older(cluster, "m0")
    files = Authority(cluster.folder).issue("nb")
    port = free_port()
    listener = ["--remote", f"pssl:{port}:127.0.0.1", *files.options]
    done = trunkline("nb", "start", "--db", str(member.db), "--detach", *listener)
    assert done == (0, "", "")
    operator = ["--nb", f"ssl:127.0.0.1:{port}", *files.options]
    create = f"{CREATE.format('web', 101)} --mtu 1400".split()
    assert trunkline(*operator, *create) == (0, "", "")
    assert member.appctl("ovsdb-server/list-remotes").split() == [
        "db:Trunkline_Northbound,NB_Global,connections",
        f"pssl:{port}:127.0.0.1",
    ]


def test_compaction_makes_the_file_small_and_loses_nothing(cluster: Cluster) -> None:
    cluster.form(1)
    member = cluster.members[0]
    typed(CREATE.format("kept", 101), member.remote)
    for number in range(20):
        assert typed(f"network set kept --mtu {1400 + number}", member.remote) == (0, "", "")
    before = member.db.stat().st_size
    member.appctl("ovsdb-server/compact", DATABASE)
    until(lambda: member.db.stat().st_size < before, "compacted")
    assert json.loads(trunkline("network", "show", "kept", "-o", "json", nb=member.remote).out)["mtu"] == 1419


def test_a_member_whose_disk_was_lost_is_replaced(cluster: Cluster) -> None:
    cluster.form(3)
    typed(CREATE.format("kept", 101), cluster.remotes)
    *others, lost = cluster.members
    sid = lost.status()["cluster"]["server_id"]
    lost.kill()
    shutil.move(lost.db, cluster.folder / "lost")
    others[0].appctl("cluster/kick", DATABASE, sid)
    until(lambda: len(others[0].status()["cluster"]["peers"]) == 1, "kicked")
    lost.start()
    assert names(lost.remote) == ["kept"]
