"""A northbound can be anything: chassis go on as they were, say why, and are back by themselves."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import refusal, typed

from trunkline.lab import command
from trunkline.lab.journal import Daemon
from trunkline.northbound.operation import delete, select, update
from trunkline.northbound.schema import schema
from trunkline.server.datafile import prepare

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
OF_THE_HOST = ("integration_bridge", "datapath_type", "iface_types", "ready_ports")
OUT = {"nic-br-phys1": [ethernet(BROADCAST, A, 101)]}

Tables = dict[str, Any]


def column(table: str, name: str, type_: Any) -> Callable[[Tables], None]:
    """Return what gives a column another type."""

    def alter(tables: Tables) -> None:
        tables[table]["columns"][name] = {"type": type_}

    return alter


def without(table: str) -> Callable[[Tables], None]:
    """Return what takes a table out."""

    def alter(tables: Tables) -> None:
        del tables[table]

    return alter


ALTERED: list[tuple[str, Callable[[Tables], None]]] = [
    ("there is no table Port", without("Port")),
    ("column nb_cfg of table NB_Global holds a string", column("NB_Global", "nb_cfg", "string")),
]


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    chassis = site.chassis()
    site.network("net1", 101)
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    return chassis


@contextmanager
def served(site: Site, altered: dict[str, Any], row: dict[str, Any]) -> Iterator[None]:
    """Have a database of the schema *altered* in place of the northbound, with *row* in NB_Global."""
    site.served.stop()
    at = site.folder
    (at / "foreign.ovsschema").write_text(json.dumps(altered))
    (at / "foreign.db").unlink(missing_ok=True)
    command.run(["ovsdb-tool", "create", f"{at}/foreign.db", f"{at}/foreign.ovsschema"])
    insert = {"op": "insert", "table": "NB_Global", "row": row}
    command.run(["ovsdb-tool", "transact", f"{at}/foreign.db", json.dumps([altered["name"], insert])])
    daemon = Daemon(at / "foreign.pid")
    site.journal.add_daemon(daemon)
    program = ["ovsdb-server", f"--remote=p{site.served.remote}", f"--pidfile={at}/foreign.pid"]
    program += [f"--unixctl={at}/foreign.ctl", f"--log-file={at}/foreign.log"]
    command.run(
        [
            *program,
            f"--unixctl={at}/foreign.ctl",
            f"--log-file={at}/foreign.log",
            "--detach",
            f"{at}/foreign.db",
        ],
        env=dict(os.environ),
    )
    try:
        yield
    finally:
        daemon.end()
        site.served.start()
        site.reconnect()


def test_a_northbound_of_other_columns_changes_nothing_and_is_a_fault(
    site: Site, chassis: DummyChassis
) -> None:
    for reason, alter in ALTERED:
        altered = copy.deepcopy(schema())
        alter(altered["tables"])
        with served(site, altered, {}):
            until(lambda reason=reason: reason in chassis.faults.get("northbound", ""), reason)  # type: ignore[misc]
            assert not chassis.agent.status()["settled"]
            for words in ("status", "sync --wait", "network delete net1"):
                assert reason in refusal(typed(words, nb=site.served.remote), 1)
    assert chassis.receive("a", HELLO) == OUT
    until(lambda: "northbound" not in chassis.faults, "fault gone")
    site.sync()
    assert chassis.agent.log.count("database not read") == len(ALTERED)


def first_schema() -> dict[str, Any]:
    """Return the schema as it was in version 1.0.0, as far as chassis can tell."""
    old = copy.deepcopy(schema())
    old["version"] = "1.0.0"
    del old["tables"]["NB_Global"]["columns"]["identity"]
    for name in ("silent_at", "host", "claims", "denied", "nb_cfg_heard", *OF_THE_HOST):
        del old["tables"]["Chassis"]["columns"][name]
    del old["tables"]["Port"]["columns"]["iface_id"]
    for name in ("Request", "Answer"):
        del old["tables"][name]
    return old


def test_a_northbound_of_the_first_schema_is_followed_by_its_identity(
    site: Site, chassis: DummyChassis
) -> None:
    ((row,),) = site.nb.read(select("NB_Global"))
    identity = {"external_ids": ["map", [["identity", row["identity"]]]]}
    with served(site, first_schema(), identity | {"next_network_key": 1, "next_port_key": 1}):
        until(lambda: chassis.receive_once("a", HELLO) == {}, "followed")
        assert chassis.receive("a", HELLO) == {}
        until(lambda: chassis.agent.status()["settled"], "settled")
        assert "northbound" not in chassis.faults
        refusal(typed("status", nb=site.served.remote), 1)
    site.sync()
    assert chassis.receive("a", HELLO) == OUT


@pytest.mark.parametrize("has_identity", [True, False], ids=["made with one", "made without"])
def test_an_upgrade_from_the_first_schema_keeps_the_identity(tmp_path: Path, has_identity: bool) -> None:
    db = tmp_path / "nb.db"
    (tmp_path / "old.ovsschema").write_text(json.dumps(first_schema()))
    command.run(["ovsdb-tool", "create", str(db), f"{tmp_path}/old.ovsschema"])
    row = {"external_ids": ["map", [["identity", "original"]]]} if has_identity else {}
    words = [{"op": "insert", "table": "NB_Global", "row": row | {"next_network_key": 1, "next_port_key": 1}}]
    reply = command.run(["ovsdb-tool", "transact", str(db), json.dumps([schema()["name"], *words])])
    prepare(db)
    query = json.dumps([schema()["name"], select("NB_Global", only=("identity",))])
    rows = json.loads(command.run(["ovsdb-tool", "query", str(db), query]))[0]["rows"]
    assert rows == [{"identity": "original" if has_identity else json.loads(reply)[0]["uuid"][1]}]


def test_a_northbound_without_its_global_row_changes_nothing_and_is_a_fault(
    site: Site, chassis: DummyChassis
) -> None:
    ((row,),) = site.nb.read(select("NB_Global"))
    site.nb.transact([delete("NB_Global")])
    fault = until(lambda: site.nb.chassis("c1")["faults"].get("northbound"), "fault reported")
    assert "NB_Global" in fault
    assert not chassis.agent.status()["settled"]
    site.nb.set_network("net1", {"segmentation_id": 102})
    assert chassis.receive("a", HELLO) == OUT
    for words in (
        "status",
        "sync --wait",
        "network create net2 --type flat --physical-network p",
        "nb listen ptcp:6641:127.0.0.1",
    ):
        assert "has no NB_Global row: restore a backup" in refusal(typed(words, nb=site.served.remote), 1)
    again = {name: row[name] for name in ("identity", "nb_cfg", "next_network_key", "next_port_key")}
    site.transact({"op": "insert", "table": "NB_Global", "row": again})
    site.sync()
    assert "northbound" not in chassis.faults
    assert chassis.receive("a", HELLO) == {"nic-br-phys1": [ethernet(BROADCAST, A, 102)]}


def test_a_global_row_that_is_made_anew_counts_on(site: Site, chassis: DummyChassis) -> None:
    """No key is used twice, and what a chassis answered before is no answer to a later request."""
    ((before,),) = site.nb.read(select("NB_Global"))
    site.nb.transact([delete("NB_Global")])
    site.served.stop()
    site.served.start()
    site.reconnect()
    ((row,),) = site.nb.read(select("NB_Global"))
    assert row["identity"] not in ("", before["identity"])
    assert row["nb_cfg"] == site.nb.chassis("c1")["nb_cfg"]
    site.port("b")
    until(lambda: "accept-nb" in chassis.faults.get("northbound", ""), "not obeyed")
    assert typed("chassis accept-nb --ovs " + chassis.switch.remote).code == 0
    site.sync()


def test_what_another_program_writes_to_the_global_row_does_not_take_the_identity_away(
    site: Site, chassis: DummyChassis
) -> None:
    site.nb.transact([update("NB_Global", row={"external_ids": {"owner": "somebody"}})])
    site.sync()
    assert "northbound" not in chassis.faults


def test_rows_that_only_another_schema_lets_in_are_faults_of_their_own(
    site: Site, chassis: DummyChassis
) -> None:
    wide = copy.deepcopy(schema())
    for table in ("Network", "Port"):
        wide["tables"][table].pop("indexes")
        for name, spec in wide["tables"][table]["columns"].items():
            if name in ("unique_key", "segmentation_id", "network_type", "parent_vlan"):
                key = spec["type"]["key"]["type"]
                spec["type"] = {**spec["type"], "key": key}
    del wide["tables"]["NB_Global"]["maxRows"]
    ((row,),) = site.nb.read(select("NB_Global"))
    first = {"identity": row["identity"], "next_network_key": 9, "next_port_key": 9}
    networks = {
        "far": {"network_type": "geneve", "unique_key": 5},
        "high": {"network_type": "vlan", "segmentation_id": 5000, "unique_key": 6},
        "big": {"network_type": "flat", "unique_key": 1 << 40},
        "good": {"network_type": "vlan", "segmentation_id": 101, "unique_key": 7},
    }
    with served(site, wide, first):
        for number, (name, columns) in enumerate(networks.items()):
            network = {"name": name, "physical_network": "physnet1", **columns}
            port = {
                "name": "a" if name == "good" else name,
                "network": ["named-uuid", "n"],
                "mac": A if name == "good" else mac_of(name),
                "unique_key": number + 1,
                "port_security": False,
            }
            site.transact(
                {"op": "insert", "table": "Network", "row": network, "uuid-name": "n"},
                {"op": "insert", "table": "Port", "row": port},
            )
            if name != "good":
                chassis.plug(name)
        until(
            lambda: {f"network {name}" for name in ("far", "high", "big")} <= chassis.faults.keys(), "faults"
        )
        until(lambda: chassis.agent.status()["settled"], "settled")
        assert chassis.receive("a", HELLO) == OUT
        site.transact({"op": "insert", "table": "NB_Global", "row": first})
        until(lambda: "2 rows of NB_Global" in chassis.faults.get("northbound", ""), "fault")
        assert chassis.receive("a", HELLO) == OUT
        create = "network create other --type flat --physical-network other"
        for words in ("status", "chassis list", "sync", "nb listen ptcp:6641:127.0.0.1", create):
            assert "has 2 NB_Global rows" in refusal(typed(words, nb=site.served.remote), 1)
    site.sync()
