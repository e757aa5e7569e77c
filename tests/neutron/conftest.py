"""Fixtures: a Neutron with two chassis and a physical switch, which all tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest
from neutron_server import SHARED, opened, until
from neutron_site import Site, used

from trunkline.lab import Lab
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Iterator

MAPPINGS = (("physnet1", "br-phys1"), ("physnet2", "br-phys2"))

LASTING = {"agent_down_time": "3600"}
"""Agents count as alive also while a test does without Neutron's worker, and on a busy machine."""

RARELY = {"compare_interval": "3600"}
"""What is in place was written by a call, or by the worker because something had happened."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the workers share; they inherit its name."""
    if not hasattr(config, "workerinput"):
        os.environ[SHARED] = tempfile.mkdtemp(prefix="tl-neutron-shared-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(SHARED))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    plans = tuple(ChassisPlan(name, MAPPINGS) for name in ("c1", "c2"))
    topology = Topology(f"n-{os.getpid()}", ("physnet1", "physnet2"), chassis=plans)
    with Lab.up(topology) as running:
        yield running


@pytest.fixture(scope="session")
def running(lab: Lab) -> Iterator[Site]:
    with opened(lab.nb.remote, main=LASTING, **RARELY) as neutron, Northbound.connect(lab.nb.remote) as nb:
        site = Site(neutron, lab, nb)
        until(lambda: {"c1", "c2"} <= site.agents().keys(), "the agents of the chassis")
        yield site


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    with used(running) as site:
        yield site
