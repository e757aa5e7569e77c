"""Which VLANs an uplink lets through: before there are flows for them, and until there are none."""

from __future__ import annotations

from uuid import UUID

import pytest

from trunkline.agent.pruning import AllowedVlans
from trunkline.core.model import Network
from trunkline.ovsdb.nic import Vlans

P1, P2 = "physnet1", "physnet2"


def network(number: int, vlan_id: int | None, physnet: str = P1, *, is_transparent: bool = False) -> Network:
    return Network(UUID(int=number), f"net{number}", number, physnet, vlan_id, is_transparent=is_transparent)


def in_use(*networks: Network) -> AllowedVlans:
    found = AllowedVlans()
    for each in networks:
        assert found.set_use(each.id, each)
    return found


def test_vlans_in_use_are_those_of_the_networks_with_ports_here() -> None:
    found = in_use(network(1, 101), network(2, 102), network(3, 103, P2), network(4, None))
    assert (found.wanted(P1), found.wanted(P2)) == (frozenset({0, 101, 102}), frozenset({103}))
    assert found.wanted("physnet3") == frozenset()
    assert found.set_use(UUID(int=1), None)
    assert found.wanted(P1) == frozenset({0, 102})


def test_a_transparent_flat_network_carries_every_vlan_and_a_transparent_vlan_just_its_own() -> None:
    assert in_use(network(1, 101), network(2, None, is_transparent=True)).wanted(P1) is None
    assert in_use(network(1, 201, is_transparent=True)).wanted(P1) == frozenset({201})


def test_saying_the_same_again_is_not_news() -> None:
    found = in_use(network(1, 101))
    assert not found.set_use(UUID(int=1), network(1, 101))
    assert not found.set_use(UUID(int=9), None)
    assert found.set_use(UUID(int=1), network(1, 102))
    assert found.wanted(P1) == frozenset({102})


@pytest.mark.parametrize(
    ("live", "while_flows_change", "once_applied"),
    [
        (frozenset(), {101}, {101}),
        (frozenset({101}), {101}, {101}),
        (frozenset({7}), {7, 101}, {101}),
        (None, None, {101}),
    ],
)
def test_an_uplink_is_widened_first_and_narrowed_when_the_flows_are_in_place(
    live: Vlans, while_flows_change: Vlans, once_applied: Vlans
) -> None:
    found = in_use(network(1, 101))
    assert found.target({P1: live}, are_flows_applied=False) == {P1: while_flows_change}
    assert found.target({P1: live}, are_flows_applied=True) == {P1: once_applied}


def test_flows_may_be_sent_once_every_uplink_lets_their_vlans_through() -> None:
    found = in_use(network(1, 101), network(2, 102, P2))
    assert not found.are_covered({P1: frozenset({101}), P2: frozenset()})
    assert found.are_covered({P1: frozenset({101, 7}), P2: None})
    assert found.are_covered({}), "a physical network without an uplink has no flows on the wire"
    everything = in_use(network(1, None, is_transparent=True))
    assert not everything.are_covered({P1: frozenset(range(4095))})
    assert everything.are_covered({P1: None})
