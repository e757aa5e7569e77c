"""The MTU that is requested for VIFs: of which kinds of interfaces, and that a request is ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trunkline.ovsdb.datum import one, pairs
from trunkline.ovsdb.switch_row import MTU_MARK, InterfaceRow
from trunkline.ovsdb.vswitch import SwitchReplica

MTU_TYPES = frozenset(
    {"", "system", "internal", "tap", "dummy", "dpdk", "dpdkvhostuser", "dpdkvhostuserclient", "afxdp"}
)
"""The interface types whose MTU can be requested (ovs-vswitchd.conf.db(5), `mtu_request`)."""


def pending(
    switch: SwitchReplica, mtu_by_iface_id: Mapping[str, int | None]
) -> Iterator[tuple[InterfaceRow, int | None]]:
    """Yield the VIFs' interfaces whose requested MTU is not the wanted one, with that."""
    for iface_id, mtu in mtu_by_iface_id.items():
        for interface in switch.vif_rows(iface_id):
            if one(interface, InterfaceRow.type) in MTU_TYPES and not is_requested(interface, mtu):
                yield interface, mtu


def is_requested(interface: InterfaceRow, mtu: int | None) -> bool:
    """Return whether *mtu* is requested of the interface, and known as our request; None: none of ours is."""
    mark = pairs(interface, InterfaceRow.external_ids).get(MTU_MARK)
    return (
        mark is None if mtu is None else (one(interface, InterfaceRow.mtu_request), mark) == (mtu, str(mtu))
    )


def request(interface: InterfaceRow, mtu: int | None) -> str:
    """Request *mtu* of the interface, or take our request back; return that in words."""
    if mtu is not None:
        interface.mtu_request = [mtu]
        interface.setkey("external_ids", MTU_MARK, str(mtu))
        return f"request MTU {mtu} of {one(interface, InterfaceRow.name)}"
    # Somebody else may have requested another one since.
    if str(one(interface, InterfaceRow.mtu_request)) == pairs(interface, InterfaceRow.external_ids).get(
        MTU_MARK
    ):
        interface.mtu_request = []
    interface.delkey("external_ids", MTU_MARK)
    return f"request no MTU of {one(interface, InterfaceRow.name)}"
