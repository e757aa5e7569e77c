"""`trunkline-neutron` on a controller, typed as an operator does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from neutron_server import BIN, START_S, until
from neutron_site import typed

from trunkline.neutron import switchover
from trunkline.neutron.command import Handing
from trunkline.northbound.client import NetworkSpec, PortSpec
from trunkline.northbound.step import Change, Create, Delete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neutron_site import Site


@pytest.fixture(scope="module")
def without_worker(running: Site) -> Iterator[Site]:
    """Neutron without its worker, so that nobody else repairs a row."""
    periodic = running.neutron.controllers[0].periodic

    def starts() -> int:
        return periodic.log.read_text().count("worker 0 works")

    periodic.end()
    before = starts()
    yield running
    periodic.start()
    until(lambda: starts() > before, "the worker")


@pytest.fixture
def alone(without_worker: Site, site: Site) -> Iterator[Site]:
    """Neutron without its worker; afterwards, the rows that are not Neutron's are deleted."""
    yield site
    for table, rows in (("Port", site.nb.ports()), ("Network", site.nb.networks())):
        mine = [row["name"] for row in rows if row["external_ids"].get("trunkline-set") != "neutron"]
        site.nb.write([Delete(table, name) for name in mine])  # type: ignore[arg-type]


def test_sync_shows_each_row_that_differs_and_writes_it_when_told_to(alone: Site) -> None:
    site = alone
    network, _ = site.network(vlan=140)
    gone, changed = site.port(network), site.port(network, "c2")
    (segment,) = [row["name"] for row in site.nb.networks()]
    assert typed(site, "sync", "--dry-run") == (0, "nothing to do\n", "")

    stale = PortSpec(
        name="stale", network=segment, mac="02:00:00:00:00:99", external_ids={"trunkline-set": "neutron"}
    )
    mine = NetworkSpec(name="mine", network_type="flat", physical_network="physnet1")
    site.nb.write(
        [
            Delete("Port", gone.id),
            Change("Port", changed.id, {"mac": "02:00:00:00:00:01", "requested_chassis": "c1"}),
            Change("Network", segment, {"segmentation_id": 141, "unknown_unicast": "drop"}),
            Create(stale),
            Create(mine),
        ]
    )
    before = site.nb.networks(), site.nb.ports()
    code, shown, said = typed(site, "sync", "--dry-run")
    assert (code, said) == (4, "")
    lines = [line.split() for line in shown.splitlines()]
    assert [line[:3] for line in lines[:-1]] == [
        ["+", "port", gone.id],
        ["~", "network", segment],
        ["~", "port", changed.id],
        ["-", "port", "stale"],
    ]
    assert f"segmentation_id 141 → 140  ({network.name})" in shown
    assert f"mac 02:00:00:00:00:01 → {changed.mac_address}  requested_chassis c1 → c2  (bound to c2)" in shown
    assert "unknown_unicast" not in shown
    assert "1 to add, 2 to change, 1 to delete, 0 unchanged." in shown
    assert (site.nb.networks(), site.nb.ports()) == before

    code, shown, said = typed(site, "sync", "--yes")
    assert (code, shown.splitlines()[-1], said) == (0, "done: 4 rows", "")
    assert {row["name"] for row in site.nb.ports()} == {gone.id, changed.id}
    assert site.row(changed)["mac"] == changed.mac_address
    # What an operator decides stays, and so do the rows that are not Neutron's.
    row = site.nb.network(segment)
    assert (row["segmentation_id"], row["unknown_unicast"]) == (140, "drop")
    assert typed(site, "sync", "--yes") == (0, "nothing to do\n", "")
    site.nb.write([Delete("Network", "mine")])


def test_sync_says_which_row_could_not_be_written_and_why_and_writes_the_others(alone: Site) -> None:
    site = alone
    mine = NetworkSpec(name="mine", network_type="vlan", physical_network="physnet1", segmentation_id=142)
    site.nb.write([Create(mine)])
    network, _ = site.network(vlan=142)
    other, _ = site.network(vlan=143)
    port = site.port(other)
    site.nb.write([Delete("Port", port.id)])
    code, shown, said = typed(site, "sync", "--yes")
    assert code == 1
    assert shown.splitlines()[-1] == "done: 1 row"
    assert "already uses VLAN 142" in said
    assert (network.id in site.networks(), bool(site.row(port))) == (False, True)
    site.nb.write([Delete("Network", "mine")])
    assert typed(site, "sync", "--yes")[0] == 0
    assert network.id in site.networks()
    site.neutron.expect("already uses VLAN 142")


