"""The rows as they would be if a difference was applied, each in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from trunkline.northbound.operation import Uuid, select

if TYPE_CHECKING:
    from trunkline.manifest.difference import Difference
    from trunkline.manifest.present import Present
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

_COUNTERS = {"Network": "next_network_key", "Port": "next_port_key"}


def prospect(nb: Northbound, found: Difference, there: Present) -> dict[str, dict[UUID, Row | None]]:
    """Return the rows that *found* changes, None of those that it deletes, by table and id.

    A row that does not exist yet gets an id of its own, and the key that it would have if it was made now. A
    port's network is the id of a row.
    """
    ((counters,),) = nb.read(select("NB_Global", only=tuple(_COUNTERS.values())))
    rows: dict[str, dict[UUID, Row | None]] = {"Network": {}, "Port": {}}
    network_ids: dict[str, Any] = {name: row["_uuid"] for name, row in there.networks.items()}
    for change in sorted(found.changes, key=lambda change: change.table):
        row_id = Uuid(change.old["_uuid"] if change.old is not None else uuid4())
        if change.new is None:
            rows[change.table][UUID(row_id)] = None
            continue
        row = dict(change.new)
        if change.old is None:
            counter = _COUNTERS[change.table]
            row["unique_key"] = counters[counter]
            counters[counter] += 1
        if change.table == "Network":
            network_ids[change.name] = row_id
        else:
            row["network"] = Uuid(network_ids[row["network"]])
        rows[change.table][UUID(row_id)] = row
    return rows
