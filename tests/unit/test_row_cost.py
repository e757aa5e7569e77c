"""No user's row costs more than its size (DESIGN.md section 6, rule 13)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from uuid import UUID

import pytest

from model.cost import lines_run
from model.rows import CHASSIS, Rows, views
from trunkline import apps
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import AllowedPair, Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes
from trunkline.core.subject import PortSubject
from trunkline.core.view import View

FEW, MANY = 250, 1000
OWN_NETWORK = UUID(int=1)
MAC = 0x020000000000

Spread = Callable[[int], tuple[int, UUID, int]]
"""The tag, the network and the key of the sub-port of a number."""

SPREADS: dict[str, Spread] = {
    "each its own tag and network": lambda number: (1 + number, UUID(int=2 + number), 100 + number),
    "all one tag": lambda number: (7, UUID(int=2 + number), 100 + number),
    "all one network": lambda number: (1 + number, UUID(int=2), 100 + number),
    "all one tag, the last comes first": lambda number: (7, UUID(int=2 + number), 100_000 - number),
}


def addressed(count: int) -> View:
    """Return a port of *count* addresses and as many pairs of its own MAC, of which none contains another."""
    half = count // 2
    own = (
        *(IPv4Address(0x0A000000 + 2 * number) for number in range(half)),
        *(IPv6Address((0x20010DB8 << 96) + 2 * number) for number in range(half)),
    )
    pairs = tuple(AllowedPair(MAC, ip_network((0x0B000000 + 2 * number, 32))) for number in range(count))
    network = Network(OWN_NETWORK, "net", 7, "physnet1", 101)
    port = Port(UUID(int=99_999), "p", 1, network.id, MAC, addresses=own, allowed_pairs=pairs)
    vifs = {"p": (Vif("p", "tap", 10),)}
    return views(Rows({network.id: network}, {port.id: port}, vifs))[PortSubject(port.id)]


def test_four_times_the_addresses_cost_four_times_the_work() -> None:
    def work(count: int) -> int:
        view = addressed(count)
        return lines_run(lambda: list(apps.flows(view)))

    assert work(MANY) < 4.5 * work(FEW)


def take(outcomes: Outcomes, *changes: Changes) -> None:
    """Take each of *changes* in, and compute what it touches."""
    for each in changes:
        outcomes.inventory.change(each)
        outcomes.refresh()


def subport(number: int, spread: Spread) -> Port:
    tag, network_id, key = spread(number)
    name = f"s{number}"
    return Port(
        UUID(int=100_000 + number), name, key, network_id, MAC + 1 + number, parent="p", parent_vlan=tag
    )


def trunk(count: int, spread: Spread) -> tuple[Outcomes, Changes]:
    """Return a chassis with the VIF of a trunk, and the change that brings *count* sub-ports."""
    outcomes = Outcomes(Inventory(CHASSIS))
    networks = {
        id_: Network(id_, f"net{id_.int}", id_.int, "physnet1", id_.int)
        for id_ in (UUID(int=number) for number in range(1, count + 3))
    }
    parent = Port(UUID(int=99_999), "p", 1, OWN_NETWORK, MAC)
    outcomes.inventory.change(
        Changes(
            networks=networks,
            ports={parent.id: parent},
            vifs={"p": (Vif("p", "tap", 10),)},
            uplinks={"physnet1": Uplink("physnet1", "br-ex", 1)},
        )
    )
    outcomes.refresh()
    ports = (subport(number, spread) for number in range(count))
    return outcomes, Changes(ports={port.id: port for port in ports})


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS.keys())
def test_four_times_the_sub_ports_cost_four_times_the_work(spread: Spread) -> None:
    def work(count: int) -> int:
        outcomes, change = trunk(count, spread)
        return lines_run(lambda: take(outcomes, change))

    assert work(MANY) < 4.5 * work(FEW)


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS.keys())
def test_what_a_chassis_writes_of_a_sub_port_costs_the_same_however_many_there_are(spread: Spread) -> None:
    def work(count: int) -> int:
        outcomes, change = trunk(count, spread)
        take(outcomes, change)
        up = subport(count // 2, spread)._replace(chassis=CHASSIS, is_up=True)
        return lines_run(lambda: take(outcomes, Changes(ports={up.id: up})))

    assert work(MANY) == work(FEW)


def test_the_last_of_many_that_want_one_tag_comes_and_goes_without_a_look_at_the_others() -> None:
    def work(count: int) -> int:
        outcomes, change = trunk(count, SPREADS["all one tag"])
        take(outcomes, change)
        last = subport(count, SPREADS["all one tag"])
        coming, going = Changes(ports={last.id: last}), Changes(ports={last.id: None})
        return lines_run(lambda: take(outcomes, coming, going))

    assert work(MANY) - work(FEW) < 3 * (MANY - FEW), "the lowest key is looked for, and nobody seated anew"


def test_a_further_port_with_an_address_that_many_have_costs_the_same_however_many() -> None:
    """Also past the program, which refuses it: each is a fault, and none is looked at for another's sake."""
    address = IPv4Address("192.0.2.1")
    network = Network(OWN_NETWORK, "net", 7, "physnet1", 101)

    def port(number: int) -> Port:
        id_ = UUID(int=1000 + number)
        return Port(id_, f"p{number}", 1 + number, network.id, MAC + number, addresses=(address,))

    def work(count: int) -> int:
        outcomes = Outcomes(Inventory(CHASSIS))
        ports = {each.id: each for each in map(port, range(count))}
        vifs = {"p0": (Vif("p0", "tap", 10),)}
        take(outcomes, Changes(networks={network.id: network}, ports=ports, vifs=vifs))
        assert "its address 192.0.2.1 too" in outcomes.faults["port p0"]
        last = port(count)
        coming, going = Changes(ports={last.id: last}), Changes(ports={last.id: None})
        return lines_run(lambda: take(outcomes, coming, going))

    assert work(MANY) == work(FEW)


def test_what_a_chassis_writes_of_a_port_costs_the_same_however_many_macs_it_lists() -> None:
    network = Network(OWN_NETWORK, "net", 7, "physnet1", 101)

    def work(count: int) -> int:
        pairs = tuple(AllowedPair(MAC + 1 + number) for number in range(count))
        ports = [
            Port(UUID(int=1000 + number), f"p{number}", 1 + number, network.id, MAC, allowed_pairs=pairs)
            for number in range(5)
        ]
        ports = [port._replace(mac=MAC + 0x100000 + port.key) for port in ports]
        outcomes = Outcomes(Inventory(CHASSIS))
        vifs = {port.name: (Vif(port.name, f"tap{port.key}", 10 + port.key),) for port in ports}
        outcomes.inventory.change(
            Changes(networks={network.id: network}, ports={p.id: p for p in ports}, vifs=vifs)
        )
        outcomes.refresh()
        up = ports[0]._replace(chassis=CHASSIS, is_up=True)
        return lines_run(lambda: take(outcomes, Changes(ports={up.id: up})))

    assert work(MANY) == work(FEW)
