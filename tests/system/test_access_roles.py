"""What a chassis may write in the northbound, tried by one that has turned (docs/access.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from dummy_chassis import until
from nb_cluster import Cluster, opened
from program import refusal, trunkline, typed
from role_site import Site, forbidden, set_ssl

from model.certificate import Authority, Certificate
from trunkline.northbound.operation import delete, insert, update
from trunkline.northbound.rpc import RequestError
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH

pytestmark = pytest.mark.system

ROLE = "trunkline-chassis"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as started:
        yield started


@pytest.fixture
def site(cluster: Cluster) -> Iterator[Site]:
    started = Site(cluster, ROLE)
    with ExitStack() as stack:
        stack.callback(started.operator.close)
        yield started


def test_an_agent_works_with_the_role_on_ports_that_are_requested_on_it(site: Site) -> None:
    chassis = site.chassis("c1")
    site.create("a", requested_chassis="c1")
    chassis.plug("a")
    until(lambda: site.operator.port("a")["up"], "up")
    assert site.operator.port("a")["chassis"] == "c1"
    chassis.unplug("a")
    until(lambda: not site.operator.port("a")["up"], "down")
    assert site.operator.port("a")["chassis"] is None
    assert trunkline("sync", "--wait", nb=site.server.remote).code == 0


def test_a_port_that_nobody_holds_is_held_by_the_first_of_two_chassis_and_by_no_other(site: Site) -> None:
    chassis = site.chassis("c1")
    second = site.client("c2")
    second.transact([insert("Chassis", {"name": "c2"})])
    site.create("a", requested_chassis="c1,c2")
    site.create("b", requested_chassis="c2")
    assert typed("port set b --requested-chassis c1,c2", site.server.remote).code == 0
    for client in (second, site.client("evil")):
        forbidden(client, update("Port", ("name", "==", "a"), row={"chassis": "evil"}))
        forbidden(client, update("Port", ("name", "==", "b"), row={"chassis": "evil"}))
    for name in ("a", "b"):
        chassis.plug(name)
        until(lambda name=name: site.operator.port(name)["up"], "up")  # type: ignore[misc]
        assert site.operator.port(name)["chassis"] == "c1"
    chassis.unplug("a")
    until(lambda: not site.operator.port("a")["up"], "down")
    assert typed("port set a --requested-chassis c2", site.server.remote).code == 0
    forbidden(site.client("c1"), update("Port", ("name", "==", "a"), row={"chassis": "c1"}))
    second.transact([update("Port", ("name", "==", "a"), row={"chassis": "c2"})])


def test_a_port_that_the_role_does_not_let_it_hold_is_a_fault_and_holds_up_no_other(site: Site) -> None:
    chassis = site.chassis("c1")
    site.create("a", requested_chassis="c1")
    site.create("b")
    chassis.plug("b")
    chassis.plug("a")
    until(lambda: site.operator.port("a")["up"], "up")
    fault = until(lambda: site.operator.chassis("c1")["faults"].get("port b"), "fault")
    assert "requested on it" in fault
    assert trunkline("sync", "--wait", nb=site.server.remote).code == 0
    assert typed("port set b --requested-chassis c1", site.server.remote).code == 0
    until(lambda: site.operator.port("b")["up"], "up")
    until(lambda: "port b" not in site.operator.chassis("c1")["faults"], "no fault")


def test_a_chassis_that_may_not_have_a_row_forwards_all_the_same(site: Site) -> None:
    """No acknowledgement can be had of it, so that it waits for no registration."""
    site.create("b")
    chassis = site.chassis("c1")
    set_ssl(chassis, site.authority.issue("other"))
    chassis.agent.end()
    site.operator.delete_chassis(["c1"])
    before = len(chassis.flows())
    chassis.plug("b")
    chassis.start_agent(is_settled=False)
    until(lambda: len(chassis.flows()) > before, "flows")
    assert site.operator.all_chassis() == []


def test_a_hostile_chassis_cannot_write_rows_of_others(site: Site) -> None:
    site.create("held", requested_chassis="c1")
    site.create("free")
    honest = site.client("c1")
    honest.transact([insert("Chassis", {"name": "c1"})])
    honest.transact([update("Port", ("name", "==", "held"), row={"chassis": "c1", "up": True})])
    evil = site.client("evil")
    evil.transact([insert("Chassis", {"name": "evil", "hostname": "mine"})])
    evil.transact([update("Chassis", ("name", "==", "evil"), row={"nb_cfg": 7})])
    forbidden(evil, insert("Chassis", {"name": "c2"}))
    forbidden(evil, update("Chassis", ("name", "==", "c1"), row={"nb_cfg": 99}))
    forbidden(evil, update("Chassis", ("name", "==", "evil"), row={"name": "c1"}))
    forbidden(evil, delete("Chassis", ("name", "==", "c1")))
    for name in ("held", "free"):
        forbidden(evil, update("Port", ("name", "==", name), row={"chassis": "evil"}))
        forbidden(evil, update("Port", ("name", "==", name), row={"up": False}))
        forbidden(evil, update("Port", ("name", "==", name), row={"requested_chassis": "evil"}))
        forbidden(evil, delete("Port", ("name", "==", name)))
    assert site.operator.port("held")["chassis"] == "c1"


def test_a_hostile_chassis_cannot_write_more_of_its_own_port_than_the_binding(site: Site) -> None:
    site.create("mine", requested_chassis="evil")
    evil = site.client("evil")
    mine = ("name", "==", "mine")
    evil.transact([update("Port", mine, row={"chassis": "evil", "up": True})])
    changes = {"port_security": False, "mac": "02:00:00:00:00:01", "allowed_address_pairs": ["0.0.0.0/0"]}
    for column, value in (changes | {"requested_chassis": None, "unknown_macs": True}).items():
        forbidden(evil, update("Port", mine, row={column: value}))
    forbidden(evil, update("Port", mine, row={"up": False, "enabled": True}))
    forbidden(evil, delete("Port", mine))


def test_a_hostile_chassis_cannot_write_networks_counters_or_its_own_rights(site: Site) -> None:
    evil = site.client("evil")
    forbidden(evil, update("Network", ("name", "==", "net1"), row={"mtu": 68}))
    forbidden(
        evil,
        insert("Network", {"name": "n", "unique_key": 9, "physical_network": "p", "network_type": "flat"}),
    )
    forbidden(evil, delete("Network", ("name", "==", "net1")))
    forbidden(evil, update("NB_Global", row={"nb_cfg": 0}))
    forbidden(evil, update("Connection", row={"role": ""}))
    forbidden(evil, update("RBAC_Permission", row={"authorization": [""]}))
    forbidden(evil, update("RBAC_Role", row={"name": "x"}))
    forbidden(evil, insert("RBAC_Permission", {"table": "Network", "authorization": [""]}))
    with pytest.raises(RequestError, match=r"only the root role may"):
        evil.rpc.request("convert", [DATABASE, json.loads(SCHEMA_PATH.read_text())], 5)


def test_with_the_claiming_role_any_port_may_be_bound_and_nothing_else_written(cluster: Cluster) -> None:
    site = Site(cluster, "trunkline-chassis-claiming")
    site.create("free")
    chassis = site.chassis("c1")
    chassis.plug("free")
    until(lambda: site.operator.port("free")["up"], "up")
    evil = site.client("evil")
    forbidden(evil, update("Port", ("name", "==", "free"), row={"mac": "02:00:00:00:00:01"}))
    forbidden(evil, update("Chassis", ("name", "==", "c1"), row={"nb_cfg": 99}))
    evil.transact([update("Port", ("name", "==", "free"), row={"up": False})])
    # DESIGN.md section 6, rule 4: level-triggered, it mends itself.
    until(lambda: site.operator.port("free")["up"], "mended")
    site.operator.close()


def test_a_relay_holds_chassis_to_their_role_too(site: Site) -> None:
    site.create("held", requested_chassis="c1")
    # On this one machine the northbound itself has to leave the port to the relay.
    site.server.appctl("ovsdb-server/remove-remote", f"db:{DATABASE},NB_Global,connections")
    relay = site.cluster.server("r", "--relay", site.server.remote, *site.authority.issue("relay").options)
    relay.start()
    evil = site.client("evil")
    assert evil.rpc.request("list_dbs", [], 5) == [DATABASE, "_Server"]
    held = ("name", "==", "held")
    forbidden(evil, update("Port", held, row={"chassis": "evil"}))
    site.client("c1").transact([update("Port", held, row={"chassis": "c1"})])
    assert site.operator.port("held")["chassis"] == "c1"


def test_a_certificate_of_another_authority_is_not_let_in(site: Site) -> None:
    stranger = Authority(site.cluster.folder, "stranger").issue("c1")
    nearly = Certificate(stranger.key, stranger.certificate, site.authority.certificate)
    done = trunkline(*nearly.options, "network", "list", nb=site.remote)
    line = refusal(done, 1)
    assert "TLS" in line or "closed the connection" in line


def test_a_chassis_cannot_issue_itself_the_name_of_another(site: Site) -> None:
    own = site.authority.issue("evil")
    forged = Authority.usurped(own).issue("c1")
    with forged.certificate.open("a") as chain:
        chain.write(own.certificate.read_text())
    nearly = Certificate(forged.key, forged.certificate, site.authority.certificate)
    refusal(trunkline(*nearly.options, "network", "list", nb=site.remote), 1)


def test_what_a_hostile_chassis_can_still_do_is_no_more_than_the_page_says(site: Site) -> None:
    site.create("mine", requested_chassis="evil")
    site.create("other", requested_chassis="c1")
    evil = site.client("evil")
    assert [port["name"] for port in evil.ports()] == ["mine", "other"]
    evil.transact([update("Port", ("name", "==", "mine"), row={"chassis": "c1", "up": True})])
    assert site.operator.port("mine")["chassis"] == "c1"
    lies = {"nb_cfg": 10**6, "faults": {"x" * 10_000: "y"}}
    evil.transact([insert("Chassis", {"name": "evil"} | lies)])
    evil.transact([delete("Chassis", ("name", "==", "evil"))])


def test_a_claimed_port_goes_on_working_where_it_is_requested(cluster: Cluster) -> None:
    site = Site(cluster, "trunkline-chassis-claiming")
    site.create("safe", requested_chassis="c1")
    site.create("free")
    chassis = site.chassis("c1")
    for name in ("safe", "free"):
        chassis.plug(name)
        until(lambda name=name: site.operator.port(name)["up"], "up")  # type: ignore[misc]
    evil = site.client("evil")
    evil.transact([update("Port", row={"chassis": "evil", "up": True})])
    until(lambda: site.operator.port("safe")["chassis"] == "c1", "mended")
    fault = until(lambda: site.operator.chassis("c1")["faults"].get("port free"), "fault")
    assert "chassis evil holds it" in fault
    site.operator.close()


def test_listen_is_refused_if_a_role_could_not_hold(site: Site) -> None:
    line = refusal(trunkline("nb", "listen", "ptcp:1", "--role", ROLE, nb=site.server.remote), 2)
    assert "a role needs pssl:" in line
    line = refusal(trunkline("nb", "listen", "pssl:1", "--role", "root", nb=site.server.remote), 2)
    assert "there is no role" in line
    target = f"pssl:{site.port}:127.0.0.1"
    status = trunkline("nb", "status", "--db", str(site.server.db), "-o", "json")
    assert json.loads(status.out)["connections"] == {target: ROLE}
    assert trunkline("nb", "unlisten", target, nb=site.server.remote) == (0, "", "")
    assert "there are: none" in refusal(trunkline("nb", "unlisten", target, nb=site.server.remote), 1)
