"""trunkline-neutron: what of it can be had without Neutron, which is not on the machines of these tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from built import Packages
    from machine import Machine

LOAD = """
from importlib.metadata import entry_points
for group in ("neutron.ml2.mechanism_drivers", "oslo.config.opts"):
    (found,) = entry_points(group=group, name="trunkline")
    try:
        found.load()
    except ModuleNotFoundError as error:
        print(found.value, error.name)
"""
"""As Neutron and oslo.config find it; with Debian's own Python, without what only our program has."""


def test_it_has_the_program_and_the_driver_where_neutron_looks_and_a_purge_leaves_nothing(
    machine: Machine, packages: Packages
) -> None:
    before = machine.do("find / -xdev -path '*trunkline*' -not -path '/var/lib/dpkg/*' | sort")
    (file,) = (file for file in packages.files if file.name.startswith("trunkline-neutron_"))
    shutil.copy(file, machine.path("/tmp"))
    machine.do(f"dpkg --force-depends --install /tmp/{file.name}; rm /tmp/{file.name}")
    assert machine.do("trunkline-neutron --help").startswith("Usage: trunkline-neutron ")
    # All of ours is found, and nothing is missing but Neutron's.
    assert machine.do(f"cd /; python3 -c '{LOAD}'").split() == [
        *("trunkline.neutron.driver:TrunklineDriver", "neutron"),
        *("trunkline.neutron.settings:listed", "oslo_config"),
    ]
    machine.do("dpkg --purge trunkline-neutron")
    assert machine.do("find / -xdev -path '*trunkline*' -not -path '/var/lib/dpkg/*' | sort") == before
