"""The tree of errors that `trunkline.core.error` draws is the tree that the code has."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import trunkline
from trunkline.core import error
from trunkline.core.error import TrunklineError

_BRANCH = re.compile(r"^((?:[│ ]   )*)(?:[├└]── )?(\w+) {2,}\S", re.MULTILINE)


def drawn() -> dict[str, str | None]:
    """Return the drawing: the name above each name."""
    above_by_name: dict[str, str | None] = {}
    path: list[str] = []
    for line in (error.__doc__ or "").splitlines():
        found = _BRANCH.match(line)
        if found is None:
            continue
        depth = len(found[1]) // 4 + ("── " in line[: found.end(1) + 4])
        path = [*path[:depth], found[2]]
        above_by_name[found[2]] = path[-2] if len(path) > 1 else None
    return above_by_name


def kinds(root: type[TrunklineError]) -> Iterator[type[TrunklineError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_the_drawing_shows_every_error_under_the_one_that_it_is_a_kind_of() -> None:
    for module in pkgutil.walk_packages(trunkline.__path__, "trunkline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    code: dict[str, str | None] = {TrunklineError.__name__: None}
    code |= {
        kind.__name__: kind.__base__.__name__
        for kind in kinds(TrunklineError)
        if kind.__base__ is not None and kind.__module__.startswith("trunkline.")
    }
    assert drawn() == code


def test_every_error_of_ours_is_in_the_tree() -> None:
    """An error outside of the tree would reach a user as a traceback."""
    for module in pkgutil.walk_packages(trunkline.__path__, "trunkline."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            is_error = isinstance(value, type) and issubclass(value, Exception)
            if is_error and value.__module__ == module.name:
                assert issubclass(value, TrunklineError), value
