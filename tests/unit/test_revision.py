"""The revision of the rows: it tells whether what follows from them is current."""

from __future__ import annotations

from uuid import UUID

import pytest

from trunkline.bridge.forwarding import Forwarding
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes

NETWORK = Network(UUID(int=1), "net", 7, "physnet1", 101)
PORT = Port(UUID(int=2), "a", 1, NETWORK.id, 2)
ROWS = Changes(
    networks={NETWORK.id: NETWORK},
    ports={PORT.id: PORT},
    vifs={"a": (Vif("a", "tap", 10),)},
    uplinks={"physnet1": Uplink("physnet1", "br-ex", 1)},
)


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory("c1")
    inventory.change(ROWS)
    return inventory


@pytest.mark.parametrize(
    "changes",
    [
        Changes(networks={NETWORK.id: NETWORK._replace(vlan_id=102)}),
        Changes(networks={NETWORK.id: None}),
        Changes(ports={PORT.id: PORT._replace(is_up=True)}),
        Changes(vifs={"a": ()}),
        Changes(uplinks={"physnet1": None}),
    ],
)
def test_every_change_of_the_rows_is_a_revision(inventory: Inventory, changes: Changes) -> None:
    before = inventory.revision
    inventory.change(changes)
    assert inventory.revision > before


def test_rows_that_are_as_they_were_are_no_revision_nor_is_a_look_at_them(inventory: Inventory) -> None:
    before = inventory.revision
    inventory.change(ROWS)
    Outcomes(inventory).refresh()
    assert inventory.revision == before


def test_what_is_to_be_tried_again_is_a_revision(inventory: Inventory) -> None:
    for mark in (inventory.mark_chassis, lambda: inventory.mark_network(NETWORK.id)):
        before = inventory.revision
        mark()
        assert inventory.revision > before


def test_the_revisions_of_a_chassis_that_gets_another_name_count_on(inventory: Inventory) -> None:
    assert Inventory("c2", inventory.revision).revision == inventory.revision


def test_an_update_carries_its_revision_although_no_flow_follows_from_it() -> None:
    forwarding = Forwarding("unix:/nonexistent")
    forwarding.update({}, 7)
    assert forwarding.revision == 7
    assert not forwarding.is_applied
