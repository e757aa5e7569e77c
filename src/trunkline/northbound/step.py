"""Steps: what a program may ask of the northbound, several of them in one transaction.

Steps are values. `trunkline.northbound.draft` turns them into operations of the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trunkline.northbound.spec import NetworkSpec, PortSpec


class Create(NamedTuple):
    """Create the row of *spec*; refused if there is one of the same name."""

    spec: NetworkSpec | PortSpec


class Insert(NamedTuple):
    """Create *row* of *table*, which is as `spec.checked` returned it; refused as a `Create` is."""

    table: Literal["Network", "Port"]
    row: Mapping[str, Any]


class Ensure(NamedTuple):
    """Create the row of *spec*; if it exists, change nothing, and refuse unless *columns* are as in *spec*.

    Of a map, the items of *spec* are compared.
    """

    spec: NetworkSpec | PortSpec
    columns: Collection[str]


class Put(NamedTuple):
    """Create the row of *spec*, or, if it exists, write the columns that differ; maps are replaced."""

    spec: NetworkSpec | PortSpec


class Change(NamedTuple):
    """Write *columns* to the row called *name* of `Network` or `Port`; a port's network is given by name.

    A map replaces the present one; a `Merged` map is merged into it. *given* are columns with the values that
    the author of the change has seen. If one of them is no longer so, that is a `ChangedError`.
    """

    table: Literal["Network", "Port"]
    name: str
    columns: Mapping[str, Any]
    given: Mapping[str, Any] = {}


class Delete(NamedTuple):
    """Delete the row called *name* of `Network`, `Port` or `Chassis`; *given* is as in a `Change`.

    If there is no such row, the step is refused, unless the row *may_be_gone*.
    """

    table: Literal["Network", "Port", "Chassis"]
    name: str
    given: Mapping[str, Any] = {}
    may_be_gone: bool = False


Step: TypeAlias = Create | Insert | Ensure | Put | Change | Delete


class Merged(dict[str, str]):
    """A map whose items are merged into the present ones; an item with an empty value is removed."""

    def into(self, items: Mapping[str, str]) -> dict[str, str]:
        """Return *items* with these merged in.

        >>> Merged({"a": "", "b": "2"}).into({"a": "1", "c": "3"})
        {'c': '3', 'b': '2'}
        """
        return {key: value for key, value in {**items, **self}.items() if value}
