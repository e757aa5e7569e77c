"""Order: how the values of a column are sorted."""

from __future__ import annotations

from typing import Any

from trunkline.core.name import natural


def by_value(value: Any) -> Any:
    """Return what sorts *value*, of a column, among others of it: nothing first, text as `natural` does.

    >>> sorted([10, None, 9], key=by_value), sorted([["b10"], ["b9"], []], key=by_value)
    ([None, 9, 10], [[], ['b9'], ['b10']])
    """
    match value:
        case None:
            return (0,)
        case str():
            return (2, natural(value))
        case list():
            return (3, [by_value(each) for each in value])
        case dict():
            return (4, [(natural(str(key)), by_value(item)) for key, item in value.items()])
        case _:
            return (1, value)
