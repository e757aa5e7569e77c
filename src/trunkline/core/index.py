"""An index: the values that belong to a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Index(Generic[K, V]):
    """Sets of values by key; a key without values is absent.

    >>> index: Index[str, int] = Index()
    >>> index.move(1, None, "a"); index.move(2, None, "a"); index.move(1, "a", "b")
    >>> index["a"], index["b"], index["c"] == set()
    ({2}, {1}, True)
    """

    def __init__(self) -> None:
        self._values_by_key: dict[K, set[V]] = {}

    def __getitem__(self, key: K) -> set[V]:
        """Return the values under *key*. The set belongs to the index: read it, do not keep or change it."""
        return self._values_by_key.get(key) or set()

    def __contains__(self, key: K) -> bool:
        """Return whether there are values under *key*."""
        return key in self._values_by_key

    def __iter__(self) -> Iterator[K]:
        return iter(self._values_by_key)

    def move(self, value: V, old_key: K | None, new_key: K | None) -> None:
        """Move *value* from *old_key* to *new_key*; None stands for no key."""
        if old_key == new_key:
            return
        if old_key is not None:
            values = self._values_by_key.get(old_key)
            if values is not None:
                values.discard(value)
                if not values:
                    del self._values_by_key[old_key]
        if new_key is not None:
            self._values_by_key.setdefault(new_key, set()).add(value)
