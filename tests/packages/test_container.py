"""The recipe of the container image: what it makes is the northbound of a chassis, and its agent."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from image import Image

from trunkline.lab.journal import Journal
from trunkline.lab.namespace import HERE
from trunkline.lab.switchd import Devices, Switchd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from built import Packages

SOCKETS = "/run/openvswitch"
NB = "/run/trunkline"
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def image(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Image:
    root = Path(os.environ["TRUNKLINE_ROOTS"]) / "packages-trixie"  # as the recipe's own base
    return Image(tmp_path_factory.mktemp("image"), root, packages.files)


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switchd]:
    """Give the Open vSwitch of the host."""
    journal = Journal(tmp_path)
    try:
        started = Switchd(HERE, tmp_path / "switch", journal, Devices.DUMMIES)
        started.start()
        yield started
    finally:
        journal.undo()


def test_without_a_word_it_shows_its_help(image: Image) -> None:
    assert image.run({}).startswith("Usage: trunkline ")


def test_it_is_the_northbound_and_the_agent_of_a_chassis_without_any_capability(
    image: Image, switch: Switchd, tmp_path: Path
) -> None:
    here = {tmp_path / name: there for name, there in (("nb", NB), ("data", "/var/lib/trunkline"))}
    for path in here:
        path.mkdir()
    nb = {tmp_path / "nb": NB}
    settings = {
        "system-id": "c1",
        "trunkline-nb": f"unix:{NB}/nb.sock",
        "trunkline-bridge-mappings": "physnet1:br-ex",
        "trunkline-datapath-type": "dummy",
    }
    switch.vsctl(
        *("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=dummy", "--"),
        *("add-port", "br-ex", "nic0", "--", "set", "interface", "nic0", "type=dummy", "--"),
        *("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=dummy", "fail_mode=secure"),
        *("--", "set", "Open_vSwitch", "."),
        *(f'external_ids:{key}="{value}"' for key, value in settings.items()),
    )
    northbound = image.running(here, "nb", "start", "--remote", f"punix:{NB}/nb.sock")
    with northbound, image.running({switch.rundir: SOCKETS} | nb, "agent"):
        deadline = time.monotonic() + TIMEOUT_S
        while not (tmp_path / "nb" / "nb.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        network = ("blue", "--type", "vlan", "--physical-network", "physnet1", "--segment", "101")
        image.run(nb, "network", "create", *network)
        image.run(nb, "port", "create", "vm1", "--network", "blue", "--mac", "02:00:00:00:00:01")
        switch.vsctl(
            *("add-port", "br-int", "vm1", "--", "set", "interface", "vm1", "type=dummy"),
            "external_ids:iface-id=vm1",
        )
        while image.run(nb, "port", "list", "--up", "-o", "name") != "vm1\n":
            assert time.monotonic() < deadline
        assert (tmp_path / "data" / "nb.db").exists()
