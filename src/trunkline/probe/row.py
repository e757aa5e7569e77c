"""Writing the rows of `Probe`, of which there is one for each network. It goes with the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.northbound.operation import Uuid, insert, select, update
from trunkline.northbound.refusal import TransactionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Operation, Row

_ATTEMPTS = 3


def of_network(nb: Northbound, name: str) -> Row | None:
    """Return the row of the network called *name*; None if it was not probed."""
    (networks,) = nb.read(select("Network", ("name", "==", name), only=("_uuid",)))
    if not networks:
        return None
    (rows,) = nb.read(select("Probe", ("network", "==", Uuid(networks[0]["_uuid"]))))
    return rows[0] if rows else None


def write(nb: Northbound, columns: Callable[[int, Row | None], Mapping[str, Any] | None]) -> bool:
    """Write the row of each network; return False if this connection may not.

    *columns* is called with the key of a network and its row, if it has one. It returns what to write there;
    None: nothing.
    """
    for attempt in range(_ATTEMPTS):
        networks, rows = nb.read(select("Network", only=("_uuid", "unique_key")), select("Probe"))
        row_by_network = {row["network"]: row for row in rows}
        operations: list[Operation] = []
        for network in networks:
            # One that was deleted meanwhile is not among them.
            row = row_by_network.get(network["_uuid"])
            new = columns(network["unique_key"], row)
            if new is not None and row is not None:
                operations.append(update("Probe", ("network", "==", Uuid(network["_uuid"])), row=new))
            elif new is not None:
                operations.append(insert("Probe", {**new, "network": Uuid(network["_uuid"])}))
        try:
            if operations:
                nb.transact(operations)
            return True
        except TransactionError as error:
            if error.error in ("permission error", "not allowed"):
                return False
            # A network was deleted, or probed by somebody else, since it was read.
            if error.error not in ("constraint violation", "referential integrity violation"):
                raise
            if attempt == _ATTEMPTS - 1:
                raise
    return True
