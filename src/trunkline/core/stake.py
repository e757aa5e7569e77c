"""Stakes: what only one sub-port of a trunk can have on its VIF, and which sub-port has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from trunkline.core.model import Port


class Stake(NamedTuple):
    """A tag, or a network, on the VIF of the port named *parent*; only one port can have it there."""

    parent: str
    what: int | UUID | None


class Stakes:
    """What each enabled sub-port wants; of several that want the same, the one with the lowest key has it.

    A change costs one look at the ports that want the same thing. It touches the others only if another port
    gets it.
    """

    def __init__(self) -> None:
        self._ports_by_stake: dict[Stake, dict[UUID, Port]] = {}
        self._holder_by_stake: dict[Stake, Port] = {}
        self._holder_before: dict[Stake, Port | None] = {}

    def replace(self, old: Port | None, new: Port | None) -> None:
        """Replace the port *old*, and what it wanted, by *new*."""
        if not (_stakes(old) or _stakes(new)) or _seen(old) == _seen(new):
            return
        for port in (old, new):
            for stake in _stakes(port):
                if stake not in self._holder_before:
                    self._holder_before[stake] = self._holder(stake)
                self._holder_by_stake.pop(stake, None)
        if old is not None:
            for stake in _stakes(old):
                ports = self._ports_by_stake[stake]
                del ports[old.id]
                if not ports:
                    del self._ports_by_stake[stake]
        if new is not None:
            for stake in _stakes(new):
                self._ports_by_stake.setdefault(stake, {})[new.id] = new

    def settle(self) -> set[UUID]:
        """Return the ports that want something which has changed hands since the last call."""
        before, self._holder_before = self._holder_before, {}
        touched: set[UUID] = set()
        for stake, holder in before.items():
            if _seen(holder) != _seen(self._holder(stake)):
                touched.update(self._ports_by_stake.get(stake, ()))
        return touched

    def holders(self, port: Port) -> Iterable[Port]:
        """Return the ports that have what the sub-port *port* wants: itself, if it has no rival."""
        found = (self._holder(stake) for stake in _wanted(port))
        return [holder for holder in found if holder is not None]

    def _holder(self, stake: Stake) -> Port | None:
        holder = self._holder_by_stake.get(stake)
        ports = self._ports_by_stake.get(stake)
        if holder is None and ports:
            holder = self._holder_by_stake[stake] = min(ports.values(), key=lambda port: port.key)
        return holder


def _wanted(port: Port) -> tuple[Stake, ...]:
    parent = port.parent
    return () if parent is None else (Stake(parent, port.parent_vlan), Stake(parent, port.network_id))


def _stakes(port: Port | None) -> tuple[Stake, ...]:
    return _wanted(port) if port is not None and port.is_enabled else ()


def _seen(port: Port | None) -> tuple[object, ...] | None:
    """Return the parts of a port that matter to its rivals."""
    if port is None:
        return None
    return port.id, port.name, port.key, port.parent, port.parent_vlan, port.network_id, port.is_enabled
