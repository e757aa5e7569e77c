"""A refusal of the northbound's client says of which value it is, for programs that have no command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from trunkline.core.error import InvalidValueError, Place, TrunklineError
from trunkline.northbound.client import NetworkSpec, Northbound, NotFoundError, PortSpec, RefusedError

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served


def vlan(name: str, vlan_id: int, physnet: str = "p") -> NetworkSpec:
    return NetworkSpec(name=name, network_type="vlan", physical_network=physnet, segmentation_id=vlan_id)


def flat(name: str, physnet: str, *, is_open: bool = False) -> NetworkSpec:
    return NetworkSpec(name=name, network_type="flat", physical_network=physnet, vlan_transparent=is_open)


def port(name: str, mac: int, network: str = "web", **columns: object) -> PortSpec:
    return PortSpec(name=name, network=network, mac=f"02:00:00:00:00:{mac:02x}", **columns)  # type: ignore[arg-type]


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as connected:
        connected.create(
            [vlan("web", 101), flat("plain", "p"), flat("open", "q", is_open=True)],
            [port("web1", 1, addresses=("192.0.2.1",)), port("trunk", 2)],
        )
        connected.create(ports=[port("sub", 3, "plain", parent="trunk", parent_vlan=5)])
        yield connected


REFUSED: list[tuple[Callable[[Northbound], None], type[TrunklineError], Place]] = [
    (lambda nb: nb.create([vlan("web", 7)]), RefusedError, Place("Network", "web", "name")),
    (lambda nb: nb.create([vlan("db", 101)]), RefusedError, Place("Network", "web", "segmentation_id")),
    (lambda nb: nb.create([flat("db", "p")]), RefusedError, Place("Network", "plain", "physical_network")),
    (lambda nb: nb.create([vlan("db", 5, "q")]), RefusedError, Place("Network", "open", "physical_network")),
    (lambda nb: nb.create(ports=[port("web1", 9)]), RefusedError, Place("Port", "web1", "name")),
    (lambda nb: nb.create(ports=[port("web2", 1)]), RefusedError, Place("Port", "web1", "mac")),
    (lambda nb: nb.create(ports=[port("web2", 9, "wbe")]), NotFoundError, Place("Network", "wbe")),
    (
        lambda nb: nb.create(ports=[port("web2", 9, addresses=("192.0.2.1",))]),
        RefusedError,
        Place("Port", "web1", "addresses"),
    ),
    (
        lambda nb: nb.create(ports=[port("web2", 9, parent="trunk", parent_vlan=5)]),
        RefusedError,
        Place("Port", "web2", "parent_vlan"),
    ),
    (
        lambda nb: nb.create(ports=[port("web2", 9, parent="none", parent_vlan=5)]),
        RefusedError,
        Place("Port", "web2", "parent"),
    ),
    (lambda nb: nb.set_port("web2", {"enabled": False}), NotFoundError, Place("Port", "web2")),
    (lambda nb: nb.delete_networks(["web"]), RefusedError, Place("Network", "web")),
    (lambda nb: nb.delete_ports(["trunk"]), RefusedError, Place("Port", "sub", "parent")),
    (lambda nb: nb.delete_chassis(["c9"]), NotFoundError, Place("Chassis", "c9")),
]


@pytest.mark.parametrize(("ask", "kind", "place"), REFUSED, ids=[str(place) for _, _, place in REFUSED])
def test_a_refusal_says_its_place(
    northbound: Northbound, ask: Callable[[Northbound], None], kind: type[TrunklineError], place: Place
) -> None:
    with pytest.raises(kind) as caught:
        ask(northbound)
    assert caught.value.place == place


@pytest.mark.parametrize("text", ["a\0b", "\\\\\0", "\ud800"])
def test_a_text_that_no_database_can_hold_is_refused_and_the_connection_goes_on(
    northbound: Northbound, text: str
) -> None:
    with pytest.raises(InvalidValueError, match="leave it out"):
        northbound.create([replace(vlan("db", 7), external_ids={"note": text})])
    fine = "\\u0000 \\\\u0000 \N{GRINNING FACE}"
    northbound.create([replace(vlan("db", 7), external_ids={"note": fine})])
    assert northbound.network("db")["external_ids"] == {"note": fine}
