"""Connections of a replica: by host name, and any number of them, one after the other."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import ovs.db.idl
import ovs.poller
import pytest
from dummy_chassis import Site, until
from program import typed

from model.tcp_port import free_port
from trunkline.northbound.rpc import UnreachableError
from trunkline.ovsdb import lookup
from trunkline.ovsdb.lookup import Name
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.reading import Reading

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system


def run_until(replica: NorthboundReplica, is_so: Callable[[], bool]) -> None:
    while not is_so():
        replica.run()
        poller = ovs.poller.Poller()
        replica.wait(poller)
        poller.timer_wait(1000)
        poller.block()


def test_a_connection_leaves_nothing_behind_when_another_takes_its_place(nb: Served) -> None:
    replica = NorthboundReplica(nb.remote, "c1")
    run_until(replica, lambda: replica.is_connected)

    def count_after(connections: int) -> int:
        for _ in range(connections):
            session = replica.session
            replica._idl.force_reconnect()
            run_until(replica, lambda session=session: replica.is_connected and replica.session != session)  # type: ignore[misc]
        gc.collect()
        return sum(isinstance(each, ovs.db.idl.IdlTable) for each in gc.get_objects())

    assert count_after(1) == count_after(3)
    replica.close()


@pytest.fixture
def port(site: Site) -> int:
    """The port of the loopback interface that the northbound listens on, too."""
    port = free_port()
    done = typed(f"nb listen ptcp:{port}:127.0.0.1", nb=site.served.remote)
    assert done == (0, "", "")
    return port


def test_a_chassis_finds_its_northbound_by_a_host_name(site: Site, port: int) -> None:
    chassis = site.chassis("c1", is_running=False)
    chassis.set(**{"trunkline-nb": f"tcp:localhost:{port}"})
    chassis.start_agent()
    site.sync()


def test_a_reading_tries_every_address_of_a_name(
    site: Site, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis = site.chassis("c1")
    site.sync()
    # The northbound listens at the last of them.
    name = Name("nb.test", lambda _: ["127.0.0.3", "127.0.0.2", "127.0.0.1"])
    monkeypatch.setitem(lookup._name_by_host, "nb.test", name)
    reading = Reading(chassis.switch.remote, f"tcp:nb.test:{port}")
    with closing(reading):
        reading.read()


def test_a_reading_gives_up_once_no_address_of_a_name_answers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis = site.chassis("c1")
    monkeypatch.setitem(
        lookup._name_by_host, "nb.test", Name("nb.test", lambda _: ["127.0.0.3", "127.0.0.2"])
    )
    reading = Reading(chassis.switch.remote, f"tcp:nb.test:{free_port()}")
    with closing(reading), pytest.raises(UnreachableError, match="Connection refused"):
        reading.read()


def test_a_host_name_that_is_not_found_is_a_fault_until_it_is_corrected(site: Site, port: int) -> None:
    chassis = site.chassis("c1")
    chassis.set(**{"trunkline-nb": f"tcp:no-such-host.invalid:{port}"})
    not_found = "host no-such-host.invalid of trunkline-nb is not found: "
    until(lambda: chassis.faults.get("northbound", "").startswith(not_found), "fault")
    chassis.set(**{"trunkline-nb": f"tcp:localhost:{port}"})
    until(lambda: "northbound" not in chassis.faults, "fault gone")
    site.sync()
    assert chassis.agent.log.count("host name not found") == 1
