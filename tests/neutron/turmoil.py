"""Users who change the same networks, ports and trunks at once: in the end the northbound is as Neutron says.

No comparison of everything is due while this runs, so whatever a call has lost stays lost. Each run is
another one, so it runs only if its file is named: `.venv-neutron-29/bin/pytest tests/neutron/turmoil.py`.
"""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from neutron_server import until
from neutron_site import api_of, typed
from openstack.exceptions import HttpException

if TYPE_CHECKING:
    from neutron_site import Site

USERS = 4
CHANGES = 15


class User:
    """One who makes *CHANGES* changes of objects that others change too."""

    def __init__(self, site: Site, number: int, networks: list[Any]) -> None:
        self._draw = random.Random(number)
        self._api = api_of(site.neutron.controllers[0].url)
        self._networks = networks
        self.answers: Counter[str] = Counter()

    def act(self) -> None:
        kinds = [self.make, self.make_many, self.move, self.move, self.change, self.delete]
        kinds += [self.change_network, self.make_trunk, self.change_trunk, self.delete_trunk]
        for _ in range(CHANGES):
            kind = self._draw.choice(kinds)
            try:
                kind()
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


def test_whatever_users_do_at_once_the_northbound_is_as_neutron_says_in_the_end(site: Site) -> None:
    networks = [site.network()[0] for _ in range(4)]
    users = [User(site, number, networks) for number in range(USERS)]
    with ThreadPoolExecutor(USERS) as pool:
        list(pool.map(User.act, users))
    answers = sum((user.answers for user in users), Counter[str]())
    differs: list[Any] = [None]

    def is_equal() -> bool:
        differs[0] = typed(site, "sync", "--dry-run")
        return bool(differs[0][0] == 0)

    try:
        until(is_equal, "a northbound that is as Neutron says", 60)
    finally:
        print(answers, differs)
    assert answers["move"]
    assert sum(answers.values()) == USERS * CHANGES
