"""What only one row may have: the tag of a network on its physical network, the MAC of a port in its network.

The database has an index of each, and decides. Who wants to know before, such as `trunkline apply --dry-run`,
compares the rows by the same rule. Rows of one request may exchange what they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.northbound.conflict import Conflict, beside
from trunkline.northbound.refusal import taken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from trunkline.northbound.conflict import Written
    from trunkline.northbound.operation import Row

COLUMNS = {"Network": ("physical_network", "segmentation_id"), "Port": ("network", "mac")}
"""The columns whose values together only one row has, by table, as the schema's indexes say."""


def conflicts(table: str, written: Collection[Written], there: Iterable[Row]) -> Iterator[Conflict]:
    """Yield each row *written* that has what a row *there* has, or one that is written before it.

    A port's network is given by name.
    """
    columns = COLUMNS[table]

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[column] for column in columns)

    holders = {key(row): row for row in beside(there, written)}
    holders |= {key(row.new): row.new for row in written if not row.writes(columns)}
    for row in written:
        first = holders.setdefault(key(row.new), row.new)
        if first is not row.new:
            error = taken(table, columns, first, row.new.get("network"))
            blamed = error.place.column if error.place and error.place.column else columns[-1]
            yield Conflict(row.new["name"], (blamed, *columns), error, (first["name"],))
