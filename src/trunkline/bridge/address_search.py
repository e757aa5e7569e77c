"""The search for others who use the addresses of ports here: this chassis' part in a probe of addresses.

A frame asks for each address, a few times, and whoever uses it replies (`trunkline.core.address_probe`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from trunkline.core.address_probe import Reply
from trunkline.core.inventory import Inventory
from trunkline.core.model import IPAddress

TRIES = 3
PATIENCE_S = 1.0
"""How often an address is asked for, and how long a reply may take (PROBE_NUM and PROBE_MIN of RFC 5227)."""

MOST_REPLIES, MOST_MACS = 500, 4
"""Of how many addresses replies are kept, and how many of each: an answer has to hold them."""


class Sought(NamedTuple):
    """An *address* of a port here: does somebody else use it, too?"""

    network_id: UUID
    port_id: UUID
    address: IPAddress


class AddressSearch:
    """Which addresses are asked for, and who replied; the clock is the caller's."""

    def __init__(self) -> None:
        self.replies: dict[Sought, set[int]] = {}
        self._sought: dict[tuple[UUID, IPAddress], Sought] = {}
        # With how often each was asked for; those that wait longest come first, as all wait equally long.
        self._waiting: deque[tuple[float, int, Sought]] = deque()

    @property
    def asked(self) -> int:
        """How many addresses there are."""
        return len(self._sought)

    @property
    def unsent(self) -> int:
        """For how many of them a reply may still come."""
        return len(self._waiting)

    @property
    def next_s(self) -> float | None:
        """When the next one is due; None if there is none."""
        return self._waiting[0][0] if self._waiting else None

    def begin(self, sought: Iterable[Sought]) -> None:
        """Look for those who use *sought*; repeated, it does nothing."""
        if not self._sought:
            self._sought = {(each.network_id, each.address): each for each in sought}
            self._waiting.extend((0.0, 0, each) for each in self._sought.values())

    def due(self, now_s: float) -> Sought | None:
        """Return the address that is to be asked for at *now_s*, if there is one; `sent` then counts it."""
        while self._waiting and self._waiting[0][0] <= now_s:
            _, times, sought = self._waiting[0]
            if times < TRIES and sought not in self.replies:
                return sought
            self._waiting.popleft()
        return None

    def sent(self, now_s: float) -> None:
        """Note that the address that is due was asked for."""
        _, times, sought = self._waiting.popleft()
        self._waiting.append((now_s + PATIENCE_S, times + 1, sought))

    def note(self, network_id: UUID, reply: Reply) -> bool:
        """Take note of a reply in the network; return whether the address is one that is asked for."""
        sought = self._sought.get((network_id, reply.address))
        if sought is None:
            return False
        macs = self.replies.get(sought, set())
        if len(macs) < MOST_MACS and (macs or len(self.replies) < MOST_REPLIES):
            self.replies[sought] = macs | {reply.mac}
        return True


def sought_here(
    network_ids: Iterable[UUID], port_keys: frozenset[int] | None, inventory: Inventory
) -> Iterator[Sought]:
    """Yield the addresses of the ports here in these networks, or of those of them that *port_keys* name.

    A port that shares its addresses on purpose has none to look for.
    """
    for network_id in network_ids:
        for port_id in inventory.seats.locals_by_network[network_id]:
            port = inventory.ports[port_id]
            if not port.may_share_addresses and (port_keys is None or port.key in port_keys):
                for address in port.addresses:
                    yield Sought(network_id, port_id, address)
