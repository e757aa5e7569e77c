"""Steps: what a program may ask of the northbound, several of them in one transaction.

They are values, and say what should be; `trunkline.northbound.draft` finds out what that takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.northbound.spec import NetworkSpec, PortSpec


class Create(NamedTuple):
    """Create the row of *spec*; refused if there is one of its name."""

    spec: NetworkSpec | PortSpec


class Put(NamedTuple):
    """Have the row of *spec* as it says: create it, or write those of its columns, maps too, that differ."""

    spec: NetworkSpec | PortSpec


class Change(NamedTuple):
    """Write *columns* to the row called *name* of `Network` or `Port`; a port's network is given by name.

    A map takes the place of the one that is there, a `Merged` one is merged into it. The change is refused
    by a `ChangedError` unless the columns of *given* have these values: those that its author has seen.
    """

    table: Literal["Network", "Port"]
    name: str
    columns: Mapping[str, Any]
    given: Mapping[str, Any] = {}


class Delete(NamedTuple):
    """Delete the row called *name* of `Network`, `Port` or `Chassis`; *given* is that of a `Change`."""

    table: Literal["Network", "Port", "Chassis"]
    name: str
    given: Mapping[str, Any] = {}


Step: TypeAlias = Create | Put | Change | Delete


class Merged(dict[str, str]):
    """A map whose items go into the one that is there; an item with an empty value is taken out."""

    def into(self, items: Mapping[str, str]) -> dict[str, str]:
        """Return *items* with these merged in.

        >>> Merged({"a": "", "b": "2"}).into({"a": "1", "c": "3"})
        {'c': '3', 'b': '2'}
        """
        return {key: value for key, value in {**items, **self}.items() if value}
