"""Conflicts: rows to be written that cannot be beside other rows, and why; all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from trunkline.northbound.operation import Row
    from trunkline.northbound.refusal import NotFoundError, RefusedError


class Written(NamedTuple):
    """A row that is written: as it was, None if it is new, and as it will be."""

    old: Row | None
    new: Row

    def writes(self, columns: Iterable[str]) -> bool:
        """Return whether the row is new, or one of *columns* gets another value."""
        return self.old is None or any(self.old[column] != self.new[column] for column in columns)


class Conflict(NamedTuple):
    """Why the row called *name* cannot be written, by *columns*; the first of these is the one to change.

    *others* are the rows of the same table that are in the way; *columns* are theirs, too. If it is one item
    of the first column, it is *item*.
    """

    name: str
    columns: tuple[str, ...]
    error: RefusedError | NotFoundError
    others: tuple[str, ...] = ()
    item: str | None = None


def refuse(found: Iterable[Conflict]) -> None:
    """Raise the error of the first of the conflicts *found*, if there is one."""
    for conflict in found:
        raise conflict.error


def beside(
    there: Iterable[Row], written: Iterable[Written], gone: Collection[str] = frozenset()
) -> Iterator[Row]:
    """Yield the rows of *there* that are neither *written* nor called one of *gone*."""
    own = {row.new["name"] for row in written}
    return (row for row in there if row["name"] not in own and row["name"] not in gone)
