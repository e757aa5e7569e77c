"""The speakers of a probe: by which MACs this chassis sends, so that no physical switch learns a new one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from uuid import UUID

from trunkline.core.inventory import Inventory
from trunkline.core.probe import chassis_mac


class Speakers:
    """The ports by whose MACs this chassis sends in each network: those that are here now and have link.

    Physical switches know such a MAC to be at this chassis. Where there is no such port, it is a MAC of the
    chassis itself.
    """

    def __init__(self) -> None:
        self._found: dict[UUID, list[UUID]] = {}

    def mac(self, network_id: UUID, inventory: Inventory, asked_about: UUID | None = None) -> int:
        """Return the MAC by which to send in the network; rather not that of the port *asked_about*.

        Whoever has the MAC of that port, too, would get a reply to it himself.
        """
        known = self._found.get(network_id, [])
        if not known or not all(_may_speak(each, network_id, inventory) for each in known):
            known = self._found[network_id] = list(islice(_speakers(network_id, inventory), 2))
        port_id = next((each for each in known if each != asked_about), asked_about if known else None)
        return chassis_mac(inventory.chassis) if port_id is None else inventory.ports[port_id].mac


def _speakers(network_id: UUID, inventory: Inventory) -> Iterator[UUID]:
    return (
        each
        for each in inventory.seats.locals_by_network[network_id]
        if _may_speak(each, network_id, inventory)
    )


def _may_speak(port_id: UUID, network_id: UUID, inventory: Inventory) -> bool:
    port = inventory.ports.get(port_id)
    return (
        port is not None
        and port.network_id == network_id
        and port.is_announced
        and inventory.is_local(port_id)
        and inventory.has_link(port)
        and not inventory.relations.is_listed(network_id, port.mac)
    )
