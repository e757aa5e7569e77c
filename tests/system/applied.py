"""A northbound that a file was applied to: a network blue, with two ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from program import Done, trunkline

from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served

BLUE = """
kind: Network
name: blue
network_type: vlan
physical_network: physnet1
segmentation_id: 101
---
kind: Port
name: vm1
network: blue
mac: 02:00:00:00:00:01
addresses: [192.0.2.11]
---
kind: Port
name: vm2
network: blue
mac: 02:00:00:00:00:02
"""


@contextmanager
def applied(nb: Served) -> Iterator[Northbound]:
    """Connect to *nb* when `BLUE`, as the file `blue.yaml` of this directory, is applied to it."""
    with Northbound.connect(nb.remote) as connected:
        done = apply(connected, "--yes", text=BLUE)
        assert (done.code, done.err) == (0, ""), done
        yield connected


def apply(northbound: Northbound, *options: str, text: str | None = None) -> Done:
    """Apply `blue.yaml`, with *text* in it from now on."""
    if text is not None:
        Path("blue.yaml").write_text(text)
    return trunkline("apply", "-f", "blue.yaml", *options, nb=northbound.rpc.remote)
