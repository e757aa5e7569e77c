"""DESIGN.md section 3: what `sync` covers on a chassis, also if the switch's database is slow to tell."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from relay import HeldRelay, Relay

from trunkline.northbound.sync import LaggingError

pytestmark = pytest.mark.system


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    return site.chassis("c1", is_running=False)


@pytest.fixture
def database(site: Site, chassis: DummyChassis) -> Iterator[HeldRelay]:
    """The way from the switch's database to the agent, which is at work; network and ports are there."""
    rundir = chassis.switch.rundir
    with HeldRelay(rundir / "held.sock", rundir / "db.sock") as relay:
        site.network()
        for port in ("a", "b"):
            site.port(port)
        chassis.start_agent("--ovs", f"unix:{rundir}/held.sock")
        chassis.plug("a")
        site.await_up("a")
        site.sync()
        yield relay
        chassis.check()
        chassis.agent.end()


def lagging(site: Site) -> frozenset[str]:
    """Return the chassis that leave a request unanswered for as long as many turns of their loop take."""
    with pytest.raises(LaggingError) as raised:
        site.sync(0.3)
    return raised.value.lagging


def test_sync_covers_a_vif_that_was_plugged_in_before_it(
    site: Site, chassis: DummyChassis, database: HeldRelay
) -> None:
    database.hold()
    chassis.plug("b")
    assert lagging(site) == {"c1"}
    database.release()
    site.sync()
    assert site.bindings()["b"] == ("c1", True)


def test_sync_covers_a_setting_that_was_written_before_it(
    site: Site, chassis: DummyChassis, database: HeldRelay
) -> None:
    database.hold()
    chassis.set(**{"trunkline-bridge-mappings": "physnet1:br-none"})
    assert lagging(site) == {"c1"}
    database.release()
    site.sync()
    assert "mapping physnet1" in chassis.faults


def test_sync_waits_for_a_switch_whose_database_has_gone_and_covers_what_is_there_when_it_is_back(
    site: Site, chassis: DummyChassis, database: HeldRelay
) -> None:
    database.hold()
    chassis.plug("b")
    assert lagging(site) == {"c1"}
    chassis.switch.kill_ovsdb_server()
    database.release()
    assert lagging(site) == {"c1"}
    chassis.switch.start_ovsdb_server()
    site.sync()
    assert site.bindings()["b"] == ("c1", True)


@pytest.fixture
def trunk(site: Site) -> DummyChassis:
    """A chassis that has loaded the trunk port p with its network, and nothing of its sub-port's."""
    chassis = site.chassis("c1")
    site.network("net1", 101)
    site.network("net2", 102)
    for port in ("a", "p"):
        site.port(port)
    site.port("s", "net2", parent="p", parent_vlan=7)
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    return chassis


def test_the_sub_port_of_a_vif_whose_own_port_is_loaded_comes_up_by_itself(
    site: Site, trunk: DummyChassis
) -> None:
    """DESIGN.md section 5, rule 12: it is asked for a moment later than what concerns the VIF itself."""
    trunk.plug("p")
    site.await_up("p", "s")


def test_sync_covers_the_sub_ports_of_a_vif_that_was_plugged_in_before_it(
    site: Site, trunk: DummyChassis
) -> None:
    trunk.plug("p")
    site.sync()
    assert site.bindings() == dict.fromkeys(("a", "p", "s"), ("c1", True))


class RegistrationRelay(Relay):
    """Keeps a chassis' registration to itself, while it is told to; all else passes."""

    def __init__(self, path: Path, real: Path) -> None:
        self._kept: list[tuple[socket.socket, bytes]] | None = []
        self._lock = threading.Lock()
        super().__init__(path, real)

    def release(self) -> None:
        """Pass on what was kept, and what follows."""
        with self._lock:
            kept, self._kept = self._kept or [], None
            for to, message in kept:
                to.sendall(message)

    def carry(self, source: socket.socket, to: socket.socket, *, is_asking: bool) -> None:
        """Carry what *source* sends to *to*, in whole messages."""
        text = ""
        while data := source.recv(4096):
            text += data.decode()
            while text:
                try:
                    _, end = json.JSONDecoder().raw_decode(text)
                except json.JSONDecodeError:
                    break  # the rest of it is on its way
                message, text = text[:end], text[end:].lstrip()
                with self._lock:
                    if is_asking and self._kept is not None and '"insert"' in message:
                        self._kept.append((to, message.encode()))
                    else:
                        to.sendall(message.encode())


def test_a_chassis_that_the_northbound_has_no_row_of_yet_sends_nothing_that_sync_could_miss(
    site: Site, chassis: DummyChassis
) -> None:
    """The documented way to reuse a VLAN: a `sync` that cannot know the chassis must not be passed by."""
    site.network("net1", 101)
    site.port("a")
    chassis.plug("a")
    hello = ethernet(BROADCAST, mac_of("a"))
    served = Path(site.served.remote.removeprefix("unix:"))
    with RegistrationRelay(site.folder / "held.sock", served) as relay:
        chassis.set(**{"trunkline-nb": f"unix:{site.folder}/held.sock"})
        agent = chassis.start_agent(is_settled=False)
        until(lambda: "northbound read" in agent.log, "rows read")
        for _ in range(3):
            assert not agent.status()["settled"]
        assert chassis.receive("a", hello) == {}
        site.nb.set_network("net1", {"segmentation_id": 102})
        site.sync()
        assert chassis.receive("a", hello) == {}
        relay.release()
        site.await_up("a")
        site.sync()
        assert chassis.receive("a", hello) == {"nic-br-phys1": [ethernet(BROADCAST, mac_of("a"), 102)]}
        chassis.check()
        agent.end()
