"""Rows as the type checker sees them: a class for each table, with the kind and the type of each column.

At run time a row is an object of the `ovs` package, whatever its table. For the type checker, a class of
`switch_row` or `nb_row` says which columns can be read, by `trunkline.ovsdb.datum`, and written, by setting
an attribute. At run time the columns of such a class are plain strings, their names; nothing is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Row:
    """A row of a table; its columns are the annotations of the class."""

    if TYPE_CHECKING:
        uuid: UUID

        def verify(self, column: str) -> None:
            """Have the transaction fail if the server has another value in *column* by then."""

        def setkey(self, column: str, key: str, value: str) -> None:
            """Set one pair of a map."""

        def delkey(self, column: str, key: str) -> None:
            """Remove one pair from a map."""

        def addvalue(self, column: str, value: UUID) -> None:
            """Add a reference to a set."""

        def delvalue(self, column: str, value: UUID) -> None:
            """Remove a reference from a set."""

        def increment(self, column: str) -> None:
            """Count *column* up by one."""

        def delete(self) -> None:
            """Delete the row."""

    def __init_subclass__(cls) -> None:
        for column in cls.__annotations__:
            setattr(cls, column, column)


class Value(str, Generic[R, T_co]):
    """The name of a column that holds one value of type *T_co*, in rows of type *R*."""


class Values(str, Generic[R, T_co]):
    """The name of a column that holds a set of values of type *T_co*, in rows of type *R*."""


class Map(str, Generic[R]):
    """The name of a column that holds a map of strings, in rows of type *R*."""


if TYPE_CHECKING:

    class One(Generic[T]):
        """A column that holds one value."""

        def __get__(self, row: None, kind: type[R]) -> Value[R, T]: ...
        def __set__(self, row: Row, value: T) -> None: ...

    class Maybe(Generic[T]):
        """A column that holds one value or none."""

        def __get__(self, row: None, kind: type[R]) -> Value[R, T | None]: ...
        def __set__(self, row: Row, value: list[T]) -> None: ...

    class Many(Generic[T]):
        """A column that holds a set of values."""

        def __get__(self, row: None, kind: type[R]) -> Values[R, T]: ...
        def __set__(self, row: Row, value: Iterable[T]) -> None: ...

    class References(Generic[T]):
        """A column that holds a set of references to rows of type *T*."""

        def __get__(self, row: None, kind: type[R]) -> Values[R, UUID]: ...
        def __set__(self, row: Row, value: Iterable[T]) -> None: ...

    class Pairs:
        """A column that holds a map of strings."""

        def __get__(self, row: None, kind: type[R]) -> Map[R]: ...
        def __set__(self, row: Row, value: Mapping[str, str]) -> None: ...


def columns(table: type[Any]) -> list[str]:
    """Return the names of the columns of rows of type *table*."""
    return list(table.__annotations__)
