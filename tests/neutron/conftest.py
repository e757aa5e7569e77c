"""Fixtures: a Neutron with two chassis and a physical switch, which all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from neutron_server import opened, until
from neutron_site import Site

from trunkline.lab import Lab
from trunkline.lab.topology import ChassisPlan, Topology
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Iterator

MAPPINGS = (("physnet1", "br-phys1"), ("physnet2", "br-phys2"))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    plans = tuple(ChassisPlan(name, MAPPINGS) for name in ("c1", "c2"))
    topology = Topology(f"n-{os.getpid()}", ("physnet1", "physnet2"), chassis=plans)
    with Lab.up(topology) as running:
        yield running


@pytest.fixture(scope="session")
def running(lab: Lab) -> Iterator[Site]:
    with opened(lab.nb.remote) as neutron, Northbound.connect(lab.nb.remote) as nb:
        site = Site(neutron, lab, nb)
        until(lambda: {"c1", "c2"} <= site.agents().keys(), "the agents of the chassis")
        yield site
        wrong = neutron.complaints()
    assert not wrong, "\n".join(wrong[:40])


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    yield running
    running.clear()
