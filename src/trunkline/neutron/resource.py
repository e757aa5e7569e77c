"""What Neutron's database says of segments and ports, as far as the northbound depends on it."""

from __future__ import annotations

from typing import NamedTuple

DRIVER = "trunkline"
"""The name of the driver: in `mechanism_drivers`, and in the binding levels of ports that it has bound."""

UNBOUND = "unbound"
"""The `vif_type` of a binding that no driver has bound (yet)."""


class Segment(NamedTuple):
    """A segment of a network of Neutron; each is a network of the northbound.

    *physical_network* and *segmentation_id* are None if its type has none.
    """

    id: str
    network_id: str
    network_name: str
    network_type: str
    physical_network: str | None
    segmentation_id: int | None
    mtu: int | None = None
    is_transparent: bool = False


class Binding(NamedTuple):
    """A binding of a port to *host*; *segment_id* is the segment that this driver has bound, if it has.

    *migrating_to* is the host to which Nova migrates the VM, as it says in the active binding's profile.
    """

    host: str
    is_active: bool
    vif_type: str
    segment_id: str | None = None
    migrating_to: str | None = None


class Port(NamedTuple):
    """A port of Neutron.

    *pairs* are allowed address pairs, each as `MAC,IP-or-prefix`. A sub-port of a trunk has *parent_id*, the
    port of the trunk, and *parent_vlan*, its tag there.
    """

    id: str
    mac: str
    status: str
    is_enabled: bool = True
    is_secured: bool = True
    addresses: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()
    parent_id: str | None = None
    parent_vlan: int | None = None

    @property
    def main(self) -> Binding | None:
        """The active binding, None if it has none."""
        return next((each for each in self.bindings if each.is_active), None)

    @property
    def is_between_bindings(self) -> bool:
        """Whether Neutron has unbound it to bind it anew, and calls the drivers in between."""
        main = self.main
        return main is not None and bool(main.host) and main.vif_type == UNBOUND

    def additional_host(self) -> str | None:
        """Return the host that the port migrates to, None if it does not or that host is not bound yet."""
        main = self.main
        if main is None or main.migrating_to in (None, main.host):
            return None
        return next(
            (
                each.host
                for each in self.bindings
                if each.host == main.migrating_to and not each.is_active and each.segment_id is not None
            ),
            None,
        )


class Resources(NamedTuple):
    """Segments and ports, read at one moment: all, or some and the segments of their networks."""

    segments: list[Segment]
    ports: list[Port]
