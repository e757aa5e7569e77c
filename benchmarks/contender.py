"""What every contender can do, so that all are asked for the same work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from load import Load
from process import Usage
from switch import Switch


class Contender(Protocol):
    """A controller with its databases, on a switch of its own, filled with one load.

    It is made with its databases filled and its VIFs plugged in, and its controller not running.
    """

    name: str
    load: Load
    switch: Switch

    def start(self) -> None:
        """Start the controller."""
        ...

    def settle(self, timeout_s: float) -> None:
        """Return when all is reported: every local port is up, and the latest request answered."""
        ...

    def stop(self) -> None:
        """End the controller, and leave the flows where they are."""
        ...

    def reset(self) -> None:
        """Undo, with the controller not running, all that it did: flows, and what its database says is up."""
        ...

    def await_up(self, numbers: Sequence[int], *, is_up: bool) -> None:
        """Return when the northbound says of the ports *numbers* that they are up, or are not."""
        ...

    def retag(self, network: int, vlan_id: int) -> None:
        """Change the VLAN id of *network*; return when the switch has it."""
        ...

    @property
    def usage(self) -> Usage:
        """What the controller has used."""
        ...

    def close(self) -> None:
        """End everything."""
        ...
