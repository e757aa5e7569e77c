"""Which rows of a replica came, changed or went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID


@dataclass
class Touched:
    """The rows that came, changed or went since the last time, by table."""

    row_ids: dict[str, set[UUID]] = field(default_factory=dict)

    def __getitem__(self, table: str) -> set[UUID]:
        return self.row_ids.get(table, set())

    def __bool__(self) -> bool:
        return any(self.row_ids.values())

    def add(self, other: Touched) -> None:
        """Add the rows of *other*."""
        for table, row_ids in other.row_ids.items():
            self.row_ids.setdefault(table, set()).update(row_ids)

    def parts(self, tables: Iterable[str], size: int) -> Iterator[Touched]:
        """Yield the rows of *tables*, one table after the other, in parts of at most *size*."""
        for table in tables:
            row_ids = iter(self[table])
            while part := set(islice(row_ids, size)):
                yield Touched({table: part})
