"""Two controllers at one northbound: their writers, their workers, their agents, and what may befall them."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from neutron_server import START_S, opened, until
from neutron_site import Site, api_of, used
from openstack.exceptions import BadRequestException, ConflictException, HttpException, NotFoundException
from tls_listener import Listener, speak_tls

from model.tcp_port import free_port
from trunkline.lab import Lab
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import select

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIN = {"agent_down_time": "24", "vlan_qinq": "true"}
OPTIONS = {"status_workers": "2", "security_groups": "ignore", "compare_interval": "3600"}
"""Whatever is in place has not waited for the comparison that comes without a reason."""

IGNORED = "[trunkline] security_groups = ignore"
"""What each program warns of when it starts."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site of two controllers; chassis c1 is in rack 1, and c2 in rack 2.

    The API and the workers reach the northbound by TLS, each at a listener of their own.
    """
    plans = tuple(ChassisPlan(f"c{n}", (("physnet1", "br-phys1"), (f"rack{n}", "br-rack"))) for n in (1, 2))
    topology = Topology(f"n2-{os.getpid()}", ("physnet1", "rack1", "rack2"), chassis=plans)
    with Lab.up(topology) as lab, Northbound.connect(lab.nb.remote) as nb:
        options = OPTIONS | speak_tls(lab, tmp_path_factory.mktemp("tls"))
        for_api, for_workers = Listener(nb, free_port()), Listener(nb, free_port())
        for listener in (for_api, for_workers):
            listener.open()
        with opened(for_api.remote, 2, MAIN, for_workers.remote, **options) as neutron:
            site = Site(neutron, lab, nb)
            until(lambda: alive(site) == {"c1", "c2"}, "the agents of the chassis")
            neutron.expect(IGNORED)
            yield site


@pytest.fixture
def api_listener(site: Site) -> Iterator[Listener]:
    """Return where the API reaches the northbound; it listens, and probes as by default, after the test."""
    listener = Listener(site.nb, int(site.neutron.remote.rpartition(":")[2]))
    yield listener
    listener.open()
    listener.probe(None)


@pytest.fixture
def site(pair: Site) -> Iterator[Site]:
    with used(pair) as site:
        site.neutron.allow(IGNORED)
        # One that was killed has not been asked for a while.
        until(lambda: {"c1", "c2"} <= alive(site), "the agents of the chassis")
        yield site


_addresses = itertools.count(1)


def alive(site: Site) -> set[str]:
    return {host for host, agent in site.agents().items() if agent.is_alive}


def chassis_id(site: Site, name: str) -> str:
    """Return the UUID of the row of a chassis, "" if there is none."""
    (rows,) = site.nb.read(select("Chassis", ("name", "==", name), only=("_uuid",)))
    return "".join(row["_uuid"] for row in rows)


def working(site: Site, number: int) -> Any:
    """Return the controller of which the worker *number* was the last that began to work."""
    words = f"worker {number} works"
    found: list[Any] = []

    def works() -> bool:
        found[:] = [each for each in site.neutron.controllers if words in each.periodic.log.read_text()]
        return bool(found)

    until(works, f"worker {number}")
    return max(found, key=lambda each: _last_time(each.periodic.log.read_text(), words))


def _last_time(text: str, words: str) -> str:
    return next(line[:23] for line in reversed(text.splitlines()) if words in line)


@contextmanager
def controller_without_workers(site: Site, controller: Any) -> Iterator[None]:
    """Kill the workers of a controller, and start them again afterwards."""
    controller.periodic.kill_all()
    try:
        yield
    finally:
        controller.periodic.start()


def test_writers_at_both_controllers_leave_in_the_northbound_what_neutron_says(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network)
    apis = [api_of(site.neutron.controllers[n % 2].url) for n in range(8)]
    numbers = itertools.count(1)
    refused: list[Exception] = []

    def write(api: Any, number: int) -> None:
        try:
            api.update_port(port.id, allowed_address_pairs=[{"ip_address": f"198.51.{number}.1"}])
        except (ConflictException, NotFoundException) as error:
            # Neutron itself says that somebody else was faster, or its process has only just begun.
            refused.append(error)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(write, apis, itertools.islice(numbers, 8)))
            # Neutron may keep the pairs of several writers.
            pairs = site.api.get_port(port.id).allowed_address_pairs
            wanted = sorted(f"{pair['mac_address']},{pair['ip_address']}" for pair in pairs)
            assert site.row(port)["allowed_address_pairs"] == wanted
    # Of those at once, one succeeds.
    assert len(refused) < 20 * 8


def test_the_worker_is_called_for_what_calls_could_not_write(site: Site, api_listener: Listener) -> None:
    network, _ = site.network()
    gone = site.port(network)
    api_listener.close()
    made = site.port(network)
    site.api.delete_port(gone)
    # The worker has lost nothing, and does not know. It may compare `gone`, whose row is new, at any moment.
    assert site.row(made) == {}
    api_listener.open()
    until(lambda: site.row(made) and not site.row(gone), "the rows")
    site.neutron.expect("left to the worker", "the worker is called")


def api_writes(site: Site, port: Any) -> bool:
    """Return whether a change of *port* is in the northbound when the call returns."""
    pairs = [{"ip_address": f"198.51.100.{next(_addresses)}"}]
    site.api.update_port(port, allowed_address_pairs=pairs)
    return bool(site.row(port)["allowed_address_pairs"] == [f"{port.mac_address},{pairs[0]['ip_address']}"])


def test_a_call_writes_though_the_server_has_ended_all_idle_connections(
    site: Site, api_listener: Listener
) -> None:
    network, _ = site.network()
    ports = [site.port(network) for _ in range(3)]
    assert api_listener.client_count() > 0
    api_listener.probe(1000)
    for _ in range(2):
        until(lambda: api_listener.client_count() == 0, "the server to end idle connections")
        for port in ports:
            assert api_writes(site, port)


@pytest.mark.parametrize("number", [0, 1])
def test_the_workers_of_the_other_controller_take_over_when_one_is_killed(site: Site, number: int) -> None:
    network, _ = site.network()
    # Of these, each of the two workers has some.
    ports = [site.port(network) for _ in range(6)]
    with controller_without_workers(site, working(site, number)):
        for port in ports:
            site.vm(port)
        for port in ports:
            site.await_status(port, "ACTIVE")
    for port in ports:
        site.await_event(port, "network-vif-plugged")


def test_a_delete_that_was_lost_is_made_up_for_when_it_is_in_the_way(site: Site) -> None:
    network, _ = site.network(vlan=140)
    port = site.port(network)
    site.neutron.sql(f"use neutron; delete from ports where id = '{port.id}'")
    site.neutron.sql("use neutron; update ml2_vlan_allocations set allocated = 0 where vlan_id = 140")
    site.neutron.sql(f"use neutron; delete from subnets where network_id = '{network.id}'")
    site.neutron.sql(f"use neutron; delete from networks where id = '{network.id}'")
    other, _ = site.network(vlan=140)
    fine = site.port(other)
    until(lambda: site.row(fine) and not site.row(port), "the rows of what is there now")
    assert site.networks().keys() == {other.id}
    site.neutron.expect("already uses VLAN 140")


def test_neutrons_database_goes_away_and_comes_back(site: Site) -> None:
    # So what is committed survives the kill.
    site.neutron.sql("use neutron; set global innodb_flush_log_at_trx_commit = 1")
    words = "Neutron's database is away"
    network, _ = site.network()
    port, gone = site.port(network), site.port(network)
    with ThreadPoolExecutor(1) as pool:
        site.neutron.database.end(kill=True)
        try:
            # Neutron tries for about a minute. Then it says so, if the database is not back.
            made = pool.submit(api_of(site.neutron.controllers[1].url).create_port, network_id=network.id)
            site.vm(port)
            until(lambda: words in site.neutron.logs(), "the worker's word")
        finally:
            site.neutron.start_database()
        site.await_status(port, "ACTIVE")
        assert isinstance(made.exception(START_S), HttpException | None)
    site.api.delete_port(gone)
    until(lambda: not site.row(gone), "the end of the row")
    site.neutron.expect(words)
    # A connection that is being given back at that moment is logged by SQLAlchemy with a traceback.
    site.neutron.allow("sqlalchemy.pool")
    # However long it is away, each of the four workers says so once; twice, if it has begun to come back.
    assert sum(words in line for line in site.neutron.logs().splitlines()) <= 8


def test_an_agent_lives_while_its_chassis_answers_and_failed_ports_are_bound_when_it_is_back(
    site: Site,
) -> None:
    network, _ = site.network()
    c2 = site.lab.chassis["c2"]
    c2.kill_agent()
    try:
        until(lambda: alive(site) == {"c1"}, "the agent of c2 to be dead")
        port = site.port(network, "c2")
        assert port.binding_vif_type == "binding_failed"
        assert site.row(port) == {}
    finally:
        c2.start_agent()
    until(lambda: alive(site) == {"c1", "c2"}, "the agent of c2")
    until(lambda: site.row(port), "the port's row")
    assert site.api.get_port(port.id).binding_vif_type == "ovs"
    site.vm(port, "c2")
    site.await_status(port, "ACTIVE")


def test_agents_are_soon_what_they_are_though_the_clock_was_set_by_an_hour(site: Site) -> None:
    """Neutron compares a heartbeat with its clock, so a clock that is set is a heartbeat that is not."""

    def shift(host: str, hours: int) -> None:
        wrong = f"date_add(utc_timestamp(), interval {hours} hour)"
        site.neutron.sql(
            f"use neutron; update agents set heartbeat_timestamp = {wrong} where host = '{host}'"
        )

    network, _ = site.network()
    c2 = site.lab.chassis["c2"]
    c2.kill_agent()
    try:
        # The clock goes forward: nobody seems to live. It goes back: the dead seem to live.
        shift("c1", -1)
        shift("c2", 1)
        until(lambda: alive(site) == {"c1"}, "the agents to be what they are")
    finally:
        c2.start_agent()
    until(lambda: alive(site) == {"c1", "c2"}, "the agent of c2")
    port = site.port(network)
    site.vm(port)
    site.await_status(port, "ACTIVE")


def test_what_neutron_knows_of_a_chassis_is_right_after_the_next_heartbeat(site: Site) -> None:
    site.neutron.sql("use neutron; update agents set configurations = '{}' where host = 'c1'")
    until(lambda: site.agents()["c1"].configuration.get("chassis") == "c1", "the agent's configurations")


def test_the_chassis_of_a_deleted_agent_goes_and_a_live_one_registers_again(site: Site) -> None:
    network, _ = site.network()
    port = site.port(network)
    site.vm(port)
    site.await_status(port, "ACTIVE")
    before, agent = chassis_id(site, "c1"), site.agents()["c1"]
    site.api.delete_agent(agent.id)
    until(lambda: chassis_id(site, "c1") not in ("", before), "a new row of the chassis")
    until(lambda: agent.id != getattr(site.agents().get("c1"), "id", agent.id), "a new agent")
    site.await_status(port, "ACTIVE")


def test_a_host_with_another_name_for_neutron_than_for_its_chassis_is_told_of(site: Site) -> None:
    network, _ = site.network()
    c2, old = site.lab.chassis["c2"], site.agents()["c2"]
    c2.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:hostname=c2.example.org")
    try:
        until(lambda: "c2.example.org" in alive(site), "the agent by its new name")
        before = chassis_id(site, "c2")
        site.api.delete_agent(old.id)
        # The agent was a leftover, and the chassis is not.
        assert chassis_id(site, "c2") == before
        assert site.port(network, "c2").binding_vif_type == "binding_failed"
        site.neutron.expect("no chassis has the hostname c2, but one has c2.example.org")
        port = site.port(network, "c2.example.org")
        site.vm(port, "c2")
        site.await_status(port, "ACTIVE")
    finally:
        c2.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:hostname=c2")
        until(lambda: "c2" in alive(site), "the agent by its old name")
        site.api.delete_agent(site.agents()["c2.example.org"].id)


def test_a_routed_network_has_a_segment_and_a_subnet_for_each_rack(site: Site) -> None:
    network = site.api.create_network(
        provider_network_type="vlan", provider_physical_network="rack1", provider_segmentation_id=150
    )
    (first,) = site.api.segments(network_id=network.id)
    second = site.api.create_segment(
        network_id=network.id, network_type="vlan", physical_network="rack2", segmentation_id=151
    )
    for number, segment in enumerate((first, second), 1):
        site.api.create_subnet(
            network_id=network.id,
            segment_id=segment.id,
            ip_version=4,
            cidr=f"10.77.{number}.0/24",
            enable_dhcp=False,
        )
    rows = {row["name"]: (row["physical_network"], row["segmentation_id"]) for row in site.nb.networks()}
    assert rows == {first.id: ("rack1", 150), second.id: ("rack2", 151)}
    ports = [site.port(network, host) for host in ("c1", "c2")]
    assert [port.fixed_ips[0]["ip_address"].split(".")[2] for port in ports] == ["1", "2"]
    assert [site.row(port)["network"] for port in ports] == [first.id, second.id]
    for port, chassis in zip(ports, ("c1", "c2"), strict=True):
        site.vm(port, chassis)
        site.await_status(port, "ACTIVE")


def test_a_flat_and_a_transparent_network_carry_what_they_should(site: Site) -> None:
    flat, _ = site.network(provider_network_type="flat", provider_physical_network="rack1")
    transparent, _ = site.network(is_vlan_transparent=True)
    rows = site.networks()
    assert (rows[flat.id]["network_type"], rows[flat.id]["segmentation_id"]) == ("flat", None)
    assert rows[transparent.id]["vlan_transparent"] is True
    port = site.port(flat)
    vm = site.vm(port)
    site.await_status(port, "ACTIVE")
    host = site.host(None, vm.ip.rpartition(".")[0] + ".254", "rack1")
    assert vm.ping(host.ip, count=3).lost == 0


def test_groups_that_are_ignored_are_offered(site: Site) -> None:
    network, _ = site.network()
    assert "security-group" in {each.alias for each in site.api.extensions()}
    group = site.api.create_security_group(name="all")
    port = site.port(network, security_groups=[group.id])
    assert (port.security_group_ids, bool(site.row(port))) == ([group.id], True)
    site.api.delete_port(port)
    site.api.delete_security_group(group)


def test_what_chassis_cannot_do_is_refused_with_the_reason(site: Site) -> None:
    network, _ = site.network()
    with pytest.raises(BadRequestException, match="no distributed router"):
        site.api.create_port(network_id=network.id, device_owner="network:router_interface_distributed")
    plain = site.api.create_port(network_id=network.id)
    with pytest.raises(BadRequestException, match="no distributed router"):
        site.api.update_port(plain, device_owner="network:router_interface_distributed")
    # One that was there before the driver was stays usable, on the hosts of another driver.
    site.neutron.sql(
        "update neutron.ports set device_owner = 'network:router_interface_distributed' "
        f"where id = '{plain.id}'"
    )
    assert site.api.update_port(plain, name="router").name == "router"
    site.neutron.sql(f"update neutron.ports set device_owner = '' where id = '{plain.id}'")
    with pytest.raises(HttpException, match=r"(?i)qinq"):
        site.api.create_network(provider_network_type="vlan", is_vlan_qinq=True)
    policy = site.api.create_qos_policy(name="slow")
    try:
        site.api.create_qos_bandwidth_limit_rule(policy, max_kbps=1000)
        port = site.port(network)
        with pytest.raises(ConflictException):
            site.api.update_port(port, qos_policy_id=policy.id)
    finally:
        site.api.delete_qos_policy(policy)
    unbound = site.port(network, binding_vnic_type="direct")
    assert unbound.binding_vif_type == "binding_failed"
