"""Many rows at once: they are read in parts, and reach the switch as one change."""

from __future__ import annotations

import re

import pytest
from dummy_chassis import Site, mac_of

from trunkline.agent.northbound_feed import PART_ROWS
from trunkline.northbound.client import PortSpec

pytestmark = pytest.mark.system

MANY = 3 * PART_ROWS


def many(network: str, *allowed: str) -> list[PortSpec]:
    """Return ports of *network* without a VIF; each may also speak from the MACs *allowed*."""
    return [
        PortSpec(
            name=f"{network}-{number}",
            network=network,
            mac=mac_of(f"{number}"),
            allowed_address_pairs=allowed,
        )
        for number in range(MANY)
    ]


def sent(log: str) -> list[tuple[int, int, int]]:
    """Return how many flows each bundle added, modified and deleted."""
    found = re.findall(r"flows sent adds=(\d+) modifies=(\d+) deletes=(\d+)", log)
    return [(int(adds), int(modifies), int(deletes)) for adds, modifies, deletes in found]


@pytest.mark.parametrize("allowed", [(), (mac_of("a"), mac_of("7"))], ids=["alone", "sharing MACs"])
def test_an_agent_that_starts_with_many_ports_adds_their_flows_in_one_bundle(
    site: Site, allowed: tuple[str, ...]
) -> None:
    """DESIGN.md, Lifecycle 3. If MACs are shared, a later row changes what came of an earlier one."""
    chassis = site.chassis(is_running=False)
    site.network()
    site.port("a")
    site.nb.create(ports=many("net1", *allowed))
    chassis.plug("a")
    chassis.start_agent()
    site.await_up("a")
    site.sync()
    first, *others = sent(chassis.agent.log)
    assert first[0] > 2 * MANY
    assert first[1:] == (0, 0)
    assert not others
    assert len(chassis.flows()) == first[0]


def test_many_ports_that_come_and_go_in_one_transaction_are_one_change_each(site: Site) -> None:
    chassis = site.chassis()
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    before, flows = len(sent(chassis.agent.log)), len(chassis.flows())
    site.nb.create(ports=many("net1"))
    site.sync()
    site.nb.delete_ports([port.name for port in many("net1")])
    site.sync()
    assert sent(chassis.agent.log)[before:] == [(2 * MANY, 0, 0), (0, 0, 2 * MANY)]
    assert len(chassis.flows()) == flows
