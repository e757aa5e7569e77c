"""The tree of errors that `trunkline.core.error` draws is the tree that the code has."""

from __future__ import annotations

import ast
import builtins
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import trunkline
from trunkline.core import error
from trunkline.core.error import TrunklineError

SOURCE = Path(trunkline.__path__[0])

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


def modules() -> Iterator[str]:
    """Yield the modules that can be imported here; those of `neutron` need Neutron."""
    for module in pkgutil.walk_packages(trunkline.__path__, "trunkline."):
        if not module.name.endswith("__main__") and not module.name.startswith("trunkline.neutron."):
            yield module.name


def test_the_drawing_shows_every_error_under_the_one_that_it_is_a_kind_of() -> None:
    for name in modules():
        importlib.import_module(name)
    code: dict[str, str | None] = {TrunklineError.__name__: None}
    code |= {
        kind.__name__: kind.__base__.__name__
        for kind in kinds(TrunklineError)
        if kind.__base__ is not None and kind.__module__.startswith("trunkline.")
    }
    assert drawn() == code


def test_every_error_of_ours_is_in_the_tree() -> None:
    """An error outside of the tree would reach a user as a traceback."""
    for name in modules():
        for value in vars(importlib.import_module(name)).values():
            is_error = isinstance(value, type) and issubclass(value, Exception)
            if is_error and value.__module__ == name:
                assert issubclass(value, TrunklineError), value


def caught(tree: ast.AST) -> set[str]:
    """Return the names of what the clauses of *tree* catch."""
    clauses = (node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler))
    return {node.id for kind in clauses if kind for node in ast.walk(kind) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(
    "path", sorted(Path(trunkline.__path__[0]).rglob("*.py")), ids=lambda path: path.stem
)
def test_what_a_module_raises_is_of_the_tree_or_of_the_system_or_caught_in_it(path: Path) -> None:
    """An `OSError` is worded by the command line; any other error of Python's would reach a user raw."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call | ast.Name):
            continue
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        raised = getattr(builtins, kind.id, None) if isinstance(kind, ast.Name) else None
        if raised not in (None, NotImplementedError) and not issubclass(raised, OSError):
            assert raised.__name__ in caught(tree), ast.unparse(node)
