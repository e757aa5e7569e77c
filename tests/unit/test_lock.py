"""`requirements.lock` names all that is installed, on each Python that the program is for."""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).parents[2] / "requirements.lock"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def environment(python: str, extra: str) -> dict[str, str]:
    return {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}


def locked(python: str) -> set[str]:
    """Return the names that pip installs from the lock on *python*."""
    lines = (line.partition("#")[0].strip() for line in LOCK.read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line]
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment(python, ""))
    }


def needed(python: str) -> set[str]:
    """Return the names of all that the program and its tests need on *python*, directly or not.

    What a package needs is read from the one that is installed; one that only *python* needs is a leaf here.
    """
    names: set[str] = set()
    to_read = [("trunkline", frozenset({"", "test", "check"}))]
    while to_read:
        name, extras = to_read.pop()
        if name in names:
            continue
        names.add(name)
        if name not in locked(_THIS) | {"trunkline"}:
            continue
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate(environment(python, extra)) for extra in extras):
                to_read.append((canonicalize_name(requirement.name), frozenset({"", *requirement.extras})))
    return names - {"trunkline"}


_THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_names_all_that_is_needed(python: str) -> None:
    assert needed(python) - locked(python) == set()
