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
PATHS = sorted(SOURCE.rglob("*.py"))

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


def classes(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each class of the module at *path*, and the names of those that it is a kind of."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            yield node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def below(name: str, above_by_name: dict[str, str]) -> Iterator[str]:
    """Yield those of *above_by_name* that are a kind of *name*."""
    for kind, above in above_by_name.items():
        if above == name:
            yield kind
            yield from below(kind, above_by_name)


def modules() -> Iterator[str]:
    """Yield the modules that can be imported here; those of `neutron` need Neutron."""
    for module in pkgutil.walk_packages(trunkline.__path__, "trunkline."):
        if not module.name.endswith("__main__") and not module.name.startswith("trunkline.neutron."):
            yield module.name


def test_the_drawing_shows_every_error_under_the_one_that_it_is_a_kind_of() -> None:
    above = {name: bases[0] for path in PATHS for name, bases in classes(path) if bases}
    root = TrunklineError.__name__
    assert drawn() == {root: None} | {name: above[name] for name in below(root, above)}


def test_every_error_of_ours_is_in_the_tree() -> None:
    """An error outside of the tree would reach a user as a traceback."""
    for name in modules():
        for value in vars(importlib.import_module(name)).values():
            is_error = isinstance(value, type) and issubclass(value, Exception)
            if is_error and value.__module__ == name:
                assert issubclass(value, TrunklineError), value


def test_no_class_of_ours_is_a_kind_of_an_error_of_pythons() -> None:
    """So it is in modules that cannot be imported here, too."""
    for path in PATHS:
        for name, bases in classes(path):
            kinds = [getattr(builtins, base, object) for base in bases]
            is_error = any(issubclass(kind, Exception) for kind in kinds if isinstance(kind, type))
            assert name == TrunklineError.__name__ or not is_error, path


def caught(tree: ast.AST) -> set[str]:
    """Return the names of what the clauses of *tree* catch."""
    clauses = (node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler))
    return {node.id for kind in clauses if kind for node in ast.walk(kind) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
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
