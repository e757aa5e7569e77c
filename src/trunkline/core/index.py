"""An index: the values that belong to a key."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Set
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

_NOTHING: frozenset[Any] = frozenset()


class Index(Generic[K, V]):
    """Sets of values by key; a key without values is absent.

    Most keys have one value. It is kept without a set: that would take 216 bytes, 10,000 times.

    >>> index: Index[str, int] = Index()
    >>> index.move(1, None, "a"); index.move(2, None, "a"); index.move(1, "a", "b")
    >>> index["a"], index["b"], index["c"] == set()
    ({2}, {1}, True)
    """

    def __init__(self) -> None:
        self._found_by_key: dict[K, V | set[V]] = {}

    def __getitem__(self, key: K) -> Set[V]:
        """Return the values under *key*. The set may belong to the index: read it, do not keep it."""
        found = self._found_by_key.get(key)
        if found is None:
            return _NOTHING
        return found if isinstance(found, set) else {found}

    def __contains__(self, key: K) -> bool:
        """Return whether there are values under *key*."""
        return key in self._found_by_key

    def __iter__(self) -> Iterator[K]:
        return iter(self._found_by_key)

    def add(self, value: V, key: K) -> int:
        """Add *value* to those under *key*; return how many there are now."""
        found = self._found_by_key.setdefault(key, value)
        if isinstance(found, set):
            found.add(value)
            return len(found)
        if found is value or found == value:
            return 1
        self._found_by_key[key] = {found, value}
        return 2

    def discard(self, value: V, key: K) -> int:
        """Take *value* from those under *key*; return how many there are now."""
        found = self._found_by_key.get(key)
        if isinstance(found, set):
            found.discard(value)
            if len(found) == 1:
                (self._found_by_key[key],) = found
            return len(found)
        if found is None or found != value:
            return 0 if found is None else 1
        del self._found_by_key[key]
        return 0

    def move(self, value: V, old_key: K | None, new_key: K | None) -> None:
        """Move *value* from *old_key* to *new_key*; None stands for no key."""
        if old_key is not None:
            if old_key == new_key:
                return
            self.discard(value, old_key)
        if new_key is not None:
            self.add(value, new_key)