def test_sync_asks_a_person_and_writes_only_after_a_yes(alone: Site) -> None:
    site = alone
    network, _ = site.network(vlan=144)
    port = site.port(network)
    site.nb.write([Delete("Port", port.id)])

    def answered(answer: str) -> tuple[int, str]:
        """Type the command at a terminal, and *answer* once the question is there."""
        ours, theirs = os.openpty()
        argv = [str(BIN / "trunkline-neutron"), "sync", *site.neutron.config_files()]
        with subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asking:
            assert asking.stdout is not None
            shown = b""
            # It ends with the question, or with the program.
            while not shown.endswith(b"Write? [y/N] ") and (more := os.read(asking.stdout.fileno(), 4096)):
                shown += more
            os.write(ours, f"{answer}\n".encode())
            rest, _ = asking.communicate(timeout=START_S)
        os.close(ours)
        os.close(theirs)
        return asking.returncode, (shown + rest).decode()

    code, shown = answered("n")
    assert (code, site.row(port)) == (1, {})
    assert shown.count("1 to add, 0 to change, 0 to delete, 1 unchanged.  Write?") == 1
    assert "nothing was written" in shown
    code, shown = answered("y")
    assert (code, shown.endswith("done: 1 row\n")) == (0, True)
    assert site.row(port)["mac"] == port.mac_address


def test_sync_asks_nobody_who_is_not_there(site: Site) -> None:
    code, shown, said = typed(site, "sync")
    assert (code, shown) == (2, "")
    assert "standard input is not a terminal" in said


def test_what_sync_cannot_read_is_one_line(site: Site, tmp_path: Path) -> None:
    def refused(files: list[str]) -> str:
        code, shown, said = typed(site, "sync", "--dry-run", files=files)
        assert (code, shown, said.count("\n")) == (1, "", 1), said
        return said

    def configured(**options: str) -> list[str]:
        path = tmp_path / "neutron.conf"
        path.write_text(
            "\n".join(
                [
                    "[trunkline]",
                    f"nb_connection = {options.get('nb', site.neutron.remote)}",
                    "[database]",
                    *([f"connection = {options['database']}"] if "database" in options else []),
                ]
            )
        )
        return ["--config-file", str(path)]

    assert "`connection` of [database] is not set" in refused(configured())
    assert "nowhere.conf" in refused(["--config-file", str(tmp_path / "nowhere.conf")])
    away = f"mysql+pymysql://root@localhost/neutron?unix_socket={tmp_path}/none.sock"
    assert "database cannot be read" in refused(configured(database=away))
    empty = f"sqlite:///{tmp_path}/empty.db"
    assert "no such table" in refused(configured(database=empty))
    assert f"{tmp_path}/none.sock" in refused(configured(database=empty, nb=f"unix:{tmp_path}/none.sock"))
    (tmp_path / "bad.conf").write_text("no section\n")
    assert "bad.conf" in refused(["--config-file", str(tmp_path / "bad.conf")])


LEVELS = "neutron.ml2_port_binding_levels"


def driver_of(site: Site, port: Any) -> str:
    return site.neutron.sql(f"select driver from {LEVELS} where port_id = '{port.id}'").strip()


@pytest.fixture
def former(alone: Site) -> tuple[Site, Any, str]:
    """A port of c2 as the Open vSwitch agent's driver has left it; its VM runs. And its segment."""
    network, _ = alone.network(vlan=145)
    port = alone.port(network, "c2")
    alone.vm(port, "c2")
    (segment,) = [row["name"] for row in alone.nb.networks()]
    alone.neutron.sql(f"update {LEVELS} set driver = 'openvswitch' where host = 'c2'")
    assert typed(alone, "sync", "--yes")[0] == 0
    assert alone.row(port) == {}
    return alone, port, segment


def test_a_host_is_adopted_with_the_ports_that_it_has_and_handed_back(former: tuple[Site, Any, str]) -> None:
    site, port, _ = former
    code, shown, said = typed(site, "adopt", "c2", "--dry-run")
    assert (code, said) == (4, "")
    assert f"+ port {port.id}" in shown
    assert "1 port of c2 from openvswitch to trunkline." in shown
    assert (site.row(port), driver_of(site, port)) == ({}, "openvswitch")

    code, shown, said = typed(site, "adopt", "c2", "--yes")
    assert (code, shown.splitlines()[-1], said) == (0, "done: 1 port handed over", "")
    assert (site.row(port)["requested_chassis"], driver_of(site, port)) == ("c2", "trunkline")
    until(lambda: site.row(port)["up"], "the port")
    assert typed(site, "sync", "--dry-run")[0] == 0
    assert "nothing to do" in typed(site, "adopt", "c2", "--yes")[1]

    assert typed(site, "adopt", "c2", "--back", "--yes")[0] == 0
    assert (site.row(port), driver_of(site, port)) == ({}, "openvswitch")


