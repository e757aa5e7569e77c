"""No user's row costs more than its size (DESIGN.md section 6, rule 13)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network
from uuid import UUID

import pytest

from model.cost import lines_run
from model.rows import CHASSIS, Rows, views
from trunkline import apps
from trunkline.bridge.forwarding import Forwarding
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import AllowedPair, Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes
from trunkline.core.subject import PortSubject, VifSubject
from trunkline.core.view import SharedMacView, View

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


def test_what_listens_to_the_garbage_collector_is_no_cost() -> None:
    heard = []

    def listen(phase: str, _: object) -> None:
        heard.append(phase)

    def event() -> None:
        kept: list[object] = []
        for _ in range(5_000):
            kept.append([kept])

    quiet = lines_run(event)
    gc.callbacks.append(listen)
    try:
        assert lines_run(event) == quiet
        event()
        assert heard, "it is collected otherwise"
    finally:
        gc.callbacks.remove(listen)


def addressed(count: int) -> View:
    """Return a port of *count* addresses and as many pairs of its own MAC, of which none contains another."""
    half = count // 2
    own: tuple[IPv4Address | IPv6Address, ...] = (
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
    networks: dict[UUID, Network | None] = {
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
        ports: dict[UUID, Port | None] = {each.id: each for each in map(port, range(count))}
        vifs: dict[str, tuple[Vif, ...]] = {"p0": (Vif("p0", "tap", 10),)}
        take(outcomes, Changes(networks={network.id: network}, ports=ports, vifs=vifs))
        assert "also has its address 192.0.2.1;" in outcomes.faults["port p0"]
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
        vifs: dict[str, tuple[Vif, ...]] = {
            port.name: (Vif(port.name, f"tap{port.key}", 10 + port.key),) for port in ports
        }
        outcomes.inventory.change(
            Changes(networks={network.id: network}, ports={p.id: p for p in ports}, vifs=vifs)
        )
        outcomes.refresh()
        up = ports[0]._replace(chassis=CHASSIS, is_up=True)
        return lines_run(lambda: take(outcomes, Changes(ports={up.id: up})))

    assert work(MANY) == work(FEW)


def test_what_a_chassis_writes_of_a_sub_port_is_no_news_of_the_vif_that_carries_it() -> None:
    """An MTU is found anew for a VIF with news, by all the ports that it carries."""
    spread = SPREADS["each its own tag and network"]
    outcomes, change = trunk(FEW, spread)
    take(outcomes, change)
    port = subport(0, spread)
    outcomes.inventory.change(Changes(ports={port.id: port._replace(chassis=CHASSIS, is_up=True)}))
    assert list(outcomes.refresh()) == [PortSubject(port.id)]
    moved = port._replace(network_id=OWN_NETWORK, chassis=CHASSIS, is_up=True)
    outcomes.inventory.change(Changes(ports={port.id: moved}))
    assert VifSubject("p") in outcomes.refresh()


def listing(count: int, network_id: UUID, numbers: range) -> dict[UUID, Port]:
    """Return a port for each of *numbers*, all of which list the same *count* MACs."""
    pairs = tuple(AllowedPair(MAC + 1 + number) for number in range(count))
    ports = (
        Port(UUID(int=1000 + number), f"p{number}", 1 + number, network_id, MAC + 0x100000 + number)
        for number in numbers
    )
    return {port.id: port._replace(allowed_pairs=pairs) for port in ports}


def net(number: int) -> Network:
    return Network(UUID(int=number), f"net{number}", number, "physnet1", 100 + number)


def inventory(networks: Iterable[Network], ports: dict[UUID, Port], vifs: Iterable[str]) -> Outcomes:
    """Return an inventory of these, computed once."""
    outcomes = Outcomes(Inventory(CHASSIS))
    take(
        outcomes,
        Changes(
            networks={network.id: network for network in networks},
            ports=dict(ports),
            vifs={name: (Vif(name, f"tap{number}", 10 + number),) for number, name in enumerate(vifs)},
        ),
    )
    return outcomes


def test_a_network_costs_the_same_however_many_macs_are_listed_in_another() -> None:
    small, large = net(1), net(2)

    def work(count: int) -> int:
        ports = listing(3, small.id, range(1)) | listing(count, large.id, range(1, 5))
        known = inventory((small, large), ports, ["p0"]).inventory
        assert len(list(known.subjects_of_network(small.id))) == 1 + 1 + 3

        def mark() -> None:
            list(known.subjects_of_network(small.id))
            known.mark_network(small.id)

        return lines_run(mark)

    assert work(MANY) == work(FEW)


def test_ports_that_list_the_same_macs_mark_each_of_them_once() -> None:
    """Marking a network costs its ports and its MACs, and not the one times the other."""
    network = net(1)

    def work(ports: int) -> int:
        known = inventory((network,), listing(FEW, network.id, range(ports)), ["p0"]).inventory
        return lines_run(lambda: known.mark_network(network.id))

    assert work(40) - work(10) < 10 * (40 - 10)


def test_an_address_of_a_port_costs_the_same_however_many_macs_it_and_others_list() -> None:
    network = net(1)

    def work(count: int, ports: int) -> int:
        outcomes = inventory((network,), listing(count, network.id, range(ports)), ["p0", "p1"])
        port = outcomes.inventory.ports[UUID(int=1000)]
        moved = port._replace(addresses=(IPv4Address("192.0.2.1"),))
        return lines_run(lambda: take(outcomes, Changes(ports={port.id: moved})))

    assert work(MANY, 5) == work(FEW, 5) == work(FEW, 20)


def test_a_vif_costs_the_macs_that_its_port_lists_however_many_remote_ports_list_them_too() -> None:
    """Each MAC is delivered to the local ports, and on the wire if any port is remote."""
    network = net(1)

    def work(ports: int) -> int:
        outcomes = inventory((network,), listing(FEW, network.id, range(ports)), ["p0", "p1"])
        moved = Changes(vifs={"p1": (Vif("p1", "tap1", 99),)})
        return lines_run(lambda: take(outcomes, moved))

    assert work(40) < 1.5 * work(10)


def test_four_times_the_addresses_and_pairs_of_a_port_cost_four_times_the_work_when_one_changes() -> None:
    network = net(1)

    def work(count: int) -> int:
        ports = listing(count, network.id, range(3))
        addresses = tuple(IPv4Address(0x0A000000 + number) for number in range(count))
        port = ports[UUID(int=1000)]._replace(addresses=addresses)
        outcomes = inventory((network,), {**ports, port.id: port}, ["p0", "p1"])
        fewer = port._replace(addresses=addresses[1:], allowed_pairs=port.allowed_pairs[1:])
        return lines_run(lambda: take(outcomes, Changes(ports={port.id: fewer})))

    assert work(MANY) < 4.5 * work(FEW)


def test_a_slice_of_views_is_bounded_by_what_they_hold_and_not_by_their_number() -> None:
    """DESIGN.md section 6, rule 13: no user's row costs more than its size, nor a turn more than 100 ms."""
    network = net(1)
    ports, slice_ = listing(40, network.id, range(64)), 32
    outcomes = Outcomes(Inventory(CHASSIS))
    vifs: dict[str, tuple[Vif, ...]] = {
        port.name: (Vif(port.name, f"tap{port.key}", 10 + port.key),) for port in ports.values()
    }
    outcomes.inventory.change(Changes(networks={network.id: network}, ports=dict(ports), vifs=vifs))
    outlets: list[int] = []
    while not outcomes.inventory.is_clean:
        found = outcomes.refresh(slice_).values()
        outlets.append(sum(len(view.outlets) for view in found if isinstance(view, SharedMacView)))
    assert sum(outlets) == 40 * 64
    assert max(outlets) <= 8 * slice_


def test_a_slice_of_flows_is_bounded_by_what_its_views_hold() -> None:
    """DESIGN.md section 6, rule 13: between two ports at their limits there is a look at the clock."""
    view = addressed(MANY)
    forwarding = Forwarding("unix:/nonexistent/br-int.mgmt")
    slices: list[int] = []

    def may_go() -> bool:
        slices.append(len(forwarding.desired.keys_by_subject))
        return True

    forwarding.update({PortSubject(UUID(int=number)): view for number in range(3)}, 1, may_go=may_go)
    assert len(slices) == 3
