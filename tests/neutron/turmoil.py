"""Users who change the same networks, ports and trunks at once: in the end the northbound is as Neutron says.

They are at two controllers, and the one whose worker works is killed in the middle. No comparison of
everything is due while this runs, so whatever a call has lost stays lost. Each run is another one, so it runs
only if its file is named: `.venv-neutron-29/bin/pytest tests/neutron/turmoil.py`.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from keystoneauth1.exceptions import ConnectFailure  # type: ignore[import-not-found]  # has no types
from neutron_server import opened, until
from neutron_site import Site, api_of, typed
from openstack.exceptions import HttpException

from trunkline.lab import Lab
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = 6
CHANGES = 60

OF_A_ROW = re.compile(r"Trunkline: (port|network) [0-9a-f-]{36}: ")
"""What is said of a row that cannot be yet: users may well ask for a trunk on a sub-port, or take the VLAN of
a network before its own change is written. In the end, every row has to be."""


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a site of two controllers."""
    plans = tuple(ChassisPlan(name, (("physnet1", "br-phys1"),)) for name in ("c1", "c2"))
    topology = Topology(f"nt-{os.getpid()}", ("physnet1",), chassis=plans)
    with (
        Lab.up(topology) as lab,
        Northbound.connect(lab.nb.remote) as nb,
        opened(lab.nb.remote, 2, {"agent_down_time": "3600"}, compare_interval="3600") as neutron,
    ):
        site = Site(neutron, lab, nb)
        until(lambda: {"c1", "c2"} <= site.agents().keys(), "the agents of the chassis")
        yield site


class User:
    """One who makes *CHANGES* changes of objects that others change too.

    Who gets no answer goes on at the other controller.
    """

    def __init__(self, site: Site, number: int, networks: list[Any]) -> None:
        self._draw = random.Random(number)
        urls = [each.url for each in site.neutron.controllers]
        self._urls = itertools.cycle(urls[number % 2 :] + urls[: number % 2])
        self._api = api_of(next(self._urls))
        self._networks = networks
        self.answers: Counter[str] = Counter()

    def act(self) -> None:
        kinds = [self.make, self.make_many, self.move, self.move, self.change, self.delete]
        kinds += [self.change_network, self.make_trunk, self.change_trunk, self.delete_trunk]
        for _ in range(CHANGES):
            kind = self._draw.choice(kinds)
            try:
                kind()
            except ConnectFailure:
                self.answers["no answer"] += 1
                self._api = api_of(next(self._urls))
            except HttpException as error:
                # Neutron says that somebody else was faster, or that it is in use.
                self.answers[f"{kind.__name__} {error.status_code}"] += 1
            except IndexError:
                self.answers[f"{kind.__name__}: there is none"] += 1
            else:
                self.answers[kind.__name__] += 1

    def _port(self) -> Any:
        return self._draw.choice(list(self._api.ports()))

    def _trunk(self) -> Any:
        return self._draw.choice(list(self._api.trunks()))

    def _new(self) -> dict[str, Any]:
        host = self._draw.choice(["c1", "c2", ""])
        network = self._draw.choice(self._networks)
        return {"network_id": network.id, "binding:host_id": host, "device_owner": "compute:nova"}

    def make(self) -> None:
        self._api.create_port(**self._new())

    def make_many(self) -> None:
        self._api.create_ports([self._new() for _ in range(3)])

    def move(self) -> None:
        self._api.update_port(self._port(), binding_host_id=self._draw.choice(["c1", "c2", ""]))

    def change(self) -> None:
        pairs = [{"ip_address": f"198.51.100.{self._draw.randrange(250)}"}]
        self._api.update_port(
            self._port(), allowed_address_pairs=pairs, is_admin_state_up=self._draw.random() < 0.5
        )

    def delete(self) -> None:
        self._api.delete_port(self._port())

    def change_network(self) -> None:
        vlan = self._draw.randrange(500, 510)
        self._api.update_network(self._draw.choice(self._networks), provider_segmentation_id=vlan)

    def _sub_ports(self) -> list[dict[str, Any]]:
        tag = self._draw.randrange(1, 5)
        return [{"port_id": self._port().id, "segmentation_type": "vlan", "segmentation_id": tag}]

    def make_trunk(self) -> None:
        self._api.create_trunk(port_id=self._port().id, sub_ports=self._sub_ports())

    def change_trunk(self) -> None:
        trunk = self._trunk()
        if trunk.sub_ports and self._draw.random() < 0.5:
            self._api.delete_trunk_subports(trunk, [{"port_id": trunk.sub_ports[0]["port_id"]}])
        else:
            self._api.add_trunk_subports(trunk, self._sub_ports())

    def delete_trunk(self) -> None:
        self._api.delete_trunk(self._trunk())


def kill_host_of_worker(site: Site) -> None:
    """Kill the API and the workers of the controller whose worker works."""
    host = next(
        each for each in site.neutron.controllers if "worker 0 works" in each.periodic.log.read_text()
    )
    host.api.kill_all()
    host.periodic.kill_all()
    if host is site.neutron.controllers[0]:
        site.api = api_of(site.neutron.controllers[1].url)


def test_whatever_users_do_at_once_the_northbound_is_as_neutron_says_in_the_end(site: Site) -> None:
    networks = [site.network()[0] for _ in range(4)]
    users = [User(site, number, networks) for number in range(USERS)]
    with ThreadPoolExecutor(USERS) as pool:
        work = [pool.submit(user.act) for user in users]
        half = USERS * CHANGES // 2
        until(lambda: sum(user.answers.total() for user in users) >= half, "half of the changes")
        kill_host_of_worker(site)
        for each in work:
            each.result()
    answers = sum((user.answers for user in users), Counter[str]())
    differs: list[Any] = [None]

    def is_equal() -> bool:
        differs[0] = typed(site, "sync", "--dry-run")
        return bool(differs[0][0] == 0)

    try:
        until(is_equal, "a northbound that is as Neutron says")
    finally:
        print(answers, differs)
    assert answers["move"]
    assert answers.total() == USERS * CHANGES
    wrong = [line for line in site.neutron.complaints() if not OF_A_ROW.search(line)]
    assert not wrong, "\n".join(wrong[:40])