def test_a_host_that_has_no_agent_yet_is_adopted_under_the_name_that_it_will_have(
    former: tuple[Site, Any, str],
) -> None:
    site, port, _ = former
    chassis = site.lab.chassis["c2"]
    chassis.stop_agent()
    try:
        site.nb.write([Delete("Chassis", "c2", may_be_gone=True)])
        code, _, said = typed(site, "adopt", "c2", "--yes")
        assert (code, said.count("\n")) == (1, 1)
        assert "no chassis is called 'c2' yet, or has that hostname; say with --chassis which" in said
        code, shown, _ = typed(site, "adopt", "c2", "--chassis", "c2", "--dry-run")
        assert (code, f"+ port {port.id}" in shown) == (4, True)
        assert [row["name"] for row in site.nb.all_chassis()] == ["c1"]
        code, shown, said = typed(site, "adopt", "c2", "--chassis", "c2", "--yes")
        assert (code, said) == (0, ""), shown
        assert (site.row(port)["requested_chassis"], site.row(port)["up"]) == ("c2", None)
    finally:
        chassis.start_agent()
    until(lambda: site.row(port)["up"], "the port")


def test_a_host_that_neutron_does_not_know_is_no_host_with_nothing_to_do(site: Site) -> None:
    for words in (("--chassis", "c22", "--dry-run"), ("--chassis", "c22", "--yes"), ("--back", "--yes")):
        code, shown, said = typed(site, "adopt", "c22", *words)
        assert (code, shown, said.count("\n")) == (1, "", 1)
        assert "Neutron knows no agent on a host 'c22'" in said


def test_a_line_that_did_not_end_is_told_as_one_that_may_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchover, "TIMEOUT_S", 0.1)
    lines = switchover.Lines(*["exec sleep 600"] * len(switchover.Lines._fields))
    shell = switchover.Shell("c2", ["sh", "-c"], lines, lambda _: None)
    wanted = Handing("c2", "c2", [], "openvswitch", "trunkline", is_new=False)
    with pytest.raises(switchover.SwitchOverError, match="as before, if `exec sleep 600` does not still run"):
        switchover.switch_over(wanted, shell, lambda _: None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            """ml2_port_bindings set vif_details = '{"ovs_hybrid_plug": true}'""",
            "its VM is plugged in through a Linux bridge",
        ),
        (
            """ml2_port_bindings set vif_details = '{"bridge_name": "tbr-0123"}'""",
            "it has a trunk, whose bridge its VM is plugged into",
        ),
        ("ml2_port_bindings set vnic_type = 'direct'", "its vnic type is direct"),
        ("ml2_port_bindings set host = 'elsewhere'", "it is of a distributed router"),
        ("ml2_port_binding_levels set level = 1", "it is bound through another driver"),
    ],
)
def test_what_chassis_cannot_do_is_not_adopted(
    former: tuple[Site, Any, str], change: str, reason: str
) -> None:
    site, port, _ = former
    site.neutron.sql(f"update neutron.{change} where port_id = '{port.id}'")
    code, shown, said = typed(site, "adopt", "c2", "--yes")
    assert (code, shown) == (1, "")
    assert f"port {port.id}: {reason}" in said
    assert (site.row(port), driver_of(site, port)) == ({}, "openvswitch")


def test_a_port_on_a_tunnel_is_not_adopted(former: tuple[Site, Any, str]) -> None:
    site, port, segment = former
    site.neutron.sql(f"update neutron.networksegments set network_type = 'vxlan' where id = '{segment}'")
    try:
        code, shown, said = typed(site, "adopt", "c2", "--yes")
    finally:
        site.neutron.sql(f"update neutron.networksegments set network_type = 'vlan' where id = '{segment}'")
    assert (code, shown) == (1, "")
    assert f"port {port.id}: its network is of type vxlan" in said
    assert driver_of(site, port) == "openvswitch"


def test_an_adoption_that_the_northbound_refuses_leaves_all_as_it_was(former: tuple[Site, Any, str]) -> None:
    site, port, segment = former
    site.nb.write([Create(PortSpec(name="mine", network=segment, mac=port.mac_address))])
    code, shown, said = typed(site, "adopt", "c2", "--yes")
    assert (code, shown.splitlines()[-1]) == (1, "all is as before")
    assert f"port {port.id}: " in said
    assert (site.row(port), driver_of(site, port)) == ({}, "openvswitch")
    site.nb.write([Delete("Port", "mine")])
