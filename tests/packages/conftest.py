"""Fixtures: clean machines of each Debian release, with the packages and without, and one at work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from built import Packages
from machine import Machine
from site_at_work import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def root(request: pytest.FixtureRequest) -> Path:
    """Give the files of a Debian release."""
    return Path(os.environ["TRUNKLINE_ROOTS"]) / f"packages-{request.param}"


@pytest.fixture(scope="session")
def packages() -> Packages:
    return Packages(tuple(sorted(Path(os.environ["TRUNKLINE_PACKAGES"]).glob("*.deb"))))


@pytest.fixture
def bare(root: Path, tmp_path: Path) -> Iterator[Machine]:
    """Give a clean machine."""
    with Machine(tmp_path / "machine", root) as machine:
        yield machine


@pytest.fixture(scope="session")
def installed(root: Path, packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what the installation of the packages writes."""
    with Machine(tmp_path_factory.mktemp("installed"), root) as machine:
        packages.install(machine)
        return machine.upper


@pytest.fixture
def machine(root: Path, installed: Path, tmp_path: Path) -> Iterator[Machine]:
    """Give a machine with the packages."""
    with Machine(tmp_path / "machine", installed, root) as started:
        yield started


@pytest.fixture
def site(machine: Machine) -> Site:
    """Give that machine as a chassis with two VMs, served by both units."""
    return Site.start(machine)
