"""The northbound is away, hangs, or is edited by hand: calls succeed, and all is in place afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from neutron_server import until
from neutron_site import api_of, typed

from model import page
from trunkline.lab.journal import Daemon
from trunkline.neutron.steward import PAUSE_S
from trunkline.northbound.client import NetworkSpec
from trunkline.northbound.schema import DATABASE
from trunkline.northbound.step import Change, Create, Delete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from neutron_site import Site


def test_a_northbound_that_is_killed_fails_no_call_and_all_is_in_place_when_it_is_back(site: Site) -> None:
    network, _ = site.network(vlan=115)
    kept, gone = site.port(network), site.port(network)
    vm = site.vm(kept)
    host = site.host(115, vm.ip.rpartition(".")[0] + ".254")
    site.await_status(kept, "ACTIVE")
    assert vm.ping(host.ip).lost == 0
    site.lab.nb.kill()
    try:
        made = site.port(network, "c2")
        site.api.delete_port(gone)
        site.api.update_network(network, mtu=1300)
        other, _ = site.network()
        assert vm.ping(host.ip).lost == 0
    finally:
        site.lab.nb.start()
    until(lambda: site.row(made) and not site.row(gone), "the rows of ports")
    until(lambda: site.networks()[network.id]["mtu"] == 1300 and other.id in site.networks(), "the others")
    site.vm(made, "c2")
    site.await_status(made, "ACTIVE")
    assert site.status(kept) == "ACTIVE"
    site.neutron.expect("left to the worker", "the northbound is away")


def test_a_northbound_that_hangs_holds_up_one_call_for_its_limit_and_no_other(site: Site) -> None:
    network, _ = site.network()
    pid = site.lab.nb.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        port = site.port(network)
        for number in range(8):
            pairs = [{"ip_address": f"192.0.2.{number}"}]
            site.api.update_port(port, allowed_address_pairs=pairs)
        # One in each process of the API waited; without a limit it would have waited for a minute.
        waited = site.neutron.logs().count("left to the worker")
        assert 1 <= waited <= 2
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: site.row(port).get("allowed_address_pairs") == [f"{port.mac_address},192.0.2.7"], "the row")
    # oslo.log adds the error that is being handled to a line.
    assert [line for line in site.neutron.logs().splitlines() if "rpc.UnreachableError" in line] == []
    site.neutron.expect("left to the worker")
    site.neutron.allow("the northbound is away")


def test_what_somebody_does_to_rows_of_the_driver_is_undone_at_once(site: Site) -> None:
    network, _ = site.network(vlan=120)
    port = site.port(network)
    vm = site.vm(port)
    site.await_status(port, "ACTIVE")
    (segment,) = [row["name"] for row in site.nb.networks()]
    site.nb.write([Delete("Port", port.id)])
    until(lambda: site.row(port), "the port's row")
    site.nb.write([Change("Port", port.id, {"mac": "02:00:00:00:00:01"})])
    until(lambda: site.row(port)["mac"] == port.mac_address, "the port's MAC")
    site.nb.write([Change("Network", segment, {"segmentation_id": 121})])
    until(lambda: site.networks()[network.id]["segmentation_id"] == 120, "the network's VLAN")
    # What an operator decides stays.
    site.nb.write([Change("Network", segment, {"unknown_unicast": "drop"})])
    site.api.update_network(network, mtu=1450)
    assert site.networks()[network.id]["unknown_unicast"] == "drop"
    site.await_status(port, "ACTIVE")
    assert vm.name in site.lab.vm


def test_a_row_that_somebody_changes_again_and_again_is_compared_twice_a_second_at_most(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network)
    rounds, began_s = 6, time.monotonic()
    for _ in range(rounds):
        site.nb.write([Change("Port", port.id, {"mac": "02:00:00:00:00:01"})])
        until(lambda: site.row(port)["mac"] == port.mac_address, "the port's MAC")
    # Between the first and the last are five pauses. One comparison may have been of everything.
    assert time.monotonic() - began_s >= (rounds - 2) * PAUSE_S


def test_a_vlan_that_an_operators_network_has_is_a_fault_until_it_is_free(site: Site) -> None:
    mine = NetworkSpec(name="mine", network_type="vlan", physical_network="physnet1", segmentation_id=130)
    site.nb.write([Create(mine)])
    try:
        network, _ = site.network(vlan=130)
        port = site.port(network)
        fine, _ = site.network(vlan=131)
        assert (site.row(port), fine.id in site.networks()) == ({}, True)
        site.neutron.expect("already uses VLAN 130")
        # The worker knows the network's fault, and says that of each new port.
        until(lambda: f"port {port.id}: its network was refused" in worker_log(site), "the worker's word")
        late, beside = site.port(network), site.port(fine)
        until(lambda: f"port {late.id}: its network was refused" in worker_log(site), "the worker's word")
        assert site.row(beside)
        assert site.nb.network("mine")["segmentation_id"] == 130
    finally:
        site.nb.write([Delete("Network", "mine")])
    until(lambda: site.row(port) and site.row(late), "the rows of the ports")


def test_a_network_that_is_no_longer_the_drivers_gets_no_port_until_it_is_deleted(site: Site) -> None:
    network, _ = site.network(vlan=132)
    (segment,) = (row["name"] for row in site.nb.networks())
    site.nb.write([Change("Network", segment, {"external_ids": {"owner": "me"}})])
    taken = f"network {segment}: a network of this name is there, and not the driver's; delete or rename it"
    until(lambda: taken in worker_log(site), "the worker's word")
    port = site.port(network)
    site.api.update_network(network, mtu=1300)
    until(lambda: f"port {port.id}: its network was refused" in worker_log(site), "the worker's word")
    assert (site.row(port), site.nb.network(segment)["mtu"]) == ({}, 1500)
    site.neutron.expect("not the driver's")
    site.nb.write([Delete("Network", segment)])
    until(lambda: site.row(port), "the port's row")
    assert site.networks()[network.id]["mtu"] == 1300


def worker_log(site: Site) -> str:
    return site.neutron.controllers[0].periodic.log.read_text()


def test_an_mtu_that_the_northbound_cannot_have_is_no_error_of_the_user(site: Site) -> None:
    network = site.api.create_network(
        provider_network_type="vlan", provider_physical_network="physnet1", mtu=67
    )
    assert site.networks()[network.id]["mtu"] is None


def test_a_northbound_that_is_restored_from_a_backup_amid_calls_ends_as_neutron_says(
    site: Site, tmp_path: Path
) -> None:
    network, _ = site.network()
    kept, gone = site.port(network), site.port(network)
    site.vm(kept)
    site.await_status(kept, "ACTIVE")
    site.lab.nb.trunkline("nb", "backup", str(tmp_path / "nb.db"))
    site.api.delete_port(gone)
    site.api.update_network(network, mtu=1300)
    apis = [api_of(site.neutron.controllers[0].url) for _ in range(2)]

    def makes(api: Any) -> list[str]:
        return [api.create_port(network_id=network.id, binding_host_id="c1").id for _ in range(8)]

    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(makes, api) for api in apis]
        until(lambda: len(site.nb.ports()) > 2, "the first of the new ports")
        with (tmp_path / "nb.db").open() as copy:
            subprocess.run(
                ["ovsdb-client", "restore", site.lab.nb.remote, DATABASE], stdin=copy, check=True, timeout=60
            )
        wanted = {kept.id, *(each for ids in made for each in ids.result())}
    until(lambda: {row["name"] for row in site.nb.ports()} == wanted, "the rows of all ports, and no other")
    until(lambda: site.networks()[network.id]["mtu"] == 1300, "the network's MTU")
    assert typed(site, "sync", "--dry-run") == (0, "nothing to do\n", "")
    site.await_status(kept, "ACTIVE")


@contextmanager
def instead(site: Site, db: Path) -> Iterator[None]:
    """Serve the file *db* where the northbound is, instead of it."""
    place, pidfile = site.lab.nb.directory, db.with_suffix(".pid")
    site.lab.nb.stop()
    try:
        subprocess.run(
            [
                *("ovsdb-server", "--detach", "--no-chdir", f"--pidfile={pidfile}", "--unixctl=none"),
                *(f"--remote=punix:{place}/nb.sock", str(db)),
            ],
            check=True,
            timeout=60,
        )
        try:
            yield
        finally:
            Daemon(pidfile).end()
    finally:
        site.lab.nb.start()


def of_another_name(form: dict[str, Any]) -> None:
    form["name"] = "Somebody_Elses"


def without_a_column(form: dict[str, Any]) -> None:
    del form["tables"]["Port"]["columns"]["port_security"]


@pytest.mark.parametrize("change", [of_another_name, without_a_column])
def test_a_northbound_of_another_schema_fails_no_call_and_all_is_in_place_when_it_is_the_right_one(
    site: Site, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    form = json.loads((page.ROOT / "src/trunkline/northbound/trunkline-nb.ovsschema").read_text())
    change(form)
    db, schema = tmp_path / "other.db", tmp_path / "other.ovsschema"
    schema.write_text(json.dumps(form))
    subprocess.run(["ovsdb-tool", "create", str(db), str(schema)], check=True, timeout=60)
    network, _ = site.network()
    gone = site.port(network)
    with instead(site, db):
        made = site.port(network)
        site.api.delete_port(gone)
        until(lambda: "the northbound is away" in site.neutron.logs(), "the worker's word")
    until(lambda: site.row(made) and not site.row(gone), "the rows")
    site.vm(made)
    site.await_status(made, "ACTIVE")
    site.neutron.expect("left to the worker", "the northbound is away")


def test_a_northbound_that_may_only_be_read_fails_no_call_and_all_is_in_place_when_it_may_be_written(
    site: Site,
) -> None:
    def control(*words: str) -> None:
        subprocess.run(
            ["ovs-appctl", "-t", str(site.lab.nb.directory / "nb.ctl"), *words], check=True, timeout=60
        )

    network, _ = site.network()
    gone = site.port(network)
    # As the backup of a server that is away (ovsdb-server(1)).
    control("ovsdb-server/set-active-ovsdb-server", "unix:/nowhere.sock")
    control("ovsdb-server/connect-active-ovsdb-server")
    try:
        made = site.port(network)
        site.api.delete_port(gone)
        assert (site.row(made), bool(site.row(gone))) == ({}, True)
    finally:
        control("ovsdb-server/disconnect-active-ovsdb-server")
    until(lambda: site.row(made) and not site.row(gone), "the rows")
    site.vm(made)
    site.await_status(made, "ACTIVE")
    site.neutron.expect("left to the worker", "permission denied: this connection may only read")
