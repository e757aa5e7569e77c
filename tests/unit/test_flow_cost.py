"""How many flows a port and a network cost: DESIGN.md section 4."""

from __future__ import annotations

from ipaddress import ip_address
from uuid import UUID

import pytest

from model import rows
from model.example import ADDRESSES, FLAT, NETWORK, PORT, REMOTE, count, lines
from model.rows import CHASSIS, Rows
from trunkline.apps import port_security
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.view import RemotePortView

REFLECTION_GUARD = 1
"""Rule 7 forces one more flow than DESIGN.md section 4 counts: its match is the port's own MAC."""


def test_a_local_port_costs_4_flows_before_port_security_and_one_that_rule_7_forces() -> None:
    assert count(PORT) - len(lines(port_security, PORT)) == 4 + REFLECTION_GUARD


def test_a_remote_port_costs_2_flows() -> None:
    assert count(REMOTE) == 2


@pytest.mark.parametrize("is_learned", [False, True])
def test_a_remote_port_costs_nothing_if_remote_ports_are_learned(is_learned: bool) -> None:
    network = Network(UUID(int=1), "net", 7, "physnet1", 101, learns_remote_ports=is_learned)
    local = Port(UUID(int=2), "here", 42, network.id, 0x020000000001)
    remote = Port(UUID(int=3), "there", 43, network.id, 0x020000000002, chassis="chassis-b")
    now = Rows(
        {network.id: network},
        {local.id: local, remote.id: remote},
        {"here": (Vif("here", "tap0", 10),)},
        {"physnet1": Uplink("physnet1", "br-ex", 1)},
    )
    seen = [view for view in rows.views(now).values() if isinstance(view, RemotePortView)]
    assert rows.inventory(now).chassis == CHASSIS
    assert len(seen) == (0 if is_learned else 1)


@pytest.mark.parametrize("wire", [NETWORK.wire, FLAT])
@pytest.mark.parametrize("is_transparent", [False, True])
def test_a_network_costs_at_most_8_flows(wire: object, is_transparent: bool) -> None:
    assert count(NETWORK, wire=wire, is_transparent=is_transparent) <= 8


@pytest.mark.parametrize("address_count", [1, 2, 4])
def test_port_security_costs_5_flows_and_2_for_a_mac_and_3_for_an_address(address_count: int) -> None:
    """The link-local address is one of them; the flow for tags is one of the 5, and the others count."""
    addresses = tuple(ip_address("2001:db8::") + number for number in range(1, address_count + 1))
    assert len(lines(port_security, PORT, addresses=addresses)) == 5 + 2 + 3 * (address_count + 1)
    assert len(lines(port_security, PORT, addresses=ADDRESSES)) == 5 + 2 + 3 + 3 * 2
    assert len(lines(port_security, PORT)) == 5 + 2
